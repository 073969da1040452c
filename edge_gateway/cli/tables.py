"""Tables of the gateway's data for people.

Values may hold texts of devices, of a broker or of a file, and any field that the wire or the store leaves out may be
missing: `fleet_console.drawing` makes texts safe, `cell` makes a text of any value.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime
from difflib import unified_diff
from typing import Any

from fleet_config.counting import counted, span
from fleet_config.durations import format_duration
from fleet_console.drawing import Line, Styled, Table
from fleet_wire.printable import json_line

NOTHING = "–"
LEVEL_STYLES = {"critical": "bold red", "warning": "yellow", "info": "cyan"}
INSTANTS = frozenset({"at", "start"})
"""Columns of the history that are wall milliseconds."""
NUMBERED = frozenset({"id", "n", "boot", "seq"})
"""Columns whose numbers are names: to be copied, so not written in groups of three."""

Blocks = list[Table | Line]


def instant(at: object, *, whole_seconds: bool = False) -> str:
    """Return wall milliseconds as date and time (UTC), and anything that is no instant as it is."""
    if at is None or at == 0:
        return NOTHING
    if not isinstance(at, (int, float)) or isinstance(at, bool):
        return cell(at)
    try:
        moment = datetime.fromtimestamp(at / 1000, UTC)
    except (OverflowError, ValueError, OSError):  # beyond the year 9999, or no number
        return cell(at)
    return moment.strftime("%Y-%m-%d %H:%M:%S") + (
        "Z" if whole_seconds else f".{moment.microsecond // 1000:03}Z"
    )


def cell(value: object) -> str:
    """Return any value as a table shows it: numbers grouped or with six digits, lists and mappings as JSON."""
    match value:
        case None:
            return NOTHING
        case bool():
            return "yes" if value else "no"
        case int():
            return f"{value:,}"
        case float():
            return f"{value:.6g}"
        case Mapping() | list() | tuple():
            return json_line(value) if value else NOTHING
        case _:
            return str(value)


def config_table(rows: Iterable[Sequence[str]]) -> Blocks:
    table = Table(("setting", "value", "from"))
    for row in rows:
        table.add(*row)
    return [table]


def _pairs(values: Mapping[str, Any]) -> str:
    """Return names with their values."""
    return ", ".join(f"{name} {cell(value)}" for name, value in values.items())


def devices_table(devices: Sequence[Mapping[str, Any]]) -> Blocks:
    """Return a row for each device, marked if something is wrong with it; below the table, all of that."""
    table = Table(("device", "site", "type", "up", "last seen", "received", "new", "gaps", "!"))
    for one in devices:
        counters = one.get("counters") or {}
        table.add(
            cell(one.get("device")),
            cell(one.get("site")),
            cell(one.get("type")),
            cell(one.get("online")),
            instant(one.get("last_seen"), whole_seconds=True),
            *(cell(counters.get(name)) for name in ("received", "new")),
            ", ".join(span(first, last) for _, first, last in (one.get("gaps") or ())[:3]) or "none",
            Styled("!" if one.get("troubles") else "", "yellow"),
        )
    troubles = [
        Line(f"! {cell(one.get('site'))}/{cell(one.get('device'))}: {trouble}", "yellow")
        for one in devices
        for trouble in one.get("troubles") or ()
    ]
    return [table, *troubles] if devices else [Line("no device is known yet")]


def alerts_table(alerts: Sequence[Mapping[str, Any]]) -> Blocks:
    """Return the alerts that fire. Some have no value (silence), no limit (conditions) or no summary."""
    quiet = any(map(_muted, alerts))
    names = ("since", "level", "rule", "subject", "site", "value", "limit", *(("told",) if quiet else ()))
    table = Table((*names, "summary"))
    for one in alerts:
        level = cell(one.get("level"))
        table.add(
            instant(one.get("at"), whole_seconds=True),
            Styled(level, LEVEL_STYLES.get(level, "")),
            *(cell(one.get(name)) for name in ("rule", "subject", "site", "value", "limit")),
            *([Styled(_muted(one) or "yes", "yellow" if _muted(one) else "")] if quiet else []),
            _one_line((one.get("annotations") or {}).get("summary", "")),
        )
    return [table] if alerts else [Line("no alert fires", "green")]


def _muted(alert: Mapping[str, Any]) -> str:
    """Return why an alert is not told, or not any more; "" if nothing mutes it."""
    by = ", ".join(alert.get("suppressed") or ())
    ended = "ended" if alert.get("state") == "resolved" else ""
    acked = "acknowledged" if alert.get("acked") else ""
    return "; ".join(filter(None, (f"no: {by}" if by else "", acked, ended)))


def _one_line(text: object) -> str:
    """Return a text of several lines, such as the mistakes in rule files, as a cell shows it."""
    return "; ".join(line for line in str(text).split("\n") if line)


def rows_table(rows: Sequence[Mapping[str, Any]]) -> Blocks:
    """Return the rows of a query, with a column for every name that any of them has."""
    if not rows:
        return [Line("nothing found")]
    names = list(dict.fromkeys(name for row in rows for name in row))
    table = Table(names)
    for row in rows:
        table.add(*(_stored(name, row.get(name)) for name in names))
    return [table]


def _stored(name: str, value: object) -> str:
    if name in NUMBERED and isinstance(value, int):
        return str(value)
    if name in INSTANTS:
        return instant(value, whole_seconds=name == "start")
    if name == "every" and isinstance(value, int):
        return format_duration(value)
    return cell(value)


def spool_view(facts: Mapping[str, Any]) -> Blocks:
    """Return what a spool contains."""
    table = Table(("", ""), title=str(facts["path"]))
    journal, checkpoints, store = facts["journal"], facts["checkpoints"], facts["store"]
    plain = {name: journal[name] for name in ("records", "bytes", "torn_bytes")}
    table.add("journal", f"{_span(journal['first'], journal['last'])}, " + _pairs(plain))
    table.add("lost records", ", ".join(_span(*hole) for hole in journal["lost"]) or "none")
    table.add("checkpoint", f"{cell(checkpoints['newest'])} of {instant(checkpoints['at'])}")
    table.add("store", _pairs({"applied": store.get("applied"), "bytes": store["bytes"]}))
    table.add("rows", _pairs(store.get("rows", {})) or NOTHING)
    for sink, waiting in store.get("outbox", {}).items():
        table.add(f"waits for {sink}", _pairs({**waiting, "oldest": instant(waiting["oldest"])}))
    table.add("failed starts", cell(facts["attempts"]))
    table.add("set aside", ", ".join(one["name"] for one in facts["set_aside"]) or "nothing")
    if "damage" in store:
        table.add("damage", Styled(store["damage"], "red"))
    return [table]


def _span(first: int | None, last: int | None) -> str:
    return "empty" if first is None or last is None else span(first, last)


def findings_table(findings: Sequence[Mapping[str, Any]]) -> Blocks:
    """Return a row for each check; a problem of the running gateway says since when it is open."""
    table = Table(("", "check", "found"))
    for one in findings:
        since = f" (since {instant(one['since'], whole_seconds=True)})" if one.get("since") else ""
        table.add(_judged(one), one["check"], f"{_one_line(one['detail'])}{since}")
    return [table]


def _judged(finding: Mapping[str, Any]) -> Styled:
    gravity = finding.get("gravity")
    return Styled(gravity, "yellow") if gravity and finding["ok"] else _verdict(finding["ok"], "WRONG")


DONE = {"create": "created", "adopt": "adopted", "update": "updated", "keep": "kept", "remove": "removed"}
"""What an apply did, by what its plan says it does."""


def changes_table(plan: Mapping[str, Any], *, done: bool = False) -> Blocks:
    """Return a row for each change of an apply, and a line that says whether it was `done` or would be.

    A single line if there was nothing to change.
    """
    if plan["in_step"]:
        return [Line("in step with the templates; nothing to change", "green")]
    table = Table(("done", "kind", "name", "differed") if done else ("to do", "kind", "name", "differs"))
    for one in plan["changes"]:
        what = DONE.get(one["what"], one["what"]) if done else one["what"]
        table.add(what, one["kind"], one["name"], "; ".join(one["differs"]))
    return [table, Line(_summary(plan, done=done))]


def _summary(plan: Mapping[str, Any], *, done: bool) -> str:
    changed = sum(one["what"] != "keep" for one in plan["changes"])
    if done:
        return f"changed {counted(changed, 'resource')}" if changed else "nothing to change"
    if plan.get("refusals"):
        return "nothing was changed"
    return f"nothing was changed; an apply would change {counted(changed, 'resource')}"


def removal_table(report: Mapping[str, Any]) -> Blocks:
    """Return a row for each resource that `influx remove` removes or keeps; a single line if there is nothing."""
    if not report["changes"]:
        return [Line("there is no stack of the gateway; nothing to remove")]
    done = report["removed"]
    table = Table(("done" if done else "to do", "kind", "name", "why"))
    for one in report["changes"]:
        table.add(
            DONE[one["what"]] if done else one["what"], one["kind"], one["name"], "; ".join(one["differs"])
        )
    return [table]


def differences_view(found: Sequence[Mapping[str, Any]]) -> Blocks:
    """Return each property that differs, as the lines that go (`-`) and those that come (`+`)."""
    blocks: Blocks = [] if found else [Line("in step with the templates", "green")]
    for one in found:
        place = f", {one['part']}" if one["part"] else ""
        blocks.append(Line(f"{one['kind']} '{one['name']}'{place}: {one['property']}"))
        before, after = ((one[side] or "").splitlines() for side in ("found", "wanted"))
        lines = list(unified_diff(before, after, n=1, lineterm=""))[2:]
        blocks += [Line(f"  {line}") for line in lines if not line.startswith("@@")]
    return blocks


def rule_tests_view(report: Mapping[str, Any], example: Sequence[str] = ()) -> Blocks:
    """Return a row for each test; below the table, failures, what no test covers, and the total.

    Without tests, an `example`.
    """
    if not report["tests"]:
        return [Line(line) for line in example]
    table = Table(("", "file", "test"))
    for one in report["tests"]:
        table.add(_verdict(one["ok"], "FAILED"), f"{one['file']}:{one['line']}", one["name"])
    faults = [fault for one in report["tests"] for fault in one["failures"]]
    notes = [Line("{file}:{line}:{column}: {message}".format(**fault), "red") for fault in faults]
    notes += [Line(f"not covered: {name}", "yellow") for name in report["uncovered"]]
    return [table, *notes, _total(report["tests"])]


def _total(tests: Sequence[Mapping[str, Any]]) -> Line:
    """Return how many tests passed or, if any failed, how many failed."""
    failed = sum(not one["ok"] for one in tests)
    count = f"{counted(len(tests), 'test')} in {counted(len({one['file'] for one in tests}), 'file')}"
    return Line(f"{failed} of {count} failed", "bold red") if failed else Line(f"{count} passed", "green")


def _verdict(ok: object, otherwise: str) -> Styled:
    return Styled("ok", "green") if ok else Styled(otherwise, "bold red")
