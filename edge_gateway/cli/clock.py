"""`edge-gateway clock`: end doubts about the clock of a running gateway's machine."""

from __future__ import annotations

import typer

from edge_gateway.cli.options import ConfigOption, JsonOption, ask, show
from edge_gateway.cli.running import running_config

app = typer.Typer(
    help="Confirm that the clock of a running gateway's machine is right.", no_args_is_help=True
)


@app.callback()
def clock() -> None:
    """Confirm that the clock of a running gateway's machine is right."""


@app.command()
def confirm(config: ConfigOption = None, *, as_json: JsonOption = False) -> None:
    """Confirm that the machine's clock is right now: set it first. The gateway believes it until it is set again."""
    from fleet_console.drawing import Line

    told = ask(running_config(config), {"do": "confirm_clock"}, config)
    show(told, as_json=as_json, table=lambda text: [Line(text)])
