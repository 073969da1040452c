"""Sensitivity: the smallest fault of each kind that a rule finds, on real readings.

For each metric that rules read, onsets are drawn from the readings. Each is tried with faults of many sizes on a copy
of the readings around it, and once without a fault: where the rule fires anyway, the onset is not judged. The smallest
size found in 90 % of the judged onsets is then looked for between it and the next smaller one that was not.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from edge_gateway.backtest.quantiles import quantile
from edge_gateway.backtest.report import WEEK
from edge_gateway.backtest.run import Backtest, run_rules
from edge_gateway.backtest.scores import patience, reads
from edge_gateway.backtest.trials import Excerpt, Trial, accepted, copies, excerpts, interval_of
from edge_gateway.errors import BadInput
from fleet_config.durations import format_duration
from fleet_config.problems import suggest
from fleet_recordings.faults import OF_DURATION

if TYPE_CHECKING:
    from edge_gateway.backtest.readings import PastReadings
    from edge_gateway.fold.settings import FoldSettings
    from edge_gateway.rules.language.ruleset import Rule, RuleSet

__all__ = ["sensitivities"]

LEAST_JUDGED: Final = 50
"""Onsets that a figure rests on."""
LEAST_FOUND: Final = 0.9
SIGNED: Final = ("bias", "spike", "drift")
"""Kinds that are tried upwards and downwards."""
TRIED: Final = (*SIGNED, "noise", *OF_DURATION)
"""Kinds that are tried."""
COARSE: Final = tuple(2.0**power for power in range(-6, 5))
"""Sizes of the first round, in the spread of the readings (from the 5th to the 95th percentile)."""
LENGTHS: Final = (1, 2, 3, 5, 8, 12, 20, 40)
"""Lengths of the first round, in intervals of the readings."""
FINE: Final = 9
"""Sizes of the second round, between two of the first."""


@dataclass(frozen=True, slots=True)
class TrialResult:
    """How a rule did at one size: the judged onsets, and the delays (ms) of those that it found."""

    judged: int
    delays: tuple[int, ...]

    @property
    def enough(self) -> bool:
        return self.judged >= LEAST_JUDGED and len(self.delays) >= LEAST_FOUND * self.judged


@dataclass(slots=True)
class MetricTrials:
    """One metric under test. Durations in ms; `drawn`: the excerpts; `quiet`: by rule, those where it is at rest."""

    readings: PastReadings
    rules: RuleSet
    settings: FoldSettings
    metric: str
    lasts: int
    slack: int
    seed: int
    drawn: Sequence[Excerpt]
    quiet: dict[str, set[int]]

    def tried(self, trials: Sequence[Trial]) -> dict[tuple[str, Trial], TrialResult]:
        """Run trials; what each rule found of each."""
        first: dict[tuple[str, int], dict[int, int]] = {}
        result, origin = self.run(trials)
        for each in result.episodes:
            number, place = origin[each.device]
            label = trials[number].label("", self.metric, self.drawn[place].onset, self.lasts)
            if place in self.quiet[each.rule] and label.start <= each.fired <= label.end + self.slack:
                first.setdefault((each.rule, number), {}).setdefault(place, each.fired - label.start)
        return {
            (rule, trial): TrialResult(len(places), tuple(first.get((rule, number), {}).values()))
            for rule, places in self.quiet.items()
            for number, trial in enumerate(trials)
        }

    def run(self, trials: Sequence[Trial | None]) -> tuple[Backtest, dict[str, tuple[int, int]]]:
        given, origin = copies(
            self.drawn, trials, self.readings, metric=self.metric, lasts=self.lasts, seed=self.seed
        )
        return run_rules(given, self.rules, self.settings), origin

    def find_quiet(self, names: Iterable[str]) -> None:
        """Note at which onsets each rule is at rest if nothing is wrong; a rule that runs on no copy is left out."""
        result, origin = self.run([None])
        ran = {name for name, each in result.standings.items() if len(each.devices)}
        self.quiet = {name: set(range(len(self.drawn))) for name in names if name in ran}
        for each in result.episodes:
            place = origin[each.device][1]
            onset = self.drawn[place].onset
            if each.rule in self.quiet and each.ended_by(1 << 62) > onset:
                self.quiet[each.rule].discard(place)


def sensitivities(
    readings: PastReadings,
    rules: RuleSet,
    settings: FoldSettings,
    *,
    onsets: int,
    kinds: Sequence[str] = (),
    lasts: int | None = None,
    seed: int = 0,
) -> dict[str, Any]:
    """Return the sensitivity of each rule to each kind of fault, and its false alerts on the readings as they are.

    Args:
        readings: real ones, in which hardly anything is wrong.
        rules: the rules.
        settings: those of the gateway.
        onsets: how many faults of each size; at least LEAST_JUDGED.
        kinds: those of TRIED to try; all if empty.
        lasts: how long faults with a size last, ms; by default 20 readings, or twice as long as the slowest rule takes.
        seed: draws the onsets and the noise.

    Raises:
        BadInput: an unknown kind, too few onsets, or readings too short for them.
    """
    unknown = [kind for kind in kinds if kind not in TRIED]
    if unknown:
        raise BadInput(f"--fault: '{unknown[0]}' is none of {', '.join(TRIED)}{suggest(unknown[0], TRIED)}")
    if onsets < LEAST_JUDGED:
        raise BadInput(f"--onsets: a figure rests on at least {LEAST_JUDGED} onsets")
    plain = run_rules(readings, rules, settings)
    good = accepted(readings, settings)
    alerts = {rule.name: rule for rule in rules.alerts if rule.name in plain.standings}
    rows: list[dict[str, Any]] = []
    untried: set[str] = set()
    for metric in _tested_metrics(good, alerts.values()):
        own = [rule for rule in alerts.values() if reads(rule, metric)]
        bench = _bench(good, rules, settings, metric, own, onsets=onsets, lasts=lasts, seed=seed)
        untried |= {rule.name for rule in own} - bench.quiet.keys()
        for kind in (one for one in _kinds(bench) if not kinds or one.partition(" ")[0] in kinds):
            rows += _rows_of(bench, kind)
    return {
        "onsets": onsets,
        "seed": seed,
        "plain": _plain(readings, plain),
        "not_tried": sorted(untried),
        "sensitivity": rows,
    }


def _tested_metrics(readings: PastReadings, rules: Iterable[Rule]) -> list[str]:
    """Return the metrics of numbers that rules read and readings have, in alphabetical order."""
    words = {
        name for sample in readings.samples for name, value in sample.m.items() if isinstance(value, str)
    }
    alerts = list(rules)
    return sorted(name for name in readings.metrics - words if any(reads(rule, name) for rule in alerts))


def _bench(
    readings: PastReadings,
    rules: RuleSet,
    settings: FoldSettings,
    metric: str,
    own: Sequence[Rule],
    *,
    onsets: int,
    lasts: int | None,
    seed: int,
) -> MetricTrials:
    slack = max(map(patience, own))
    interval = interval_of(readings, metric)
    span = max(20 * interval, 2 * slack) if lasts is None else lasts
    before = slack + 20 * interval
    after = max(span, LENGTHS[-1] * interval) + slack + interval
    weekly = any(rule.schedules for rule in own)
    drawn = excerpts(
        readings, metric, before=before, after=after, count=onsets, seed=seed, whole_weeks=weekly
    )
    if len(drawn) < LEAST_JUDGED:
        raise BadInput(
            f"{metric}: {len(drawn)} readings have {format_duration(before)} before them and {format_duration(after)}"
            f" after, and {LEAST_JUDGED} are needed: give a longer recording, or shorter faults (--for)"
        )
    only = type(rules)(tuple(_needed(rules, own)), rules.zones)
    bench = MetricTrials(readings, only, settings, metric, span, slack, seed, drawn, {})
    bench.find_quiet(rule.name for rule in own)
    return bench


def _needed(rules: RuleSet, own: Sequence[Rule]) -> list[Rule]:
    """Return these alert rules as they stand in the files, and all records."""
    names = {rule.name for rule in own}
    return [rule for rule in rules.rules if rule.record or rule.name in names]


def _kinds(bench: MetricTrials) -> dict[str, list[Trial]]:
    """Return the trials of the first round by what is shown of them: `bias up`, `bias down`, `stuck`."""
    values = np.concatenate([one.values for one in bench.drawn])
    low, high = np.quantile(values, (0.05, 0.95))
    spread = float(high - low) or float(abs(np.median(values))) or 1.0
    hours = bench.lasts / 3_600_000
    interval = max(interval_of(bench.readings, bench.metric), 1)
    found = {}
    for kind in SIGNED:
        unit = spread / hours if kind == "drift" else spread
        for word, sign in (("up", 1.0), ("down", -1.0)):
            found[f"{kind} {word}"] = [Trial(kind, sign * unit * factor) for factor in COARSE]
    found["noise"] = [Trial("noise", spread * factor) for factor in COARSE]
    for kind in OF_DURATION:
        found[kind] = [Trial(kind, float(interval * count)) for count in LENGTHS]
    return found


def _rows_of(bench: MetricTrials, kind: str) -> list[dict[str, Any]]:
    coarse = _kinds(bench)[kind]
    found = bench.tried(coarse)
    fine = dict.fromkeys(
        trial for rule in bench.quiet for trial in _between(_steps(rule, coarse, found), kind in OF_DURATION)
    )
    finer = bench.tried([*fine]) if fine else {}
    return [_row(bench, rule, kind, {**found, **finer}) for rule in bench.quiet]


def _steps(
    rule: str, coarse: Sequence[Trial], found: Mapping[tuple[str, Trial], TrialResult]
) -> tuple[Trial, Trial] | None:
    """Return the first trial that the rule finds and the one before it; None if it finds none, or the first."""
    for before, trial in pairwise(coarse):
        if found[rule, trial].enough and not found[rule, before].enough:
            return before, trial
    return None


def _between(steps: tuple[Trial, Trial] | None, of_duration: bool) -> list[Trial]:  # noqa: FBT001 - a fact of the kind
    if steps is None or of_duration:
        return []
    low, high = steps
    return [
        Trial(low.kind, low.size + (high.size - low.size) * part / (FINE + 1)) for part in range(1, FINE + 1)
    ]


def _row(
    bench: MetricTrials, rule: str, kind: str, found: Mapping[tuple[str, Trial], TrialResult]
) -> dict[str, Any]:
    own = {trial: each for (name, trial), each in found.items() if name == rule}
    enough = sorted((trial for trial, each in own.items() if each.enough), key=lambda trial: abs(trial.size))
    best = enough[0] if enough else None
    delays = own[best].delays if best else ()
    of_duration = kind in OF_DURATION
    return {
        "rule": rule,
        "metric": bench.metric,
        "kind": kind,
        "smallest": None if best is None else abs(best.size),
        "of": "ms" if of_duration else bench.metric + (" per hour" if kind.startswith("drift") else ""),
        "largest_tried": max(abs(trial.size) for trial in own),
        "onsets": len(bench.drawn),
        "judged": len(bench.quiet[rule]),
        "found": len(delays),
        "delay_median_ms": quantile(delays, 0.5),
        "delay_p90_ms": quantile(delays, 0.9),
        "lasts_ms": None if of_duration else bench.lasts,
    }


def _plain(readings: PastReadings, plain: Backtest) -> list[dict[str, Any]]:
    """Return the alerts of each rule on the readings as they are."""
    mean = sum(readings.spans().values()) / len(readings.devices)
    heard = {name: mean * len(each.devices) for name, each in plain.standings.items()}
    counts = {name: sum(each.rule == name for each in plain.episodes) for name in plain.standings}
    return [
        {
            "rule": name,
            "alerts": count,
            "per_device_week": count * WEEK / heard[name] if heard[name] else None,
        }
        for name, count in counts.items()
    ]
