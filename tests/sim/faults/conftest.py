"""Four devices in the field."""

import asyncio
from pathlib import Path

import pytest

from fleet_sim.devices.device import Device
from fleet_sim.devices.world import DeviceGroup, Identity, World
from fleet_sim.faults.injection import FaultInjection
from fleet_sim.ledger.writing import LedgerWriter
from fleet_sim.noise import device_keys
from fleet_sim.scenario.planning import plan_devices
from tests.sim.faults.field import SCENARIO, START, Field, Network
from tests.sim.wires import Wire


@pytest.fixture
async def ground(tmp_path: Path) -> Field:
    ledger = LedgerWriter(tmp_path / "run")
    world = World.of(ledger, asyncio.get_running_loop(), lambda: 7_000, lambda: 7)
    group = DeviceGroup("freezer", {}, {}, lambda *_: None, room=50, drop="oldest", replay_rate=1.0)
    plans = plan_devices(SCENARIO)
    devices = [
        Device(world, group, Identity(plan.id, plan.site, "f", {}), index=i, row=i, boot=3)
        for i, plan in enumerate(plans)
    ]
    wires = [Wire() for _ in devices]
    for device, wire in zip(devices, wires, strict=True):
        device.session, device.online, device.started = wire, True, True
    network = Network()
    injection = FaultInjection(devices, device_keys(1, [plan.id for plan in plans]), network, START)
    ledger.close()
    return Field(devices, wires, network, injection)
