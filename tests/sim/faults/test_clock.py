"""Clocks that are wrong."""

import numpy as np

from tests.sim.faults.field import START, Field


async def test_clocks_are_off_by_what_the_fault_says(ground: Field) -> None:
    ground.fault("clock_skew", {"device": "frz-00001"}, offset="90s", drift="60ms/m")
    ground.fault("clock_jump", {"device": "frz-00002"}, by="-5s", after="10s", for_="10s")
    at = [int(START) + 60_000] * 4
    assert (np.array(ground.injection.stamps(ground.devices, at)) - at).tolist() == [0, 90_060, 0, 0]
    at = [int(START) + 10_000] * 4
    assert (np.array(ground.injection.stamps(ground.devices, at)) - at).tolist() == [0, 90_010, -5_000, 0]
