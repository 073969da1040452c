"""What a person reads of the gateway's data."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from fleet_wire.printable import printable

LEVEL_STYLES = {"critical": "bold red", "warning": "yellow", "info": "cyan"}
GRAVITY_STYLES = {"failure": "red", "warning": "yellow", "notice": "dim"}


def _table(*columns: str, title: str | None = None) -> Table:
    table = Table(
        title=title, title_justify="left", box=None, header_style="bold", pad_edge=False, padding=(0, 2, 0, 0)
    )
    for column in columns:
        table.add_column(column, overflow="fold")
    return table


def instant(at: int | None) -> str:
    """Wall milliseconds as a person reads them."""
    if not at:
        return "–"
    return datetime.fromtimestamp(at / 1000, UTC).strftime("%Y-%m-%d %H:%M:%S.%f")[:-3] + "Z"


def number(value: Any) -> str:
    """A number short enough for a table; anything else as it is."""
    if isinstance(value, float):
        return f"{value:.6g}"
    return (
        f"{value:,}"
        if isinstance(value, int) and not isinstance(value, bool)
        else str("–" if value is None else value)
    )


def config_table(rows: Iterable[Sequence[str]]) -> Table:
    table = _table("setting", "value", "from")
    for row in rows:
        table.add_row(*map(Text, row))
    return table


def status_view(report: Mapping[str, Any]) -> RenderableType:
    table = _table("", "")
    table.add_row("gateway", f"{report['gateway']} ({report['state']}, version {report['version']})")
    table.add_row("rules", f"{report['rules']['count']} in force, {report['rules']['hash']}")
    table.add_row("alerts firing", str(report["alerts"]["firing"]))
    table.add_row(
        "devices", number(report["fleet"]["devices"]) + f", {number(report['fleet']['series'])} series"
    )
    table.add_row("messages", _pairs(report["messages"]))
    table.add_row("values", _pairs(report["values"]))
    table.add_row("missing", _missing(report["gaps"]))
    table.add_row(
        "broker",
        f"lag {report['broker']['lag']} ms, {number(report['broker']['unacknowledged'])} B unacknowledged",
    )
    table.add_row("spool", _pairs(report["spool"]))
    for name, sink in report["sinks"].items():
        waiting = {f"waiting {what}": count for what, count in sink["waiting"].items() if count}
        sent = {what: count for what, count in sink.items() if what != "waiting" and count}
        table.add_row(f"sink {name}", _pairs({**waiting, **sent}))
    problems = [
        Text(f"! {one['code']}: {one['text']}", style=GRAVITY_STYLES[one["gravity"]])
        for one in report["problems"]
    ]
    return Group(table, *(problems or [Text("no problems", style="green")]))


def _missing(gaps: Mapping[str, Any]) -> str:
    """What devices numbered and nobody has seen yet, with the first few ranges."""
    if not gaps["messages"]:
        return "no message"
    some = ", ".join(f"{one['device']} {one['from']}–{one['to']}" for one in gaps["ranges"][:3])
    more = ", …" if len(gaps["ranges"]) > 3 else ""  # noqa: PLR2004 - as many as are shown
    return f"{number(gaps['messages'])} messages of {number(gaps['devices'])} devices: {some}{more}"


def _pairs(values: Mapping[str, Any]) -> str:
    return ", ".join(f"{name} {number(value)}" for name, value in values.items())


def devices_table(devices: Sequence[Mapping[str, Any]]) -> RenderableType:
    """One row a device, marked where something is wrong with it; below, what that is."""
    table = _table(
        "device", "site", "type", "online", "last seen", "received", "new", "duplicate", "gaps", "!"
    )
    for one in devices:
        table.add_row(
            Text(one["device"]),
            Text(one["site"]),
            Text(printable(one["type"])),
            {True: "yes", False: "no"}.get(one["online"], "–"),
            instant(one["last_seen"]),
            number(one["counters"]["received"]),
            number(one["counters"]["new"]),
            number(one["counters"]["duplicate"]),
            ", ".join(f"{first}–{last}" for _, first, last in one["gaps"][:3]) or "none",
            Text("!" if one["trouble"] else "", style="yellow"),
        )
    troubled = [one for one in devices if one["trouble"]]
    told = [Text(f"! {one['site']}/{one['device']}: {one['trouble']}", style="yellow") for one in troubled]
    return Group(table, *told)


def alerts_table(alerts: Sequence[Mapping[str, Any]]) -> Table:
    table = _table("since", "level", "rule", "subject", "site", "value", "limit", "summary")
    for one in alerts:
        table.add_row(
            instant(one["at"]),
            Text(one["level"], style=LEVEL_STYLES.get(one["level"], "")),
            one["rule"],
            one["subject"],
            one["site"],
            number(one["value"]),
            number(one["limit"]),
            one["annotations"].get("summary", ""),
        )
    return table


def rows_table(rows: Sequence[Mapping[str, Any]]) -> RenderableType:
    """Rows of a query, with the columns of the first."""
    if not rows:
        return Text("nothing found")
    table = _table(*rows[0])
    for row in rows:
        table.add_row(
            *(instant(value) if name in {"at", "start"} else number(value) for name, value in row.items())
        )
    return table


def spool_view(facts: Mapping[str, Any]) -> RenderableType:
    """What lies in a spool."""
    table = _table("", "", title=str(facts["path"]))
    journal, checkpoints, store = facts["journal"], facts["checkpoints"], facts["store"]
    plain = {name: journal[name] for name in ("records", "bytes", "torn_bytes")}
    table.add_row("journal", f"{journal['first']}–{journal['last']}, " + _pairs(plain))
    table.add_row("lost records", ", ".join(f"{first}–{last}" for first, last in journal["lost"]) or "none")
    table.add_row("checkpoint", f"{checkpoints['newest']} of {instant(checkpoints['at'])}")
    table.add_row("store", _pairs({"applied": store.get("applied"), "bytes": store["bytes"]}))
    table.add_row("rows", _pairs(store.get("rows", {})))
    for sink, waiting in store.get("outbox", {}).items():
        table.add_row(f"waits for {sink}", _pairs({**waiting, "oldest": instant(waiting["oldest"])}))
    table.add_row("failed starts", number(facts["attempts"]))
    table.add_row("set aside", ", ".join(one["name"] for one in facts["set_aside"]) or "nothing")
    if "damage" in store:
        table.add_row("damage", Text(store["damage"], style="red"))
    return table


def findings_table(findings: Sequence[Mapping[str, Any]]) -> Table:
    table = _table("", "check", "found")
    for one in findings:
        mark = Text("ok", style="green") if one["ok"] else Text("WRONG", style="bold red")
        table.add_row(mark, one["check"], Text(one["detail"]))
    return table


def changes_table(plan: Mapping[str, Any]) -> RenderableType:
    table = _table("change", "kind", "name")
    for one in plan["changes"]:
        table.add_row(one["what"], one["kind"], one["name"])
    return table if plan["changes"] else Text("in step with the templates", style="green")


def rule_tests_view(report: Mapping[str, Any]) -> RenderableType:
    table = _table("", "test", "file")
    for one in report["tests"]:
        mark = Text("ok", style="green") if one["ok"] else Text("FAILED", style="bold red")
        table.add_row(mark, Text(one["name"]), f"{one['file']}:{one['line']}")
    faults = [fault for one in report["tests"] for fault in one["failures"]]
    told = [Text("{file}:{line}:{column}: {message}".format(**fault), style="red") for fault in faults]
    told += [Text(f"no test reaches {name}", style="yellow") for name in report["uncovered"]]
    return Group(table, *told)
