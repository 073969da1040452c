"""What a rule says, in words: which devices, which limits, what silence does."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from edge_gateway.rules.language.printing import number_text, readable
from edge_gateway.rules.language.ruleset import levels_of
from fleet_config.durations import format_duration

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from edge_gateway.rules.language.ruleset import Level, NoDataState, Override, Rule

_SILENCE: Final[dict[NoDataState, str]] = {
    "alerting": "raises {level}",
    "no_data": "is reported",
    "ok": "ends the alert",
    "keep_last": "changes nothing",
}


def alternatives(globs: Sequence[str]) -> str:
    """Globs one of which must fit: `berlin, lyon or oslo`."""
    return " or ".join(part for part in (", ".join(globs[:-1]), globs[-1]) if part)


def devices_of(matches: Sequence[Mapping[str, Sequence[str]]]) -> str:
    """The devices that fit all of these matches."""
    said = [f"{key} {alternatives(globs)}" for match in matches for key, globs in match.items()]
    return ", ".join(said) or "every device"


def limits_of(rule: Rule, override: Override | None = None) -> str:
    """When a rule fires and when it ends, the highest level first; of a record its unit; of an override its levels."""
    if rule.record:
        return f"in {rule.unit}" if rule.unit else ""
    levels = [level_of(level) for level in reversed(levels_of(rule, override))]
    if override is None:
        return "; ".join([*levels, *_silence(rule), *_times(rule.at)])
    keep = [] if override.keep_ms is None else [f"keep firing for {format_duration(override.keep_ms)}"]
    return "; ".join([*(levels if override.levels else ()), *keep])


def level_of(level: Level) -> str:
    """One level: `critical above -10, clear at -12, for 10s`."""
    return ", ".join([f"{level.level} {_reached(level)}", *_ends(level)])


def _reached(level: Level) -> str:
    if level.expr is not None:
        return f"when {readable(level.expr)}"
    if level.limit is None:
        return "when it holds"
    limits = [number_text(level.limit), *(f"{number_text(limit)} {time}" for time, limit in level.limits)]
    return f"{'above' if level.above else 'below'} {', '.join(limits)}"


def _ends(level: Level) -> Iterator[str]:
    if level.clear_expr is not None:
        yield f"clear when {readable(level.clear_expr)}"
    elif level.deadband:
        yield f"deadband {number_text(level.deadband)}"
    elif level.clear is not None and level.clear != level.limit:
        yield f"clear at {number_text(level.clear)}"
    if level.for_readings:
        yield f"for {level.for_readings} readings"
    elif level.for_ms:
        yield f"for {format_duration(level.for_ms)}"
    yield from _times(level.at)


def _times(at: Sequence[str]) -> Iterator[str]:
    if at:
        yield f"only {alternatives(at)}"


def _silence(rule: Rule) -> Iterator[str]:
    if rule.no_data is not None:
        what = _SILENCE[rule.no_data.state].format(level=rule.no_data.level)
        yield f"no {rule.no_data.metric} for {format_duration(rule.no_data.after_ms)} {what}"
