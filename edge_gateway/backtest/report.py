"""The report of a backtest as plain data, for `--json` and for tables. Times and durations in ms."""

from __future__ import annotations

from collections import defaultdict
from typing import TYPE_CHECKING, Any, Final

from edge_gateway.backtest.scores import score
from fleet_config.counting import counted
from fleet_recordings.labels import iso

if TYPE_CHECKING:
    from collections.abc import Sequence

    from edge_gateway.backtest.episodes import Episode
    from edge_gateway.backtest.readings import PastReadings
    from edge_gateway.backtest.run import Backtest
    from edge_gateway.backtest.scores import RuleScore
    from edge_gateway.rules.language.ruleset import Rule, RuleSet
    from fleet_recordings.labels import Label

__all__ = ["WEEK", "backtest_report"]

WEEK: Final = 7 * 86_400_000


def backtest_report(
    rules: RuleSet,
    readings: PastReadings,
    result: Backtest,
    labels: Sequence[Label] | None = None,
    within: int | None = None,
) -> dict[str, Any]:
    """Return what rules did.

    Args:
        rules: all that were asked for.
        readings: what they ran over.
        result: what came of it.
        labels: what was wrong, to score the rules by; None not to score them.
        within: how long after a label (ms) an alert may begin; by default as long as its rule takes.
    """
    alerts = [rule for rule in rules.rules if not rule.record]
    ran = [rule for rule in alerts if rule.name in result.standings]
    report: dict[str, Any] = {
        "start": iso(readings.start),
        "end": iso(readings.end),
        "devices": len(readings.devices),
        "samples": len(readings.samples),
        "notes": [*readings.notes, *_refused(result), *_idle(alerts, result)],
        "rules": [_of_rule(rule, readings, result) for rule in ran],
        "alerts": [_of_episode(each, readings.end) for each in result.episodes],
    }
    if labels is not None:
        report["scores"] = [
            _of_score(score(rule, labels, result.episodes, readings.end, within)) for rule in ran
        ]
    return report


def _refused(result: Backtest) -> list[str]:
    if not result.refused:
        return []
    values = counted(result.refused, "value")
    return [f"{values} refused as by the gateway: out of the metric's range, or a code for missing"]


def _idle(alerts: Sequence[Rule], result: Backtest) -> list[str]:
    """Return which rules did nothing, and why."""
    unfit = [rule.name for rule in alerts if rule.name not in result.standings]
    other = [name for name, each in result.standings.items() if each.other_unit]
    unread = [name for name, each in result.standings.items() if not each.evaluated and name not in other]
    told = (
        (unfit, "no device matches"),
        (other, "not run on every device that matches, since the readings have another unit"),
        (unread, "no reading evaluates"),
    )
    return [f"{what}: {', '.join(names)}" for names, what in told if names]


def _of_rule(rule: Rule, readings: PastReadings, result: Backtest) -> dict[str, Any]:
    own = [each for each in result.episodes if each.rule == rule.name]
    by_device: dict[str, list[Episode]] = defaultdict(list)
    for each in own:
        by_device[each.device].append(each)
    devices = len(result.standings[rule.name].devices)
    heard = sum(readings.spans().values()) * devices / len(readings.devices)
    return {
        "rule": rule.name,
        "devices": devices,
        "alerts": len(own),
        "firing_ms": _firing(own, readings.end),
        "longest_ms": max((each.ended_by(readings.end) - each.fired for each in own), default=0),
        "per_device_week": len(own) * WEEK / heard if heard else None,
        "silences": result.silences()[rule.name],
        "by_device": [
            {
                "device": device,
                "alerts": len(each),
                "firing_ms": _firing(each, readings.end),
                "first": iso(each[0].fired),
                "last": iso(each[-1].fired),
            }
            for device, each in sorted(by_device.items())
        ],
    }


def _firing(own: Sequence[Episode], end: int) -> int:
    return sum(each.ended_by(end) - each.fired for each in own)


def _of_episode(each: Episode, end: int) -> dict[str, Any]:
    return {
        "rule": each.rule,
        "device": each.device,
        "level": each.level,
        "cause": each.cause,
        "value": each.value,
        "fired": iso(each.fired),
        "ended": None if each.ended is None else iso(each.ended),
        "for_ms": each.ended_by(end) - each.fired,
    }


def _of_score(found: RuleScore) -> dict[str, Any]:
    return {
        "rule": found.rule,
        "within_ms": found.within,
        "precision": found.precision,
        "recall": found.recall,
        "found": found.found,
        "delay_median_ms": found.delay(0.5),
        "delay_p90_ms": found.delay(0.9),
        "missed": [_of_label(label) for label in found.missed],
        "not_judged": [_of_label(label) for label in found.not_judged],
        "false": [{"device": each.device, "fired": iso(each.fired)} for each in found.false],
    }


def _of_label(label: Label) -> dict[str, Any]:
    return {
        "device": label.device,
        "metric": label.metric,
        "kind": label.kind,
        "size": label.size,
        "start": iso(label.start),
        "end": iso(label.end),
    }
