"""Turn validated rule files into rules, and check what their keys mean together."""

from __future__ import annotations

from itertools import pairwise
from typing import TYPE_CHECKING

from edge_gateway.records.alerts import LEVELS
from edge_gateway.rules.language.analysis import Analysis, analyse
from edge_gateway.rules.language.expression import normal_text
from edge_gateway.rules.language.ruleset import (
    Command,
    Level,
    LevelChange,
    Match,
    NoData,
    Override,
    Rule,
    levels_of,
)
from edge_gateway.rules.language.template import parts_of
from edge_gateway.rules.language.tokens import ExpressionError
from fleet_config.explain import number_hint

if TYPE_CHECKING:
    from collections.abc import Iterator

    from edge_gateway.rules.files.model import (
        AlertSpec,
        CommandSpec,
        GroupSpec,
        LimitChange,
        LimitSpec,
        NoDataSpec,
        OverrideSpec,
        RecordSpec,
    )
    from edge_gateway.rules.files.places import Place
    from fleet_config.match import Match as MatchSpec

DEFAULT_LEVEL = "warning"
_LIMIT_KEYS = ("above", "below", "clear", "for_")


def record_rule(group: GroupSpec, spec: RecordSpec, place: Place) -> Rule | None:
    """The record rule, or None if it has errors, which are reported."""
    before = len(place.source.problems)
    analysis = check_expression(spec.expr, place.at("expr"))
    if analysis is not None and analysis.is_condition:
        place.at("expr").report("expr: a record must be a number, not a condition")
    if analysis is not None and not analysis.metrics:
        place.at("expr").report(
            "expr: the expression must name a metric: only readings of its metrics evaluate a rule"
        )
    if len(place.source.problems) > before:
        return None
    return Rule(
        name=spec.record,
        group=group.name,
        record=True,
        match=_matches(group.match, spec.match),
        expr=normal_text(spec.expr),
        unit=spec.unit,
        lookbacks=_lookbacks(group),
    )


def alert_rule(group: GroupSpec, spec: AlertSpec, place: Place) -> Rule | None:
    """The alert rule, or None if it has errors, which are reported."""
    before = len(place.source.problems)
    _check_templates(spec, place)
    levels, clear_expr = _levels(spec, place)
    no_data = None if spec.no_data is None else _no_data(spec, spec.no_data, levels, place.at("no_data"))
    overrides = tuple(
        _override(each, place.at("overrides", index), levels) for index, each in enumerate(spec.overrides)
    )
    if len(place.source.problems) > before:
        return None
    rule = Rule(
        name=spec.alert,
        group=group.name,
        match=_matches(group.match, spec.match),
        expr=None if spec.expr is None else normal_text(spec.expr),
        clear_expr=clear_expr,
        levels=levels,
        keep_ms=spec.keep_firing_for,
        no_data=no_data,
        overrides=overrides,
        labels=dict(spec.labels),
        annotations=dict(spec.annotations),
        commands=tuple(map(_command, spec.commands)),
        warmup_ms=spec.warmup,
        repeat_ms=spec.repeat,
        notify_device=spec.notify_device,
        on_change=spec.on_change or place.source.on_change,
        unit=spec.unit,
        lookbacks=_lookbacks(group),
    )
    _check_overrides(rule, place)
    return rule if len(place.source.problems) == before else None


def _lookbacks(group: GroupSpec) -> dict[str, int]:
    return {name: metric.lookback for name, metric in group.metrics.items()}


def check_expression(text: str, place: Place) -> Analysis | None:
    """Parse and check an expression; None where it is wrong, which is reported at the offending character."""
    try:
        return analyse(text)
    except ExpressionError as error:
        place.report_within(error)
        return None


def _check_templates(spec: AlertSpec, place: Place) -> None:
    for key in ("labels", "annotations"):
        for name, text in getattr(spec, key).items():
            try:
                parts_of(text)
            except ExpressionError as error:
                place.at(key, name).report_within(error)


def _levels(spec: AlertSpec, place: Place) -> tuple[tuple[Level, ...], str | None]:
    if spec.expr is None:
        _check_without_expression(spec, place)
        return (), None
    analysis = check_expression(spec.expr, place.at("expr"))
    if analysis is None:
        return (), None
    if not analysis.metrics:
        place.at("expr").report(
            "expr: the expression must name a metric: only readings of its metrics evaluate a rule"
        )
    if analysis.is_condition:
        return _condition_level(spec, place)
    return _limit_levels(spec, place), None


