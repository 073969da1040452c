"""A fleet on a real broker, watched by an independent client: the ledger agrees with what happened."""

import asyncio
import json
import os
import signal
import sys
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import aiomqtt
import numpy as np
import pytest

from fleet_sim.cli.outcome import exit_status, failures, judge
from fleet_sim.devices.endpoint import CannotReach
from fleet_sim.judging.not_proven import taken_over
from fleet_sim.ledger.reading import read_ledger
from fleet_sim.runtime.shared_ids import OTHER_CLIENT
from fleet_wire.control_messages import (
    Birth,
    Command,
    Death,
    Receipt,
    encode_command,
    encode_receipt,
)
from fleet_wire.telemetry import Telemetry, decode_telemetry
from tests.integration.watched import acked_messages, run_of, watching
from tests.servers.broker import Broker
from tests.servers.mute_port import mute_port


async def test_the_ledger_equals_what_another_client_received(tmp_path: Path, broker: Broker) -> None:
    run = run_of(tmp_path, broker, "many", count=300, length="5s")
    async with watching(broker, "many") as watcher:
        result = await run.run()
        await watcher.until(lambda: len(watcher.messages()) >= result.counters["made"])
        await watcher.until(lambda: len(watcher.deaths()) == 300)  # leaving publishes the will
    ledger = read_ledger(result.directory)
    acked = acked_messages(ledger)
    received = {key: {"ts": each.ts, "m": each.m} for key, each in watcher.messages().items()}
    assert 2700 <= len(acked) <= 3000
    assert acked == received
    assert len(watcher.telemetry) == len(received), "nothing came twice"
    assert result.unfinished == 0
    assert result.counters["acked"] == len(acked)
    births = {device: status for device, status in watcher.statuses if isinstance(status, Birth)}
    assert len(births) == 300
    assert births["many-0007"].metrics["temperature"].unit == "°C"


async def test_a_restart_of_the_broker_loses_nothing(
    tmp_path: Path, broker_factory: Callable[..., Broker]
) -> None:
    broker = broker_factory()
    run = run_of(tmp_path, broker, "bounce", count=50, every="200ms")
    async with watching(broker, "bounce") as watcher:
        going = asyncio.create_task(run.run())
        await watcher.until(lambda: len(watcher.messages()) > 200)
        await asyncio.to_thread(broker.restart)
        await watcher.until(lambda: run.deployment.counters.reconnects >= 50)
        seen = len(watcher.messages())
        await watcher.until(lambda: len(watcher.messages()) > seen + 50)
        run.stop()
        result = await going
        await watcher.until(lambda: len(watcher.messages()) >= result.counters["made"])
    ledger = read_ledger(result.directory)
    assert result.unfinished == 0
    assert result.counters["lost"] == 0
    assert result.counters["reconnects"] >= 50
    assert acked_messages(ledger).keys() == watcher.messages().keys()
    assert len(acked_messages(ledger)) == result.counters["made"]
    assert ledger.tables["links"]["up"].tolist().count(0) >= 50


async def test_two_runs_with_the_same_ids_on_one_broker_say_so_and_fail(
    tmp_path: Path, broker: Broker
) -> None:
    """The broker closes the older connection without a reason; a network that is bad does the same."""
    (tmp_path / "second").mkdir()
    runs = [
        run_of(tmp_path / place, broker, "shared", count=5, every="100ms", boot=boot)
        for place, boot in ((".", 7), ("second", 8))
    ]
    going = [asyncio.create_task(run.run()) for run in runs]
    async with asyncio.timeout(60):
        while not any(run.deployment.connector.gave_up for run in runs if run.devices):  # noqa: ASYNC110
            await asyncio.sleep(0.05)
    for run in runs:
        run.stop()
    results = await asyncio.gather(*going)
    failed = [result for result in results if result.gave_up]
    assert failed
    for result in failed:
        assert set(result.gave_up) == {OTHER_CLIENT}
        assert len(taken_over(read_ledger(result.directory))) == sum(result.gave_up.values())
        assert exit_status(result, judge(result, {})) == 1
    assert any("gave up: another client" in text for text in failures(failed[0].summary()))


