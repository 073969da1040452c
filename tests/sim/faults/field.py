"""Devices on wires of their own, and the faults on them; a network that notes what it is asked for."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import count
from typing import Any

from fleet_sim.devices.conditions import Conditions
from fleet_sim.devices.device import Device
from fleet_sim.devices.emission import Block, Message
from fleet_sim.faults.injection import FaultInjection
from fleet_sim.faults.plan import PlannedFault, plan_now
from fleet_sim.scenario.loading import load_scenario
from fleet_sim.scenario.planning import plan_devices
from fleet_sim.signals.group import Sample
from tests.sim.wires import Wire

START = 1_700_000_000_000.0

NOTHING = Sample({})
SCENARIO = load_scenario("cold-chain", overrides=("fleet.freezer.count=4", "faults=[]"), env={})


@dataclass
class Network:
    """Notes what it is asked for."""

    asked: list[tuple[Any, ...]] = field(default_factory=list)

    def cut(self, device: Device, back_ms: float) -> None:
        self.asked.append(("cut", device.index, round(back_ms)))

    def block(self, device: Device) -> None:
        self.asked.append(("block", device.index))

    def unblock(self, device: Device) -> None:
        self.asked.append(("unblock", device.index))

    def restart(self, device: Device, *, takes_ms: float, keep: bool) -> None:
        self.asked.append(("restart", device.index, takes_ms, keep))

    def die(self, device: Device) -> None:
        self.asked.append(("die", device.index))

    def link(self, device: Device, fault: int, conditions: Conditions | None) -> None:
        self.asked.append(("link", device.index, fault, conditions))


@dataclass
class Field:
    """Four devices, online on wires of their own, and the faults on them."""

    devices: list[Device]
    wires: list[Wire]
    network: Network
    injection: FaultInjection
    numbers: Iterator[int] = field(default_factory=count)

    def fault(self, kind: str, match: dict[str, Any] | None = None, **settings: Any) -> PlannedFault:
        plans = plan_devices(SCENARIO)
        words = {name.rstrip("_"): value for name, value in settings.items()}
        described = {"kind": kind, "match": match or {}, **words}
        planned = plan_now(next(self.numbers), described, plans, 1, 0)
        self.injection.add([planned])
        return planned

    def send(self, device: int, seq: int, at_ms: int = 0) -> Message:
        target = self.devices[device]
        block = Block([target], [int(START) + at_ms], [int(START) + at_ms], NOTHING)
        target.outbox.next = seq + 1
        message = Message(int(START) + at_ms, target, seq, 0, b"%d" % seq, block, 0)
        self.injection.send(message, 5)
        return message
