"""`status`, `devices`, `alerts` and `query`: what a gateway does now, and what it did."""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from enum import StrEnum
from itertools import chain, islice
from typing import TYPE_CHECKING, Annotated, Any

import typer
from typer.core import TyperGroup

from edge_gateway.cli.options import ConfigOption, JsonOption, ask, find_config, show
from edge_gateway.cli.running import running_config
from edge_gateway.errors import BadInput
from fleet_config.counting import counted

if TYPE_CHECKING:
    from edge_gateway.cli.tables import Blocks
    from edge_gateway.configuration.model import GatewayConfig
    from edge_gateway.store.history import History

Row = dict[str, Any]

MOST_ROWS = 1_000_000_000
LATEST = 253_402_300_800_000
"""Wall milliseconds of the year 10000: times must be before it."""

SINCE_HELP = "1h for an hour ago, 2026-01-31T12:00Z, or milliseconds since 1970."


class Subject(StrEnum):
    """What `query` can show."""

    LAST = "last"
    WINDOWS = "windows"
    STATES = "states"
    PARTIAL = "partial"
    LATE = "late"
    ALERTS = "alerts"
    COMMANDS = "commands"
    QUARANTINE = "quarantine"
    EVENTS = "events"
    DEVICES = "devices"


_SUBJECTS = ", ".join(Subject)
_OF_METRICS = frozenset({Subject.LAST, Subject.WINDOWS, Subject.STATES})


def subject_of(text: str) -> Subject:
    """Return the subject of that name."""
    from fleet_config.problems import suggest

    try:
        return Subject(text)
    except ValueError:
        raise typer.BadParameter(f"'{text}' is not one of {_SUBJECTS}{suggest(text, Subject)}") from None


def status(config: ConfigOption = None, *, as_json: JsonOption = False) -> None:
    """Show what a running gateway is doing, with every reading accounted for."""
    from edge_gateway.cli.status_table import status_view

    show(ask(running_config(config), {"do": "status"}, config), as_json=as_json, table=status_view)


class _ShowsUnlessTold(TyperGroup):
    """Reads `devices` and `devices NAME` as `devices show`."""

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
    """Show the devices a running gateway knows, with gaps in their sequences and what is wrong with them."""
    from edge_gateway.cli.tables import devices_table

    settings = running_config(config)
    found = ask(settings, {"do": "devices", "device": device}, config)
    if device is not None and not found:
        every = ask(settings, {"do": "devices", "device": None}, config)
        raise _unknown_device(device, [one["device"] for one in every])
    show(in_order(found), as_json=as_json, table=devices_table)


@devices.command("forget")
def forget_device(
    device: Annotated[str, typer.Argument(help="The device.")],
    metric: Annotated[str | None, typer.Argument(help="One metric; the whole device when left out.")] = None,
    config: ConfigOption = None,
    *,
    as_json: JsonOption = False,
) -> None:
    """Forget a metric, which starts again with its next value; or a whole device, which makes room if it is gone."""
    from fleet_console.drawing import Line

    told = ask(running_config(config), {"do": "forget", "device": device, "metric": metric}, config)
    show(told, as_json=as_json, table=lambda text: [Line(text)])


def alerts(
    config: ConfigOption = None,
    *,
    unacknowledged: Annotated[
        bool,
        typer.Option(
            "--unacknowledged", help="Only what nobody acknowledged, and what ended so within a day."
        ),
    ] = False,
    as_json: JsonOption = False,
) -> None:
    """Show the alerts that fire now, and what mutes their notices."""
    from edge_gateway.cli.tables import alerts_table

    request = {"do": "unacknowledged" if unacknowledged else "alerts"}
    show(ask(running_config(config), request, config), as_json=as_json, table=alerts_table)


def query(
    what: Annotated[str, typer.Argument(parser=subject_of, metavar="WHAT", help=f"One of {_SUBJECTS}.")],
    config: ConfigOption = None,
    *,
    device: Annotated[str | None, typer.Option(help="Only this device.")] = None,
    metric: Annotated[str | None, typer.Option(help="Only this metric.")] = None,
    every: Annotated[str | None, typer.Option(help="Only windows of this length, such as 1m.")] = None,
    since: Annotated[str | None, typer.Option(help="From this time on: " + SINCE_HELP)] = None,
    until: Annotated[str | None, typer.Option(help="Before this time: " + SINCE_HELP)] = None,
    limit: Annotated[
        int, typer.Option(help="At most this many rows, the newest; 0 for all.", min=0, max=MOST_ROWS)
    ] = 0,
    as_json: JsonOption = False,
) -> None:
    """Query the local history, whether the gateway runs or not.

    `partial` and `late` are what no window takes: parts of windows that may lack readings, and readings that came too
    late; `why` says the reason. `events` are what operators did to alerts and devices, and what befell the gateway.
    `devices` are those of the last checkpoint: at the last stop, or at most five minutes ago. With --json each row is
    one line.
    """
    from edge_gateway.cli.tables import devices_table, rows_table
    from fleet_console.terminal import complain

    settings = find_config(config)
    tier = None if every is None else _tier(every, [window.every for window in settings.windows])
    now = int(time.time() * 1000)
    first, stop = instant_of(since, now, "--since"), instant_of(until, now, "--until")
    if first is not None and stop is not None and first >= stop:
        raise typer.BadParameter(
            f"nothing is from {since} on and before {until}; --since must be earlier than --until"
        )
    wanted: dict[str, Any] = {
        "device": device,
        "metric": metric,
        "since": first,
        "until": stop,
        "limit": limit,
    }
    subject = Subject(what)
    if subject is Subject.DEVICES:
        _show_rows(islice(_kept_devices(settings, device), limit or None), devices_table, as_json=as_json)
        return
    with _history(settings) as history:
        found = history.query(subject.value, tier=tier, **wanted)
        if subject is not Subject.QUARANTINE:
            found = _explained(found, lambda: _unknown(device, metric, history), fails=subject in _OF_METRICS)
        _show_rows(found, rows_table, as_json=as_json)
        if history.damaged:
            complain(
                f"{counted(history.damaged, 'window')} skipped (checksum mismatch). Stop the gateway and run"
                " `edge-gateway spool verify`"
            )


