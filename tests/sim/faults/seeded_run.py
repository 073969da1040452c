"""A fleet without a network and without a clock of its own: everything it does is a function of the scenario."""

from __future__ import annotations

import asyncio
import hashlib
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from fleet_config.yaml_source import parse_yaml
from fleet_sim.devices.emission import Emission
from fleet_sim.devices.pacing import SimClock
from fleet_sim.devices.world import World
from fleet_sim.faults.injection import FaultInjection
from fleet_sim.ledger.writing import LedgerWriter
from fleet_sim.noise import device_keys
from fleet_sim.runtime.building import build, describe_fault
from fleet_sim.scenario.loading import read_scenario
from fleet_sim.scenario.planning import plan_devices, plan_faults
from tests.sim.wires import Wire

if TYPE_CHECKING:
    from pathlib import Path

    from fleet_sim.devices.device import Device

START = 1_767_225_600_000  # 2026-01-01
SECONDS = 60
FLEET = """
version: 1
name: seeded
seed: 42
fleet:
  box:
    count: 6
    site: [berlin, lyon]
    interval: {every: 1s, jitter: 10%}
    metrics:
      air: {model: thermal, setpoint: -18, ambient: 20, lag: 1m, noise: 0.1, precision: 0.01}
      flow: {model: sine, mean: 10, amplitude: 5, period: 20s, noise: 0.2, precision: 0.01}
      door: {model: states, stay: {closed: 10s, open: 5s}}
"""


@dataclass
class ObedientNetwork:
    """Does at once what faults ask for, and notes it; a device that was cut is back in the next step."""

    wires: dict[int, Wire]
    asked: list[tuple[Any, ...]] = field(default_factory=list)
    away: set[int] = field(default_factory=set)

    def cut(self, device: Device, back_ms: float) -> None:
        self.asked.append(("cut", device.index, round(back_ms, 6)))
        device.online = False

    def block(self, device: Device) -> None:
        self.asked.append(("block", device.index))
        self.away.add(device.index)
        device.online = False

    def unblock(self, device: Device) -> None:
        self.asked.append(("unblock", device.index))
        self.away.discard(device.index)

    def restart(self, device: Device, *, takes_ms: float, keep: bool) -> None:
        self.asked.append(("restart", device.index, takes_ms, keep))
        self.away.discard(device.index)
        device.alive = True
        device.online = False
        device.restart(device.outbox.boot + 1, keep=keep)

    def die(self, device: Device) -> None:
        self.asked.append(("die", device.index))
        self.away.add(device.index)
        device.online = device.alive = False

    def link(self, device: Device, fault: int, conditions: Any) -> None:
        self.asked.append(("link", device.index, fault, conditions and tuple(conditions)))

    def bring_up(self, devices: list[Device]) -> None:
        for device in devices:
            if device.alive and device.index not in self.away and not device.online:
                device.online = device.started = True
                device.drain(1_000)


def run(faults: str, directory: Path) -> dict[str, Any]:
    """Run the fleet with `faults` (entries of a scenario's list) for a minute, and return all that came of it."""
    made = read_scenario(parse_yaml(f"{FLEET}faults:\n{faults}\n", "seeded.yaml"), overrides=[], env={})
    plans = plan_devices(made)
    planned = plan_faults(made, plans)
    now = [0]
    loop = asyncio.new_event_loop()
    with LedgerWriter(directory) as ledger:
        world = World.of(ledger, loop, lambda: (START + now[0]) * 1000, lambda: START + now[0])
        fleet = build(made, plans, planned, world, start_ms=START, boot=7, qos=1, apply=lambda *_: None)
        wires = {device.index: Wire() for device in fleet.devices}
        for device in fleet.devices:
            device.session = wires[device.index]
        network = ObedientNetwork(wires)
        keys = device_keys(made.seed, [plan.id for plan in plans])
        injection = FaultInjection(fleet.devices, keys, network, START)
        injection.add(planned)
        emission = Emission(fleet.flows, injection, world.counters, start_ms=START)
        clock = SimClock(START / 1000, START)
        for at in range(0, SECONDS * 1000, 100):
            now[0] = at
            network.bring_up(fleet.devices)
            injection.turn(START + at)
            emission.advance(START + at, world.now_us, clock)
            for wire in wires.values():
                wire.answer()
        injection.end()
        emission.finish()
        counters = world.counters.as_dict()
        tables = {name: list(ledger.table(name)) for name in ("sends", "acks", "drops")}
        columns = [
            {
                name: column.tolist()
                for name, column in (("ts", c.ts), ("sent", c.sent), ("present", c.present))
            }
            for c in (flow.columns for flow in fleet.flows)
        ]
    loop.close()
    return {
        "faults": [describe_fault(fault, START) for fault in planned],
        "network": network.asked,
        "counters": counters,
        "tables": tables,
        "columns": columns,
        "sent": [wire.sent for wire in wires.values()],
    }


def digest(found: dict[str, Any]) -> str:
    """Sum up a run in a few characters; the same for the same bytes."""
    return hashlib.sha256(repr(found).encode()).hexdigest()[:16]
