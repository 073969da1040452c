"""`run`, `check` and `config show`."""

from __future__ import annotations

import asyncio
import os
import signal
from typing import Annotated

import typer

from edge_gateway.cli.options import (
    ConfigOption,
    EmbeddedOption,
    JsonOption,
    load,
    socket_path,
)
from edge_gateway.cli.tables import config_table
from edge_gateway.configuration.loading import effective, read_secrets
from edge_gateway.configuration.model import GatewayConfig
from edge_gateway.journal.files import UMASK
from edge_gateway.rules.files.load import load_rules
from edge_gateway.service.malloc import keep_little
from edge_gateway.status.logs import set_up_logs
from fleet_console.terminal import say, say_json

config_app = typer.Typer(help="The effective configuration.", no_args_is_help=True)


def register(app: typer.Typer) -> None:
    app.command()(run)
    app.command()(check)
    app.add_typer(config_app, name="config")


def run(
    config: ConfigOption = None,
    *,
    embedded: EmbeddedOption = False,
    as_json: Annotated[bool, typer.Option("--json", help="Log as JSON lines.")] = False,
) -> None:
    """Run the gateway until SIGTERM or Ctrl-C."""
    keep_little()
    os.umask(UMASK)
    settings = load(config, embedded=embedded).config
    set_up_logs(settings.log.level, "json" if as_json else settings.log.format)
    interrupted = asyncio.run(_run_until_signal(settings, embedded=embedded))
    if interrupted:
        raise typer.Exit(130)


async def _run_until_signal(config: GatewayConfig, *, embedded: bool) -> bool:
    stop = asyncio.Event()
    received: list[int] = []

    def on_signal(number: int) -> None:
        received.append(number)
        stop.set()

    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, on_signal, number)
    from edge_gateway.service import app as composition  # noqa: PLC0415 - the gateway's own imports, for this command alone

    await composition.run(config, stop=stop, socket=socket_path(config), embedded=embedded)
    return signal.SIGINT in received


def check(
    config: ConfigOption = None, *, embedded: EmbeddedOption = False, as_json: JsonOption = False
) -> None:
    """Check configuration, rules and credentials, without side effects."""
    loaded = load(config, embedded=embedded)
    read_secrets(loaded.config)
    rules = load_rules(loaded.config.rules.path)
    if as_json:
        say_json({"ok": True, "rules": len(rules.rules), "hash": rules.hash})
    else:
        say(f"good: {len(rules.rules)} rules, {len(loaded.config.windows)} windows")


@config_app.command("show")
def config_show(
    config: ConfigOption = None, *, embedded: EmbeddedOption = False, as_json: JsonOption = False
) -> None:
    """Print every setting, and where its value comes from. Secrets stay references."""
    rows = list(effective(load(config, embedded=embedded)))
    if as_json:
        say_json([{"key": key, "value": value, "from": origin} for key, value, origin in rows])
    else:
        say(*config_table(rows))
