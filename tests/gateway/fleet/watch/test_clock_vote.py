"""What the fleet's clocks say of a gateway's that is not sure."""

from __future__ import annotations

import numpy as np
import pytest

from edge_gateway.fleet.timestamps import NO_TIME, TimeLimits
from edge_gateway.fleet.watch.clock_vote import ASKED_FOR, HEARD_FOR, ClockVote
from edge_gateway.records.inputs import Moment

WALL = 1_800_000_000_000
HOUR = 3_600_000
SKEW = 300_000


class Fleet:
    """Devices that say times, by the second of the listening clock; the gateway's clock is `late` ms behind."""

    def __init__(self, late: int = 0) -> None:
        self.vote = ClockVote(TimeLimits(max_future_skew=SKEW))
        self.late = late
        self.online = 0

    def moment(self, second: int, *, trusted: bool = True) -> Moment:
        wall = WALL + second * 1_000 - self.late
        return Moment(wall, second * 1_000, trusted, wall - HOUR)

    def say(self, second: int, times: dict[int, int | None]) -> Moment:
        """Devices say these times, as seconds after WALL; None is none."""
        moment = self.moment(second)
        ts = [NO_TIME if at is None else WALL + at * 1_000 for at in times.values()]
        self.vote.observe(np.array(list(times), np.int64), np.array(ts, np.int64), moment)
        return moment

    def verdict(self, second: int) -> bool | None:
        return self.vote.poll(self.moment(second), self.online).verdict


def test_three_devices_ahead_outvote_the_clock_with_their_first_reading() -> None:
    fleet = Fleet(late=10 * HOUR)
    fleet.say(0, {0: 0, 1: 0})
    assert fleet.verdict(0) is None
    fleet.say(1, {2: 1})
    assert fleet.verdict(1) is False
    assert fleet.vote.poll(fleet.moment(1), 0).off == 10 * HOUR


def test_half_of_those_online_must_agree() -> None:
    fleet = Fleet(late=10 * HOUR)
    fleet.online = 8
    fleet.say(0, dict.fromkeys(range(3), 0))
    assert fleet.verdict(0) is None
    fleet.say(1, {3: 1})
    assert fleet.verdict(1) is False


def test_devices_without_a_clock_do_not_count_as_online() -> None:
    fleet = Fleet(late=10 * HOUR)
    fleet.online = 9
    fleet.say(0, dict.fromkeys(range(3), 0) | dict.fromkeys(range(3, 9), None))
    assert fleet.verdict(0) is False


def test_devices_whose_clocks_say_different_times_outvote_nobody() -> None:
    fleet = Fleet()
    fleet.say(0, {0: HOUR, 1: 2 * HOUR, 2: 3 * HOUR})
    assert fleet.verdict(0) is None


def test_times_behind_the_clock_count_once_they_advance_as_they_should() -> None:
    fleet = Fleet(late=-3 * 365 * 24 * HOUR)
    fleet.say(0, dict.fromkeys(range(3), 0))
    assert fleet.verdict(0) is None
    fleet.say(6, dict.fromkeys(range(3), 6))
    assert fleet.verdict(6) is False


def test_a_buffer_that_is_sent_again_is_no_vote() -> None:
    """Its times advance faster than the listening clock, or that stands still while the broker's queue drains."""
    fleet = Fleet()
    for second in range(0, 60, 6):
        fleet.say(second, dict.fromkeys(range(3), second * 20 - 40_000))
        assert fleet.verdict(second) is None
    for step in range(10):
        fleet.say(60, dict.fromkeys(range(3, 6), step * 6 - 40_000))
    assert fleet.verdict(60) is None


def test_a_fleet_agrees_once_its_times_advance_as_they_should() -> None:
    fleet = Fleet()
    fleet.say(0, dict.fromkeys(range(3), 0))
    assert fleet.verdict(0) is None
    fleet.say(6, dict.fromkeys(range(3), 6))
    assert fleet.verdict(6) is True


def test_a_wall_clock_that_is_set_right_is_judged_by_what_was_said_before() -> None:
    fleet = Fleet(late=10 * HOUR)
    for second in (0, 6):
        fleet.say(second, dict.fromkeys(range(3), second))
    assert fleet.verdict(6) is False
    fleet.late = 0
    assert fleet.verdict(7) is True


