"""What a device ever closed is never lowered, and follows it through retirement; trims say what is given up."""

import numpy as np
import pytest

from edge_gateway.records.codec import pack, unpack
from edge_gateway.records.store_effects import BEHIND, OVER_SHARE
from edge_gateway.windows import ever_closed
from edge_gateway.windows.ever_closed import EverClosed, EverClosedTiers

EVERY = 10


def ints(*values: int) -> np.ndarray[tuple[int], np.dtype[np.int64]]:
    return np.array(values, np.int64)


def again(ever: EverClosed, device: int, start: int) -> bool:
    found = ever.again(ints(device), ints(start))
    return found is not None and bool(found[0])


def gone(ever: EverClosed, device: int, ts: int) -> bool:
    return bool(ever.gone(ints(device), ints(ts))[0])


def test_what_starts_before_the_newest_end_may_have_been_closed() -> None:
    ever = EverClosed(EVERY)
    assert not again(ever, 3, 0)
    ever.closed(ints(3, 3), ints(20, 30))
    ever.closed(ints(3), 10)
    assert [again(ever, 3, start) for start in (10, 20, 30)] == [True, True, False]
    assert not again(ever, 2, 0), "of another device"
    assert ever.again(ints(2, 3), ints(0, 0)).tolist() == [False, True]  # type: ignore[union-attr]
    assert ever.again(ints(), ints()) is None


def test_a_trim_gives_up_what_was_closed_by_then_and_no_more() -> None:
    """What a device closes behind the cut later, such as the buffer of hours offline, is there until the next trim."""
    ever = EverClosed(EVERY)
    ever.closed(ints(0, 1), ints(30, 200))
    ever.trim(100)
    assert [gone(ever, 0, ts) for ts in (29, 30, 99)] == [True, False, False]
    assert [gone(ever, 1, ts) for ts in (29, 99, 100)] == [True, True, False]
    ever.closed(ints(0), ints(90))
    assert not gone(ever, 0, 50)
    ever.trim(110)
    assert gone(ever, 0, 50)
    assert not gone(ever, 0, 90)
    ever.trim(0)
    assert gone(ever, 0, 50), "a cut never goes back"


def test_a_reading_is_gone_with_the_window_it_belongs_to() -> None:
    ever = EverClosed(EVERY)
    ever.closed(ints(0), 45)
    ever.trim(45)
    assert [gone(ever, 0, ts) for ts in (44, 45, 49, 50)] == [True, True, True, False]


def test_windows_before_the_end_of_a_silence_are_known_apart() -> None:
    """What a device kept while it was silent is first, though live windows closed and a trim came meanwhile."""
    ever = EverClosed(EVERY)
    ever.closed(ints(0), 30)
    ever.trim(20)
    ever.silence(ints(0), ints(1_000))
    ever.closed(ints(0), 1_050)
    ever.trim(900)
    assert [again(ever, 0, start) for start in (20, 30, 990, 1_000, 1_040, 1_050)] == [
        True,
        False,
        False,
        True,
        True,
        False,
    ]
    assert [gone(ever, 0, ts) for ts in (29, 30, 989)] == [True, False, False]
    ever.closed(ints(0, 0), ints(100, 200))
    assert [again(ever, 0, start) for start in (190, 200)] == [True, False]
    assert not gone(ever, 0, 190), "closed behind the cut"
    ever.trim(910)
    assert [gone(ever, 0, ts) for ts in (199, 200)] == [True, False]


def test_a_window_across_the_end_of_a_silence_is_one_of_the_newest() -> None:
    ever = EverClosed(EVERY)
    ever.silence(ints(0), ints(1_005))
    ever.closed(ints(0), 1_010)
    assert [again(ever, 0, start) for start in (990, 1_000)] == [False, True]


def test_what_was_closed_before_a_silence_is_not_forgotten() -> None:
    """A clock that stepped back leads through windows that were closed."""
    ever = EverClosed(EVERY)
    ever.closed(ints(0), 500)
    ever.silence(ints(0), ints(1_000))
    ever.silence(ints(0), ints(400))
    assert [again(ever, 0, start) for start in (390, 490, 500)] == [True, True, False]


def test_a_silence_ends_with_its_device() -> None:
    ever = EverClosed(EVERY)
    ever.closed(ints(0), 30)
    ever.silence(ints(0), ints(1_000))
    ever.closed(ints(0), 2_000)
    ever.forget({0: "old"})
    ever.begin(0, "old")
    assert again(ever, 0, 500)


def test_after_a_loss_late_readings_of_windows_before_it_are_refused() -> None:
    """Others are not: their windows are partial, and told as such."""
    ever = EverClosed(EVERY)
    ever.lose_before(45)
    assert ever.closed_unknown(ints(49, 50)).tolist() == [True, False]
    assert not gone(ever, 0, 0)


def test_a_retired_device_that_comes_back_has_closed_what_it_had() -> None:
    ever = EverClosed(EVERY)
    ever.begin(0, "old")
    ever.closed(ints(0), 30)
    ever.forget({0: "old", 9: "never seen"})
    ever.begin(0, "other")
    assert not again(ever, 0, 0)
    ever.trim(20)
    ever.begin(1, "old")
    assert [again(ever, 1, start) for start in (20, 30)] == [True, False]
    assert [gone(ever, 1, ts) for ts in (19, 20)] == [True, False]


def test_beyond_the_remembered_ones_any_new_device_may_be_one_that_was_retired(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(ever_closed, "REMEMBERED", 1)
    ever = EverClosed(EVERY)
    ever.closed(ints(0, 1), ints(30, 70))
    ever.forget({0: "first", 1: "second"})
    ever.begin(2, "new")
    assert [again(ever, 2, start) for start in (20, 30)] == [True, False]
    ever.begin(3, "second")
    assert again(ever, 3, 60)


def test_a_late_reading_counts_as_closed_in_the_tiers_that_merge_it() -> None:
    tiers = EverClosedTiers((10, 50))
    tiers.merged_late(ints(0, 1, 2, 3), ints(5, 5, 5, 5), ints(0b01, 0b11, OVER_SHARE, BEHIND))
    found = [[again(tier, device, 0) for device in range(4)] for tier in tiers.tiers]
    assert found == [[True, True, False, False], [False, True, False, False]]
    assert again(tiers.tiers[1], 1, 40)


def test_what_one_tier_gave_up_is_gone() -> None:
    tiers = EverClosedTiers((10, 50))
    tiers.tiers[1].closed(ints(0), 100)
    tiers.trim((0, 50))
    assert tiers.gone(ints(0, 0), ints(49, 50)).tolist() == [True, False]
    tiers.lose_before(60)
    assert tiers.gone(ints(0, 0), ints(59, 60)).tolist() == [True, False]


def test_the_state_is_restored_whole() -> None:
    tiers = EverClosedTiers((10, 50))
    tiers.begin(0, "a")
    tiers.tiers[0].closed(ints(0), 30)
    tiers.trim((20, 0))
    tiers.silence(ints(0), ints(1_000))
    tiers.forget({0: "a"})
    restored = EverClosedTiers((10, 50))
    restored.restore(unpack(pack(tiers.snapshot())))
    assert pack(restored.snapshot()) == pack(tiers.snapshot())
    restored.begin(4, "a")
    assert again(restored.tiers[0], 4, 20)
    assert gone(restored.tiers[0], 4, 19)
