"""The reading and the value behind a transition: by a reading, by time, and as listed."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import pytest

from edge_gateway.columns.frame import Frame
from edge_gateway.records.alerts import Transition
from edge_gateway.rules.alerts import transitions
from edge_gateway.rules.alerts.rule_state import Instant, RuleState
from edge_gateway.rules.alerts.step import FrameResult
from edge_gateway.rules.language.ruleset import Level, NoData, Rule
from tests.gateway.rules.alerts.hot import HOT
from tests.gateway.rules.fleet import T0, Stage

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


HOUR = 3_600


def reminders(stage: Stage, second: float, *names: str) -> list[Transition]:
    """The reminders of the alerts of these rules, or of all that fire, at a second of the listening clock."""
    stage.begin()
    wanted = {each.id for each in stage.evaluator.active_alerts() if not names or each.rule in names}
    return stage.evaluator.remind(wanted, Instant(int(second * 1000)))


def test_a_reminder_tells_how_an_alert_is_now_since_when_and_nobody_else() -> None:
    stage = Stage(SLOW, replace(HOT, levels=(Level("warning", limit=10.0), Level("critical", limit=20.0))))
    (_, fired) = stage.read(0, t=15)
    stage.read(5, t=17)
    (told,) = reminders(stage, 7)
    assert (told.event, told.cause, told.state, told.level) == ("reminder", "time", "firing", "warning")
    assert (told.id, told.value, told.limit, told.since) == (fired.id, 17.0, 10.0, fired.at)
    assert (told.notify, told.commands) == (False, ())
    assert [each.at for each in stage.evaluator.firing()] == [fired.at], "the alert began when it did"


def test_only_the_alerts_that_fire_and_are_asked_for_are_reminded_of() -> None:
    stage = Stage(SLOW, HOT, replace(HOT, name="Other"))
    stage.read(0, t=15)
    assert [each.rule for each in reminders(stage, 1)] == ["Hot", "Other"]
    assert [each.rule for each in reminders(stage, 1, "Slow", "Other")] == ["Other"]
    stage.read(2, t=5)
    assert reminders(stage, 3) == []


def test_each_reminder_is_later_than_the_one_before_also_over_a_restart() -> None:
    stage = Stage(HOT)
    (fired,) = stage.read(0, t=15)
    first, second = reminders(stage, 1)[0], reminders(stage, 1)[0]
    stage.evaluator.restore(stage.evaluator.snapshot())
    third = reminders(stage, 1)[0]
    assert fired.at < first.at < second.at < third.at <= fired.at + 3
    assert {each.since for each in (first, second, third)} == {fired.at}


def test_a_reminder_does_not_move_what_the_device_kept_while_it_was_away() -> None:
    stage = Stage(HOT)
    stage.read(0, t=15)
    reminders(stage, HOUR)
    (ended,) = stage.read(1_800, backlog=True, t=5)
    assert (ended.event, ended.at) == ("resolved", T0 + 1_800_000)


def test_reminders_of_a_device_that_is_silent_for_days_go_on() -> None:
    stage = Stage(HOT)
    (fired,) = stage.read(0, t=15)
    (told,) = reminders(stage, 48 * HOUR)
    assert told.at == fired.at + 48 * HOUR * 1000 - transitions.KEPT_BY_DEVICES
