"""Links that are cut, flap, or are worse than they should be."""

from typing import Any

import numpy as np
import pytest

from fleet_sim.devices.conditions import Conditions
from tests.sim.faults.field import START, Field


async def test_links_are_cut_and_come_back_within_the_time_given(ground: Field) -> None:
    ground.fault("storm", times=2, every="10s", reconnect={"within": "3s"}, after="1s")
    ground.injection.turn(START + 999)
    assert ground.network.asked == []
    ground.injection.turn(START + 1000)
    waits = [wait for _, _, wait in ground.network.asked]
    assert [index for _, index, _ in ground.network.asked] == [0, 1, 2, 3]
    assert all(0 <= wait <= 3000 for wait in waits)
    assert len(set(waits)) == 4
    ground.injection.turn(START + 11_000)
    assert len(ground.network.asked) == 8
    assert [wait for _, _, wait in ground.network.asked[4:]] != waits


async def test_an_outage_bars_and_lets_in_again(ground: Field) -> None:
    ground.fault("offline", {"device": "frz-00003"}, for_="5s")
    assert ground.injection.next_at() == START
    ground.injection.turn(START)
    ground.injection.turn(START + 5000)
    assert ground.network.asked == [("block", 3), ("unblock", 3)]
    assert ground.injection.next_at() == np.inf


def test_a_link_flaps_as_long_as_its_fault_lasts(ground: Field) -> None:
    ground.fault("flap", {"device": "frz-00001"}, every="10s", down="2s", for_="21s")
    told = []
    for at in range(0, 30_000, 500):
        ground.injection.turn(START + at)
        told += [(at, what) for what, *_ in ground.network.asked]
        ground.network.asked.clear()
    assert told == [
        (0, "block"), (2_000, "unblock"), (10_000, "block"), (12_000, "unblock"),
        (20_000, "block"), (21_000, "unblock"),
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("kind", "settings", "conditions"),
    [
        ("delay", {"by": "300ms"}, Conditions(delay=0.3)),
        ("bandwidth", {"bytes_per_second": 1000}, Conditions(rate=1000)),
        ("black_hole", {}, Conditions(dark=True)),
    ],
)
def test_a_link_is_worse_for_its_time(
    ground: Field, kind: str, settings: dict[str, Any], conditions: Conditions
) -> None:
    fault = ground.fault(kind, {"device": "frz-00002"}, for_="5s", **settings)
    ground.injection.turn(START)
    ground.injection.turn(START + 4_999)
    assert ground.network.asked == [("link", 2, fault.number, conditions)]
    ground.injection.turn(START + 5_000)
    assert ground.network.asked[1:] == [("link", 2, fault.number, None)]
