"""Devices that start anew."""

import pytest

from tests.sim.faults.field import START, Field


@pytest.mark.parametrize(("kind", "keep"), [("reboot", True), ("crash", False)])
async def test_restarts_keep_or_lose_the_buffer(ground: Field, kind: str, *, keep: bool) -> None:
    ground.fault(kind, {"device": "frz-00000"}, takes="2s")
    ground.injection.turn(START)
    assert ground.network.asked == [("restart", 0, 2000, keep)]


def test_a_dead_battery_is_changed_at_the_end(ground: Field) -> None:
    ground.fault("battery_death", {"device": "frz-00000"}, for_="5s")
    ground.injection.turn(START + 4_999)
    assert ground.network.asked == [("die", 0)]
    ground.injection.turn(START + 5_000)
    assert ground.network.asked[1:] == [("restart", 0, 0.0, False)]
