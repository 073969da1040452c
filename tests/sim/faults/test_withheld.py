"""Messages that faults keep back are not given up."""

from typing import Any

import pytest

from fleet_wire.control_messages import decode_status
from tests.sim.faults.field import Field


@pytest.mark.parametrize(("kind", "settings"), [("late_batch", {"hold": "1s"}), ("reorder", {"by": 3})])
async def test_a_birth_does_not_give_up_what_is_held_back(
    ground: Field, kind: str, settings: dict[str, Any]
) -> None:
    ground.fault(kind, for_="2s", **settings)
    for seq in (0, 1):
        ground.send(1, seq)
    device = ground.devices[1]
    assert (decode_status(device.birth()).floor, device.outbox.next) == (0, 2)  # type: ignore[union-attr]
    ground.injection.end()
    for seq in (0, 1):
        device.outbox.acked(seq)
    device.outbox.receipt(1, (), 0)
    assert decode_status(device.birth()).floor == 2  # type: ignore[union-attr]
