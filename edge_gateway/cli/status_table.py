"""The status report for people."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from msgspec import Struct

from edge_gateway.cli.tables import NOTHING, Blocks, cell, instant
from edge_gateway.status.fields import MS, WALL, Field, declared
from edge_gateway.status.report import (
    ClockStatus,
    MessageCounts,
    ReportSection,
    SinkStatus,
    SpoolStatus,
    ValueCounts,
)
from fleet_config.counting import counted, span
from fleet_config.durations import rounded_duration
from fleet_console.drawing import Line, Table

GRAVITY_STYLES = {"failure": "bold red", "warning": "yellow", "notice": "dim"}
"""The style of each gravity, the gravest first."""


def status_view(report: Mapping[str, Any]) -> Blocks:
    """Return the status report, with units as `edge_gateway.status.report` declares them."""
    table = Table(("", ""))
    broker, fleet = report["broker"], report["fleet"]
    table.add("gateway", f"{report['gateway']} ({report['state']}, version {report['version']})")
    table.add("rules", f"{report['rules']['count']} in force, {report['rules']['hash']}")
    table.add("alerts firing", cell(report["alerts"]["firing"]))
    table.add("devices", f"{cell(fleet['devices'])}, {cell(fleet['series'])} series")
    table.add("messages", _figures(MessageCounts, report["messages"]))
    table.add("values", _figures(ValueCounts, report["values"]))
    table.add("missing", _missing(report["gaps"]))
    connected = "connected" if broker["connected"] else "NOT CONNECTED"
    lag, unacknowledged = cell(broker["lag"]), cell(broker["unacknowledged"])
    table.add("broker", f"{connected}, lag {lag} ms, {unacknowledged} B unacknowledged")
    table.add("clock", _figures(ClockStatus, report["clock"]))
    table.add("spool", _figures(SpoolStatus, report["spool"]))
    for name, sink in report["sinks"].items():
        table.add(f"sink {name}", _figures(SinkStatus, _without_zeros(sink)) or NOTHING)
    return [table, *_problems(report["problems"])]


def _without_zeros(sink: Mapping[str, Any]) -> dict[str, Any]:
    """Return what waits for a sink, then what it did, without what is zero or empty."""
    waiting = {name: value for name, value in sink["waiting"].items() if value}
    done = {name: value for name, value in sink.items() if name != "waiting" and value}
    return {**({"waiting": waiting} if waiting else {}), **done}


def _problems(problems: Sequence[Mapping[str, Any]]) -> Blocks:
    """Return a line for each problem, the gravest and newest first; a text of several lines continues below.

    The line begins with the gravity, since a pipe has no colours.
    """
    lines: Blocks = []
    for one in sorted(problems, key=_most_pressing):
        gravity, style = one["gravity"], GRAVITY_STYLES.get(one["gravity"], "")
        word = gravity.upper() if gravity == "failure" else gravity
        first, *more = str(one["text"]).split("\n")
        since = instant(one.get("since"), whole_seconds=True)
        lines.append(Line(f"{word} {one['code']} since {since}: {first}", style))
        lines += (Line(f"    {line}", style) for line in more)
    return lines or [Line("no problems", "green")]


def _most_pressing(problem: Mapping[str, Any]) -> tuple[int, int]:
    """Return a sort key: the gravest first, the newest of those first."""
    ranks = list(GRAVITY_STYLES)
    rank = ranks.index(problem["gravity"]) if problem["gravity"] in ranks else len(ranks)
    return rank, -(problem.get("since") or 0)


def _missing(gaps: Mapping[str, Any]) -> str:
    """Return how many messages are missing, with the first few ranges."""
    if not gaps["messages"]:
        return "no message"
    some = ", ".join(f"{one['device']} {span(one['from'], one['to'])}" for one in gaps["ranges"][:3])
    more = ", …" if len(gaps["ranges"]) > 3 else ""  # noqa: PLR2004 - as many as are shown
    messages, devices = counted(gaps["messages"], "message"), counted(gaps["devices"], "device")
    return f"{messages} of {devices}: {some}{more}"


def _figures(section: type[Struct], values: Mapping[str, Any]) -> str:
    """Return the figures of a section of the report."""
    return ", ".join(f"{name} {text}" for name, text in _named_figures(section, values))


def _named_figures(
    section: type[Struct], values: Mapping[str, Any], group: str = ""
) -> Iterator[tuple[str, str]]:
    """Yield names and values; those of an inner section have its name before their own.

    A gateway of another version may report fields that are not declared here.
    """
    known = {of.wire: of for of in declared(section)}
    for name, value in values.items():
        of = known.get(name)
        if isinstance(value, Mapping) and value:
            yield from _named_figures(of.of if of else ReportSection, value, f"{group}{name} ")
        else:
            yield f"{group}{name}", _figure(of, value)


def _figure(of: Field | None, value: object) -> str:
    if of and of.unit == WALL:
        return instant(value)
    if of and of.unit == MS and not of.wire.endswith("_ms") and isinstance(value, int):
        return rounded_duration(value)
    return cell(value)
