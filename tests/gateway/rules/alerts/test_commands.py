"""Which commands a change gives: events, cooldowns, and what ends what was begun."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from edge_gateway.records.alerts import CommandIntent
from edge_gateway.rules.alerts.commands import RuleCommands, events_of
from edge_gateway.rules.alerts.state_machine import NOTHING, StateChange
from edge_gateway.rules.language.ruleset import Command, Rule
from fleet_wire.control_messages import AlertCause, AlertEvent, AlertState
from tests.gateway.rules.alerts.hot import command

ON = command(id="on", name="pump", on=("firing",))
OFF = command(id="off", name="pump", on=("resolved",))
RULE = Rule(name="Flood", group="g", commands=(ON, OFF))


def change(
    event: AlertEvent = "firing",
    state: AlertState = "firing",
    rank: int = 1,
    previous: int = NOTHING,
    at: int = 1_000,
    *,
    cause: AlertCause = "reading",
) -> StateChange:
    return StateChange(event, cause, state, rank, previous, at)


def given(
    commands: RuleCommands, one: StateChange, rule: Rule = RULE, device: int = 0, read_at: int | None = None
) -> list[str]:
    found = commands.give(rule, device, one, told=True, read_at=read_at)
    commands.note(rule, device, one)
    return [intent.id for intent in found.intents]


@pytest.mark.parametrize(
    ("one", "told", "events"),
    [
        (change("pending", "pending"), False, set()),
        (change("resolved", "inactive"), False, set()),
        (change(), False, {"firing"}),
        (change("escalated", rank=2, previous=1), True, {"escalated"}),
        (change("escalated", rank=2, previous=1), False, {"firing", "escalated"}),
        (change("deescalated", rank=0, previous=1), True, {"deescalated"}),
        (change("deescalated", rank=0, previous=1), False, {"firing", "deescalated"}),
        (change(cause="no_data"), False, {"firing", "no_data"}),
        (change("escalated", rank=2, previous=1, cause="no_data"), True, {"escalated", "no_data"}),
        (change("no_data", previous=1, cause="no_data"), True, {"no_data"}),
        (change("no_data", "inactive", cause="no_data"), False, {"no_data"}),
        (change("resolved", "resolved", previous=1, cause="no_data"), True, {"resolved", "no_data"}),
        (change("resolved", "resolved", previous=1, cause="removed"), True, {"resolved"}),
        (change("resolved", "resolved", previous=1), True, {"resolved"}),
        (change("repeat", previous=1), True, {"repeat"}),
        (change("released"), False, {"firing"}),
        (change("released", rank=2, previous=1), True, {"escalated"}),
        (change("released", "resolved", previous=1), True, {"resolved"}),
    ],
)
def test_every_event_that_holds_counts(one: StateChange, events: set[str], *, told: bool) -> None:
    assert events_of(one, told=told) == events


def test_a_command_carries_its_terms_and_the_time_of_its_reading() -> None:
    terms: dict[str, Any] = {
        "args": {"speed": 3},
        "expires_ms": 30_000,
        "confirm_within_ms": 5_000,
        "retries": 2,
    }
    commands, resolved = RuleCommands(), change("resolved", "resolved", previous=1)
    assert commands.give(RULE, 0, change(), told=False, read_at=900).intents == (
        CommandIntent(id="on", name="pump", read_at=900, **terms),
    )
    assert commands.give(RULE, 0, resolved, told=True, read_at=1_000).intents == (
        CommandIntent(id="off", name="pump", closing=True, **terms),
    )


def test_commands_come_in_the_order_of_the_file_each_once() -> None:
    both = replace(ON, id="both", on=("firing", "no_data"))
    rule = replace(RULE, commands=(replace(ON, id="z"), both, replace(ON, id="a")))
    assert given(RuleCommands(), change("no_data"), rule) == ["z", "both", "a"]


def test_what_ends_commands_begun_since_the_onset_needs_no_cooldown() -> None:
    commands, resolved = RuleCommands(), change("resolved", "resolved", previous=1)
    assert not commands.closes(RULE, 0, resolved)
    assert given(commands, resolved) == ["off"], "an ordinary command: nothing was begun"
    assert given(commands, resolved) == [], "which has its cooldown"
    assert given(commands, change()) == ["on"]
    assert commands.closes(RULE, 0, resolved)
    assert not commands.closes(RULE, 1, resolved)
    assert not commands.closes(replace(RULE, commands=(ON,)), 0, resolved)
    assert given(commands, resolved) == ["off"]
    assert not commands.closes(RULE, 0, resolved)


def test_a_report_of_silence_begins_nothing() -> None:
    rule = replace(RULE, commands=(replace(ON, on=("no_data",)), OFF))
    commands = RuleCommands()
    assert given(commands, change("no_data", "inactive"), rule) == ["on"]
    assert not commands.closes(rule, 0, change("resolved", "resolved", previous=1))


def test_a_cooldown_is_per_command_and_level() -> None:
    commands, second = RuleCommands(), replace(ON, id="second", cooldown_ms=0)
    rule = replace(RULE, commands=(ON, second))
    assert given(commands, change(at=0), rule) == ["on", "second"]
    assert given(commands, change(at=59_999), rule) == ["second"]
    assert given(commands, change(at=59_999, rank=2), rule) == ["on", "second"]
    assert given(commands, change(at=60_000), rule) == ["on", "second"]
    assert given(commands, change(at=59_000), rule) == ["second"], "a time that was ahead of the readings"
    commands.shift({0: -50_000, 7: -1})
    assert given(commands, change(at=69_999), rule) == ["second"]
    assert given(commands, change(at=70_000), rule) == ["on", "second"]


def test_a_cooldown_survives_an_edit_above_it_and_one_of_itself() -> None:
    commands, other = RuleCommands(), Command("new", "new", {}, ("firing",), 0, 1)
    assert given(commands, change(at=0)) == ["on"]
    assert given(commands, change(at=1), replace(RULE, commands=(other, ON))) == ["new"]
    assert given(commands, change(at=2), replace(RULE, commands=(replace(ON, cooldown_ms=0),))) == ["on"]


def test_the_rest_is_forgotten() -> None:
    commands, resolved = RuleCommands(), change("resolved", "resolved", previous=1)
    for device in (0, 1):
        assert given(commands, change(at=0), device=device) == ["on"]
    commands.keep(lambda key: key == (1, "Flood"))
    assert [commands.closes(RULE, device, resolved) for device in (0, 1)] == [False, True]
    assert [given(commands, change(at=1), device=device) for device in (0, 1)] == [["on"], []]


def test_a_cooldown_that_an_edit_brings_counts_from_the_command_given_before() -> None:
    commands, without = RuleCommands(), replace(RULE, commands=(replace(ON, cooldown_ms=0),))
    assert given(commands, change(at=1), without) == ["on"]
    commands = RuleCommands.from_snapshot(commands.snapshot())
    assert given(commands, change(at=2), RULE) == []
    assert given(commands, change(at=1 + ON.cooldown_ms), RULE) == ["on"]


def test_a_snapshot_restores_cooldowns_and_what_was_begun() -> None:
    commands = RuleCommands()
    assert given(commands, change(at=0)) == ["on"]
    again = RuleCommands.from_snapshot(commands.snapshot())
    assert again.snapshot() == commands.snapshot()
    assert given(again, change(at=1)) == []
    assert again.closes(RULE, 0, change("resolved", "resolved", previous=1))
