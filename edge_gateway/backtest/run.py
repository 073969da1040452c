"""Run rules over readings, through the gateway's own fold."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from edge_gateway.backtest.dry_fold import DryFold, dry_settings
from edge_gateway.backtest.episodes import Episode, episodes_of
from edge_gateway.backtest.player import Player
from edge_gateway.rules.inspection.in_force import Standing, key_of, standings
from edge_gateway.rules.language.matching import RuleMatcher

if TYPE_CHECKING:
    from edge_gateway.backtest.readings import PastReadings
    from edge_gateway.fold.settings import FoldSettings
    from edge_gateway.records.alerts import Transition
    from edge_gateway.rules.language.ruleset import RuleSet

__all__ = ["Backtest", "run_rules"]


@dataclass(frozen=True, slots=True)
class Backtest:
    """What rules did on readings.

    Attributes:
        transitions: of alerts, in the order in which they occurred.
        episodes: each time that a rule fired, by its beginning.
        standings: what each alert rule that matches a device ran on, by its name.
        refused: values that the gateway lets no rule see.
    """

    transitions: tuple[Transition, ...]
    episodes: tuple[Episode, ...]
    standings: dict[str, Standing]
    refused: int

    def silences(self) -> Counter[str]:
        """Return how often each rule told that a metric stayed away."""
        return Counter(each.rule for each in self.transitions if each.event == "no_data")


def run_rules(readings: PastReadings, rules: RuleSet, settings: FoldSettings) -> Backtest:
    """Run rules over readings, as a gateway with these settings would have that got each reading at once.

    Time passes up to the last reading and no further.
    """
    fold = DryFold(dry_settings(settings), matching(rules, readings), readings.start)
    player = Player(fold, readings.devices)
    player.play(readings.samples)
    found = standings(fold.pipeline.rules, fold.pipeline.rules.rules.alerts)
    ran = {rule.name: found[key_of(rule)] for rule in fold.pipeline.rules.rules.alerts}
    return Backtest(tuple(fold.transitions), tuple(episodes_of(fold.transitions)), ran, player.refused)


def matching(rules: RuleSet, readings: PastReadings) -> RuleSet:
    """Return the rules that match a device of the readings: the others cost time and do nothing."""
    matcher = RuleMatcher(rules.rules)
    kept = {
        number
        for name, facts in readings.devices.items()
        for number, _ in matcher.variants(facts.site, name, facts.type, facts.tags)
    }
    return replace(rules, rules=tuple(rule for number, rule in enumerate(rules.rules) if number in kept))
