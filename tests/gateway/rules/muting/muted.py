"""A stage whose alerts are muted: silences, inhibits and acknowledgements on a real evaluator; times in seconds."""

from __future__ import annotations

from typing import Any

from edge_gateway.records.alerts import Transition
from edge_gateway.records.inputs import Moment
from edge_gateway.rules.alerts.evaluator import Evaluator
from edge_gateway.rules.alerts.rule_state import Instant
from edge_gateway.rules.language.inhibits import Inhibit, Selector
from edge_gateway.rules.language.ruleset import Command, Level, Rule, RuleSet
from edge_gateway.rules.muting.acknowledgements import Acknowledgement
from edge_gateway.rules.muting.silences import Silence
from tests.gateway.rules.fleet import T0, Row, Stage


def hot(name: str = "Hot", metric: str = "t", **more: Any) -> Rule:
    """A rule that fires above 10 as a warning, and above 20 as critical."""
    levels = Level("warning", limit=10.0), Level("critical", limit=20.0)
    return Rule(name=name, group="g", expr=metric, levels=levels, **more)


def fan(on: tuple[str, ...] = ("firing",), id: str = "fan") -> Command:  # noqa: A002 - the field's name
    return Command(id, id, {}, on, 0, 60_000)


def inhibit(source: str, target: str, *equal: str, wait: int = 0, commands: bool = False) -> Inhibit:
    return Inhibit(
        Selector({"alert": [source]}), Selector({"alert": [target]}), equal, wait * 1000, commands=commands
    )


class MutedStage(Stage):
    """A stage whose inputs carry a moment, of a clock that runs as the listening clock does."""

    def __init__(self, *rules: Rule, inhibits: tuple[Inhibit, ...] = ()) -> None:
        super().__init__(*rules)
        self.evaluator = Evaluator(RuleSet(rules, inhibits=inhibits), self.fleet.registry)
        self.second = 0.0

    def silence(self, until: float, *, commands: bool = False, **match: str) -> int:
        globs = {key: [glob] for key, glob in match.items()}
        at = T0 + int(until * 1000)
        return self.evaluator.muting.silence(
            Silence(0, globs, commands, "why", "me", T0, at, int(until * 1000))
        ).id

    def end_silence(self, number: int) -> list[Transition]:
        self.begin()
        self.evaluator.muting.end_silence(number)
        return self.evaluator.release("operator", Instant(self.evaluator.listening))

    def pass_to(self, second: float) -> list[Transition]:
        """A tick, as the fold has it."""
        self.begin()
        ms = int(second * 1000)
        self.evaluator.muting.end_silences(Moment(T0 + ms, ms, monotonic=ms))
        return self.evaluator.tick(ms)

    def together(self, second: float, *rows: tuple[str, dict[str, float]]) -> list[Transition]:
        """Readings of one frame."""
        self.begin()
        at = T0 + int(second * 1000)
        frame = self.fleet.frame([Row(device, at, values) for device, values in rows])
        return self.evaluator.evaluate(self.evaluator.add_records(frame), int(second * 1000))

    def acknowledge(self, rule: int = 0, device: str = "d") -> Transition:
        key = self.fleet.device(device), rule
        given = Acknowledgement(self.state.active[key].id, "me", "", T0)
        told = self.evaluator.acknowledge(given, Instant(self.evaluator.listening))
        assert told is not None
        return told


def told(transitions: list[Transition]) -> list[str]:
    """What people hear: event, rule, subject and level of each notice."""
    return [
        f"{one.event} {one.rule}/{one.subject} {one.level}"
        for one in transitions
        if one.notify and not one.suppressed
    ]


def muted(transitions: list[Transition]) -> list[tuple[str, tuple[str, ...]]]:
    return [(one.event, one.suppressed) for one in transitions if one.suppressed]


def commands(transitions: list[Transition]) -> list[str]:
    return [intent.id for one in transitions for intent in one.commands]
