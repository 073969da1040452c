"""What the commands share: options, output, and how to reach a running gateway."""

from __future__ import annotations

import os
import shlex
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from edge_gateway.errors import BadInput, CannotReach, NoGateway

if TYPE_CHECKING:
    from edge_gateway.configuration.loading import Loaded
    from edge_gateway.configuration.model import GatewayConfig
    from fleet_console.drawing import Line, Table

ConfigOption = Annotated[
    Path | None,
    typer.Option(
        "--config", "-c", envvar="EDGE_GATEWAY_CONFIG", help="gateway.yaml; ./gateway.yaml, then /etc."
    ),
]
JsonOption = Annotated[bool, typer.Option("--json", help="Machine-readable output.")]
EmbeddedOption = Annotated[
    bool, typer.Option("--embedded", help="Own broker, local history, spool in ./.edge-gateway.")
]

EMBEDDED_SPOOL = Path(".edge-gateway")
EMBEDDED_RULES = Path("rules")
OWN_NAMES = frozenset({"localhost", "127.0.0.1", "::1"})


def load(config: Path | None, *, embedded: bool = False) -> Loaded:
    """Load the configuration.

    `--embedded` needs no file: it brings its own broker and spool and, where there is neither a file nor ./rules, the
    example rules that ship with the gateway.
    """
    from edge_gateway.configuration.loading import default_file, load_config
    from edge_gateway.configuration.shipped import shipped

    if not embedded:
        return load_config(config)
    defaults: dict[tuple[str | int, ...], str] = {
        ("mqtt", "url"): "mqtt://localhost:1883",
        ("spool", "path"): str(EMBEDDED_SPOOL),
        ("gateway", "id"): "embedded",
    }
    if config is None and default_file() is None and not EMBEDDED_RULES.is_dir():
        defaults["rules", "path"] = str(shipped("rules"))
    return load_config(config, defaults=defaults)


def socket_path(config: GatewayConfig) -> Path:
    """Return where a gateway listens for its CLI: in its spool, so that two gateways on a machine do not collide."""
    from edge_gateway.journal.spool import SOCKET

    return config.spool.path / SOCKET


def ask(config: GatewayConfig, request: Mapping[str, Any], file: Path | None = None) -> Any:
    """Send a request to the running gateway and return its answer. `file`: what `--config` names, for advice.

    BadInput when the gateway refuses the request, CannotReach when no gateway answers or it cannot answer now;
    NoGateway, which is one, when none runs.
    """
    import asyncio

    from fleet_wire import local_socket
    from fleet_wire.errors import plain_text

    path = socket_path(config)
    try:
        return asyncio.run(local_socket.call(path, dict(request)))
    except local_socket.RequestRefused as error:
        raise BadInput(str(error)) from error
    except local_socket.RequestFailed as error:
        raise CannotReach(str(error)) from error
    except PermissionError as error:
        raise CannotReach(
            f"permission denied on {path}: run this as the gateway's user, or as a member of its group"
        ) from error
    except local_socket.NotRunning as error:
        raise NoGateway(
            f"no gateway runs on the spool {path.parent.absolute()}; start one with: {_run(config, file)}"
        ) from error
    except (OSError, TimeoutError) as error:
        raise CannotReach(f"the gateway at {path} does not answer: {plain_text(error)}") from error


def _run(config: GatewayConfig, file: Path | None) -> str:
    """Return the command that starts this gateway, with a broker of its own where there may be none."""
    run = f"edge-gateway {with_config('run', file)}"
    if config.spool.path == EMBEDDED_SPOOL:
        return f"{run} --embedded"
    if config.mqtt.host not in OWN_NAMES or config.mqtt.tls:
        return run
    return f"{run} (and --embedded if there is no broker at {config.mqtt.url})"


def with_config(command: str, file: Path | None) -> str:
    """Return a command to advise, with the file that `--config` or EDGE_GATEWAY_CONFIG names."""
    return command if file is None else f"{command} -c {shlex.quote(str(file))}"


def find_config(config: Path | None) -> GatewayConfig:
    """Load the configuration of this machine's gateway: the file, or the embedded one that runs or ran here."""
    from edge_gateway.configuration.loading import default_file

    return load(config, embedded=config is None and _is_embedded(default_file())).config


def config_if_any(config: Path | None) -> GatewayConfig | None:
    """Return what `find_config` does; None where there is no configuration, unless `config` names one that is wrong."""
    from fleet_config.problems import ProblemsFound

    try:
        return find_config(config)
    except (BadInput, ProblemsFound):
        if config is not None:
            raise
        return None


def _is_embedded(file: Path | None) -> bool:
    """Tell whether to use this directory's embedded gateway.

    It comes before the machine's file (in /etc) while it runs, and otherwise only where there is no file.
    """
    from edge_gateway.journal.spool import LOCK, SOCKET

    if file is None:
        return os.path.exists(EMBEDDED_SPOOL / LOCK)  # noqa: PTH110 - Path.exists raises where it may not look
    return file.is_absolute() and os.path.exists(EMBEDDED_SPOOL / SOCKET)  # noqa: PTH110 - as above


def show(value: Any, *, as_json: bool, table: Callable[[Any], Sequence[Table | Line]]) -> None:
    """Print a value as JSON, or as a table."""
    from fleet_console.terminal import say, say_json

    if as_json:
        say_json(value)
    else:
        say(*table(value))
