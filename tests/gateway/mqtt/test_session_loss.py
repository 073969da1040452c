"""The reported period of a lost session is the one whose deliveries may be missing."""

import pytest

from edge_gateway.mqtt.session_loss import SessionLoss
from edge_gateway.status.counters import Counters
from edge_gateway.status.problem import Gravity
from edge_gateway.status.problems import Problems
from tests.fakes import ManualClock

NOON = 1_796_212_800_000
MINUTE = 60_000
DAY = 24 * 60 * MINUTE


Clock = ManualClock[int]


@pytest.fixture
def clock() -> Clock:
    return Clock(NOON)


def memory_of(clock: Clock, received_to: int | None) -> SessionLoss:
    return SessionLoss(clock, Counters(), Problems(clock, timer=clock), received_to)


def told(memory: SessionLoss) -> str:
    [problem] = memory.problems
    assert (problem.code, problem.gravity) == ("session_lost", Gravity.WARNING)
    return problem.text


def test_a_first_connection_loses_nothing(clock: Clock) -> None:
    memory = memory_of(clock, None)
    memory.connected(session_present=False)
    assert list(memory.problems) == []
    assert memory.counters == Counters()


def test_a_resumed_session_loses_nothing(clock: Clock) -> None:
    memory = memory_of(clock, NOON - MINUTE)
    memory.connected(session_present=True)
    assert list(memory.problems) == []


def test_the_loss_begins_when_an_earlier_start_last_received(clock: Clock) -> None:
    memory = memory_of(clock, NOON - 90 * MINUTE)
    memory.connected(session_present=False)
    assert "from 2026-12-02 10:30:00Z to 2026-12-02 12:00:00Z" in told(memory)
    assert memory.counters.broker_sessions_lost == 1


@pytest.mark.parametrize(
    ("behind", "since"),
    [(0, "12:10:00"), (5 * MINUTE, "12:05:00"), (None, "12:00:00")],
    ids=["abreast", "behind the broker's queue", "never abreast of it"],
)
def test_the_loss_includes_the_backlog_of_the_lost_connection(
    clock: Clock, behind: int | None, since: str
) -> None:
    memory = memory_of(clock, None)
    memory.connected(session_present=False)
    clock.now += 10 * MINUTE
    memory.disconnected(behind=behind)
    clock.now += 10 * MINUTE
    memory.disconnected(behind=None)
    memory.connected(session_present=False)
    assert f"from 2026-12-02 {since}Z to 2026-12-02 12:20:00Z" in told(memory)


def test_several_losses_are_reported_from_the_first_on(clock: Clock) -> None:
    memory = memory_of(clock, NOON - MINUTE)
    memory.connected(session_present=False)
    clock.now += MINUTE
    memory.disconnected(behind=0)
    clock.now += MINUTE
    memory.connected(session_present=False)
    assert "from 2026-12-02 11:59:00Z to 2026-12-02 12:02:00Z" in told(memory)
    assert memory.counters.broker_sessions_lost == 2


@pytest.mark.problem("raises", "session_lost")
@pytest.mark.problem("clears", "session_lost")
def test_a_loss_is_shown_for_a_day(clock: Clock) -> None:
    memory = memory_of(clock, NOON - MINUTE)
    memory.connected(session_present=False)
    clock.now += DAY
    memory.problems.expire()
    assert told(memory)
    clock.now += 1
    memory.problems.expire()
    assert list(memory.problems) == []
    memory.disconnected(behind=0)
    memory.connected(session_present=False)
    assert "from 2026-12-03 12:00:00Z" in told(memory), "an old loss is not told again"
