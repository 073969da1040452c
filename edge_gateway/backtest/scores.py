"""Score episodes of rules by labels of what was wrong: found, missed, false, and how soon.

A label is about a rule if it names it or, where it names none, if the rule reads its metric, or it has none. Found is
a label if its rule begins to fire within [start, end + `within`]. A rule that fires already when a label starts cannot
tell what it found: such a label is not judged. An episode is false if it overlaps no label of its rule and device.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from edge_gateway.backtest.quantiles import quantile
from fleet_config.problems import NOWHERE, Problem, ProblemsFound, suggest

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from edge_gateway.backtest.episodes import Episode
    from edge_gateway.backtest.readings import PastReadings
    from edge_gateway.rules.language.ruleset import Rule
    from fleet_recordings.labels import Label

__all__ = ["RuleScore", "check_labels", "patience", "reads", "score"]


@dataclass(frozen=True, slots=True)
class RuleScore:
    """How one rule did. `delays`: of what it found, ms after the label's start; `within` in ms."""

    rule: str
    within: int
    delays: tuple[int, ...]
    missed: tuple[Label, ...]
    not_judged: tuple[Label, ...]
    false: tuple[Episode, ...]
    covered: int

    @property
    def found(self) -> int:
        return len(self.delays)

    @property
    def precision(self) -> float | None:
        """The share of its episodes that a label covers; None without any."""
        every = self.covered + len(self.false)
        return self.covered / every if every else None

    @property
    def recall(self) -> float | None:
        """The share of the judged labels that it found; None without any."""
        judged = self.found + len(self.missed)
        return self.found / judged if judged else None

    def delay(self, share: float) -> int | None:
        """Return a percentile of the delays, ms."""
        return quantile(self.delays, share)


def patience(rule: Rule) -> int:
    """Return how long (ms) a rule may take after its input has changed: its longest `for`, range and `no_data`."""
    spans = [span.ms for analysis in rule.analyses for span in analysis.ranges]
    waits = [level.for_ms for level in rule.levels]
    absence = rule.no_data.after_ms if rule.no_data else 0
    return max(max(spans, default=0) + max(waits, default=0), absence)


def reads(rule: Rule, metric: str) -> bool:
    """Return whether a rule's readings or silence are those of a metric."""
    named = {name for name, _ in rule.metrics} | ({rule.no_data.metric} if rule.no_data else set())
    return metric in named


def check_labels(labels: Iterable[Label], rules: Sequence[Rule], readings: PastReadings, source: str) -> None:
    """ProblemsFound: labels name a rule, a device or a metric that there is not. `source` is their file."""
    names = [rule.name for rule in rules]
    known = {"rule": names, "device": [*readings.devices], "metric": sorted(readings.metrics)}
    told = {
        "rule": "no rule is called '{}'",
        "device": "the readings have no device '{}'",
        "metric": "the readings have no metric '{}'",
    }
    wrong = dict.fromkeys(
        (kind, name)
        for label in labels
        for kind in known
        if (name := getattr(label, kind)) and name not in known[kind]
    )
    if wrong:
        raise ProblemsFound(
            Problem(source, *NOWHERE, told[kind].format(name) + suggest(name, known[kind]))
            for kind, name in wrong
        )


def score(
    rule: Rule, labels: Iterable[Label], episodes: Iterable[Episode], end: int, within: int | None = None
) -> RuleScore:
    """Score one rule.

    Args:
        rule: the rule.
        labels: those of all rules.
        episodes: those of all rules.
        end: time of the last reading, ms: until then what fires still has fired.
        within: how long after a label's end (ms) its alert may begin; by default the rule's `patience`.
    """
    slack = patience(rule) if within is None else within
    about = [label for label in labels if (label.rule == rule.name if label.rule else _concerns(rule, label))]
    own = [each for each in episodes if each.rule == rule.name]
    delays, missed, not_judged = [], [], []
    for label in about:
        here = [each for each in own if each.device == label.device]
        fired = [each.fired for each in here if label.start <= each.fired <= label.end + slack]
        if any(each.fired < label.start < each.ended_by(end + 1) for each in here):
            not_judged.append(label)
        elif fired:
            delays.append(min(fired) - label.start)
        else:
            missed.append(label)
    false = [each for each in own if not any(_covers(label, each, end, slack) for label in about)]
    covered = len(own) - len(false)
    return RuleScore(rule.name, slack, tuple(delays), tuple(missed), tuple(not_judged), tuple(false), covered)


def _concerns(rule: Rule, label: Label) -> bool:
    return not label.metric or reads(rule, label.metric)


def _covers(label: Label, each: Episode, end: int, slack: int) -> bool:
    return (
        label.device == each.device
        and each.fired <= label.end + slack
        and each.ended_by(end + 1) > label.start
    )
