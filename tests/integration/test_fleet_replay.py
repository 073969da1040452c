"""A recording replayed on a real broker: everything arrives once, stamped as asked, and the ledger says the same."""

import asyncio
from collections.abc import Callable
from pathlib import Path

import aiomqtt
import pytest

from fleet_recordings.mapping import load_mapping
from fleet_recordings.reading import Recording, read_recording
from fleet_sim.devices.endpoint import Endpoint
from fleet_sim.ledger.expected import acked_rows
from fleet_sim.ledger.reading import read_ledger
from fleet_sim.recordings.replay import ReplayOptions, ReplayRun
from fleet_sim.runtime.deployment import RunOptions, RunResult
from fleet_wire.telemetry import Telemetry, decode_telemetry
from tests.recordings.written import write_ea, write_uci
from tests.servers.broker import Broker


async def replayed(
    broker: Broker, path: Path, options: ReplayOptions, *, name: str, site: str
) -> tuple[Recording, RunResult, list[Telemetry]]:
    mapping = load_mapping(name)
    mapping = mapping.model_copy(update={"device": mapping.device.model_copy(update={"site": site})})
    recording = read_recording(path, mapping)
    run = ReplayRun(
        recording, name, RunOptions(Endpoint("127.0.0.1", broker.port), path.parent / "run"), options
    )
    received: list[Telemetry] = []
    async with aiomqtt.Client("127.0.0.1", broker.port, protocol=aiomqtt.ProtocolVersion.V5) as client:
        await client.subscribe(f"fleet/v1/{site}/+/telemetry", qos=1)
        result = await run.run()
        async with asyncio.timeout(60):
            async for message in client.messages:
                received.append(decode_telemetry(bytes(message.payload)))
                if len(received) == result.counters["made"]:
                    break
    return recording, result, received


def samples_of(messages: list[Telemetry]) -> list[tuple[int, dict[str, float]]]:
    found = []
    for message in messages:
        assert message.ts is not None
        found.append((message.ts, message.m))
        found += [(message.ts + step, values) for step, values in message.s or ()]
    return found


async def test_a_fast_replay_loses_nothing_and_keeps_the_recorded_time(
    tmp_path: Path, broker: Broker
) -> None:
    path = write_uci(tmp_path / "air.csv", 400)
    options = ReplayOptions(speed=None, stamp="recorded")
    recording, result, received = await replayed(broker, path, options, name="uci", site="fast")
    assert samples_of(received) == [(each.ts, each.m) for each in recording.samples]
    assert [each.seq for each in received] == list(range(400))
    assert (result.unfinished, result.counters["acked"]) == (0, 400)
    [group] = read_ledger(result.directory).groups
    assert group.table["ts"].tolist() == [each.ts for each in recording.samples]
    assert group.values[group.numbers.index("co_gt")].tolist() == [
        each.m["co_gt"] for each in recording.samples
    ]


@pytest.mark.parametrize("batch", [7, 50])
async def test_a_batch_holds_the_same_samples_in_fewer_messages(
    tmp_path: Path, broker: Broker, batch: int
) -> None:
    path = write_uci(tmp_path / "air.csv", 100)
    options = ReplayOptions(speed=None, stamp="recorded", batch=batch)
    recording, result, received = await replayed(broker, path, options, name="uci", site=f"batch{batch}")
    assert samples_of(received) == [(each.ts, each.m) for each in recording.samples]
    assert len(received) == -(-100 // batch)
    ledger = read_ledger(result.directory)
    assert len(ledger.groups[0].table) == 100, "a row a sample"
    assert acked_rows(ledger, ledger.groups[0]).all()


async def test_censored_values_carry_their_doubt_to_the_wire_and_the_ledger(
    tmp_path: Path, broker: Broker
) -> None:
    path = write_ea(tmp_path / "water.csv")
    options = ReplayOptions(speed=None, stamp="shift", batch=10)
    recording, result, received = await replayed(broker, path, options, name="ea", site="doubt")
    doubted = [each for each in received if each.q]
    assert len(doubted) == recording.censored == 12
    assert all(each.q == {"ammonia_n": 0.5} and not each.s for each in doubted)
    ledger = read_ledger(result.directory)
    assert sorted(ledger.groups[0].quality["ammonia_n"].tolist())[:13] == [0.5] * 12 + [1.0]
    times = ledger.groups[0].table["ts"]
    assert times.max() <= ledger.header["started_us"] // 1000 + 1000, (
        "shifted times never pass the wall clock"
    )
    assert times.max() - times.min() == recording.samples[-1].ts - recording.samples[0].ts


async def test_a_paced_replay_takes_as_long_as_its_speed_says(tmp_path: Path, broker: Broker) -> None:
    path = write_uci(tmp_path / "air.csv", 11)
    options = ReplayOptions(speed=36_000.0, stamp="now")
    _, result, received = await replayed(broker, path, options, name="uci", site="paced")
    times = [each.ts or 0 for each in received]
    assert 950 <= times[-1] - times[0] <= 1600, "ten hours, 36,000 times as fast"
    assert result.counters["made"] == 11


async def test_a_limit_ends_it_and_a_restart_of_the_broker_loses_nothing(
    tmp_path: Path, broker_factory: Callable[..., Broker]
) -> None:
    broker = broker_factory()
    mapping = load_mapping("uci")
    recording = read_recording(write_uci(tmp_path / "air.csv", 500), mapping)
    run = ReplayRun(
        recording, "air", RunOptions(Endpoint("127.0.0.1", broker.port), tmp_path / "run"),
        ReplayOptions(speed=3_600.0 * 200, limit=400),
    )  # fmt: skip
    going = asyncio.create_task(run.run())
    await asyncio.sleep(1.0)
    await asyncio.to_thread(broker.restart)
    result = await going
    assert result.counters["made"] == 400
    assert (result.unfinished, result.counters["lost"]) == (0, 0)
    ledger = read_ledger(result.directory)
    assert acked_rows(ledger, ledger.groups[0]).all()
