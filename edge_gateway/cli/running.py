"""The gateway that runs here, whatever has become of its gateway.yaml since it started."""

from __future__ import annotations

import os
import re
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from edge_gateway.cli.options import find_config, socket_path, with_config
from fleet_config.counting import counted

if TYPE_CHECKING:
    from edge_gateway.configuration.model import GatewayConfig

_SPOOL_PATH: Final = re.compile(
    r"^spool:[^\n]*\n(?:[ \t]+[^\n]*\n|[ \t]*\n)*?[ \t]+path:[ \t]*['\"]?([^\s'\"#]+)", re.MULTILINE
)
"""`spool.path` in a file that is no valid YAML."""


def running_config(config: Path | None) -> GatewayConfig:
    """Load the configuration with which to reach the gateway that runs here.

    A gateway goes on with what it read at its start. Where its file has mistakes by now, these are told, and of the
    settings only the spool counts. ProblemsFound if no gateway runs on the spool that the file names.
    """
    from fleet_config.problems import ProblemsFound
    from fleet_console.terminal import complain

    try:
        return find_config(config)
    except ProblemsFound as found:
        settings = _of_spool(_spool_named(config))
        if not os.path.exists(socket_path(settings)):  # noqa: PTH110 - Path.exists raises where it may not look
            raise
        complain(
            f"{counted(len(found.problems), 'mistake')} in the configuration, which the next start refuses: see"
            f" `edge-gateway {with_config('check', config)}`. The gateway on {settings.spool.path} goes on with what it"
            " read at its start"
        )
        return settings


def _of_spool(spool: Path | None) -> GatewayConfig:
    from edge_gateway.configuration.model import GatewayConfig

    section = {} if spool is None else {"spool": {"path": spool}}
    return GatewayConfig.model_validate({"mqtt": {"url": "mqtt://localhost"}, **section})


def _spool_named(config: Path | None) -> Path | None:
    """Return the spool that a variable or the faulty file names, None if neither does."""
    from edge_gateway.configuration.loading import default_file

    if given := os.environ.get("EDGE_GATEWAY_SPOOL_PATH"):
        return Path(given)
    file = config or default_file()
    if file is None:
        return None
    named = _read(file)
    return file.parent / named if named else None


def _read(file: Path) -> str | None:
    from fleet_config.problems import ProblemsFound
    from fleet_config.yaml_source import load_yaml

    with suppress(ProblemsFound):
        data: Any = load_yaml(file).data
        section = data.get("spool") if isinstance(data, dict) else None
        path = section.get("path") if isinstance(section, dict) else None
        return path if isinstance(path, str) else None
    with suppress(OSError, UnicodeDecodeError):
        found = _SPOOL_PATH.search(file.read_text(encoding="utf-8"))
        return found[1] if found else None
    return None