async def test_an_offline_device_sends_its_buffer_late_with_its_own_time(
    tmp_path: Path, broker: Broker
) -> None:
    run = run_of(tmp_path, broker, "away", count=2, every="100ms")
    async with watching(broker, "away") as watcher:
        going = asyncio.create_task(run.run())
        await watcher.until(lambda: len(watcher.messages()) > 10)
        run.disconnect({"device": "away-0000"}, 1500)
        await watcher.until(lambda: len(watcher.births("away-0000")) == 2)
        await watcher.until(lambda: not run.snapshot().waiting)
        run.stop()
        result = await going
        await watcher.until(lambda: len(watcher.messages()) >= result.counters["made"])
    mine = [each for device, each in watcher.telemetry if device == "away-0000"]
    seqs = [each.seq for each in mine]
    assert sorted(seqs) == list(range(len(mine))), "nothing lost, nothing twice"
    assert seqs != sorted(seqs), "live first, then the buffer"
    by_seq = sorted(mine, key=lambda each: each.seq)
    assert np.diff([each.ts for each in by_seq if each.ts is not None]).tolist() == [100] * (len(mine) - 1)
    births = watcher.births("away-0000")
    assert len(births) == 2
    assert births[1].floor == 0, "without receipts it still holds everything"
    assert births[1].next > 15
    ledger = read_ledger(result.directory)
    assert len(ledger.tables["sends"]) >= 12
    [fault] = ledger.of_kind("fault")
    assert (fault["kind"], fault["devices"]) == ("offline", ["away-0000"])


async def test_a_receipt_makes_a_device_send_again_what_is_missing(tmp_path: Path, broker: Broker) -> None:
    run = run_of(tmp_path, broker, "missing", every="100ms")
    async with watching(broker, "missing") as watcher:
        going = asyncio.create_task(run.run())
        await watcher.until(lambda: len(watcher.telemetry) >= 8)
        receipt = Receipt(boot=watcher.telemetry[0][1].boot, upto=5, missing=[(1, 2), (4, 4)])
        await watcher.client.publish("fleet/v1/missing/missing-0000/receipt", encode_receipt(receipt), qos=0)
        seen = [each.seq for _, each in watcher.telemetry]
        await watcher.until(lambda: [each.seq for _, each in watcher.telemetry].count(4) == 2)
        run.stop()
        result = await going
    twice = [seq for seq in range(len(seen)) if [each.seq for _, each in watcher.telemetry].count(seq) > 1]
    assert twice == [1, 2, 4]
    again = {seq: each for _, each in watcher.telemetry if (seq := each.seq) in twice}
    first = {each.seq: each for _, each in reversed(watcher.telemetry) if each.seq in twice}
    assert again == first, "the same message, not a new one"
    assert result.counters["resent"] == 3
    assert read_ledger(result.directory).tables["receipts"]["upto"].tolist() == [5]


async def test_a_command_is_executed_once_across_a_reconnect(tmp_path: Path, broker: Broker) -> None:
    run = run_of(tmp_path, broker, "told", every="200ms")
    topic = "fleet/v1/told/told-0000/command"
    blink = encode_command(Command(id="c-1", kind="command", name="blink", n=10, ts=1))
    async with watching(broker, "told") as watcher:
        going = asyncio.create_task(run.run())
        await watcher.until(lambda: len(watcher.telemetry) >= 2)
        for _ in range(2):
            await watcher.client.publish(topic, blink, qos=1)
        await watcher.until(lambda: len(watcher.acks) >= 1)
        run.start_fault("crash", {"device": "told-0000"}, takes="300ms")
        await watcher.until(lambda: sum(isinstance(each, Birth) for _, each in watcher.statuses) == 2)
        await watcher.client.publish(topic, blink, qos=1)
        unknown = Command(id="c-2", kind="command", name="sing", n=11, ts=1)
        await watcher.client.publish(topic, encode_command(unknown), qos=1)
        await watcher.until(lambda: any(ack.id == "c-2" for ack in watcher.acks))
        await watcher.until(lambda: len({each.boot for _, each in watcher.telemetry}) == 2)
        run.stop()
        result = await going
    ledger = read_ledger(result.directory)
    executed = [(row["id"], row["outcome"]) for row in ledger.of_kind("executed")]
    assert executed == [("c-1", "done"), ("c-2", "rejected")]
    assert {ack.outcome for ack in watcher.acks if ack.id == "c-1"} == {"done"}
    assert [ack.outcome for ack in watcher.acks if ack.id == "c-2"] == ["rejected"]
    boots = {each.boot for _, each in watcher.telemetry}
    assert len(boots) == 2, "a crash is a new boot"
    deaths = [each for _, each in watcher.statuses if isinstance(each, Death)]
    assert deaths, "the broker published the will of the crashed device"


