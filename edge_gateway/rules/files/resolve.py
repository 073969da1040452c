"""Turn validated rule files into rules, and check what their keys mean together."""

from __future__ import annotations

from typing import TYPE_CHECKING

from edge_gateway.rules.files.grouping import check_grouping, check_of_device
from edge_gateway.rules.files.levels import (
    DEFAULT_LEVEL,
    LIMIT_KEYS,
    checked,
    disorder,
    levels_in,
    side_of,
    wrong_side,
)
from edge_gateway.rules.language.analysis import analyse
from edge_gateway.rules.language.expression import normal_text
from edge_gateway.rules.language.ruleset import (
    ONLINE,
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

if TYPE_CHECKING:
    from edge_gateway.rules.files.model import (
        AlertSpec,
        CommandSpec,
        GroupSpec,
        LimitChange,
        NoDataSpec,
        OverrideSpec,
        RecordSpec,
    )
    from edge_gateway.rules.files.places import Place
    from fleet_config.match import Match as MatchSpec


def record_rule(group: GroupSpec, spec: RecordSpec, place: Place) -> Rule | None:
    """The record rule, or None if it has errors, which are reported."""
    before = len(place.source.problems)
    analysis = checked(spec.expr, place.at("expr"))
    if analysis is not None and analysis.is_condition:
        place.at("expr").report("expr: a record must be a number, not a condition")
    if analysis is not None:
        check_of_device(analysis, place.at("expr"))
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
    _check_command_ids(spec, place)
    check_grouping(spec, place)
    levels = levels_in(spec, place)
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
        at=spec.at,
        by=spec.by or (),
    )
    _check_overrides(rule, place)
    return rule if len(place.source.problems) == before else None


def _lookbacks(group: GroupSpec) -> dict[str, int]:
    said = {name: metric.lookback for name, metric in group.metrics.items()}
    return {name: ONLINE if given == "online" else given for name, given in said.items()}


def _check_templates(spec: AlertSpec, place: Place) -> None:
    for key in ("labels", "annotations"):
        for name, text in getattr(spec, key).items():
            try:
                parts_of(text)
            except ExpressionError as error:
                place.at(key, name).report_within(error)


def _check_command_ids(spec: AlertSpec, place: Place) -> None:
    """Report each command whose id another command of the rule has."""
    first: dict[str, Place] = {}
    for index, command in enumerate(spec.commands):
        key = "name" if command.id is None else "id"
        here, own = place.at("commands", index, key), command.id or command.name
        if own in first:
            told = f"the rule has two commands with the id '{own}', the other at {first[own]}"
            here.report(f"{key}: {told}; give this one an 'id' of its own, such as id: {own}_2")
        first.setdefault(own, here)


def _no_data(spec: AlertSpec, no_data: NoDataSpec, levels: tuple[Level, ...], place: Place) -> NoData | None:
    metric = no_data.metric or _only_metric(spec, place)
    if metric is None:
        return None
    lowest = levels[0].level if levels else DEFAULT_LEVEL
    return NoData(no_data.after, metric, no_data.state, no_data.severity or spec.severity or lowest)


def _only_metric(spec: AlertSpec, place: Place) -> str | None:
    of_levels = [level.expr for level in (spec.levels or {}).values()]
    texts = [text for text in (spec.expr, *of_levels) if text is not None]
    if not texts:
        place.report("no_data: 'metric' is missing; name the metric to watch")
        return None
    try:
        metrics = tuple(dict.fromkeys(name for text in texts for name in analyse(text).metrics))
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
    given = [key for key in LIMIT_KEYS if getattr(spec, key) is not None]
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
    if level.limits and spec.clear is not None and getattr(spec, right) is None:
        told = f"the rule's limit is another one at times; set '{right}' here, too"
        place.at("clear").report(f"clear: {told}", key=True)
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
                _place_of_change(here, side_of(level), level).report(of_rule)
        for both, report in disorder(levels):
            _place_of_change(here, side_of(both[0]), *both).report(f"{side_of(both[0])}: {report}")


def _place_of_change(override: Place, key: str, *levels: Level) -> Place:
    """Where an override changes a key of the first of these levels that it changes: in its `levels`, or directly."""
    places = [*(override.at("levels", level.level, key) for level in levels), override.at(key)]
    return next((place for place in places if place.exists), override)


def _command(spec: CommandSpec) -> Command:
    return Command(
        id=spec.id or spec.name,
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
