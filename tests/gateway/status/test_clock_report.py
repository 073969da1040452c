"""What the status says of a clock that is doubted."""

from __future__ import annotations

import pytest

from edge_gateway.fleet.watch.clock_vote import Poll
from edge_gateway.status.clock import ClockState
from edge_gateway.status.clock_report import clock_doubt, clock_status

HOUR = 3_600_000


def poll(differ: int = 0, off: int = 0) -> Poll:
    return Poll(voters=9, agree=2, live=2, differ=differ, off=off, dissent=differ)


@pytest.mark.parametrize("state", ["synchronised", "confirmed", "agreed", "plausible"])
def test_a_clock_that_is_believed_is_no_problem(state: str) -> None:
    status = clock_status(ClockState(state), poll(), 0)
    assert (status.state, status.trusted, clock_doubt(status)) == (state, True, "")


@pytest.mark.parametrize(
    ("off", "words"),
    [
        (10 * HOUR - 300, "10h behind the clocks of 5 devices"),
        (-3 * 8_760 * HOUR - 900, "3y ahead of the clocks of 5 devices"),
        (301_200, "5m1s behind the clocks of 5 devices"),
    ],
)
def test_an_outvoted_clock_says_how_far_it_is_off_and_by_how_many(off: int, words: str) -> None:
    status = clock_status(ClockState.OUTVOTED, poll(5, off), 7)
    assert (status.trusted, status.differ, status.off, status.held) == (False, 5, off, 7)
    assert words in clock_doubt(status)


def test_a_clock_stays_outvoted_while_the_devices_are_silent() -> None:
    assert "have not agreed with it since" in clock_doubt(clock_status(ClockState.OUTVOTED, poll(off=4), 0))


def test_a_clock_behind_the_journal_waits_for_the_time() -> None:
    status = clock_status(ClockState.BEHIND, poll(), 3)
    assert clock_doubt(status).startswith("waiting for time")