async def test_message_faults_on_the_wire_match_the_ledger(tmp_path: Path, broker: Broker) -> None:
    faults = """faults:
- {kind: duplicate, match: {device: "odd-0000"}, p: 1.0}
- {kind: wrong_type, match: {device: "odd-0001"}, metric: temperature, p: 1.0}
- {kind: clock_jump, match: {device: "odd-0002"}, by: 90s}
- {kind: reorder, match: {device: "odd-0003"}, p: 0.3, by: 2}
"""
    run = run_of(tmp_path, broker, "odd", count=4, every="100ms", length="3s", more=faults)
    async with watching(broker, "odd") as watcher:
        result = await run.run()
        await watcher.until(lambda: len(watcher.messages()) >= result.counters["made"])
    ledger = read_ledger(result.directory)
    by_device: dict[str, list[Telemetry]] = {}
    for device, each in watcher.telemetry:
        by_device.setdefault(device, []).append(each)
    table = ledger.groups[0].table
    live = set(table["seq"][(table["device"] == 0) & (table["sent"] > 0)].tolist())
    assert len(live) > 20, "what was measured before the connection was up came from the buffer"
    assert Counter(each.seq for each in by_device["odd-0000"]) == {
        seq: 1 + (seq in live) for seq in range(30)
    }
    assert all(each.m["temperature"] == "not a number" for each in by_device["odd-0001"])
    assert not ledger.groups[0].present(0)[ledger.groups[0].table["device"] == 1].any()
    reordered = [each.seq for each in by_device["odd-0003"]]
    assert reordered != sorted(reordered) == list(range(len(reordered)))
    jumped = ledger.groups[0].table["ts"][ledger.groups[0].table["device"] == 2]
    assert sorted(each.ts or 0 for each in by_device["odd-0002"]) == jumped.tolist()
    assert jumped[0] > ledger.header["start_ms"] + 89_000


async def test_a_receipt_makes_a_device_resend_a_damaged_message(tmp_path: Path, broker: Broker) -> None:
    faults = "faults:\n- {kind: truncated, match: {}, p: 1.0, for: 1s}\n"
    run = run_of(tmp_path, broker, "torn", every="100ms", more=faults)
    raw: list[bytes] = []
    async with aiomqtt.Client("127.0.0.1", broker.port, protocol=aiomqtt.ProtocolVersion.V5) as client:
        await client.subscribe("fleet/v1/torn/+/telemetry", qos=1)
        going = asyncio.create_task(run.run())
        async for message in client.messages:
            raw.append(bytes(message.payload))
            if len(raw) == 15:
                break
        boot = decode_telemetry(raw[-1]).boot
        receipt = encode_receipt(Receipt(boot=boot, upto=9, missing=[(0, 3)]))
        await client.publish("fleet/v1/torn/torn-0000/receipt", receipt)
        while run.deployment.counters.resent < 4:  # noqa: ASYNC110 - what a device does is looked at, not told
            await asyncio.sleep(0.01)
        run.stop()
        result = await going
    ledger = read_ledger(result.directory)
    acked = {seq for _, _, seq in acked_messages(ledger)}
    assert {0, 1, 2, 3} <= acked, "sent again whole"
    assert not {5, 6, 7, 8} & acked, "only its damaged form was ever acknowledged"


async def test_a_missing_broker_is_reported_in_one_line(
    tmp_path: Path, broker_factory: Callable[..., Broker]
) -> None:
    broker = broker_factory()
    broker.kill()
    with pytest.raises(CannotReach, match=rf"no broker at mqtt://127.0.0.1:{broker.port}.*-H HOST"):
        await run_of(tmp_path, broker, "alone").run()


