"""Faults of devices and links do what their label says, to whom and when it says."""

import asyncio
from array import array
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from fleet_sim.devices.device import Device
from fleet_sim.devices.emission import Block, Message
from fleet_sim.devices.links import Conditions
from fleet_sim.devices.world import DeviceGroup, Identity, World
from fleet_sim.faults.content import WRONG
from fleet_sim.faults.injection import FaultInjection
from fleet_sim.faults.plan import PlannedFault, plan_now
from fleet_sim.ledger.writing import LedgerWriter
from fleet_sim.noise import device_keys
from fleet_sim.scenario.loading import load_scenario
from fleet_sim.scenario.planning import plan_devices
from fleet_sim.signals.group import Sample
from fleet_wire.control_messages import decode_status
from tests.sim.wires import Wire

START = 1_700_000_000_000.0


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

    def fault(self, kind: str, match: dict[str, Any] | None = None, **settings: Any) -> PlannedFault:
        plans = plan_devices(SCENARIO)
        words = {name.rstrip("_"): value for name, value in settings.items()}
        planned = plan_now(
            len(self.network.asked), {"kind": kind, "match": match or {}, **words}, plans, 1, 0
        )
        self.injection.add([planned])
        return planned

    def send(self, device: int, seq: int, at_ms: int = 0) -> Message:
        target = self.devices[device]
        block = Block([target], [int(START) + at_ms], [int(START) + at_ms], NOTHING)
        target.outbox.next = seq + 1
        message = Message(int(START) + at_ms, target, seq, 0, b"%d" % seq, block, 0)
        self.injection.send(message, 5)
        return message


NOTHING = Sample({})
SCENARIO = load_scenario("cold-chain", overrides=("fleet.freezer.count=4", "faults=[]"), env={})


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


async def test_a_device_without_faults_is_left_alone(ground: Field) -> None:
    ground.fault("duplicate", {"device": "frz-00001"}, p=1.0)
    assert [ground.injection.intercepts(device) for device in ground.devices] == [False, True, False, False]


async def test_a_duplicate_is_the_same_message_twice(ground: Field) -> None:
    ground.fault("duplicate", p=1.0)
    message = ground.send(0, 4)
    assert ground.wires[0].of("telemetry") == [b"4", b"4"]
    assert message.block.sent == array("q", [5])


async def test_chance_is_of_the_message_not_of_the_moment(ground: Field) -> None:
    ground.fault("duplicate", p=0.3)
    for seq in range(200):
        ground.send(0, seq)
        ground.wires[0].waiting.pop()(0)
    twice = len(ground.wires[0].of("telemetry")) - 200
    assert 40 <= twice <= 80
    again = Field(ground.devices, [Wire() for _ in range(4)], ground.network, ground.injection)
    ground.devices[0].session = again.wires[0]
    for seq in range(200):
        again.send(0, seq)
        again.wires[0].waiting.pop()(0)
    assert again.wires[0].of("telemetry") == ground.wires[0].of("telemetry")


async def test_a_fault_holds_only_in_its_time(ground: Field) -> None:
    ground.fault("duplicate", p=1.0, after="10s", for_="5s")
    for seq, at in enumerate((9_999, 10_000, 14_999, 15_000)):
        ground.send(0, seq, at)
    assert ground.wires[0].of("telemetry") == [b"0", b"1", b"1", b"2", b"2", b"3"]


async def test_a_reordered_message_follows_its_successors(ground: Field) -> None:
    ground.fault("reorder", p=1.0, by=2, for_="1ms")
    for seq, at in enumerate((0, 10, 20, 30)):
        ground.send(0, seq, at)
    assert ground.wires[0].of("telemetry") == [b"1", b"2", b"0", b"3"]


@pytest.mark.parametrize(("kind", "settings"), [("late_batch", {"hold": "1s"}), ("reorder", {"by": 3})])
async def test_a_birth_does_not_give_up_what_is_held_back(
    ground: Field, kind: str, settings: dict[str, Any]
) -> None:
    ground.fault(kind, for_="2s", **settings)
    for seq in (0, 1):
        ground.send(1, seq)
    device = ground.devices[1]
    assert (decode_status(device.birth()).floor, device.outbox.next) == (0, 2)  # type: ignore[union-attr]
    ground.injection.release_all()
    for seq in (0, 1):
        device.outbox.acked(seq)
    device.outbox.receipt(1, (), 0)
    assert decode_status(device.birth()).floor == 2  # type: ignore[union-attr]


