"""The clock advances only while the gateway is subscribed and has caught up."""

from __future__ import annotations

import msgspec

from edge_gateway.mqtt.caught_up_clock import ECHO_AGAIN, ECHO_EVERY, ECHO_LATE, CaughtUpClock


def test_the_clock_stands_still_until_the_echo_returns() -> None:
    clock = CaughtUpClock()
    assert clock.advance(1_000) == 0
    clock.connected(2_000)
    echo = clock.echo_due(2_000)
    assert echo is not None
    assert clock.advance(5_000) == 0
    clock.echo_received(5_000, echo)
    assert clock.advance(6_000) == 1_000
    assert clock.caught_up


def test_an_outage_does_not_count_as_silence() -> None:
    clock = CaughtUpClock(elapsed=500)
    clock.connected(0)
    clock.echo_due(0)
    clock.echo_received(10, msgspec.msgpack.encode(0))
    clock.advance(10)
    assert clock.advance(1_010) == 1_500
    clock.disconnected()
    assert clock.advance(100_000) == 1_500
    clock.connected(200_000)
    assert clock.advance(201_000) == 1_500


def test_a_late_echo_means_the_gateway_is_behind() -> None:
    clock = CaughtUpClock()
    clock.connected(0)
    clock.echo_due(0)
    clock.echo_received(5, msgspec.msgpack.encode(0))
    clock.advance(5)
    assert clock.echo_due(1_000)
    assert clock.advance(1_000) == 995
    assert clock.advance(2_000) == 1_995
    assert clock.advance(1_000 + ECHO_LATE) == 995 + ECHO_LATE
    assert clock.advance(9_000) == 995 + ECHO_LATE
    assert clock.lag(9_000) == 8_000
    clock.echo_received(9_000, msgspec.msgpack.encode(1000))
    assert clock.advance(9_500) == 995 + ECHO_LATE + 500


def test_a_gateway_that_was_suspended_has_heard_nobody_meanwhile() -> None:
    """SIGSTOP, a suspended machine or swap: at most the time between two echoes counts as silence."""
    clock = CaughtUpClock()
    clock.connected(0)
    clock.echo_due(0)
    clock.echo_received(10, msgspec.msgpack.encode(0))
    assert clock.advance(500) == 490
    assert clock.advance(20_500) == 490 + ECHO_EVERY
    assert clock.advance(20_750) == 490 + ECHO_EVERY + 250


def test_one_echo_at_a_time_and_only_when_subscribed() -> None:
    clock = CaughtUpClock()
    assert not clock.echo_due(0)
    clock.connected(0)
    assert clock.echo_due(0)
    assert not clock.echo_due(1)
    clock.echo_received(2, msgspec.msgpack.encode(0))
    assert clock.echo_due(3)


def test_an_echo_of_an_earlier_connection_is_ignored() -> None:
    clock = CaughtUpClock()
    clock.connected(0)
    old = clock.echo_due(0)
    assert old is not None
    clock.disconnected()
    clock.connected(5_000)
    clock.echo_received(5_001, old)
    assert not clock.caught_up
    new = clock.echo_due(5_002)
    assert new is not None
    clock.echo_received(5_003, old)
    assert not clock.caught_up
    clock.echo_received(5_004, new)
    assert clock.caught_up


def test_a_monotonic_clock_that_jumps_back_never_takes_time_away() -> None:
    clock = CaughtUpClock()
    clock.connected(1_000)
    clock.echo_due(1_000)
    clock.echo_received(1_000, msgspec.msgpack.encode(1000))
    assert clock.advance(2_000) == 1_000
    assert clock.advance(1_500) == 1_000


def test_an_echo_that_the_broker_dropped_is_followed_by_another() -> None:
    clock = CaughtUpClock()
    clock.connected(0)
    clock.echo_received(5, clock.echo_due(0) or b"")
    assert clock.echo_due(1_000), "this one is lost"
    assert [clock.echo_due(at) is None for at in (2_000, 1_000 + ECHO_AGAIN - 1)] == [True, True]
    again = clock.echo_due(1_000 + ECHO_AGAIN)
    assert again is not None
    assert clock.is_behind(6_000)
    assert clock.lag(6_000) == 5_000
    clock.echo_received(6_010, again)
    assert (clock.lag(6_010), clock.is_behind(6_010)) == (10, False)
    stood = clock.advance(6_010)
    assert clock.advance(6_510) == stood + 500
    assert clock.echo_due(7_000)


def test_of_several_echoes_that_are_out_each_tells_how_far_the_gateway_is_behind() -> None:
    clock = CaughtUpClock()
    clock.connected(0)
    first, second = clock.echo_due(0), clock.echo_due(ECHO_AGAIN)
    assert first is not None
    assert second is not None
    clock.echo_received(20_000, first)
    assert (clock.lag(20_000), clock.caught_up, clock.is_behind(20_000)) == (20_000, True, True)
    assert clock.advance(20_500) == 0
    clock.echo_received(20_600, second)
    assert (clock.lag(20_600), clock.is_behind(20_600)) == (15_600, False)
    clock.echo_received(20_700, first)
    assert clock.lag(20_700) == 15_600, "an echo counts once"
