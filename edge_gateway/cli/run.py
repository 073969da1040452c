"""`run`."""

from __future__ import annotations

import asyncio
import logging
import os
import signal
from typing import TYPE_CHECKING, Annotated

import typer

from edge_gateway.cli.options import ConfigOption, EmbeddedOption, load, socket_path, with_config
from fleet_console.signals import ended_by

if TYPE_CHECKING:
    from edge_gateway.configuration.model import GatewayConfig

log = logging.getLogger("edge_gateway.run")


def run(
    config: ConfigOption = None,
    *,
    embedded: EmbeddedOption = False,
    as_json: Annotated[bool, typer.Option("--json", help="Log as JSON lines.")] = False,
) -> None:
    """Run the gateway until SIGTERM or Ctrl-C."""
    from edge_gateway.configuration.shipped import shipped
    from edge_gateway.journal import spool, spool_owner
    from edge_gateway.journal.files import UMASK
    from edge_gateway.service.malloc import return_free_memory
    from edge_gateway.status.logs import set_up_logs

    return_free_memory()
    os.umask(UMASK)
    loaded = load(config, embedded=embedded)
    settings = loaded.config
    spool.refuse_in_use(settings.spool.path)  # before the import of the program, which takes a while
    if os.geteuid() == 0:
        spool_owner.refuse_other_owner(settings.spool.path, with_config("run", config))
    set_up_logs(settings.log.level, "json" if as_json else settings.log.format)
    source = loaded.file.absolute() if loaded.file else "variables and defaults, without a file"
    log.info("configuration: %s; spool: %s", source, settings.spool.path.absolute())
    if settings.rules.path == shipped("rules"):
        log.info("no gateway.yaml and no ./rules here: using the example rules in %s", settings.rules.path)
    interrupted = asyncio.run(_run_until_signal(settings, embedded=embedded))
    if interrupted:
        raise typer.Exit(130)


async def _run_until_signal(config: GatewayConfig, *, embedded: bool) -> bool:
    """Run the gateway until a signal; return whether it was SIGINT."""
    stop = asyncio.Event()
    received: list[int] = []

    def on_signal(number: int) -> None:
        received.append(number)
        stop.set()

    with ended_by(on_signal):
        from edge_gateway.service import app as composition  # an import of half a second

        await composition.run(config, stop=stop, socket=socket_path(config), embedded=embedded)
    return signal.SIGINT in received
