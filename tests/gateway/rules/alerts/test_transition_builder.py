"""The transition of a change: notice, texts, commands and their cooldowns."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from edge_gateway.records.alerts import Cause, Transition
from edge_gateway.rules.alerts.state_machine import NOTHING, StateChange
from edge_gateway.rules.alerts.transition_builder import Details, Reading, TransitionBuilder
from edge_gateway.rules.language.ruleset import Command, Rule
from fleet_wire.control_messages import AlertState
from tests.gateway.rules.fleet import Fleet

FAN = Command("fan", "fan", {"speed": 3}, ("firing",), 60_000, 30_000, 5_000, 2)
RULE = Rule(name="Hot", group="g", commands=(FAN,), unit="°C")


class Builder:
    def __init__(self) -> None:
        self.fleet = Fleet()
        self.fleet.born("d", line="L1")
        self.builder = TransitionBuilder(self.fleet.registry)

    def build(
        self,
        cause: Cause = "firing",
        state: AlertState = "firing",
        *,
        at: int = 1000,
        rule: Rule = RULE,
        rank: int = 1,
        backlog: bool = False,
    ) -> Transition:
        details = Details("t", Reading(1, 7, backlog), 10.25, 9.0, at)
        return self.builder.transition(rule, 0, StateChange(cause, state, rank, NOTHING, at), 900, details)


@pytest.mark.parametrize(
    ("cause", "state", "notify"),
    [
        ("pending", "pending", False),
        ("firing", "firing", True),
        ("resolved", "resolved", True),
        ("inactive", "inactive", False),
        ("no_data", "inactive", True),
    ],
)
def test_which_changes_are_notices(cause: Cause, state: AlertState, notify: bool) -> None:
    assert Builder().build(cause, state).notify is notify
    assert Builder().build(cause, state, rule=replace(RULE, notify_device=False)).notify is False
    assert Builder().build(cause, state, backlog=True).notify is False


def test_texts_know_every_name() -> None:
    names = "device subject site type group rule level state metric value limit unit tags.line labels.team"
    template = " ".join(f"{{{{ {name} }}}}" for name in names.split())
    rule = replace(RULE, labels={"team": "{{ level | upper }}"}, annotations={"s": template})
    built = Builder().build(rule=rule)
    assert built.labels == {"team": "WARNING"}
    assert built.annotations == {"s": "d d berlin freezer g Hot warning firing t 10.25 9 °C L1 WARNING"}


def test_a_live_change_gives_commands_and_a_backlog_one_owes_them() -> None:
    (intent,) = Builder().build().commands
    assert (intent.id, intent.read_at) == ("fan", 1000)
    assert Builder().build("pending", "pending").commands == ()
    assert Builder().build(backlog=True).commands == ()


def test_the_end_of_what_was_commanded_is_told_at_once_though_it_is_old() -> None:
    off = replace(FAN, id="off", name="off", on=("resolved",))
    builder, rule = Builder(), replace(RULE, commands=(FAN, off))
    builder.build(rule=rule)
    built = builder.build("resolved", "resolved", rule=rule, backlog=True, at=2000)
    assert (built.backlog, built.notify, [each.name for each in built.commands]) == (True, True, ["off"])
    assert builder.builder.told.owed == {}


def _forget_device(builder: TransitionBuilder) -> None:
    builder.forget(np.array([0]))


def _forget_rule(builder: TransitionBuilder) -> None:
    builder.forget_rules(lambda name: name == "Hot")


def _forget_others(builder: TransitionBuilder) -> None:
    builder.forget(np.array([1]))
    builder.forget_rules(lambda name: name == "Other")


@pytest.mark.parametrize(("forget", "sent"), [(_forget_device, 1), (_forget_rule, 1), (_forget_others, 0)])
def test_cooldowns_end_with_the_device_or_the_rule(forget: Any, sent: int) -> None:
    builder = Builder()
    builder.build(at=0)
    forget(builder.builder)
    assert len(builder.build(at=1000).commands) == sent


def test_a_snapshot_restores_cooldowns() -> None:
    one, two = Builder(), Builder()
    one.build(at=0)
    two.builder.restore(one.builder.snapshot())
    assert two.build(at=1000).commands == ()
