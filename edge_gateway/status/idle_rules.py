"""Rules that do not run, or that nothing evaluates: the text of the problem `rules_idle`."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

from edge_gateway.rules.inspection.in_force import key_of, standings
from fleet_config.counting import counted

if TYPE_CHECKING:
    from edge_gateway.rules.alerts.evaluator import Evaluator
    from edge_gateway.rules.inspection.in_force import Standing
    from edge_gateway.rules.language.ruleset import Rule

IDLE_AFTER: Final = 3_600_000
"""Milliseconds of the listening clock that a rule may wait for its first reading."""
MOST_IDLE: Final = 3
"""Most idle rules that the problem describes."""


@dataclass(slots=True)
class IdleRules:
    """Notes since when devices match a rule that nothing has evaluated; a new set of rules begins anew.

    Waiting rules are looked at only while there are any: a rule that was evaluated once is not idle until it is loaded
    again. Times are ms of the listening clock, which stands still while the gateway hears nothing.
    """

    _hash: str | None = None
    _waiting: dict[str, Rule] = field(default_factory=dict)
    _since: dict[str, int] = field(default_factory=dict)

    def check(self, evaluator: Evaluator) -> str:
        """Return the text of the problem, "" if every rule runs."""
        if evaluator.rules.hash != self._hash:
            self._hash, self._since = evaluator.rules.hash, {}
            self._waiting = {key_of(rule): rule for rule in evaluator.rules.rules}
        idle = [*evaluator.idle_rules(), *self._idle(evaluator)]
        return "; ".join([*idle[:MOST_IDLE], *([f"{len(idle)} in all"] if idle else [])])

    def _idle(self, evaluator: Evaluator) -> Iterator[str]:
        if not self._waiting:
            return
        found = standings(evaluator, self._waiting.values())
        self._waiting = {key: rule for key, rule in self._waiting.items() if not found[key].evaluated}
        for key, rule in self._waiting.items():
            if not len(found[key].devices):
                self._since.pop(key, None)
            elif evaluator.listening - self._since.setdefault(key, evaluator.listening) >= IDLE_AFTER:
                yield _told(rule, found[key])


def _told(rule: Rule, standing: Standing) -> str:
    metrics = " or ".join(name for name, _ in rule.metrics)
    fit = "matches" if len(standing.devices) == 1 else "match"
    matching = f"{counted(len(standing.devices), 'device')} {fit}"
    return f"{rule.name}: {matching}, and no reading of {metrics} has come for an hour"
