"""The levels of an alert: limits of a number, or conditions, with how each ends."""

from __future__ import annotations

from dataclasses import replace
from itertools import pairwise
from typing import TYPE_CHECKING

from edge_gateway.records.alerts import LEVELS
from edge_gateway.rules.files.model import AlertSpec, TimedLimit
from edge_gateway.rules.language.analysis import Analysis, analyse
from edge_gateway.rules.language.expression import normal_text
from edge_gateway.rules.language.ruleset import Level
from edge_gateway.rules.language.schedule import DAY_MINUTES, WEEK_MINUTES, holds_at, parse_span
from edge_gateway.rules.language.tokens import ExpressionError
from fleet_config.explain import number_hint

if TYPE_CHECKING:
    from collections.abc import Iterator

    from edge_gateway.rules.files.model import LimitSpec
    from edge_gateway.rules.files.places import Place

DEFAULT_LEVEL = "warning"
LIMIT_KEYS = ("above", "below", "clear", "for_")


def check_expression(text: str, place: Place) -> Analysis | None:
    """Parse and check an expression; None where it is wrong, which is reported at the offending character."""
    try:
        return analyse(text)
    except ExpressionError as error:
        place.report_within(error)
        return None


def checked(text: str, place: Place) -> Analysis | None:
    """As `check_expression`, of an expression whose readings evaluate a rule."""
    analysis = check_expression(text, place)
    if analysis is not None and not (analysis.metrics or analysis.silences):
        place.report("expr: the expression must name a metric: only readings of its metrics evaluate a rule")
    return analysis


def levels_in(spec: AlertSpec, place: Place) -> tuple[Level, ...]:
    """The levels of an alert, lowest first; errors are reported."""
    own = [name for name, level in (spec.levels or {}).items() if level.expr is not None]
    if spec.expr is None:
        if own:
            return _condition_levels(spec, place)
        _check_without_expression(spec, place)
        return ()
    analysis = checked(spec.expr, place.at("expr"))
    if analysis is None:
        return ()
    if own:
        told = "the alert has an 'expr' above its levels; give each level a limit, or remove that 'expr'"
        place.at("levels", own[0], "expr").report(f"expr: {told}", key=True)
        return ()
    return (_condition_level(spec, place),) if analysis.is_condition else _limit_levels(spec, place)


def _check_without_expression(spec: AlertSpec, place: Place) -> None:
    if spec.no_data is None:
        place.report("the key 'expr' is missing; only a rule with 'no_data' can do without")
    for key in ("above", "below", "clear", "deadband", "levels"):
        if getattr(spec, key) is not None:
            place.at(key).report(f"{key}: requires 'expr'", key=True)
    for index, override in enumerate(spec.overrides):
        if override.levels or any(getattr(override, key) is not None for key in LIMIT_KEYS):
            key = next((key for key in LIMIT_KEYS if getattr(override, key) is not None), "levels").rstrip(
                "_"
            )
            place.at("overrides", index, key).report(f"{key}: requires 'expr' in the rule", key=True)


def _condition_level(spec: AlertSpec, place: Place) -> Level:
    for key in ("above", "below", "deadband"):
        if getattr(spec, key) is not None:
            place.at(key).report(f"{key}: a condition has no limit; remove it and set 'severity'", key=True)
    if spec.levels is not None:
        told = "'expr' above them is a condition; give each level an 'expr' of its own, and remove that one"
        place.at("levels").report(f"levels: {told}", key=True)
    return _condition(spec.severity or DEFAULT_LEVEL, None, spec, place)


def _condition_levels(spec: AlertSpec, place: Place) -> tuple[Level, ...]:
    _check_only_in_levels(spec, place)
    given, found = spec.levels or {}, []
    for name in (name for name in LEVELS if name in given):
        here, level = place.at("levels", name), given[name]
        if level.expr is None:
            here.report(
                "the key 'expr' is missing: another level has a condition of its own, and so must this"
            )
            continue
        for key in ("above", "below", "deadband"):
            if getattr(level, key) is not None:
                here.at(key).report(f"{key}: a condition has no limit", key=True)
        analysis = checked(level.expr, here.at("expr"))
        if analysis is not None and not analysis.is_condition:
            told = "a level needs a condition, such as flow < 0.2; for limits write 'expr' above the levels"
            here.at("expr").report(f"expr: {told}")
        elif analysis is not None:
            found.append(_condition(name, normal_text(level.expr), level, here))
    return tuple(found)


def _condition(name: str, expr: str | None, spec: LimitSpec | AlertSpec, place: Place) -> Level:
    clear = _clear_condition(spec, place.at("clear"))
    wait = spec.for_
    at = () if isinstance(spec, AlertSpec) else spec.at
    return Level(name, for_ms=wait.ms, for_readings=wait.readings, expr=expr, clear_expr=clear, at=at)


def _clear_condition(spec: LimitSpec | AlertSpec, place: Place) -> str | None:
    if spec.clear is None:
        return None
    if not isinstance(spec.clear, str):
        place.report("clear: must be a condition if 'expr' is one, as in clear: flow > 0.5")
        return None
    analysis = check_expression(spec.clear, place)
    if analysis is None:
        return None
    if not analysis.is_condition:
        place.report("clear: expected a condition, found a number")
    return normal_text(spec.clear)


