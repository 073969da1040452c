"""What must be on disk at once, because somebody waits for it, and which inputs need no record at all."""

from __future__ import annotations

from typing import Any

import pytest

from edge_gateway.fold.effects import Effects
from edge_gateway.fold.pipeline import Pipeline
from edge_gateway.fold.settings import build_pipeline
from edge_gateway.records.inputs import (
    ClockUnsure,
    ClockUntrusted,
    Forget,
    Reload,
    StateLost,
    Tick,
    Undelivered,
)
from fleet_wire import control_messages, topics
from tests.gateway.fold.given import batch, birth, moment, reading, settings
from tests.gateway.records.transitions import WALL

ACK = topics.device_topic("berlin", "f1", topics.ACK)


@pytest.fixture
def hot(rules: dict[str, Any]) -> Pipeline:
    """A freezer that is too warm: an alert fires, and a command waits for its answer."""
    pipeline = build_pipeline("gw", settings())
    for one in (Reload(moment(0), rules), batch(0, birth("f1"))):
        pipeline.fold(one)
    effects = [pipeline.fold(warm(second)) for second in range(3)]
    assert [bool(one.outgoing) for one in effects] == [False, False, True]
    assert [one.urgent for one in effects] == [True, False, True], "pending, waiting, firing"
    return pipeline


def warm(second: int, value: float = -5.0) -> Any:
    return batch(second * 1_000, reading("f1", second, second * 1_000, temperature=value))


def unconfirmed(pipeline: Pipeline) -> str:
    (sent,) = pipeline.commands.unconfirmed()
    return sent.id


def test_readings_and_births_that_change_no_alert_may_wait(hot: Pipeline) -> None:
    assert is_so(hot.fold(warm(3))) == (True, False)
    assert is_so(hot.fold(batch(3_500, birth("f2")))) == (True, False)


def is_so(effects: Effects) -> tuple[bool, bool]:
    return effects.changed, effects.urgent


def test_rules_and_forgetting_are_urgent(rules: dict[str, Any]) -> None:
    pipeline = build_pipeline("gw", settings())
    assert is_so(pipeline.fold(Reload(moment(0), rules))) == (True, True)
    assert is_so(pipeline.fold(Forget(moment(0), "f1"))) == (True, True)


def test_an_answer_to_a_command_is_urgent_and_one_to_none_is_not(hot: Pipeline) -> None:
    ack = control_messages.encode_ack(control_messages.Ack(id=unconfirmed(hot), outcome="done"))
    assert [is_so(hot.fold(batch(3_000, (ACK, ack)))) for _ in range(2)] == [(True, True), (True, False)]


def test_a_refused_command_is_urgent_and_an_unknown_one_leaves_no_trace(hot: Pipeline) -> None:
    refused = [
        Undelivered(moment(3_000), "f1", command, "too large", for_good=True)
        for command in (unconfirmed(hot), "another")
    ]
    assert [is_so(hot.fold(one)) for one in refused] == [(True, True), (False, False)]


def test_a_command_that_is_sent_again_by_a_tick_is_urgent(hot: Pipeline) -> None:
    quiet, again = (hot.fold(Tick(moment(ms))) for ms in (2_900, 7_000))
    assert not quiet.urgent
    assert (again.urgent, len(again.outgoing), again.changed) == (True, 1, True)


@pytest.fixture
def quiet(rules: dict[str, Any]) -> Pipeline:
    """Like `hot`, after its last reading: with windows of a day, which nothing closes."""
    day = {"every": "1d", "bucket": "b", "keep": "30d"}
    pipeline = build_pipeline("gw", settings(windows=[day]))
    for one in (Reload(moment(0), rules), batch(0, birth("f1")), *map(warm, range(3)), Tick(moment(2_900))):
        pipeline.fold(one)
    assert not pipeline.fold(Tick(moment(3_000))).changed
    return pipeline


def test_a_retry_is_recorded_and_sent_though_nothing_else_happens(quiet: Pipeline) -> None:
    retried = quiet.fold(Tick(moment(7_000)))
    assert [one.topic.endswith(topics.COMMAND) for one in retried.outgoing] == [True]
    assert is_so(retried) == (True, True)


def test_a_doubt_that_ends_is_recorded_though_nothing_else_happens(quiet: Pipeline) -> None:
    quiet.fold(ClockUnsure(moment(3_100)))
    released = quiet.fold(Tick(moment(4_000)))
    assert [one.topic.endswith(topics.COMMAND) for one in released.outgoing] == [True]
    assert is_so(released) == (True, True)


def test_commands_of_unknown_age_end_urgently(hot: Pipeline) -> None:
    effects = hot.fold(ClockUntrusted(moment(3_000)))
    assert [one.state for one in effects.commands] == ["expired_unknown"]
    assert is_so(effects) == (True, True)
    assert is_so(hot.fold(ClockUntrusted(moment(3_000)))) == (True, False)


def test_a_doubt_is_recorded_only_where_a_command_is_pending_and_keeps_it_from_being_sent(
    hot: Pipeline,
) -> None:
    assert is_so(build_pipeline("gw", settings()).fold(ClockUnsure(moment(3_000)))) == (False, False)
    assert is_so(hot.fold(ClockUnsure(moment(3_000)))) == (True, False)
    assert [one for one in hot.restart_messages() if one.topic.endswith(topics.COMMAND)] == []
    released = hot.fold(Tick(moment(4_000)))
    assert [one.doubtful for one in released.outgoing if one.topic.endswith(topics.COMMAND)] == [True]
    assert is_so(released) == (True, True)


def test_lost_state_is_recorded() -> None:
    effects = build_pipeline("gw", settings()).fold(StateLost(moment(0)))
    assert is_so(effects) == (True, False)
    assert effects.frozen == WALL
