import itertools
import ssl

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fleet_wire.backoff import classify, delays
from fleet_wire.errors import SESSION_TAKEN_OVER, ConnectionLost, ConnectRefused


def test_delays_double_up_to_the_most() -> None:
    assert list(itertools.islice(delays(1, 10, jitter=0), 6)) == [1, 2, 4, 8, 10, 10]


def test_a_first_delay_above_the_most_is_the_most() -> None:
    assert next(delays(60, 30, jitter=0)) == 30


@given(st.floats(0, 1, exclude_max=True), st.floats(0, 1))
def test_jitter_shortens_by_a_part_and_no_more(chance: float, jitter: float) -> None:
    plain = itertools.islice(delays(0.5, 30, jitter=0), 10)
    shortened = itertools.islice(delays(0.5, 30, jitter=jitter, random=lambda: chance), 10)
    for whole, part in zip(plain, shortened, strict=True):
        assert part == pytest.approx(whole * (1 - jitter * chance))


def test_two_that_start_together_do_not_stay_together() -> None:
    assert list(itertools.islice(delays(), 5)) != list(itertools.islice(delays(), 5))


@pytest.mark.parametrize(
    "reason", [0x81, 0x82, 0x84, 0x85, 0x86, 0x87, 0x8A, 0x8C, 0x90, 0x95, 0x9A, 0x9B, 0x9D, None]
)
def test_a_refusal_somebody_must_see_to_is_fatal(reason: int | None) -> None:
    assert classify(ConnectRefused("no", reason)) == "fatal"


@pytest.mark.parametrize("reason", [0x80, 0x83, 0x88, 0x89, 0x97, 0x9F])
def test_a_refusal_that_passes_is_worth_another_try(reason: int) -> None:
    assert classify(ConnectRefused("not now", reason)) == "retry"


def test_lost_connections_are_retried_but_not_one_that_was_taken_over() -> None:
    assert classify(ConnectionLost("cable cut")) == "retry"
    assert classify(ConnectionLost("shutting down", 0x8B)) == "retry"
    assert classify(ConnectionLost("somebody else", SESSION_TAKEN_OVER)) == "fatal"
    assert classify(ConnectionResetError()) == "retry"
    assert classify(ssl.SSLError("handshake")) == "retry"


def test_a_programming_error_is_not_retried() -> None:
    assert classify(KeyError("x")) == "fatal"