def _limit_levels(spec: AlertSpec, place: Place) -> tuple[Level, ...]:
    if spec.levels is None:
        level = _limit(spec.severity or DEFAULT_LEVEL, spec, place)
        return () if level is None else (level,)
    _check_only_in_levels(spec, place)
    return _ordered_levels(spec, place.at("levels"))


def _check_only_in_levels(spec: AlertSpec, place: Place) -> None:
    for name, level in (spec.levels or {}).items():
        if level.at and spec.at:
            place.at("levels", name, "at").report(
                "at: the rule has 'at', too; set it there or here", key=True
            )
    for key in ("above", "below", "clear", "deadband", "severity"):
        if getattr(spec, key) is not None:
            place.at(key).report(f"{key}: set it in each of the 'levels'", key=True)
    if any(spec.for_):
        place.at("for").report("for: set it in each of the 'levels'", key=True)


def _ordered_levels(spec: AlertSpec, place: Place) -> tuple[Level, ...]:
    given = spec.levels or {}
    found = [_limit(name, given[name], place.at(name)) for name in LEVELS if name in given]
    levels = tuple(level for level in found if level is not None)
    for (level, _), report in disorder(levels):
        place.at(level.level, side_of(level)).report(f"{side_of(level)}: {report}")
    return levels


def disorder(levels: tuple[Level, ...]) -> Iterator[tuple[tuple[Level, Level], str]]:
    """Each level whose limit does not fit that of the level below, with that level, and the error."""
    for lower, higher in pairwise(levels):
        report = _misfit(lower, higher)
        if report is not None:
            yield (higher, lower), report


def _misfit(lower: Level, higher: Level) -> str | None:
    if lower.above is not higher.above:
        return (
            f"the levels of an alert must all be 'above' or all 'below'; {lower.level} is '{side_of(lower)}'"
        )
    if lower.limit is None or higher.limit is None:
        return None
    for low, high in limits_side_by_side(lower, higher):
        if (high < low) if lower.above else (high > low):
            word = "at least" if lower.above else "at most"
            told = f"{higher.level} at {high:g} is reached before {lower.level} at {low:g}"
            return f"{told}; it must be {word} {low:g}"
    return None


def side_of(level: Level) -> str:
    return "above" if level.above else "below"


def _limit(name: str, spec: LimitSpec | AlertSpec, place: Place) -> Level | None:
    if (spec.above is None) == (spec.below is None):
        needed = "an expression that is a number needs one of 'above' and 'below'"
        if spec.above is None:
            place.report(f"the limit is missing; {needed}")
        else:
            place.at("below").report(f"below: 'above' is set, too; {needed}", key=True)
        return None
    if isinstance(spec.clear, str):
        hint = number_hint(spec.clear)
        place.at("clear").report(f"clear: must be a number if there is a limit{hint}")
        return None
    clear = spec.clear
    given = spec.below if spec.above is None else spec.above
    if not _has_right_hysteresis(given, spec, place):
        return None
    limit, limits = _by_time(given)
    at = () if isinstance(spec, AlertSpec) else spec.at
    level = Level(name, spec.above is not None, limit, clear, *spec.for_, at=at, limits=limits)
    level = replace(level, deadband=spec.deadband or 0.0)
    report = wrong_side(level)
    if report is not None:
        place.at("clear").report(report)
    return level


def _by_time(given: float | TimedLimit | None) -> tuple[float | None, tuple[tuple[str, float], ...]]:
    """The limit, and those that stand for it at times."""
    return (given.default, tuple(given.at.items())) if isinstance(given, TimedLimit) else (given, ())


def _has_right_hysteresis(
    given: float | TimedLimit | None, spec: LimitSpec | AlertSpec, place: Place
) -> bool:
    if isinstance(given, TimedLimit) and spec.clear is not None:
        told = "a limit by time has a 'deadband' instead: how far on its other side a value is clear"
        place.at("clear").report(f"clear: {told}", key=True)
        return False
    if not isinstance(given, TimedLimit) and spec.deadband is not None:
        place.at("deadband").report(
            "deadband: is for limits by time; write 'clear', the value itself", key=True
        )
        return False
    return True


def limits_side_by_side(lower: Level, higher: Level) -> Iterator[tuple[float, float]]:
    """The limits of two levels at every time of the week at which one of them changes."""
    spans = [parse_span(text) for text, _ in (*lower.limits, *higher.limits)]
    edges = {
        (day * DAY_MINUTES + edge) % WEEK_MINUTES for span in spans for day in span.days for edge in span[1:]
    }
    for minute in sorted({0, *edges}):
        yield _limit_at(lower, minute), _limit_at(higher, minute)


def _limit_at(level: Level, minute: int) -> float:
    assert level.limit is not None
    return next((limit for text, limit in level.limits if holds_at(parse_span(text), minute)), level.limit)


def wrong_side(level: Level) -> str | None:
    """The error if `clear` is beyond the limit."""
    if level.clear is None or level.limit is None:
        return None
    if (level.clear > level.limit) if level.above else (level.clear < level.limit):
        word = "at most" if level.above else "at least"
        must = f"with {side_of(level)}: {level.limit:g} it must be {word} {level.limit:g}"
        return f"clear: {level.clear:g} is on the wrong side; {must}"
    return None
