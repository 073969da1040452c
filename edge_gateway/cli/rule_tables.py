"""Tables of rules: those in force, why one fires, what an edit does, what they cost."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from edge_gateway.cli.tables import LEVEL_STYLES, NOTHING, Blocks, cell, instant
from fleet_config.counting import counted
from fleet_config.durations import format_duration
from fleet_console.drawing import Line, Styled, Table

Row = Mapping[str, Any]


def rules_table(rules: Sequence[Row]) -> Blocks:
    """Return a row for each rule; below the table, those that fit no device. Rules of files have no counts."""
    if not rules:
        return [Line("no rules")]
    live = "devices" in rules[0]
    table = Table(("rule", *(("devices", "fires", "waits", "last reading") if live else ()), "limits"))
    for rule in rules:
        counts = (cell(rule["devices"]), *_standing(rule)) if live else ()
        table.add(rule["name"], *counts, _words(rule))
    return [table, *_notes(rules)] if live else [table]


def _words(rule: Row) -> str:
    """What a rule watches, and its limits: an alert's, or of a record its formula."""
    said = rule["expr"] or ""
    if rule["kind"] == "record":
        return f"record: {said}{_after(', ', rule['limits'])}"
    return f"{said}{_after(': ' if said else '', rule['limits'])}"


def _after(mark: str, text: str) -> str:
    return f"{mark}{text}" if text else ""


def _standing(rule: Row) -> tuple[object, ...]:
    firing = Styled(cell(rule["firing"]), "bold red" if rule["firing"] else "")
    pending = Styled(cell(rule["pending"]), "yellow" if rule["pending"] else "")
    if rule["kind"] == "record":
        firing = pending = Styled(NOTHING)
    return firing, pending, instant(rule["newest"], whole_seconds=True)


def _notes(rules: Sequence[Row]) -> list[Line]:
    """Rules that do nothing, and why."""
    unfit = [rule["name"] for rule in rules if not rule["devices"] and not rule["other_unit"]]
    other = [rule["name"] for rule in rules if rule["other_unit"]]
    idle = [rule["name"] for rule in rules if rule["devices"] and not rule["evaluated"]]
    told = (
        (unfit, "no device matches"),
        (other, "not run on every device that matches, since the birth gives another unit"),
        (idle, "no reading has evaluated since the rules were loaded"),
    )
    return [Line(f"{what}: {', '.join(names)}", "yellow") for names, what in told if names]


def rule_view(rule: Row) -> Blocks:
    """Return one rule whole: what it says and, of a running gateway, what it does."""
    table = Table(("", ""), title=f"{rule['kind']} {rule['name']}")
    for name, text in _content(rule):
        table.add(name, text)
    if "devices" not in rule:
        return [table]
    for name, text in _work(rule):
        table.add(name, text)
    return [table, *([_active_table(rule)] if rule["alerts"] else [])]


def _content(rule: Row) -> Iterable[tuple[str, str]]:
    content = rule["content"]
    yield "group", rule["group"]
    yield "devices", rule["match"]
    yield from (("for each", ", ".join(by)) for by in [rule["by"]] if by)
    if rule["expr"]:
        yield "expression", rule["expr"]
    if rule["limits"]:
        yield "unit" if rule["kind"] == "record" else "limits", rule["limits"].removeprefix("in ")
    for override in rule["overrides"]:
        yield f"but {override['match']}", override["limits"]
    for key, name in (
        ("keep_ms", "keep firing for"),
        ("warmup_ms", "warm-up"),
        ("repeat_ms", "repeated every"),
    ):
        if content[key]:
            yield name, format_duration(content[key])
    for metric, ms in content["lookbacks"].items():
        yield f"lookback of {metric}", format_duration(ms)
    for command in content["commands"]:
        cooldown = (
            f", at most every {format_duration(command['cooldown_ms'])}" if command["cooldown_ms"] else ""
        )
        yield (
            f"command {command['name']}",
            f"on {', '.join(command['on'])}: {cell(command['args'])}{cooldown}",
        )
    for kind in ("labels", "annotations"):
        for name, text in content[kind].items():
            yield f"{kind.removesuffix('s')} {name}", text


def _work(rule: Row) -> Iterable[tuple[str, str]]:
    shown = ", ".join(rule["some_devices"])
    more = rule["devices"] - len(rule["some_devices"])
    yield (
        "runs on",
        f"{counted(rule['devices'], 'device')}{_after(': ', shown)}{f' and {more:,} more' if more else ''}",
    )
    if rule["other_unit"]:
        yield "another unit", counted(rule["other_unit"], "device")
    yield "last reading", instant(rule["newest"], whole_seconds=True)
    if rule["devices"] and not rule["evaluated"]:
        yield "evaluated", "not since the rules were loaded"
    if rule["kind"] == "alert":
        yield "fires", cell(rule["firing"])
        yield "waits", cell(rule["pending"])


def _active_table(rule: Row) -> Table:
    table = Table(("since", "state", "level", "device"))
    for one in rule["alerts"]:
        level = Styled(one["level"], LEVEL_STYLES.get(one["level"], ""))
        table.add(instant(one["since"], whole_seconds=True), one["state"], level, one["device"])
    return table


