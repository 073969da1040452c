"""The reading and the value behind a transition: by a reading, by time, and as listed."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import pytest

from edge_gateway.columns.frame import Frame
from edge_gateway.records.alerts import Transition
from edge_gateway.rules.alerts import transitions
from edge_gateway.rules.alerts.rule_state import RuleState
from edge_gateway.rules.alerts.step import FrameResult
from edge_gateway.rules.language.ruleset import Level, NoData, Rule
from tests.gateway.rules.alerts.hot import HOT
from tests.gateway.rules.fleet import Stage

SLOW = Rule(name="Slow", group="g", expr="t", levels=(Level("warning", limit=10.0, for_ms=20_000),))


def shown(each: Transition) -> tuple[str, int, float | None, float | None, bool]:
    return each.event, each.seq, each.value, each.limit, each.backlog


def test_a_reading_shows_itself() -> None:
    stage = Stage(SLOW)
    assert [shown(each) for each in stage.read(0, backlog=True, t=15)] == [("pending", 0, 15.0, 10.0, True)]
    assert [shown(each) for each in stage.read(20, t=16)] == [("firing", 1, 16.0, 10.0, False)]


def test_time_shows_the_newest_reading_and_the_last_value() -> None:
    stage = Stage(SLOW)
    stage.read(0, t=15)
    stage.read(5, t=17)
    stage.read(10, u=1)
    assert [shown(each) for each in stage.tick(30)] == [("firing", 2, 17.0, 10.0, False)]


def test_missing_data_has_no_value_and_is_known_now() -> None:
    stage = Stage(replace(SLOW, no_data=NoData(10_000, "t", "alerting", "info")))
    stage.read(0, backlog=True, t=1)
    assert [shown(each) for each in stage.tick(10)] == [("firing", 0, None, None, False)]


def test_a_rule_of_missing_data_alone_has_no_value() -> None:
    stage = Stage(Rule(name="S", group="g", no_data=NoData(10_000, "t", "alerting", "info")))
    stage.read(0, t=1)
    stage.tick(10)
    (listed,) = stage.evaluator.firing()
    assert (listed.metric, listed.value, listed.event, listed.cause) == ("t", None, "firing", "no_data")


def test_a_condition_on_texts_has_no_value() -> None:
    stage = Stage(replace(SLOW, expr='door == "open"', levels=(Level("warning"),)))
    (fired,) = stage.read(0, door="open")
    assert (fired.metric, fired.value, fired.limit) == ("door", None, None)


def test_an_alert_is_listed_without_notice_and_commands() -> None:
    stage = Stage(SLOW, replace(SLOW, name="Fast", levels=(Level("warning", limit=10.0),)))
    stage.read(0, t=15)
    listed = stage.evaluator.active_alerts()
    assert [(each.rule, each.event, each.state, each.value) for each in listed] == [
        ("Slow", "pending", "pending", 15.0),
        ("Fast", "firing", "firing", 15.0),
    ]
    assert [each.rule for each in stage.evaluator.firing()] == ["Fast"]
    assert not any(each.notify or each.commands for each in listed)


def test_only_devices_that_read_are_looked_at_for_what_they_are_owed(monkeypatch: pytest.MonkeyPatch) -> None:
    """After an outage thousands may be owed something, some of them for as long as they stay away."""
    stage = Stage(HOT)
    for number in range(50):
        stage.read(number, f"d{number}", backlog=True, t=35)
    looked_at: list[int] = []
    looks = transitions._looks

    def noted(state: RuleState, result: FrameResult, frame: Frame, device: int, rule: int) -> Iterator[Any]:
        looked_at.append(device)
        return looks(state, result, frame, device, rule)

    monkeypatch.setattr(transitions, "_looks", noted)
    (told,) = stage.read(60, "d7", t=36)
    assert (told.subject, told.event, len(looked_at)) == ("d7", "released", 1)
