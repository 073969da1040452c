"""`status`, `devices`, `alerts` and `query`: what is going on, and what was."""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated, Any

import typer
from typer.core import TyperGroup

from edge_gateway.at_rest import devices_at_rest
from edge_gateway.cli.options import ConfigOption, JsonOption, ask, console, echo_json, find_config, show
from edge_gateway.cli.tables import alerts_table, devices_table, rows_table, status_view
from edge_gateway.config import GatewayConfig
from edge_gateway.durable.history import History
from edge_gateway.errors import BadInput
from fleet_config.durations import parse_duration


class Subject(StrEnum):
    """What the history can be asked for."""

    LAST = "last"
    WINDOWS = "windows"
    STATES = "states"
    ALERTS = "alerts"
    COMMANDS = "commands"
    QUARANTINE = "quarantine"
    DEVICES = "devices"


def register(app: typer.Typer) -> None:
    app.command()(status)
    app.command()(alerts)
    app.command()(query)


def status(config: ConfigOption = None, *, as_json: JsonOption = False) -> None:
    """What a running gateway is doing, with every reading accounted for."""
    show(ask(find_config(config), {"do": "status"}), as_json=as_json, table=status_view)


class _ShowsUnlessTold(TyperGroup):
    """`devices` and `devices NAME` show; another command is said."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        told = args[:1] and (args[0] in self.commands or args[0] in ctx.help_option_names)
        return super().parse_args(ctx, args if told else ["show", *args])


devices = typer.Typer(
    cls=_ShowsUnlessTold, help="The devices a running gateway knows: show them (the default), forget one."
)


@devices.command("show")
def show_devices(
    device: Annotated[str | None, typer.Argument(help="One device; all of them when left out.")] = None,
    config: ConfigOption = None,
    *,
    as_json: JsonOption = False,
) -> None:
    """The devices a running gateway knows, with gaps in their sequences."""
    found = ask(find_config(config), {"do": "devices", "device": device})
    if device is not None and not found:
        raise BadInput(f"no device '{device}' is known here")
    show(found, as_json=as_json, table=devices_table)


@devices.command("forget")
def forget_device(
    device: Annotated[str, typer.Argument(help="The device.")],
    metric: Annotated[str | None, typer.Argument(help="One metric; the whole device when left out.")] = None,
    config: ConfigOption = None,
    *,
    as_json: JsonOption = False,
) -> None:
    """Let a metric begin anew with its next value; or a whole device, which makes room if it is gone."""
    told = ask(find_config(config), {"do": "forget", "device": device, "metric": metric})
    show(told, as_json=as_json, table=str)


def alerts(config: ConfigOption = None, *, as_json: JsonOption = False) -> None:
    """The alerts that are firing now."""
    show(ask(find_config(config), {"do": "alerts"}), as_json=as_json, table=alerts_table)


def query(
    what: Annotated[Subject, typer.Argument(help="What to ask the local history for.")],
    config: ConfigOption = None,
    *,
    device: Annotated[str | None, typer.Option(help="Only this device.")] = None,
    metric: Annotated[str | None, typer.Option(help="Only this metric.")] = None,
    every: Annotated[str | None, typer.Option(help="Only windows of this length, such as 1m.")] = None,
    since: Annotated[int | None, typer.Option(help="From this time on, milliseconds since 1970.")] = None,
    until: Annotated[int | None, typer.Option(help="Before this time, milliseconds since 1970.")] = None,
    limit: Annotated[int, typer.Option(help="At most so many rows; 0 for all.", min=0)] = 0,
    as_json: JsonOption = False,
) -> None:
    """Ask the local history; a running gateway is not disturbed, a stopped one need not run.

    `devices` are as the last checkpoint has them: at a stop, or within the last minute.
    """
    settings = find_config(config)
    if what is Subject.DEVICES:
        _devices_at_rest(settings, device, as_json=as_json)
        return
    tier = None if every is None else _tier(every, [window.every for window in settings.windows])
    wanted: dict[str, Any] = {
        "device": device,
        "metric": metric,
        "since": since,
        "until": until,
        "limit": limit,
    }
    with History.open(settings.spool.path, [window.every for window in settings.windows]) as history:
        rows = history.query(what.value, tier=tier, **wanted)
        if as_json:
            for row in rows:
                echo_json(row)
        else:
            console.print(rows_table(list(rows)))
        if history.damaged:
            typer.echo(
                f"left out, because they are not what was stored: {history.damaged} windows; when the gateway is"
                " stopped, `edge-gateway spool verify` tells more",
                err=True,
            )


def _devices_at_rest(settings: GatewayConfig, device: str | None, *, as_json: bool) -> None:
    found = list(devices_at_rest(settings, device))
    if as_json:
        for row in found:
            echo_json(row)
    else:
        console.print(devices_table(found))


def _tier(every: str, lengths: list[int]) -> int:
    try:
        length = parse_duration(every)
    except ValueError as error:
        raise BadInput(f"--every: {error}") from error
    if length not in lengths:
        raise BadInput(f"--every: no window is {every} long in this configuration")
    return lengths.index(length)
