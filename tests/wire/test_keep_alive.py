import asyncio
from typing import cast

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fleet_wire.keep_alive import Decision, Quiet, Verdict, Wheel, decide, wheel_of
from tests.fakes import ManualTimers

PING, WAIT, DEAD = Verdict.PING, Verdict.WAIT, Verdict.DEAD


@pytest.mark.parametrize(
    ("now", "quiet", "verdict", "again_at"),
    [
        # A ping after 45 of 60 seconds in which nothing was sent, or nothing came in.
        (44, Quiet(sent=0, received=44, pinged=None, paused=False), WAIT, 45),
        (45, Quiet(sent=0, received=44, pinged=None, paused=False), PING, 75),
        (45, Quiet(sent=44, received=0, pinged=None, paused=False), PING, 75),
        # An answer is due within 30 seconds.
        (74, Quiet(sent=45, received=0, pinged=45, paused=False), WAIT, 75),
        (75, Quiet(sent=45, received=0, pinged=45, paused=False), DEAD, 75),
        # While paused the answer may wait unread: no verdict on the peer, but the broker must hear of us.
        (300, Quiet(sent=290, received=0, pinged=45, paused=True), WAIT, 335),
        (335, Quiet(sent=290, received=0, pinged=45, paused=True), PING, 365),
    ],
)
def test_a_quiet_connection_is_pinged_then_given_up(
    now: float, quiet: Quiet, verdict: Verdict, again_at: float
) -> None:
    assert decide(now, quiet, 60) == Decision(verdict, again_at)


@given(
    st.integers(1, 3600),
    st.lists(
        st.tuples(st.integers(1, 10_000), st.sampled_from(["send", "receive", "pause", "resume"])),
        max_size=30,
    ),
)
def test_pings_keep_a_connection_alive_and_only_silence_ends_it(
    keep_alive: int, events: list[tuple[int, str]]
) -> None:
    """Drive one connection by its decisions: never silent for 1.5 keep-alives, never dead while it is heard."""
    now = sent = received = 0.0
    pinged: float | None = None
    paused, check_at = False, 0.0
    for step, event in events:
        until = now + step * keep_alive / 1000
        while check_at <= until:
            now = max(now, check_at)
            decision = decide(now, Quiet(sent, received, pinged, paused), keep_alive)
            if decision.verdict is DEAD:
                assert not paused
                assert now - received >= keep_alive * 0.5
                return
            if decision.verdict is PING:
                assert now - min(sent, received) >= keep_alive * 0.75 - 1e-6
                sent, pinged = now, pinged or now
            assert decision.again_at > now
            check_at = decision.again_at
        now = until
        assert now - sent <= keep_alive * 1.25 + 1e-6
        if event == "send":
            sent = now
        elif event == "pause":
            paused = True
        elif event == "resume" and paused:
            paused, received, pinged = False, now, None
        elif event == "receive" and not paused:
            received, pinged = now, None


class Checked:
    def __init__(self, every: float | None) -> None:
        self.check_at: int | None = None
        self.every = every
        self.checks: list[float] = []

    def check(self, now: float) -> float | None:
        self.checks.append(now)
        return now + self.every if self.every is not None else None


def wheel_on(timers: ManualTimers) -> Wheel:
    return Wheel(cast("asyncio.AbstractEventLoop", timers))


def test_a_wheel_checks_each_connection_on_time_with_one_timer() -> None:
    timers = ManualTimers()
    wheel = wheel_on(timers)
    often, seldom = Checked(1), Checked(10)
    wheel.watch(seldom, 10)
    wheel.watch(often, 1)
    assert timers.armed == [1]
    timers.run_until(10)
    assert often.checks == [1, 2, 3, 4, 5, 6, 7, 8, 9, 10]
    assert seldom.checks == [10]
    assert len(timers.armed) == 1


def test_an_ended_connection_leaves_the_wheel_and_an_empty_wheel_has_no_timer() -> None:
    timers = ManualTimers()
    wheel = wheel_on(timers)
    ended, forgotten = Checked(None), Checked(1)
    wheel.watch(ended, 1)
    wheel.watch(forgotten, 2)
    forgotten.check_at = None
    timers.run_until(10)
    assert len(ended.checks) == 1
    assert forgotten.checks == []
    assert timers.armed == []


def test_only_the_latest_check_time_of_a_connection_counts() -> None:
    timers = ManualTimers()
    wheel = wheel_on(timers)
    connection = Checked(None)
    wheel.watch(connection, 1)
    wheel.watch(connection, 5)
    timers.run_until(10)
    assert connection.checks == [5]


def test_a_check_that_is_due_at_once_waits_for_the_next_slot() -> None:
    timers = ManualTimers()
    connection = Checked(0)
    wheel_on(timers).watch(connection, 0)
    timers.run_until(1)
    assert len(connection.checks) == 5


async def test_a_loop_has_one_wheel() -> None:
    loop = asyncio.get_running_loop()
    assert wheel_of(loop) is wheel_of(loop)
    assert wheel_of(loop).loop is loop
