"""From when on windows are complete after a loss, also under a clock that was wrong then."""

from __future__ import annotations

import numpy as np
import pytest

from edge_gateway.fold.completeness import ALWAYS, Completeness
from edge_gateway.records import codec
from edge_gateway.records.inputs import Moment
from edge_gateway.records.window_block import STATE_ROW, WINDOW_ROW, WindowBlock, empty_rows
from edge_gateway.windows.closed import Closed, TierBlock
from edge_gateway.windows.in_use import InUse

NOW = 1_800_000_000_000
YEAR = 365 * 86_400_000


def test_nothing_is_partial_before_a_loss() -> None:
    whole = Completeness()
    whole.correct(Moment(NOW, 0, least=NOW))
    assert whole.since == ALWAYS


@pytest.mark.parametrize("wrong", [NOW + 3 * YEAR, NOW - 36_000_000])
def test_a_loss_under_an_unsure_clock_is_moved_to_the_right_time(wrong: int) -> None:
    lossy = Completeness()
    lossy.lost(Moment(wrong, 0, least=NOW - 500))
    assert lossy.since == wrong
    again = Completeness()
    again.restore(lossy.snapshot())
    for _ in range(2):
        again.correct(Moment(NOW + 60_000, 60_000, least=NOW + 59_500))
        assert again.since == NOW


def test_a_loss_under_a_sure_clock_stays_where_it_is() -> None:
    lossy = Completeness()
    lossy.lost(Moment(NOW, 0))
    lossy.correct(Moment(NOW + 60_000, 60_000, least=0))
    assert lossy.since == NOW


def test_until_a_loss_is_told_no_window_is_complete_not_even_after_a_restart() -> None:
    found = Completeness(untold=True)
    again = Completeness()
    assert again.whole_from == ALWAYS
    again.restore(found.snapshot())
    assert again.whole_from > NOW + 100 * YEAR
    again.lost(Moment(NOW, 0))
    assert (again.untold, again.whole_from) == (False, NOW)


def left(series: int) -> Closed:
    """A window of numbers of a series, and one of texts of the next, from code 7 to code 8."""
    numbers, states = empty_rows(WINDOW_ROW, 1), empty_rows(STATE_ROW, 1)
    numbers["series"], states["series"] = series, series + 1
    states["first"], states["last"] = 7, 8
    return Closed((TierBlock(0, WindowBlock(numbers)),), (TierBlock(0, WindowBlock(states)),))


def test_what_no_record_has_waits_for_the_loss_to_be_told_also_over_a_restart() -> None:
    lossy, again = Completeness(), Completeness()
    lossy.keep_unrecorded(Closed())
    assert lossy == Completeness()
    lossy.keep_unrecorded(left(1))
    lossy.keep_unrecorded(left(3))
    assert lossy.untold
    again.restore(codec.decode(codec.encode(lossy.snapshot())))
    held = again.also_in_use(InUse(np.zeros(6, np.bool_), {1}))
    assert held.series.tolist() == [False, True, True, True, True, False]
    assert held.texts == {1, 7, 8}
    taken = again.take_unrecorded()
    assert [int(one.rows["series"][0]) for one in taken.numbers] == [1, 3]
    assert [int(one.rows["series"][0]) for one in taken.states] == [2, 4]
    assert not again.take_unrecorded()
