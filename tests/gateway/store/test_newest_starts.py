"""What starts behind the bound of its series is new; nothing that is stored ever does."""

import numpy as np
from numpy.typing import NDArray

from edge_gateway.store.newest_starts import NewestStarts


def ints(*numbers: int) -> NDArray[np.int64]:
    return np.array(numbers, np.int64)


def test_a_series_begins_with_the_bound_of_its_tier() -> None:
    newest = NewestStarts({0: 50})
    assert newest.behind(0, ints(1, 1, 99), ints(50, 51, 51)).tolist() == [False, True, True]
    assert newest.behind(1, ints(1), ints(-5)).tolist() == [True], "nothing is stored there"


def test_a_bound_only_grows_and_each_tier_and_series_has_its_own() -> None:
    newest = NewestStarts({})
    newest.note(0, ints(3, 3, 5), ints(40, 20, 10))
    newest.note(0, ints(3), ints(30))
    assert newest.behind(0, ints(3, 3, 5, 4), ints(40, 41, 11, -9)).tolist() == [False, True, True, True]
    assert newest.behind(1, ints(3), ints(1)).tolist() == [True]


def test_a_rollback_takes_the_bounds_back() -> None:
    newest = NewestStarts({})
    newest.note(0, ints(1), ints(10))
    newest.snapshot()
    newest.note(0, ints(1, 1, 2_000), ints(20, 30, 5))
    newest.note(0, ints(1), ints(40))
    newest.restore(None)
    assert newest.behind(0, ints(1, 1, 2_000), ints(10, 11, 5)).tolist() == [False, True, True]
