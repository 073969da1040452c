"""The status report for people."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

from edge_gateway.cli.status_labels import duration, figures
from edge_gateway.cli.tables import NOTHING, Blocks, cell, instant
from edge_gateway.status.report import ClockStatus, MessageCounts, SinkStatus, SpoolStatus, ValueCounts
from fleet_config.counting import counted, span
from fleet_config.durations import rounded_size
from fleet_console.drawing import Line, Table

GRAVITY_STYLES = {"failure": "bold red", "warning": "yellow", "notice": "dim"}
"""The style of each gravity."""


def status_view(report: Mapping[str, Any]) -> Blocks:
    """Return the status report, with units as `edge_gateway.status.report` declares them."""
    table = Table(("", ""))
    broker, fleet = report["broker"], report["fleet"]
    table.add("gateway", f"{report['gateway']} ({report['state']}, version {report['version']})")
    table.add("rules", f"{report['rules']['count']} in force, {report['rules']['hash']}")
    table.add("rule alerts", _alerts(report["alerts"]))
    table.add("problems", _count(report["problems"]))
    table.add("devices", f"{cell(fleet['devices'])}, with {cell(fleet['series'])} series")
    table.add("messages", figures(MessageCounts, report["messages"]))
    table.add("values", figures(ValueCounts, report["values"]))
    table.add("missing", _missing(report["gaps"]))
    table.add("broker", _broker(broker))
    table.add("clock", figures(ClockStatus, report["clock"]))
    table.add("spool", figures(SpoolStatus, report["spool"]))
    for name, sink in report["sinks"].items():
        table.add(f"sink {name}", figures(SinkStatus, _without_zeros(sink)) or NOTHING)
    return [table, *_problems(report["problems"])]


def _alerts(alerts: Mapping[str, Any]) -> str:
    """Return how many alerts fire, and how many of them are not told, or seen by somebody."""
    words = {"muted": "muted", "acknowledged": "acknowledged", "flapping": "flapping"}
    told = [f"{cell(alerts['firing'])} firing"]
    told += [f"{cell(alerts[name])} {word}" for name, word in words.items() if alerts.get(name)]
    told += [counted(alerts["silences"], "silence")] if alerts.get("silences") else []
    return ", ".join(told)


def _count(problems: Sequence[Mapping[str, Any]]) -> str:
    """Return how many problems of each gravity are open."""
    found = Counter(one["gravity"] for one in problems)
    return ", ".join(counted(count, gravity) for gravity, count in found.items()) or "none"


def _broker(broker: Mapping[str, Any]) -> str:
    connected = "connected" if broker["connected"] else "NOT CONNECTED"
    lag, unacknowledged = duration(broker["lag"] or 0), rounded_size(broker["unacknowledged"])
    return f"{connected}, lag {lag}, {unacknowledged} not acknowledged"


def _without_zeros(sink: Mapping[str, Any]) -> dict[str, Any]:
    """Return what waits for a sink, then what it did, without what is zero or empty."""
    waiting = {name: value for name, value in sink["waiting"].items() if value}
    done = {name: value for name, value in sink.items() if name != "waiting" and value}
    return {**({"waiting": waiting} if waiting else {}), **done}


def _problems(problems: Sequence[Mapping[str, Any]]) -> Blocks:
    """Return a line for each problem, in the order of the report; a text of several lines continues below.

    The line begins with the gravity, since a pipe has no colours.
    """
    lines: Blocks = []
    for one in problems:
        gravity, style = one["gravity"], GRAVITY_STYLES.get(one["gravity"], "")
        word = gravity.upper() if gravity == "failure" else gravity
        first, *more = str(one["text"]).split("\n")
        since = instant(one.get("since"), whole_seconds=True)
        lines.append(Line(f"{word} {one['code']} since {since}: {first}", style))
        lines += (Line(f"    {line}", style) for line in more)
    return lines or [Line("no problems", "green")]


def _missing(gaps: Mapping[str, Any]) -> str:
    """Return how many messages are missing, with the first few ranges."""
    if not gaps["messages"]:
        return "no message"
    some = ", ".join(f"{one['device']} {span(one['from'], one['to'])}" for one in gaps["ranges"][:3])
    more = ", …" if len(gaps["ranges"]) > 3 else ""  # noqa: PLR2004 - as many as are shown
    messages, devices = counted(gaps["messages"], "message"), counted(gaps["devices"], "device")
    return f"{messages} of {devices}: {some}{more}"
