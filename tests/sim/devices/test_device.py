"""One device on a wire of the test's own: numbers, buffer, receipts, commands, restarts."""

import asyncio
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import mqtt5
import pytest

from fleet_sim.devices.device import MOST_UNACKED, Device
from fleet_sim.devices.world import DeviceGroup, Identity, World
from fleet_sim.ledger.reading import read_ledger
from fleet_sim.ledger.writing import LedgerWriter
from fleet_sim.plan import Behaviour
from fleet_wire.control_messages import (
    Alert,
    Birth,
    Command,
    Receipt,
    decode_ack,
    decode_status,
    encode_command,
    encode_receipt,
)
from tests.sim.wires import Wire


@dataclass
class Bench:
    device: Device
    wire: Wire
    ledger: LedgerWriter
    settings: list[tuple[str, Any]]
    now_ms: int = 1_000

    def heard(self, kind: str, payload: bytes, packet_id: int | None = None) -> None:
        qos = mqtt5.QoS.AT_LEAST_ONCE if packet_id else mqtt5.QoS.AT_MOST_ONCE
        packet = mqtt5.PublishPacket(f"fleet/v1/s/d/{kind}", payload=payload, qos=qos, packet_id=packet_id)
        self.device.received(1, [packet])

    def make(self, count: int = 1) -> None:
        for _ in range(count):
            seq = self.device.outbox.number()
            self.device.emit(seq, b"%d" % seq, 0)

    def acked(self, code: int = 0) -> None:
        self.wire.answer(code)


@pytest.fixture
async def bench(tmp_path: Path) -> AsyncIterator[Bench]:
    ledger = LedgerWriter(tmp_path)
    ledger.header({})
    wire = Wire()
    settings: list[tuple[str, Any]] = []

    def apply(_device: Device, setting: str, value: Any) -> None:
        if value == "hot":
            raise ValueError("must be a number")
        settings.append((setting, value))

    group = DeviceGroup(
        "g", {}, {"cool": Behaviour({"t.setpoint": "value"}), "fix": Behaviour({"t.setpoint": -5.0}),
                  "slow": Behaviour({}, takes_ms=30.0), "no": Behaviour({}, outcome="rejected")},
        apply, room=1000, drop="oldest", replay_rate=10.0,
    )  # fmt: skip
    bench: list[Bench] = []
    world = World.of(
        ledger, asyncio.get_running_loop(), lambda: bench[0].now_ms * 1000, lambda: bench[0].now_ms
    )
    device = Device(world, group, Identity("d", "s", "t", {"line": "L1"}, 1.0, 2.0), index=0, row=0, boot=7)
    bench.append(Bench(device, wire, ledger, settings))
    device.session = wire
    device.connected()
    yield bench[0]
    ledger.close()


async def test_the_birth_says_who_what_and_from_where_on(bench: Bench) -> None:
    bench.make(3)
    bench.device.online = False
    bench.make(2)
    bench.device.connected()
    first, second = (decode_status(payload) for payload in bench.wire.of("status"))
    assert isinstance(first, Birth)
    assert isinstance(second, Birth)
    assert (first.boot, first.floor, first.next, first.ts) == (7, 0, 0, 1_000)
    assert (second.floor, second.next, second.tags, second.lat) == (0, 5, {"line": "L1"}, 1.0)
    assert all(retain for kind, _, retain in bench.wire.sent if kind == "status")


async def test_what_is_made_offline_goes_out_later_and_live_first(bench: Bench) -> None:
    bench.device.online = False
    bench.make(3)
    bench.device.online = True
    bench.make(1)
    assert bench.wire.of("telemetry") == [b"3"]
    assert bench.device.drain(2) == 1
    assert bench.wire.of("telemetry") == [b"3", b"0", b"1"]


async def test_more_than_the_broker_takes_waits_in_the_buffer(bench: Bench) -> None:
    bench.make(MOST_UNACKED + 5)
    assert bench.device.unacked == MOST_UNACKED
    assert bench.device.waiting == 5
    assert bench.device.index in bench.device.world.draining
    bench.acked()
    assert bench.device.drain(100) == 0
    assert len(bench.wire.of("telemetry")) == MOST_UNACKED + 5