def _check_without_expression(spec: AlertSpec, place: Place) -> None:
    if spec.no_data is None:
        place.report("the key 'expr' is missing; only a rule with 'no_data' can do without")
    for key in ("above", "below", "clear", "levels"):
        if getattr(spec, key) is not None:
            place.at(key).report(f"{key}: requires 'expr'", key=True)
    for index, override in enumerate(spec.overrides):
        if override.levels or any(getattr(override, key) is not None for key in _LIMIT_KEYS):
            key = next((key for key in _LIMIT_KEYS if getattr(override, key) is not None), "levels").rstrip(
                "_"
            )
            place.at("overrides", index, key).report(f"{key}: requires 'expr' in the rule", key=True)


def _condition_level(spec: AlertSpec, place: Place) -> tuple[tuple[Level, ...], str | None]:
    for key in ("above", "below", "levels"):
        if getattr(spec, key) is not None:
            place.at(key).report(f"{key}: a condition has no limit; remove it and set 'severity'", key=True)
    clear = _clear_condition(spec, place.at("clear"))
    wait = spec.for_
    return (Level(spec.severity or DEFAULT_LEVEL, for_ms=wait.ms, for_readings=wait.readings),), clear


def _clear_condition(spec: AlertSpec, place: Place) -> str | None:
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
    if isinstance(spec.clear, str):
        hint = number_hint(spec.clear)
        place.at("clear").report(f"clear: must be a number if there is a limit{hint}")
        return ()
    if spec.levels is None:
        level = _limit(spec.severity or DEFAULT_LEVEL, spec, place)
        return () if level is None else (level,)
    for key in ("above", "below", "clear", "severity"):
        if getattr(spec, key) is not None:
            place.at(key).report(f"{key}: set it in each of the 'levels'", key=True)
    if any(spec.for_):
        place.at("for").report("for: set it in each of the 'levels'", key=True)
    return _ordered_levels(spec, place.at("levels"))


def _ordered_levels(spec: AlertSpec, place: Place) -> tuple[Level, ...]:
    given = spec.levels or {}
    found = [_limit(name, given[name], place.at(name)) for name in LEVELS if name in given]
    levels = tuple(level for level in found if level is not None)
    for (level, _), report in _disorder(levels):
        place.at(level.level, _side(level)).report(f"{_side(level)}: {report}")
    return levels


def _disorder(levels: tuple[Level, ...]) -> Iterator[tuple[tuple[Level, Level], str]]:
    """Each level whose limit does not fit that of the level below, with that level, and the error."""
    for lower, higher in pairwise(levels):
        report = _misfit(lower, higher)
        if report is not None:
            yield (higher, lower), report


def _misfit(lower: Level, higher: Level) -> str | None:
    if lower.above is not higher.above:
        return f"the levels of an alert must all be 'above' or all 'below'; {lower.level} is '{_side(lower)}'"
    assert lower.limit is not None
    assert higher.limit is not None
    if (higher.limit >= lower.limit) if lower.above else (higher.limit <= lower.limit):
        return None
    word = "at least" if lower.above else "at most"
    told = f"{higher.level} at {higher.limit:g} is reached before {lower.level} at {lower.limit:g}"
    return f"{told}; it must be {word} {lower.limit:g}"


def _side(level: Level) -> str:
    return "above" if level.above else "below"


def _limit(name: str, spec: LimitSpec | AlertSpec, place: Place) -> Level | None:
    if (spec.above is None) == (spec.below is None):
        needed = "an expression that is a number needs one of 'above' and 'below'"
        if spec.above is None:
            place.report(f"the limit is missing; {needed}")
        else:
            place.at("below").report(f"below: 'above' is set, too; {needed}", key=True)
        return None
    clear = spec.clear if isinstance(spec.clear, (int, float)) else None
    limit = spec.below if spec.above is None else spec.above
    level = Level(name, spec.above is not None, limit, clear, *spec.for_)
    report = wrong_side(level)
    if report is not None:
        place.at("clear").report(report)
    return level


def wrong_side(level: Level) -> str | None:
    """The error if `clear` is beyond the limit."""
    if level.clear is None or level.limit is None:
        return None
    if (level.clear > level.limit) if level.above else (level.clear < level.limit):
        word = "at most" if level.above else "at least"
        must = f"with {_side(level)}: {level.limit:g} it must be {word} {level.limit:g}"
        return f"clear: {level.clear:g} is on the wrong side; {must}"
    return None


