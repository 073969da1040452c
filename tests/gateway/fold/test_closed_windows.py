"""Closed windows on their way to the store: whole and partial ones apart, each with the tags of its time."""

from typing import cast

import numpy as np

from edge_gateway.columns.frame import IntColumn
from edge_gateway.fleet.registry import Registry
from edge_gateway.fold.closed_windows import stored_states, stored_windows
from edge_gateway.windows.closed import Closed
from edge_gateway.windows.reduce import Readings, rows_of_states, rows_of_values
from edge_gateway.windows.rows import TierRows
from edge_gateway.windows.tail import Tail

EVERY = 1_000


class Tagged:
    """Stands for a registry in which series 0 is of device 7, whose tags change with each window."""

    series_device = np.array([7])

    def tag_versions(self, device: IntColumn, ts: IntColumn) -> IntColumn:
        assert device.tolist() == [7] * len(ts)
        return ts // EVERY


REGISTRY = cast("Registry", Tagged())


def readings(*ts: int) -> Readings:
    none = np.zeros(len(ts), np.int64)
    return Readings(none, np.array(ts, np.int64), none.astype(np.float64), none.astype(np.uint16))


def test_windows_from_before_the_state_was_lost_are_partial_and_keep_their_tails() -> None:
    rows = rows_of_values(EVERY, readings(0, 1_000, 2_000)).rows
    tails = {(0, 0): Tail(), (0, 2): Tail()}
    whole, partial = stored_windows(Closed(numeric=(TierRows(0, rows),), tails=tails), REGISTRY, 2_000)
    assert (whole.partial, whole.rows["start"].tolist(), whole.versions.tolist()) == (False, [2_000], [2])
    assert (partial.partial, partial.versions.tolist()) == (True, [0, 1])
    assert (list(whole.tails), list(partial.tails)) == ([0], [0])


def test_where_nothing_was_lost_a_tier_is_one_piece() -> None:
    rows = rows_of_values(EVERY, readings(0, 1_000)).rows
    (whole,) = stored_windows(Closed(numeric=(TierRows(1, rows),)), REGISTRY, 0)
    assert (whole.tier, len(whole.rows), whole.partial) == (1, 2, False)


def test_windows_of_texts_have_the_tags_of_their_time() -> None:
    rows = rows_of_states(EVERY, readings(3_000, 4_000)).rows
    (states,) = stored_states(Closed(states=(TierRows(0, rows),)), REGISTRY)
    assert (states.tier, states.versions.tolist()) == (0, [3, 4])