async def test_a_refused_message_is_counted_and_not_kept(bench: Bench) -> None:
    bench.make(1)
    bench.acked(0x97)
    counters = bench.device.world.counters
    assert (counters.refused, counters.acked, bench.device.kept, counters.in_flight) == (1, 0, 0, 0)


async def test_a_receipt_of_another_boot_changes_nothing(bench: Bench) -> None:
    bench.make(2)
    bench.acked()
    bench.heard("receipt", encode_receipt(Receipt(boot=6, upto=9)))
    assert bench.device.kept == 2
    bench.heard("receipt", encode_receipt(Receipt(boot=7, upto=0)))
    assert bench.device.kept == 1
    bench.heard("receipt", b"\xc1")
    assert bench.device.world.counters.malformed == 1


async def test_a_receipt_for_an_offline_device_waits_for_the_next_one(bench: Bench) -> None:
    bench.make(1)
    bench.acked()
    bench.device.online = False
    bench.heard("receipt", encode_receipt(Receipt(boot=7, upto=0, missing=[(0, 0)])))
    assert len(bench.wire.of("telemetry")) == 1
    assert bench.device.kept == 1


def cool(n: int, name: str = "cool", **args: Any) -> bytes:
    return encode_command(Command(id=f"c{n}", kind="command", name=name, n=n, args=args))


async def test_a_command_is_remembered_before_it_is_acknowledged_and_moves_the_signal(bench: Bench) -> None:
    bench.heard("command", cool(1, value=-22.0), packet_id=9)
    assert bench.wire.acknowledged == [(1, [9])]
    assert bench.device.memory.n == 1
    assert bench.settings == []
    await asyncio.sleep(0)
    await asyncio.sleep(0.001)
    assert bench.settings == [("t.setpoint", -22.0)]
    [ack] = map(decode_ack, bench.wire.of("ack"))
    assert (ack.id, ack.outcome, ack.ts) == ("c1", "done", 1_000)


@pytest.mark.parametrize(
    ("name", "args", "outcome", "detail"),
    [
        ("fix", {}, "done", ""),
        ("cool", {}, "rejected", "cool needs the argument value"),
        ("cool", {"value": "hot"}, "failed", "must be a number"),
        ("no", {}, "rejected", ""),
        ("sing", {}, "rejected", "unknown command sing"),
    ],
)
async def test_outcomes(bench: Bench, name: str, args: dict[str, Any], outcome: str, detail: str) -> None:
    bench.heard("command", cool(1, name, **args), packet_id=1)
    await asyncio.sleep(0.002)
    [ack] = map(decode_ack, bench.wire.of("ack"))
    assert (ack.outcome, ack.detail) == (outcome, detail)


async def test_the_answer_to_the_newest_command_is_repeated_and_nothing_older_is_done(bench: Bench) -> None:
    for n in (5, 5, 4):
        bench.heard("command", cool(n, value=float(n)), packet_id=n)
        await asyncio.sleep(0.002)
    assert bench.settings == [("t.setpoint", 5.0)]
    assert [decode_ack(payload).id for payload in bench.wire.of("ack")] == ["c5"] * 3


async def test_each_of_several_commands_at_once_is_executed_and_answered(bench: Bench) -> None:
    for n in (1, 2):
        bench.heard("command", cool(n, value=float(n)), packet_id=n)
    await asyncio.sleep(0.002)
    assert bench.settings == [("t.setpoint", 1.0), ("t.setpoint", 2.0)]
    acks = map(decode_ack, bench.wire.of("ack"))
    assert [(ack.id, ack.outcome, ack.n) for ack in acks] == [("c1", "done", 2), ("c2", "done", 2)]
    bench.heard("command", cool(2, value=2.0), packet_id=3)
    assert decode_ack(bench.wire.of("ack")[-1]).id == "c2"


async def test_a_restart_while_executing_never_executes_and_says_failed(bench: Bench) -> None:
    bench.heard("command", cool(1, "slow"), packet_id=1)
    bench.device.restart(8, keep=False)
    await asyncio.sleep(0.05)
    assert bench.wire.of("ack") == []
    bench.heard("command", cool(1, "slow"), packet_id=2)
    [ack] = map(decode_ack, bench.wire.of("ack"))
    assert (ack.outcome, ack.detail) == ("failed", "the device restarted before it was done")


