"""From when on windows are complete after a loss, also under a clock that was wrong then."""

from __future__ import annotations

import pytest

from edge_gateway.fold.completeness import ALWAYS, Completeness
from edge_gateway.records.inputs import Moment

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
