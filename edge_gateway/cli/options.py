"""What the commands share: options, output, and how to reach a running gateway."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any

import typer

from edge_gateway.configuration.loading import Loaded, default_file, load_config
from edge_gateway.configuration.model import GatewayConfig
from edge_gateway.errors import CannotReach, GatewayError
from edge_gateway.journal.spool import LOCK, SOCKET
from fleet_console.drawing import Line, Table
from fleet_console.terminal import say, say_json
from fleet_wire import local_socket

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


def load(config: Path | None, *, embedded: bool = False) -> Loaded:
    """The configuration; `--embedded` needs no file and brings its own broker and spool."""
    if not embedded:
        return load_config(config)
    defaults: dict[tuple[str | int, ...], str] = {
        ("mqtt", "url"): "mqtt://localhost:1883",
        ("spool", "path"): str(EMBEDDED_SPOOL),
        ("gateway", "id"): "embedded",
    }
    return load_config(config, defaults=defaults)


def socket_path(config: GatewayConfig) -> Path:
    """Where a running gateway listens for its CLI: in its spool, so that two gateways of a machine do not meet."""
    return config.spool.path / SOCKET


def ask(config: GatewayConfig, request: Mapping[str, Any]) -> Any:
    """One answer of the running gateway; CannotReach when none answers."""
    path = socket_path(config)
    try:
        return asyncio.run(local_socket.call(path, dict(request)))
    except local_socket.RequestFailed as error:
        raise GatewayError(str(error)) from error
    except PermissionError as error:
        raise CannotReach(
            f"{path} may not be used by this user: ask as the gateway's user, or as one of its group"
        ) from error
    except (OSError, TimeoutError) as error:
        raise CannotReach(
            f"no running gateway answers at {path} ({error}); start one with: edge-gateway run"
        ) from error


def find_config(config: Path | None) -> GatewayConfig:
    """The configuration of the gateway on this machine: the file, or the embedded one that runs or ran here."""
    return load(config, embedded=config is None and _is_embedded(default_file())).config


def _is_embedded(file: Path | None) -> bool:
    """Whether the gateway of this directory is meant: before the machine's if it runs, else where there is no file."""
    if file is None:
        return os.path.exists(EMBEDDED_SPOOL / LOCK)  # noqa: PTH110 - Path.exists raises where it may not look
    return file.is_absolute() and os.path.exists(EMBEDDED_SPOOL / SOCKET)  # noqa: PTH110 - as above


def show(value: Any, *, as_json: bool, table: Callable[[Any], Sequence[Table | Line]]) -> None:
    """Print a value as JSON, or drawn."""
    if as_json:
        say_json(value)
    else:
        say(*table(value))
