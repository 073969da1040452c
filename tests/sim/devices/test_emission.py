"""From deadlines to messages: numbered, encoded, sent on time, and written to the ledger."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from fleet_sim.devices.device import Device
from fleet_sim.devices.emission import LOOK_AHEAD_MS, Block, Emission, GroupFlow, Message
from fleet_sim.devices.pacing import Pacer, SimClock
from fleet_sim.devices.world import DeviceGroup, Identity, World
from fleet_sim.ledger.reading import Readings, read_ledger
from fleet_sim.ledger.writing import LedgerWriter
from fleet_sim.signals.group import Sample
from fleet_wire.telemetry import Telemetry, decode_telemetry
from tests.fakes import ManualClock
from tests.sim.wires import Wire

START = 1_700_000_000_000
EVERY = 1_000


class Signals:
    """Measures the tick as `t`, on odd ticks nothing, and a door that is always shut."""

    def sample(self, rows: Any, ticks: Any, at_ms: Any, /) -> Sample:
        made = Sample({"t": ticks.astype(float).tolist(), "door": ["shut"] * len(ticks)})
        odd = ticks % 2 == 1
        if odd.any():
            made.absent["t"] = odd
        if (rows == 2).any():
            made.quality["t"] = [0.5 if row == 2 else 1.0 for row in rows.tolist()]
        del at_ms
        return made


@dataclass
class Interference:
    """Interferes with the devices it is told of: shifts their clocks, corrupts or takes their messages."""

    ahead: dict[int, int] = field(default_factory=dict)
    corrupted: set[int] = field(default_factory=set)
    intercepted: set[int] = field(default_factory=set)
    taken: list[Message] = field(default_factory=list)

    def stamps(self, devices: Sequence[Device], at: Sequence[int]) -> list[int]:
        return [when + self.ahead.get(device.index, 0) for device, when in zip(devices, at, strict=True)]

    @property
    def corrupts(self) -> bool:
        return bool(self.corrupted)

    def corrupt(self, block: Block, contents: list[dict[str, Any]]) -> None:
        for k, device in enumerate(block.devices):
            if device.index in self.corrupted:
                contents[k]["t"] = "rubbish"
                block.miss("t", k)
                block.miss("t", k)

    def intercepts(self, device: Device) -> bool:
        return device.index in self.intercepted

    def send(self, message: Message, now_us: int) -> None:
        del now_us
        self.taken.append(message)


@dataclass
class Field:
    """Three devices, online on wires of their own, due at 0, 10 and 20 ms of each second."""

    devices: list[Device]
    wires: list[Wire]
    world: World
    ledger: LedgerWriter
    directory: Path
    clock: ManualClock[int]
    injection: Interference
    emission: Emission

    def advance(self, ms: int) -> None:
        self.clock.now = (START + ms) * 1000
        self.emission.advance(START + ms, self.clock, SimClock(START / 1000, START))

    def messages(self, device: int) -> list[Telemetry]:
        return [decode_telemetry(payload) for payload in self.wires[device].of("telemetry")]

    def readings(self) -> Readings:
        self.emission.finish()
        self.ledger.flush()
        [group] = read_ledger(self.directory).groups
        return group


@pytest.fixture
async def ground(tmp_path: Path) -> AsyncIterator[Field]:
    with LedgerWriter(tmp_path) as ledger:
        ledger.header({})
        clock = ManualClock(START * 1000)
        world = World.of(ledger, asyncio.get_running_loop(), clock, lambda: clock.now // 1000)
        group = DeviceGroup("box", {}, {}, lambda *_: None, room=50, drop="oldest", replay_rate=1.0)
        devices = [
            Device(world, group, Identity(f"d{i}", "s", "box", {}), index=i, row=i, boot=7) for i in range(3)
        ]
        wires = [Wire() for _ in devices]
        for device, wire in zip(devices, wires, strict=True):
            device.session, device.online, device.started = wire, True, True
        pacer = Pacer(START + np.array([0, 10, 20]), EVERY, uniform=lambda rows, _: np.zeros(rows.size))
        flow = GroupFlow(devices, pacer, Signals(), ledger.group("box", ["t"], ["door"]), ledger.text)
        injection = Interference()
        emission = Emission([flow], injection, world.counters, start_ms=float(START), end_ms=START + 10_000.0)
        yield Field(devices, wires, world, ledger, tmp_path, clock, injection, emission)


def test_each_device_sends_at_its_own_deadlines_and_not_before(ground: Field) -> None:
    ground.advance(0)
    assert [len(ground.messages(i)) for i in range(3)] == [1, 0, 0]
    assert ground.emission.next_at() == START + 10, "the next message has been made already"
    ground.advance(20)
    assert [len(ground.messages(i)) for i in range(3)] == [1, 1, 1]
    assert ground.emission.next_at() == START + LOOK_AHEAD_MS, "nothing is made yet: look ahead again then"
    for ms in range(100, 3_051, 50):
        ground.advance(ms)
    assert [(each.boot, each.seq, each.ts) for each in ground.messages(1)] == [
        (7, seq, START + 10 + seq * EVERY) for seq in range(4)
    ]
    assert [each.m for each in ground.messages(1)] == [
        {"t": 0.0, "door": "shut"},
        {"door": "shut"},
        {"t": 2.0, "door": "shut"},
        {"door": "shut"},
    ]
    assert ground.messages(2)[0].q == {"t": 0.5}
    assert ground.world.counters.made == 12


def test_the_ledger_holds_what_was_made_and_when_it_was_sent(ground: Field) -> None:
    for ms in range(0, 1_051, 50):
        ground.advance(ms)
    group = ground.readings()
    assert group.table["device"].tolist() == [0, 1, 2, 0, 1, 2]
    assert group.table["seq"].tolist() == [0, 0, 0, 1, 1, 1]
    assert group.table["ts"].tolist() == [START + at for at in (0, 10, 20, 1_000, 1_010, 1_020)]
    assert group.table["sent"].tolist() == [(START + at) * 1000 for at in (0, 50, 50, 1_000, 1_050, 1_050)]
    assert group.present(0).tolist() == [True] * 3 + [False] * 3
    assert group.present(1).all()
    assert group.values[0].tolist()[:3] == [0.0] * 3
    assert group.quality["t"].tolist() == [1.0, 1.0, 0.5, 1.0, 1.0, 0.5]


def test_what_is_not_due_at_the_end_is_neither_sent_nor_written(ground: Field) -> None:
    ground.advance(10)
    assert ground.readings().table["device"].tolist() == [0, 1]
    assert ground.world.counters.made == 2


def test_nothing_is_made_from_the_end_of_the_run_on(ground: Field) -> None:
    ground.advance(60_000)
    assert [len(ground.messages(i)) for i in range(3)] == [10, 10, 10]
    assert ground.emission.next_at() == START + 10_000


def test_how_late_messages_were_is_counted(ground: Field) -> None:
    ground.advance(500)
    ground.emission.finish()
    assert sorted(ground.world.counters.lag_us) == [480_000, 490_000, 500_000]


def test_a_device_that_is_not_running_makes_nothing(ground: Field) -> None:
    ground.devices[0].alive = False
    ground.devices[1].started = False  # it has not been connected yet, and measures
    ground.advance(50)
    assert [len(ground.messages(i)) for i in range(3)] == [0, 1, 1]
    ground.devices[2].alive = False
    ground.advance(1_500)
    assert len(ground.messages(2)) == 1
    assert set(ground.readings().table["device"].tolist()) == {1, 2}


def test_a_device_that_restarts_does_not_send_what_its_earlier_boot_made(ground: Field) -> None:
    ground.advance(0)
    ground.devices[1].outbox.boot = 8
    ground.devices[2].alive = False
    ground.advance(50)
    assert [len(ground.messages(i)) for i in range(3)] == [1, 0, 0]
    assert ground.readings().table["sent"].tolist()[1:] == [0, 0]


def test_a_device_that_is_offline_keeps_its_message(ground: Field) -> None:
    ground.devices[0].online = False
    ground.advance(0)
    assert not ground.messages(0)
    assert ground.devices[0].waiting == 1
    assert ground.readings().table["sent"].tolist() == [0]


def test_an_intercepted_message_is_sent_by_whoever_interferes(ground: Field) -> None:
    ground.injection.intercepted.add(1)
    ground.advance(50)
    assert [len(ground.messages(i)) for i in range(3)] == [1, 0, 1]
    [taken] = ground.injection.taken
    assert (taken.device, taken.seq, taken.at) == (ground.devices[1], 0, START + 10)
    assert decode_telemetry(taken.payload).m == {"t": 0.0, "door": "shut"}


def test_a_clock_that_is_wrong_stamps_messages_and_moves_no_deadline(ground: Field) -> None:
    ground.injection.ahead[1] = 5_000
    ground.advance(50)
    assert [ground.messages(i)[0].ts for i in range(3)] == [START, START + 5_010, START + 20]
    assert ground.readings().table["ts"].tolist() == [START, START + 5_010, START + 20]


def test_a_corrupted_value_is_on_the_wire_and_absent_in_the_ledger(ground: Field) -> None:
    ground.injection.corrupted.add(1)
    ground.advance(50)
    assert [ground.messages(i)[0].m["t"] for i in range(3)] == [0.0, "rubbish", 0.0]
    assert ground.messages(2)[0].q == {"t": 0.5}
    assert ground.readings().present(0).tolist() == [True, False, True]


async def test_messages_of_several_groups_go_out_in_the_order_of_time(ground: Field) -> None:
    devices, ledger = ground.devices, ground.ledger

    def flow(device: Device, first: int) -> GroupFlow:
        pacer = Pacer(np.array([START + first]), 20, uniform=lambda rows, _: np.zeros(rows.size))
        return GroupFlow([device], pacer, Signals(), ledger.group("g", ["t"], ["door"]), ledger.text)

    order: list[int] = []
    for device in devices[:2]:
        device.session = _Noting(order, device.index)
    flows = [flow(devices[0], 0), flow(devices[1], 10)]
    emission = Emission(flows, ground.injection, ground.world.counters, start_ms=float(START))
    emission.advance(START + 55, ground.clock, SimClock(START / 1000, START))
    assert order == [0, 1, 0, 1, 0, 1]


class _Noting(Wire):
    """Notes in which order devices publish."""

    def __init__(self, order: list[int], index: int) -> None:
        super().__init__()
        self.order, self.index = order, index

    def publish_plain(self, topic: bytes, payload: bytes, on_ack: Any) -> None:
        self.order.append(self.index)
        super().publish_plain(topic, payload, on_ack)