STATE_STYLES = {"firing": "bold red", "pending": "yellow", "not_run": "yellow"}


def explanation_view(found: Row) -> Blocks:
    """Return why a rule does what it does on a device, and its last evaluation value by value, in device time."""
    state = found["state"].replace("_", " ")
    since = f" since {instant(found['since'], whole_seconds=True)}" if found.get("since") else ""
    where = (
        f"{found['device']} (site {found['site']}, type {found['type']})"
        if "type" in found
        else found["group"]
    )
    head = Line(f"{found['rule']} on {where}: {state}{since}", STATE_STYLES.get(found["state"], "bold"))
    why = [Line(f"- {reason}") for reason in found["why"]]
    if found["state"] == "not_run":
        return [head, *why]
    read = f"; last evaluation: {instant(found['evaluated'])}" if found["expr"] else ""
    if "type" not in found:
        clock = Line(f"{counted(found['devices'], 'device')}, looked at {instant(found['now'])}")
    else:
        clock = Line(f"the device's now: {instant(found['now'])}{read}")
    tables = (_inputs_table(found), _parts_table(found), _levels_table(found))
    return [head, *why, clock, *(table for table in tables if table.rows)]


def _inputs_table(found: Row) -> Table:
    table = Table(("input", "value", "read at", "age", "lookback"))
    for one in found["inputs"]:
        counts = Styled(format_duration(one["lookback"]), "" if one["counts"] else "yellow")
        age = format_duration(one["age"]) if one["at"] else NOTHING
        table.add(one["metric"], cell(one["value"]), instant(one["at"]), age, counts)
    return table


def _parts_table(found: Row) -> Table:
    table = Table(("value", "expression"))
    for part in found["parts"]:
        table.add(_truth(part["value"]), part["text"])
    if found["clear"]:
        table.add(_truth(found["cleared"]), f"clear: {found['clear']}")
    return table


def _truth(value: object) -> str:
    """A value as expressions have it: true, false, unknown or a number."""
    if value is None:
        return "unknown"
    return str(value).lower() if isinstance(value, bool) else cell(value)


def _levels_table(found: Row) -> Table:
    table = Table(("level", "limit", "beyond", "on", "since", "for", "clear since", "clear at"))
    for one in found["levels"]:
        side = "above" if one["above"] else "below"
        limit = (
            "silence"
            if one["silence"]
            else f"{side} {cell(one['limit'])}"
            if one["limit"] is not None
            else NOTHING
        )
        beyond = cell(one["reached"]) if one["active"] else "not now"
        table.add(
            Styled(one["level"], LEVEL_STYLES.get(one["level"], "")),
            limit,
            beyond,
            cell(one["on"]),
            instant(one["since"], whole_seconds=True),
            f"{one['for_readings']} readings" if one["for_readings"] else format_duration(one["for"]),
            instant(one["clear_since"], whole_seconds=True),
            cell(one["clear"]),
        )
    return table


CHANGE_STYLES = {"added": "green", "removed": "red", "changed": "yellow"}


def changes_view(changes: Sequence[Row]) -> Blocks:
    """Return a row for each rule and inhibit that an edit changes; below it what differs, and the alerts touched."""
    changed = [one for one in changes if one["change"] != "unchanged"]
    same = Line(f"{counted(len(changes) - len(changed), 'rule')} unchanged", "green")
    if not changed:
        return [same]
    table = Table(("change", "rule", "alerts", "effect"))
    for one in changed:
        touched = cell(one["touched"]) if one["kind"] != "record" else NOTHING
        table.add(Styled(one["change"], CHANGE_STYLES[one["change"]]), one["rule"], touched, _effect(one))
    differing = Table(("rule", "key", "before and after"))
    for one in changed:
        for each in one["differences"]:
            differing.add(one["rule"], each["key"], f"{each['before']}  →  {each['after']}")
    touched_table = _touched_table(changed)
    return [table, *(each for each in (differing, touched_table) if each.rows), *_unlisted(changed), same]


def _effect(change: Row) -> str:
    if not change["renamed"]:
        return str(change["effect"])
    new = change["change"] == "added"
    told = f"renamed from {change['renamed']}" if new else f"renamed to {change['renamed']}"
    return f"{change['effect']}; looks {told}, but a rule is the same only under its name"


def _touched_table(changes: Sequence[Row]) -> Table:
    table = Table(("rule", "device", "level", "becomes", "cause"))
    for one in changes:
        for alert in one["alerts"]:
            level = Styled(alert["level"], LEVEL_STYLES.get(alert["level"], ""))
            table.add(one["rule"], alert["device"], level, alert["becomes"], alert["cause"])
    return table


def _unlisted(changes: Sequence[Row]) -> list[Line]:
    more = [(one["rule"], one["touched"] - len(one["alerts"])) for one in changes]
    return [Line(f"{rule}: {count:,} more alerts are touched") for rule, count in more if count]
