"""The transition of a change: notice, texts, commands and their cooldowns."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from edge_gateway.records.alerts import Transition, alert_id
from edge_gateway.rules.alerts.state_machine import NOTHING, ActiveAlert, StateChange
from edge_gateway.rules.alerts.transition_builder import Details, Reading, TransitionBuilder
from edge_gateway.rules.language.ruleset import Command, NoData, Rule
from edge_gateway.rules.muting.verdicts import Muting
from fleet_wire.control_messages import AlertCause, AlertEvent, AlertState
from tests.gateway.rules.fleet import Fleet

FAN = Command("fan", "fan", {"speed": 3}, ("firing",), 60_000, 30_000, 5_000, 2)
RULE = Rule(name="Hot", group="g", commands=(FAN,), unit="°C")


class Builder:
    def __init__(self) -> None:
        self.fleet = Fleet()
        self.fleet.born("d", line="L1")
        self.builder = TransitionBuilder(self.fleet.registry, Muting())

    def build(
        self,
        event: AlertEvent = "firing",
        state: AlertState = "firing",
        *,
        cause: AlertCause = "reading",
        alert: ActiveAlert | None = None,
        at: int = 1000,
        rule: Rule = RULE,
        rank: int = 1,
        backlog: bool = False,
    ) -> Transition:
        details = Details("t", Reading(1, 7, backlog), 10.25, 9.0, read_at=at)
        change = StateChange(event, cause, state, rank, NOTHING, at)
        return self.builder.transition(rule, 0, change, alert or ActiveAlert(change, at), details)


@pytest.mark.parametrize(
    ("event", "cause", "state", "notify"),
    [
        ("pending", "reading", "pending", False),
        ("firing", "time", "firing", True),
        ("resolved", "reading", "resolved", True),
        ("resolved", "expired", "inactive", False),
        ("no_data", "no_data", "inactive", True),
    ],
)
def test_which_changes_are_notices(
    event: AlertEvent, cause: AlertCause, state: AlertState, notify: bool
) -> None:
    assert Builder().build(event, state, cause=cause).notify is notify
    silent = replace(RULE, notify_device=False)
    assert Builder().build(event, state, cause=cause, rule=silent).notify is False
    assert Builder().build(event, state, cause=cause, backlog=True).notify is False


def test_an_alert_is_given_its_id_with_its_first_transition_and_keeps_it() -> None:
    builder = Builder()
    builder.builder.record = 12
    alert = ActiveAlert(StateChange("pending", "reading", "pending", 1, NOTHING, 1000), 1000)
    first = builder.build("pending", "pending", alert=alert)
    assert first.id == alert.id == alert_id("Hot", "d", 1000, 12)
    builder.builder.record = 13
    renamed = replace(RULE, group="another")
    assert builder.build(at=2000, rule=renamed, alert=alert).id == first.id
    assert builder.build(at=3000).id == alert_id("Hot", "d", 3000, 13), "another alert"


def test_stamps_of_a_rule_and_device_grow_whatever_the_clock_says() -> None:
    builder = Builder()
    other = replace(RULE, name="Other")
    assert [builder.build(at=at).at for at in (1000, 1000, 900, 1002, 5000)] == [1000, 1001, 1002, 1003, 5000]
    assert builder.build(at=1000, rule=other).at == 1000
    again = Builder()
    again.builder.restore(builder.builder.snapshot())
    assert again.build(at=5000).at == 5001
    again.builder.forget(np.array([0]))
    assert again.build(at=1000).at == 1000


def test_the_stamp_of_a_rule_that_is_gone_is_kept_until_its_device_goes_on() -> None:
    builder = Builder()
    builder.build(at=1000)
    builder.builder.forget_rules(lambda name: name == "Hot", np.array([1000]))
    assert builder.build(at=1000).at == 1001
    builder.builder.forget_rules(lambda name: name == "Hot", np.array([1002]))
    assert builder.build(at=1000).at == 1000


@pytest.mark.parametrize(
    ("told", "before", "sent"),
    [
        (False, NOTHING, ["on"]),
        (True, 0, ["up"]),
        (True, 2, ["down"]),
        (False, 0, ["on", "up"]),
    ],
)
def test_what_is_released_sends_the_commands_of_the_state_reached(
    told: bool, before: int, sent: list[str]
) -> None:
    builder = Builder()
    names = {"on": "firing", "up": "escalated", "down": "deescalated", "off": "resolved"}
    rule = replace(
        RULE, commands=tuple(Command(name, name, {}, (event,), 0, 30_000) for name, event in names.items())
    )
    builder.builder.told.levels = {(0, "Hot"): before} if told else {}
    change = StateChange("released", "reading", "firing", 1, before, 1000)
    details = Details("t", Reading(1, 7, backlog=False), 10.25, 9.0)
    built = builder.builder.transition(rule, 0, change, ActiveAlert(change, 1000, "a"), details)
    assert [each.name for each in built.commands] == sent
    ended = change._replace(state="resolved")
    built = builder.builder.transition(rule, 0, ended, ActiveAlert(ended, 1000, "a"), details)
    assert [each.name for each in built.commands] == ["off"]


def test_a_wait_that_ends_sends_no_command() -> None:
    rule = replace(RULE, commands=(replace(FAN, on=("resolved", "no_data")),))
    assert Builder().build("resolved", "inactive", rule=rule).commands == ()
    assert Builder().build("resolved", "inactive", cause="no_data", rule=rule).commands != ()


def test_a_text_that_names_a_value_gives_way_to_a_sentence_where_there_is_none() -> None:
    texts = {"summary": "{{ device }} at {{ value }} °C", "where": "{{ device }} in {{ site }}"}
    rule = replace(RULE, annotations=texts, no_data=NoData(120_000, "t", "alerting", "warning"))
    builder = Builder()
    change = StateChange("firing", "no_data", "firing", 1, NOTHING, 1000)
    details = Details("t", Reading(1, 7, backlog=False), None, None)
    built = builder.builder.transition(rule, 0, change, ActiveAlert(change, 1000), details)
    assert built.annotations == {"summary": "d has sent no t for 2 min", "where": "d in berlin"}


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
    builder.forget_rules(lambda name: name == "Hot", np.array([0]))


def _forget_others(builder: TransitionBuilder) -> None:
    builder.forget(np.array([1]))
    builder.forget_rules(lambda name: name == "Other", np.array([0]))


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