def _no_data(spec: AlertSpec, no_data: NoDataSpec, levels: tuple[Level, ...], place: Place) -> NoData | None:
    metric = no_data.metric or _only_metric(spec, place)
    if metric is None:
        return None
    lowest = levels[0].level if levels else DEFAULT_LEVEL
    return NoData(no_data.after, metric, no_data.state, no_data.severity or spec.severity or lowest)


def _only_metric(spec: AlertSpec, place: Place) -> str | None:
    if spec.expr is None:
        place.report("no_data: 'metric' is missing; name the metric to watch")
        return None
    try:
        metrics = analyse(spec.expr).metrics
    except ExpressionError:
        return None  # reported at the expression
    if len(metrics) != 1:
        place.report(
            f"no_data: 'metric' is missing; the expression names {', '.join(metrics) or 'no metric'}"
        )
        return None
    return metrics[0]


def _override(spec: OverrideSpec, place: Place, levels: tuple[Level, ...]) -> Override:
    changes = [
        _change(name, change, place.at("levels", name), levels) for name, change in spec.levels.items()
    ]
    direct = _direct_change(spec, place, levels)
    return Override(spec.match.as_dict(), (*direct, *changes), spec.keep_firing_for)


def _direct_change(spec: OverrideSpec, place: Place, levels: tuple[Level, ...]) -> tuple[LevelChange, ...]:
    given = [key for key in _LIMIT_KEYS if getattr(spec, key) is not None]
    if not given:
        if not spec.levels and spec.keep_firing_for is None:
            place.report("overrides: this override changes nothing; set a limit, 'for' or 'keep_firing_for'")
        return ()
    if not levels:
        return ()  # reported at the expression
    if len(levels) > 1:
        key = given[0].rstrip("_")
        place.at(key).report(
            f"{key}: the rule has several levels; write levels: {{warning: {{{key}: …}}}}", key=True
        )
        return ()
    return (_change(levels[0].level, spec, place, levels),)


def _change(name: str, spec: LimitChange, place: Place, levels: tuple[Level, ...]) -> LevelChange:
    level = next((each for each in levels if each.level == name), None)
    if level is None:
        if levels:
            known = ", ".join(each.level for each in levels)
            place.report(f"levels: the rule has no level '{name}', only {known}", key=True)
        return LevelChange(name)
    if level.limit is None:
        for key in ("above", "below", "clear"):
            if getattr(spec, key) is not None:
                place.at(key).report(f"{key}: a condition has no limit", key=True)
    wrong, right = ("below", "above") if level.above else ("above", "below")
    if level.limit is not None and getattr(spec, wrong) is not None:
        place.at(wrong).report(f"{wrong}: the rule has '{right}', and so must its overrides", key=True)
    wait = spec.for_ or (None, None)
    return LevelChange(name, getattr(spec, right), spec.clear, *wait)


def _check_overrides(rule: Rule, place: Place) -> None:
    for index, override in enumerate(rule.overrides):
        here = place.at("overrides", index)
        levels = levels_of(rule, override)
        own = {change.level for change in override.levels if change.clear is not None}
        for level in levels:
            report = wrong_side(level)
            if report is not None and level.level in own:
                _place_of_change(here, "clear", level).report(report)
            elif report is not None:
                of_rule = f"{report}; it is that of the rule: set 'clear' here, too"
                _place_of_change(here, _side(level), level).report(of_rule)
        for both, report in _disorder(levels):
            _place_of_change(here, _side(both[0]), *both).report(f"{_side(both[0])}: {report}")


def _place_of_change(override: Place, key: str, *levels: Level) -> Place:
    """Where an override changes a key of the first of these levels that it changes: in its `levels`, or directly."""
    places = [*(override.at("levels", level.level, key) for level in levels), override.at(key)]
    return next((place for place in places if place.exists), override)


def _command(spec: CommandSpec) -> Command:
    return Command(
        name=spec.name,
        args=dict(spec.args),
        on=spec.on,
        cooldown_ms=spec.cooldown,
        expires_ms=spec.expires,
        within_ms=None if spec.confirm is None else spec.confirm.within,
        retries=0 if spec.confirm is None else spec.confirm.retries,
    )


def _matches(*specs: MatchSpec | None) -> tuple[Match, ...]:
    return tuple(spec.as_dict() for spec in specs if spec)