def test_what_was_said_long_ago_does_not_count() -> None:
    fleet = Fleet(late=10 * HOUR)
    fleet.say(0, dict.fromkeys(range(3), 0))
    assert fleet.verdict(HEARD_FOR // 1000) is False
    assert fleet.verdict(HEARD_FOR // 1000 + 1) is None


def test_a_clock_that_is_sure_is_not_voted_on() -> None:
    fleet = Fleet(late=10 * HOUR)
    fleet.say(0, dict.fromkeys(range(3), 0))
    sure = Moment(WALL, 0)
    fleet.vote.observe(np.array([0]), np.array([WALL]), sure)
    assert fleet.verdict(0) is None
    assert not fleet.vote.asks(sure, 5)


class TestWaiting:
    """Messages that need the time wait for the first vote on a clock, and while a device disagrees and may be right."""

    def test_a_clock_is_voted_on_before_any_device_disagrees(self) -> None:
        fleet = Fleet()
        assert fleet.vote.asks(fleet.say(0, {0: None}), 6)
        assert fleet.vote.asks(fleet.say(1, {1: 1, 2: 1}), 6)
        assert not fleet.vote.asks(fleet.say(2, {3: 2}), 6)
        assert not fleet.vote.asks(fleet.say(3, {0: None}), 6)

    def test_a_clock_that_is_ahead_stamps_nothing_until_the_fleet_outvotes_it(self) -> None:
        fleet = Fleet(late=-HOUR)
        for second in range(6):
            said = {0: None} | dict.fromkeys(range(1, 4), second)
            assert fleet.vote.asks(fleet.say(second, said), 4)
            assert fleet.verdict(second) is None or second == 5
        assert fleet.verdict(5) is False

    def test_a_first_vote_that_nobody_decides_ends_and_a_device_that_disagrees_later_calls_for_another(
        self,
    ) -> None:
        fleet = Fleet()
        assert fleet.vote.asks(fleet.say(0, {0: None}), 6)
        late = ASKED_FOR // 1000
        assert not fleet.vote.is_open(fleet.moment(late), 6)
        assert not fleet.vote.asks(fleet.say(late, {0: None}), 6)
        assert fleet.vote.asks(fleet.say(late + 1, {1: HOUR}), 6)

    def test_a_first_vote_ends_where_no_more_messages_may_wait(self) -> None:
        fleet = Fleet()
        assert fleet.vote.asks(fleet.say(0, {0: None}), 6)
        assert not fleet.vote.asks(fleet.say(1, {0: None}), 6, room=False)
        assert not fleet.vote.is_open(fleet.moment(1), 6)
        fleet.say(2, {1: HOUR})
        assert fleet.vote.asks(fleet.moment(2), 6, room=False)
        assert fleet.vote.disputed

    def test_a_fleet_without_clocks_votes_on_nothing_once_that_is_known(self) -> None:
        fleet = Fleet()
        assert fleet.vote.asks(fleet.say(0, {0: None, 1: None}), 5)
        assert fleet.vote.is_open(fleet.moment(0), 5)
        assert not fleet.vote.asks(fleet.say(1, {2: None}), 5)
        assert not fleet.vote.is_open(fleet.moment(1), 5)

    def test_a_clock_that_was_not_trusted_is_voted_on_when_it_is_again(self) -> None:
        fleet = Fleet()
        fleet.say(0, dict.fromkeys(range(3), 0))
        assert not fleet.vote.asks(fleet.moment(100, trusted=False), 3)
        fleet.late = -10 * HOUR
        fleet.say(101, {3: None})
        assert fleet.vote.asks(fleet.moment(101), 4)

    def test_one_device_of_three_calls_for_a_vote_until_the_others_agree(self) -> None:
        fleet = Fleet()
        moment = fleet.say(0, {0: HOUR})
        assert fleet.vote.asks(moment, 6)
        moment = fleet.say(1, {1: 1, 2: 1})
        assert fleet.vote.asks(moment, 6)
        moment = fleet.say(2, {3: 2})
        assert not fleet.vote.asks(moment, 6)

    def test_a_fleet_too_small_for_a_vote_calls_for_none(self) -> None:
        fleet = Fleet()
        assert not fleet.vote.asks(fleet.say(0, {0: HOUR, 1: 0}), 2)
        late = ASKED_FOR // 1000
        assert not fleet.vote.asks(fleet.say(late, {0: HOUR, 1: late}), 2)
        assert fleet.vote.asks(fleet.say(late + 1, {0: HOUR}), 6), "it has grown"

    def test_a_vote_that_is_not_decided_ends(self) -> None:
        fleet = Fleet()
        moment = fleet.say(0, {0: HOUR})
        assert fleet.vote.asks(moment, 6)
        assert fleet.vote.is_open(fleet.moment(ASKED_FOR // 1000 - 1), 6)
        assert not fleet.vote.is_open(fleet.moment(ASKED_FOR // 1000), 6)
        assert not fleet.vote.asks(fleet.say(ASKED_FOR // 1000, {0: HOUR}), 6)

    def test_nothing_waits_for_a_vote_on_a_clock_that_is_not_trusted_anyway(self) -> None:
        fleet = Fleet()
        fleet.say(0, {0: HOUR})
        assert not fleet.vote.asks(fleet.moment(0, trusted=False), 6)

    def test_backlog_calls_for_no_vote(self) -> None:
        fleet = Fleet()
        assert not fleet.vote.asks(fleet.say(0, dict.fromkeys(range(3), 0)), 3)
        later = HEARD_FOR // 1000 + 1
        assert not fleet.vote.asks(fleet.say(later, dict.fromkeys(range(3), -40_000)), 3)


@pytest.mark.parametrize("gone", ["retired", "start"])
def test_what_a_retired_device_or_an_earlier_start_said_is_forgotten(gone: str) -> None:
    fleet = Fleet(late=10 * HOUR)
    fleet.say(0, dict.fromkeys(range(3), 0))
    if gone == "retired":
        fleet.vote.forget(np.array([2, 9]))
    else:
        fleet.vote.begin()
    assert fleet.verdict(0) is None


def test_a_vote_goes_on_where_a_checkpoint_left_it() -> None:
    fleet, again = Fleet(late=10 * HOUR), Fleet(late=10 * HOUR)
    fleet.vote.asks(fleet.say(0, {0: 0}), 6)
    again.vote.restore(fleet.vote.snapshot())
    assert again.vote.is_open(again.moment(ASKED_FOR // 1000 - 1), 6)
    for one in (fleet, again):
        one.say(2, {1: 2, 2: 2})
        assert one.verdict(2) is False
