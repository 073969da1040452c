"""Late readings in the form in which the store takes them."""

import numpy as np

from edge_gateway.columns.frame import Frame
from edge_gateway.fleet.registry import Registry
from edge_gateway.fold.late_values import late_states, late_values, merged_nowhere
from edge_gateway.windows.late import LateReadings
from edge_gateway.windows.reduce import Readings

BASE_MS = 60_000


def registry() -> Registry:
    one = Registry()
    device = one.device("berlin", "dev")
    assert isinstance(device, int)
    one.table.series(device, one.table.metric("heat"))
    return one


def frame(*ts: int) -> Frame:
    """One message of a device for each time, with one number."""
    rows = np.arange(len(ts))
    zero, none = np.zeros(len(ts), np.int64), np.empty(0, np.int64)
    return Frame(
        *(len(ts), zero, zero + 3, rows, np.array(ts), np.array(ts), zero > 0, rows, zero),
        rows.astype(np.float64) + 0.5,
        np.full(len(ts), 1000, np.uint16),
        *(none, none, none),
    )


def late(*rows: int) -> LateReadings:
    chosen = np.array(rows)
    readings = Readings(chosen * 0, chosen + 100, chosen + 1.0, np.full(len(rows), 900, np.uint16))
    return LateReadings(chosen, chosen * 0, chosen * 0 + 1, readings)


def test_late_numbers_keep_the_numbers_of_their_rows_in_the_frame() -> None:
    whole = late_values(late(0, 1, 2), np.zeros(3, np.int64), frame(5, 5, 5))
    some = late_values(late(2), np.array([7]), frame(5, 5, 5))
    assert len(set(whole.nth.tolist())) == 3
    assert some.nth.tolist() == whole.nth[2:].tolist()
    assert (some.ts.tolist(), some.value.tolist(), some.versions.tolist()) == ([102], [3.0], [7])
    assert (some.quality.tolist(), some.tiers.tolist()) == ([900], [1])


def test_late_texts_are_codes() -> None:
    found = late_states(late(0, 2), np.array([4, 5]))
    assert (found.code.tolist(), found.ts.tolist()) == ([1, 3], [100, 102])
    assert (found.versions.tolist(), found.tiers.tolist()) == ([4, 5], [1, 1])


def test_what_is_merged_nowhere_has_no_tiers_and_the_tags_of_its_window() -> None:
    found = merged_nowhere(frame(5, 70_000), registry(), BASE_MS)
    assert (found.ts.tolist(), found.value.tolist()) == ([5, 70_000], [0.5, 1.5])
    assert (found.tiers.tolist(), found.versions.tolist()) == ([0, 0], [0, 0])
    assert len(set(found.nth.tolist())) == 2