async def test_a_late_batch_is_held_and_sent_together(ground: Field) -> None:
    ground.fault("late_batch", hold="1s", for_="2500ms")
    for seq, at in enumerate((0, 400, 800)):
        ground.send(0, seq, at)
    assert ground.wires[0].of("telemetry") == []
    ground.injection.turn(START + 1000)
    assert ground.wires[0].of("telemetry") == [b"0", b"1", b"2"]
    ground.send(0, 3, 2400)
    ground.injection.turn(START + 2500)
    assert ground.wires[0].of("telemetry")[3:] == [b"3"]
    ground.send(0, 4, 2600)
    assert ground.wires[0].of("telemetry")[4:] == [b"4"], "over"


@pytest.mark.parametrize("kind", ["truncated", "random", "oversize"])
async def test_a_damaged_message_goes_out_in_place_of_the_true_one(ground: Field, kind: str) -> None:
    ground.fault(kind, p=1.0)
    message = ground.send(0, 1234)
    [payload] = ground.wires[0].of("telemetry")
    assert payload != b"1234"
    assert {"truncated": 2, "random": 4, "oversize": 70_000}[kind] == len(payload)
    assert message.block.sent == array("q", [0])
    ground.wires[0].waiting.pop()(0)
    outbox = ground.devices[0].outbox
    assert (outbox.kept, ground.devices[0].world.tally.acked) == (1, 0), (
        "held for a receipt, never counted as acked"
    )


async def test_a_wrong_type_is_absent_from_the_ledger(ground: Field) -> None:
    ground.fault("wrong_type", {"device": "frz-00001"}, metric="temperature", p=1.0)
    block = Block(ground.devices, [int(START)] * 4, [0] * 4, NOTHING)
    contents = [{"temperature": 1.0, "battery": 2.0} for _ in range(4)]
    ground.injection.corrupt(block, contents)
    assert [content["temperature"] for content in contents] == [1.0, WRONG, 1.0, 1.0]
    assert block.absent["temperature"].tolist() == [False, True, False, False]
    assert "battery" not in block.absent


async def test_clocks_are_off_by_what_the_fault_says(ground: Field) -> None:
    ground.fault("clock_skew", {"device": "frz-00001"}, offset="90s", drift="60ms/m")
    ground.fault("clock_jump", {"device": "frz-00002"}, by="-5s", after="10s", for_="10s")
    at = [int(START) + 60_000] * 4
    assert (np.array(ground.injection.stamps(ground.devices, at)) - at).tolist() == [0, 90_060, 0, 0]
    at = [int(START) + 10_000] * 4
    assert (np.array(ground.injection.stamps(ground.devices, at)) - at).tolist() == [0, 90_010, -5_000, 0]


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


@pytest.mark.parametrize(("kind", "keep"), [("reboot", True), ("crash", False)])
async def test_restarts_keep_or_lose_the_buffer(ground: Field, kind: str, *, keep: bool) -> None:
    ground.fault(kind, {"device": "frz-00000"}, takes="2s")
    ground.injection.turn(START)
    assert ground.network.asked == [("restart", 0, 2000, keep)]


async def test_a_fault_nobody_can_have_is_refused() -> None:
    plans = plan_devices(SCENARIO)
    with pytest.raises(ValueError, match="no device is meant"):
        plan_now(0, {"kind": "stuck", "metric": "pressure"}, plans, 1, 0)
    with pytest.raises(ValueError, match="kind"):
        plan_now(0, {"kind": "haunted"}, plans, 1, 0)


async def test_a_share_is_drawn_by_the_seed(ground: Field) -> None:
    plans = plan_devices(
        load_scenario("cold-chain", overrides=("fleet.freezer.count=1000", "faults=[]"), env={})
    )
    chosen = [
        plan_now(5, {"kind": "reboot", "match": {"share": 0.1}}, plans, seed, 0).devices for seed in (1, 1, 2)
    ]
    assert chosen[0] == chosen[1] != chosen[2]
    assert 60 <= len(chosen[0]) <= 140


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


def test_a_dead_battery_is_changed_at_the_end(ground: Field) -> None:
    ground.fault("battery_death", {"device": "frz-00000"}, for_="5s")
    ground.injection.turn(START + 4_999)
    assert ground.network.asked == [("die", 0)]
    ground.injection.turn(START + 5_000)
    assert ground.network.asked[1:] == [("restart", 0, 0.0, False)]