async def fleet_sim(*arguments: str, interrupt_after: str = "") -> tuple[int, str, str]:
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "fleet_sim.cli", *arguments,
        stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE, env={**os.environ, "COLUMNS": "120"},
    )  # fmt: skip
    assert process.stdout is not None
    before = b""
    while interrupt_after and interrupt_after.encode() not in before:
        before += await asyncio.wait_for(process.stdout.readline(), 60)
    if interrupt_after:
        process.send_signal(signal.SIGINT)
    out, err = await asyncio.wait_for(process.communicate(), 60)
    return process.returncode or 0, (before + out).decode(), err.decode()


async def test_the_command_line_runs_a_profile_and_ends_with_a_table(tmp_path: Path, broker: Broker) -> None:
    status, out, err = await fleet_sim(
        "run", "cold-chain", "--sensors", "20", "--interval", "200ms", "--duration", "2s", "-H", "127.0.0.1",
        "-p", str(broker.port), "--report", str(tmp_path / "run"), "--set", "fleet.freezer.site=[cli]",
    )  # fmt: skip
    assert (status, err) == (0, "")
    lines = out.splitlines()
    assert lines[0].startswith("1s  20 of 20 connected  ")
    assert "overruns" not in lines[0]
    assert any(line.startswith("run finished after 2.") for line in lines)
    assert read_ledger(tmp_path / "run").end is not None


async def test_an_interrupt_ends_with_a_table_and_130(tmp_path: Path, broker: Broker) -> None:
    status, out, _ = await fleet_sim(
        "run", "cold-chain", "--sensors", "5", "--interval", "200ms", "-H", "127.0.0.1", "-p", str(broker.port),
        "--report", str(tmp_path / "run"), "--set", "fleet.freezer.site=[int]", interrupt_after="1s  5 of 5",
    )  # fmt: skip
    assert status == 130
    assert "run interrupted after" in out
    end = read_ledger(tmp_path / "run").end
    assert end is not None
    assert end["reason"] == "interrupted"


async def test_an_interrupt_ends_the_wait_for_a_port_that_says_nothing(tmp_path: Path) -> None:
    """The connection attempt itself would go on for ten seconds, and end in another status."""
    async with mute_port() as port:
        process = await asyncio.create_subprocess_exec(
            sys.executable, "-m", "fleet_sim.cli", "run", "cold-chain", "-H", "127.0.0.1", "-p", str(port),
            "--report", str(tmp_path / "run"), stderr=asyncio.subprocess.PIPE,
        )  # fmt: skip
        assert process.stderr is not None
        first = await asyncio.wait_for(process.stderr.readline(), 60)
        process.send_signal(signal.SIGINT)
        rest = await asyncio.wait_for(process.stderr.read(), 60)
        status = await process.wait()
    url = f"mqtt://127.0.0.1:{port}"
    assert (status, first.decode(), rest.decode()) == (
        130,
        f"{url} has not answered yet; waiting. Is it an MQTT broker?\n",
        f"interrupted before {url} had answered\n",
    )


async def test_each_failure_has_its_exit_status_and_text(
    tmp_path: Path, broker_factory: Callable[..., Broker]
) -> None:
    broker = broker_factory()
    broker.kill()
    status, _, err = await fleet_sim("run", "cold-chain", "-H", "127.0.0.1", "-p", str(broker.port))
    assert status == 3
    assert err.startswith(f"no broker at mqtt://127.0.0.1:{broker.port}")
    assert "Traceback" not in err
    status, _, err = await fleet_sim("run", "cold-chian")
    assert status == 2
    assert "cold-chain" in err
    status, _, err = await fleet_sim("run", "cold-chain", "--duration", "90")
    assert status == 2
    assert "'90' is not a duration" in err


async def test_json_output_is_one_object(tmp_path: Path, broker: Broker) -> None:
    status, out, _ = await fleet_sim(
        "run", "cold-chain", "--sensors", "5", "--interval", "200ms", "--duration", "1s", "--json", "-H", "127.0.0.1",
        "-p", str(broker.port), "--report", str(tmp_path / "run"), "--set", "fleet.freezer.site=[js]",
    )  # fmt: skip
    assert status == 0
    found = json.loads(out)
    assert found["counters"]["acked"] == found["counters"]["made"] > 0
