"""How much of the late table one device may have."""

from collections import Counter

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from edge_gateway.windows.late_share import LateShare
from tests.gateway.fleet.states import packed, unpacked

batches = st.lists(st.tuples(st.integers(0, 30), st.lists(st.integers(0, 3), max_size=12)), max_size=10)


def taken(share: LateShare, devices: list[int], now: int) -> list[bool]:
    return [bool(over) for over in share.over(np.array(devices, np.int64), now)]


@settings(max_examples=200, deadline=None)
@given(batches)
def test_a_device_is_refused_what_is_over_its_share_and_nobody_else(
    steps: list[tuple[int, list[int]]],
) -> None:
    share, used, now = LateShare(5), Counter[int](), 0
    for later, devices in steps:
        now += later
        used = Counter({device: max(count - later, 0) for device, count in used.items()})
        expected = []
        for device in devices:
            expected.append(used[device] >= 5)
            used[device] = min(used[device] + 1, 5)
        assert taken(share, devices, now) == expected
        again = LateShare(5)
        again.restore(unpacked(packed(share.snapshot())))
        assert again.nearly_used_up(now).tolist() == share.nearly_used_up(now).tolist()
        share = again


def test_who_comes_near_is_told_until_its_share_has_filled_again() -> None:
    share = LateShare(1_000)
    taken(share, [7] * 799 + [8] * 10, 0)
    assert share.nearly_used_up(0).tolist() == []
    taken(share, [7] * 201, 0)
    assert share.nearly_used_up(0).tolist() == [7]
    assert share.nearly_used_up(200).tolist() == [7]
    assert share.nearly_used_up(201).tolist() == []
    assert share.refused == 0
    share.forget(np.array([7, 64, 100]))
    assert share.nearly_used_up(0).tolist() == []
