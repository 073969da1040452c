"""What a fault does to its devices reaches the network, device by device."""

import numpy as np

from fleet_sim.devices.conditions import Conditions
from fleet_sim.faults.targets import Targets
from fleet_sim.faults.withheld import Withheld
from fleet_sim.noise import device_keys
from tests.sim.faults.field import Field


def targets(ground: Field) -> Targets:
    chosen = ground.devices[1:3]
    keys = device_keys(1, [device.identity.id for device in chosen])
    return Targets(5, chosen, np.asarray(keys), ground.network, Withheld(ground.devices))


async def test_each_of_the_devices_is_meant_and_no_other(ground: Field) -> None:
    fault, bad = targets(ground), Conditions(delay=0.1)
    fault.block()
    fault.unblock()
    fault.link(bad)
    fault.link(None)
    fault.die()
    fault.restart(3.0, keep=True)
    assert ground.network.asked == [
        ("block", 1), ("block", 2), ("unblock", 1), ("unblock", 2),
        ("link", 1, 5, bad), ("link", 2, 5, bad), ("link", 1, 5, None), ("link", 2, 5, None),
        ("die", 1), ("die", 2), ("restart", 1, 3.0, True), ("restart", 2, 3.0, True),
    ]  # fmt: skip


async def test_each_device_is_back_at_its_own_moment_and_at_another_the_next_time(ground: Field) -> None:
    fault = targets(ground)
    for turn in (0, 1, 0):
        fault.cut(10_000, turn)
    waits = [back for _, _, back in ground.network.asked]
    assert all(0 <= wait <= 10_000 for wait in waits)
    assert waits[:2] == waits[4:]
    assert len(set(waits[:4])) == 4
