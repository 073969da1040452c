"""Random alerts, silences, restarts and reloads: who is told what is what a small independent model says."""

from __future__ import annotations

from dataclasses import replace
from random import Random

import pytest

from edge_gateway.records.alerts import Transition
from edge_gateway.rules.language.ruleset import Rule, RuleSet
from tests.gateway.rules.fleet import Stage
from tests.gateway.rules.muting.model import Model
from tests.gateway.rules.muting.muted import MutedStage, hot, inhibit

SITES = {"a": "berlin", "b": "berlin", "c": "lyon"}
RULES = hot("Down", "x"), hot("Hot", "t")
WAIT = 90
INHIBITS = (inhibit("Down", "Hot", "site", wait=WAIT),)


def heard(transitions: list[Transition]) -> list[str]:
    """What is told, in the model's words."""
    found = []
    for one in transitions:
        if one.notify and not one.suppressed:
            last = one.state if one.event == "released" else one.level
            found.append(f"{one.event} {one.rule}/{one.subject} {last}")
    return found


def plain(transitions: list[Transition]) -> list[Transition]:
    """The changes of alerts alone."""
    return [one for one in transitions if one.event != "released"]


class Trial:
    """One evaluator with all that mutes, one without, and the model between them."""

    def __init__(self, seed: int) -> None:
        self.random = Random(seed)
        rules = RULES if seed % 2 else RULES[::-1]
        self.stage, self.plain = MutedStage(*rules, inhibits=INHIBITS), Stage(*rules)
        self.rules: tuple[Rule, ...] = rules
        self.model = Model(dict(SITES), WAIT)
        self.second = 1
        self.seen: list[str] = []
        self.due: list[str] = []
        for stage in (self.stage, self.plain):
            for name, site in SITES.items():
                stage.fleet.device(name, site)

    def step(self) -> None:
        what = self.random.choices(
            ("read", "tick", "silence", "end", "restart", "reload", "burst"), (50, 15, 6, 3, 4, 3, 4)
        )[0]
        getattr(self, what)()
        assert self.seen == self.due, (self.second, what, self.seen[-3:], self.due[-3:])

    def pass_by(self, most: int, every: int = 1) -> None:
        """Ticks, some seconds apart, so that nothing that is due waits for a reading."""
        for _ in range(self.random.randint(1, most)):
            self.second += every
            self.model.advance(self.second)
            changes = plain(self.plain.tick(self.second))
            self.due += self.model.changed(self.second, changes) + self.model.release()
            self.seen += heard(self.stage.pass_to(self.second))

    def read(self) -> None:
        self.pass_by(12)
        name, metric = self.random.choice(list(SITES)), self.random.choice("tx")
        values: dict[str, float | str] = {metric: self.random.choice((5, 15, 25))}
        self._read(name, values)

    def _read(self, name: str, values: dict[str, float | str]) -> None:
        changes = plain(self.plain.read_at(self.second, name, SITES[name], values))
        self.due += self.model.changed(self.second, changes)
        self.seen += heard(self.stage.read_at(self.second, name, SITES[name], values))

    def burst(self) -> None:
        """Readings of both metrics at once, some of which may come to flap."""
        for number in range(self.random.randint(2, 9)):
            self.pass_by(3)
            self._read("a", {"t": 15 if number % 2 else 5, "x": self.random.choice((5, 15))})

    def tick(self) -> None:
        self.pass_by(20, self.random.choice((1, 10, 100)))

    def silence(self) -> None:
        site, until = self.random.choice(("berlin", "lyon", "*")), self.second + self.random.randint(5, 400)
        self.model.silences[self.stage.silence(until, site=site)] = (site, until)

    def end(self) -> None:
        if self.model.silences:
            number = self.random.choice(sorted(self.model.silences))
            del self.model.silences[number]
            self.seen += heard(self.stage.end_silence(number))
            self.due += self.model.release()

    def restart(self) -> None:
        self.stage.restart()
        self.plain.restart()

    def reload(self) -> None:
        """Rules with another limit that nothing reaches, and the inhibits gone or back."""
        self.rules = tuple(replace(rule, warmup_ms=self.random.randint(0, 1)) for rule in self.rules)
        self.model.inhibits = not self.model.inhibits
        if self.model.inhibits:
            self.model.down_until = {}
        self.stage.begin()
        inhibits = INHIBITS if self.model.inhibits else ()
        self.seen += heard(self.stage.evaluator.reload(RuleSet(self.rules, inhibits=inhibits)))
        self.due += self.model.changed(self.second, plain(self.plain.evaluator.reload(RuleSet(self.rules))))


@pytest.mark.parametrize("seed", range(8))
def test_who_is_told_is_what_the_model_says(seed: int) -> None:
    trial = Trial(seed)
    for _ in range(100):
        trial.step()
    assert any(line.startswith("released") for line in trial.seen)