async def test_a_reboot_keeps_what_was_held_under_its_old_boot(bench: Bench) -> None:
    bench.make(2)
    bench.acked()
    bench.device.online = False
    bench.make(1)
    bench.device.restart(8, keep=True)
    bench.device.connected()
    bench.make(1)
    assert (bench.device.waiting, bench.device.kept) == (1, 2)
    bench.device.drain(10)
    assert bench.wire.of("telemetry")[2:] == [b"0", b"2"], "the new boot's first, then the old boot's buffer"
    bench.acked()
    bench.heard("receipt", encode_receipt(Receipt(boot=7, upto=2)))
    assert bench.device.earlier == ()
    assert bench.device.kept == 1


async def test_a_crash_loses_what_was_not_sent_and_counts_it(bench: Bench) -> None:
    bench.make(1)
    bench.device.online = False
    bench.make(2)
    bench.device.restart(8, keep=False)
    counters = bench.device.world.counters
    assert (bench.device.waiting, counters.lost, counters.in_flight) == (0, 2, 0)
    assert bench.device.outbox.number() == 0


async def test_notices_are_written_down_and_not_answered(bench: Bench, tmp_path: Path) -> None:
    alert = Alert(
        id="a", group="g", rule="TooWarm", level="critical", state="firing", event="firing", cause="reading",
        site="berlin", subject="d", at=5, boot=7, seq=3,
    )  # fmt: skip
    notice = encode_command(Command(id="n1", kind="alert", name="TooWarm", alert=alert))
    bench.heard("command", notice, packet_id=3)
    bench.ledger.end("finished", {"at": 0})
    [row] = read_ledger(tmp_path).of_kind("notice")
    assert (row["alert"], row["rule"], row["state"], row["boot"], row["seq"], row["at"]) == (
        "a", "TooWarm", "firing", 7, 3, 1_000_000,
    )  # fmt: skip
    assert bench.wire.of("ack") == []
    assert bench.wire.acknowledged == [(1, [3])]


def test_a_repeated_or_damaged_message_needs_a_connection(bench: Bench) -> None:
    device = bench.device
    device.online = False
    device.repeat(b"x")
    assert device.world.counters.duplicated == 0
    device.emit_damaged(device.outbox.number(), b"whole", b"who")
    assert (device.world.counters.damaged, device.waiting) == (0, 1)


def test_a_repeated_message_is_published_again_and_counted(bench: Bench) -> None:
    before = len(bench.wire.sent)
    bench.device.repeat(b"x")
    assert len(bench.wire.sent) == before + 1
    assert bench.device.world.counters.duplicated == 1


def test_a_damaged_message_is_kept_whole_until_a_receipt(bench: Bench) -> None:
    bench.device.emit_damaged(bench.device.outbox.number(), b"whole", b"who")
    bench.acked()
    assert (bench.device.kept, bench.device.world.counters.damaged) == (1, 1)
    bench.heard("receipt", encode_receipt(Receipt(boot=7, upto=0, missing=[(0, 0)])))
    assert bench.device.world.counters.resent == 1


@pytest.mark.parametrize(("online", "waiting"), [(True, 0), (False, 1)])
def test_a_message_that_was_held_back_is_sent_or_kept(bench: Bench, online: bool, waiting: int) -> None:
    bench.device.online = online
    bench.device.forward(bench.device.outbox.number(), b"x")
    assert bench.device.waiting == waiting


def test_at_qos_0_nothing_is_waited_for(bench: Bench) -> None:
    bench.device.group.qos = 0
    bench.make()
    assert bench.device.unacked == 0
    assert bench.device.world.counters.forgotten == 1


@pytest.mark.parametrize("kind", ["receipt", "command"])
def test_what_cannot_be_read_is_counted(bench: Bench, kind: str) -> None:
    bench.heard(kind, b"\xc1")
    assert bench.device.world.counters.malformed == 1


def test_what_a_receipt_names_missing_while_the_device_is_away_stays_kept(bench: Bench) -> None:
    bench.make()
    bench.acked()
    bench.device.online = False
    bench.heard("receipt", encode_receipt(Receipt(boot=7, upto=0, missing=[(0, 0)])))
    assert (bench.device.kept, bench.device.world.counters.resent) == (1, 0)


def test_a_device_that_is_away_announces_nothing_at_the_end(bench: Bench) -> None:
    bench.device.online = False
    before = len(bench.wire.sent)
    bench.device.give_up()
    assert len(bench.wire.sent) == before
