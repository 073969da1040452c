"""The size that a server accepts is learnt once, and forgotten after a while; cutting keeps lines and their order."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from edge_gateway.sinks.request_size import AGAIN, LEAST, RequestSize
from tests.fakes import ManualClock

KIB = 1 << 10


def lines_of(*sizes: int) -> list[bytes]:
    return [bytes(size) for size in sizes]


def sizes_of(pieces: list[list[bytes]]) -> list[int]:
    return [sum(map(len, piece)) for piece in pieces]


def test_nothing_is_cut_before_something_was_refused() -> None:
    size, lines = RequestSize(ManualClock(0.0)), lines_of(*[KIB] * 1000)
    size.accepted(10)
    assert size.cut(lines) == [lines]


def test_what_is_larger_than_what_was_refused_is_cut_to_what_was_accepted() -> None:
    size, lines = RequestSize(ManualClock(0.0)), lines_of(*[KIB] * 1000)
    for refused in (1000, 500):
        size.refused(refused * KIB)
    size.accepted(250 * KIB)
    size.accepted(100 * KIB)
    assert sizes_of(size.cut(lines)) == [250 * KIB] * 4
    assert sizes_of(size.cut(lines[:600])) == [200 * KIB] * 3, "of about the same size"
    assert sizes_of(size.cut(lines[:400])) == [400 * KIB], "not known to be refused"
    size.refused(400 * KIB)
    assert sizes_of(size.cut(lines[:400])) == [200 * KIB] * 2


def test_what_is_refused_though_it_was_accepted_counts_no_longer() -> None:
    size, lines = RequestSize(ManualClock(0.0)), lines_of(*[KIB] * 1000)
    size.accepted(900 * KIB)
    size.refused(800 * KIB)
    assert max(sizes_of(size.cut(lines))) <= LEAST
    size.accepted(400 * KIB)
    assert max(sizes_of(size.cut(lines))) == 334 * KIB


def test_larger_requests_are_tried_again_after_a_while() -> None:
    clock = ManualClock(0.0)
    size, lines = RequestSize(clock), lines_of(*[KIB] * 1000)
    size.refused(1000 * KIB)
    clock.now = AGAIN - 1
    size.refused(500 * KIB)
    assert len(size.cut(lines)) > 1
    clock.now = AGAIN
    assert size.cut(lines) == [lines]
    size.refused(1000 * KIB)
    assert len(size.cut(lines)) > 1


def test_a_larger_request_that_is_accepted_ends_it() -> None:
    size, lines = RequestSize(ManualClock(0.0)), lines_of(*[KIB] * 1000)
    size.refused(500 * KIB)
    size.accepted(500 * KIB)
    assert size.cut(lines) == [lines]


def test_a_small_request_that_is_refused_tells_nothing_of_sizes() -> None:
    size, lines = RequestSize(ManualClock(0.0)), lines_of(*[KIB] * 1000)
    size.refused(LEAST)
    assert size.cut(lines) == [lines]


@given(
    st.lists(st.integers(1, 300 * KIB), min_size=1, max_size=40),
    st.integers(LEAST + 1, 600 * KIB),
    st.integers(0, 600 * KIB),
)
def test_cutting_keeps_every_line_in_order_and_no_piece_is_empty_or_needlessly_large(
    sizes: list[int], refused: int, accepted: int
) -> None:
    size, lines = RequestSize(ManualClock(0.0)), lines_of(*sizes)
    size.accepted(accepted)
    size.refused(refused)
    pieces = size.cut(lines)
    assert [id(line) for piece in pieces for line in piece] == [id(line) for line in lines]
    assert all(pieces)
    if sum(sizes) >= refused:
        most = max(LEAST, accepted if accepted < refused else 0)
        assert all(len(piece) == 1 or sum(map(len, piece)) <= most for piece in pieces)