def _kept_devices(settings: GatewayConfig, device: str | None) -> list[Row]:
    """Return the devices of the newest checkpoint, or one of them. BadInput if that is not known."""
    from edge_gateway.recovery.checkpoint_view import devices_in_checkpoint

    known = list(devices_in_checkpoint(settings, None))
    rows = [one for one in known if device in {None, one["device"]}]
    if device is not None and not rows:
        raise _unknown_device(device, [one["device"] for one in known])
    return in_order(rows)


def _explained(rows: Iterator[Row], unknown: Callable[[], BadInput | None], *, fails: bool) -> Iterator[Row]:
    """Return the rows; without any, say which name is unknown. BadInput for that if it `fails`.

    Otherwise only a hint: alerts, commands and late readings of a device may come before its first window.
    """
    from fleet_console.terminal import complain

    first = next(rows, None)
    if first is not None:
        return chain([first], rows)
    wrong = unknown()
    if wrong and fails:
        raise wrong
    if wrong:
        complain(str(wrong))
    return rows


def _unknown(device: str | None, metric: str | None, history: History) -> BadInput | None:
    """Return what to say of a device or metric of which nothing is stored, though of others: misspelt, or too old."""
    devices = history.devices() if device is not None else []
    if device is not None and devices and device not in devices:
        return _not_stored(device, devices)
    metrics = history.metrics() if metric is not None else []
    if metric is not None and metrics and metric not in metrics:
        return _unknown_metric(metric, metrics)
    return None


def _unknown_device(device: str, known: list[str]) -> BadInput:
    """Return what to say of a device that is not `known`: the name it resembles, or some that are."""
    return BadInput(f"no device '{device}' is known here{_others(device, known)}")


def _not_stored(device: str, stored: list[str]) -> BadInput:
    """Return what to say of a device of which the history has nothing: it may have given up what there was."""
    return BadInput(f"the history has nothing of a device '{device}'{_others(device, stored)}")


def _others(device: str, known: list[str]) -> str:
    from edge_gateway.status.problems import named
    from fleet_config.problems import suggest

    return suggest(device, known) or (f"; known: {named(sorted(known, key=natural))}" if known else "")


def _unknown_metric(metric: str, known: list[str]) -> BadInput:
    from fleet_config.problems import suggest

    return BadInput(f"no metric '{metric}' is stored here{suggest(metric, known)}")


def in_order(devices: Iterable[Row]) -> list[Row]:
    """Return devices by site and name, in which numbers count as such: `d2` before `d10`."""
    return sorted(devices, key=lambda one: (natural(str(one.get("site"))), natural(str(one["device"]))))


def natural(name: str) -> list[tuple[int, int, str]]:
    """Return a key that sorts names with their numbers by value."""
    parts = re.findall(r"[0-9]{1,18}|[^0-9]+", name)
    return [(0, int(part), part) if part.isdecimal() else (1, 0, part) for part in parts]


@contextmanager
def _history(settings: GatewayConfig) -> Iterator[History]:
    """Open the history. BadInput: SQLite cannot read it, now or later in the block."""
    from edge_gateway.store.history import History
    from edge_gateway.store.schema import READ_ERRORS

    try:
        with History.open(settings.spool.path, [window.every for window in settings.windows]) as history:
            yield history
    except READ_ERRORS as error:
        raise BadInput(
            f"the history in {settings.spool.path} cannot be read: {error}. It must be readable by this user; if it is,"
            " stop the gateway and run `edge-gateway spool verify`"
        ) from error


def _show_rows(
    rows: Iterable[dict[str, Any]], table: Callable[[list[dict[str, Any]]], Blocks], *, as_json: bool
) -> None:
    """Print rows as lines of JSON, one by one, or as a table, which needs all of them first."""
    from fleet_console.terminal import say, say_json

    if not as_json:
        say(*table(list(rows)))
        return
    for row in rows:
        say_json(row)


def instant_of(text: str | None, now: int, option: str) -> int | None:
    """Return the wall ms of a duration before `now`, a date or time (UTC unless it says otherwise), or a number."""
    if text is None:
        return None
    at = _milliseconds(text, now)
    if at is None or not -LATEST < at < LATEST:
        raise typer.BadParameter(f"{option}: '{text}' is not a time; write {SINCE_HELP}")
    return at


def _milliseconds(text: str, now: int) -> int | None:
    from fleet_config.durations import parse_duration

    try:
        return int(text) if len(text) < len(str(LATEST)) * 2 else None
    except ValueError:
        pass
    try:
        return now - parse_duration(text)
    except ValueError:
        pass
    try:
        at = datetime.fromisoformat(text)
        return int((at if at.tzinfo else at.replace(tzinfo=UTC)).timestamp() * 1000)
    except (ValueError, OverflowError):
        return None


def _tier(every: str, lengths: list[int]) -> int:
    from fleet_config.durations import format_duration, parse_duration

    try:
        length = parse_duration(every)
    except ValueError as error:
        raise BadInput(f"--every: {error}") from error
    if length not in lengths:
        known = ", ".join(map(format_duration, lengths))
        raise BadInput(f"--every: no window is {every} long in this configuration, only {known}")
    return lengths.index(length)
