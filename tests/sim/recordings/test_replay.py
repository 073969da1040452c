"""Samples of a recording as messages, and the run that sends them."""

import asyncio
import time
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fleet_recordings.reading import RecordedSample, Recording
from fleet_sim.devices.counters import Snapshot
from fleet_sim.devices.endpoint import CannotReach, Endpoint
from fleet_sim.ledger.reading import read_ledger
from fleet_sim.recordings import replay
from fleet_sim.recordings.replay import ReplayOptions, ReplayRun, Stamp, bundles, shifted
from fleet_sim.runtime.deployment import RunOptions, RunResult
from fleet_wire.errors import ConnectRefused
from fleet_wire.session import Session
from fleet_wire.session_options import Connected
from fleet_wire.telemetry import MAX_STEP, Telemetry
from tests.sim.recordings.answering_broker import AnsweringBroker


def sample(device: str, ts: int, *, doubtful: bool = False) -> RecordedSample:
    return RecordedSample(ts, device, {"x": float(ts)}, {"x": 0.5} if doubtful else None)


def recording_of(*samples: RecordedSample) -> Recording:
    units: dict[str, dict[str, str | None]] = {each.device: dict.fromkeys(each.m) for each in samples}
    sites, types = dict.fromkeys(units, "plant"), dict.fromkeys(units, "logger")
    return Recording(list(samples), units, sites=sites, types=types)


def run_of(
    broker: AnsweringBroker, recording: Recording, directory: Path, *, settle: float = 60.0, **how: object
) -> ReplayRun:
    endpoint = Endpoint("127.0.0.1", broker.port)
    options = RunOptions(endpoint, directory / "run", boot=7, settle=settle, observe=False)
    values: dict[str, object] = {"speed": None, "stamp": "recorded", **how}
    return ReplayRun(recording, "test", options, ReplayOptions(**values))  # type: ignore[arg-type]


def samples_of(messages: list[tuple[str, Telemetry]]) -> list[tuple[str, int, dict[str, float]]]:
    found = []
    for device, message in messages:
        assert message.ts is not None
        found.append((device, message.ts, message.m))
        found += [(device, message.ts + step, values) for step, values in message.s or ()]
    return found


@settings(deadline=None)
@given(
    st.lists(st.tuples(st.sampled_from("abc"), st.integers(0, 50), st.booleans()), max_size=60),
    st.integers(1, 7),
)
def test_bundles_hold_every_sample_once_and_in_order_per_device(
    rows: list[tuple[str, int, bool]], batch: int
) -> None:
    samples = [
        sample(device, ts, doubtful=doubt) for device, ts, doubt in sorted(rows, key=lambda row: row[1])
    ]
    made = list(bundles(samples, batch))
    for device in "abc":
        mine = [each for bundle in made if bundle.device == device for each in bundle.samples]
        assert mine == [each for each in samples if each.device == device]
    for bundle in made:
        assert 1 <= len(bundle.samples) <= batch
        assert len(bundle.samples) == 1 or not any(each.q for each in bundle.samples)
        assert bundle.due == bundle.samples[-1].ts


def test_a_bundle_spans_no_more_time_than_a_message_can() -> None:
    samples = [sample("a", 0), sample("a", MAX_STEP), sample("a", MAX_STEP + 1)]
    assert [len(each.samples) for each in bundles(samples, 10)] == [2, 1]


def test_shifted_times_end_now_and_keep_their_intervals() -> None:
    samples = [sample("a", 1000), sample("a", 4000)]
    assert [each.ts for each in shifted(samples, "shift", 90_000)] == [87_000, 90_000]
    assert [each.ts for each in shifted(samples, "recorded", 90_000)] == [1000, 4000]
    assert shifted([], "shift", 90_000) == []


async def test_every_device_sends_its_samples_and_the_ledger_holds_them(tmp_path: Path) -> None:
    recording = recording_of(sample("a", 1000), sample("b", 2000, doubtful=True), sample("a", 3000))
    recording.tags["a"] = {"line": "L0"}
    seconds: list[Snapshot] = []
    async with AnsweringBroker() as broker:
        run = run_of(broker, recording, tmp_path)
        run.on_second = seconds.append
        result = await run.run()
    assert sorted(samples_of(broker.received)) == [
        ("a", 1000, {"x": 1000.0}), ("a", 3000, {"x": 3000.0}), ("b", 2000, {"x": 2000.0})
    ]  # fmt: skip
    assert [message.q for device, message in broker.received if device == "b"] == [{"x": 0.5}]
    assert set(broker.births) == {"a", "b"}
    assert (result.reason, result.unfinished, result.counters["made"]) == ("finished", 0, 3)
    ledger = read_ledger(result.directory)
    assert [(each.id, each.site, each.type, each.tags) for each in ledger.devices] == [
        ("a", "plant", "logger", {"line": "L0"}), ("b", "plant", "logger", {})
    ]  # fmt: skip
    [group] = ledger.groups
    assert group.table["ts"].tolist() == [1000, 2000, 3000]
    assert group.quality["x"].tolist() == [1.0, 0.5, 1.0]


async def test_a_batch_that_is_longer_than_a_message_is_sent_as_several(tmp_path: Path) -> None:
    wide = {f"metric_with_a_long_name_{number:02d}": float(number) for number in range(60)}
    samples = [RecordedSample(second * 1000, "a", wide, None) for second in range(100)]
    async with AnsweringBroker() as broker:
        result = await run_of(broker, recording_of(*samples), tmp_path, batch=100).run()
    assert [ts for _, ts, _ in samples_of(broker.received)] == [each.ts for each in samples]
    assert [message.seq for _, message in broker.received] == list(range(result.counters["made"]))
    assert 1 < result.counters["made"] < 10


@pytest.mark.parametrize("stamp", ["now", "shift"])
async def test_samples_stamped_now_or_shifted_end_when_they_are_sent(stamp: Stamp, tmp_path: Path) -> None:
    before = time.time_ns() // 1_000_000
    async with AnsweringBroker() as broker:
        await run_of(
            broker, recording_of(sample("a", 1), sample("a", 2)), tmp_path, stamp=stamp, batch=2
        ).run()
    [(_, message)] = broker.received
    assert message.ts is not None
    assert before - 1 <= message.ts <= time.time_ns() // 1_000_000 + 1
    assert [step for step, _ in message.s or ()] == ([0] if stamp == "now" else [1])


async def test_a_paced_replay_waits_until_each_sample_is_due(tmp_path: Path) -> None:
    began = time.monotonic()
    async with AnsweringBroker() as broker:
        recording = recording_of(sample("a", 0), sample("a", 60_000))
        result = await run_of(broker, recording, tmp_path, speed=100.0).run()
    assert time.monotonic() - began >= 0.6, "a minute, 100 times as fast"
    assert result.counters["made"] == 2


async def test_a_limit_ends_the_replay(tmp_path: Path) -> None:
    async with AnsweringBroker() as broker:
        recording = recording_of(*(sample("a", second) for second in range(9)))
        result = await run_of(broker, recording, tmp_path, limit=4).run()
    assert result.counters["made"] == 4


async def test_a_device_waits_for_pubacks_before_it_sends_more(tmp_path: Path) -> None:
    async with AnsweringBroker() as broker:
        broker.withheld = True
        recording = recording_of(*(sample("a", second) for second in range(replay.UNACKED + 5)))
        going = asyncio.create_task(run_of(broker, recording, tmp_path).run())
        await broker.count(replay.UNACKED)
        await asyncio.sleep(20 * replay.POLL_SECONDS)
        assert len(broker.received) == replay.UNACKED
        broker.release()
        assert (await going).unfinished == 0
    assert len(broker.received) == replay.UNACKED + 5


async def test_where_gateways_send_receipts_a_device_waits_for_them(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(replay, "UNRECEIPTED", 3)
    async with AnsweringBroker(receipts=True) as broker:
        recording = recording_of(*(sample("a", second) for second in range(40)))
        result = await run_of(broker, recording, tmp_path).run()
    assert (result.counters["made"], result.unfinished) == (40, 0)
    assert result.counters["receipts"] > 0


@pytest.mark.parametrize("speed", [None, 0.001])
async def test_a_stopped_replay_ends_with_what_it_has_sent(speed: float | None, tmp_path: Path) -> None:
    async with AnsweringBroker() as broker:
        broker.withheld = speed is None
        recording = recording_of(*(sample("a", second * 1000) for second in range(100)))
        run = run_of(broker, recording, tmp_path, speed=speed, settle=0.1)
        going = asyncio.create_task(run.run())
        await broker.count(1)
        run.stop("interrupted")
        run.stop("too late to matter")
        result: RunResult = await going
    assert result.reason == "interrupted"
    assert 1 <= result.counters["made"] <= replay.UNACKED
    assert read_ledger(result.directory).end is not None


async def test_no_broker_is_an_error_that_names_it(tmp_path: Path) -> None:
    async with AnsweringBroker() as broker:
        pass
    with pytest.raises(CannotReach, match=f"no broker at mqtt://127.0.0.1:{broker.port}"):
        await run_of(broker, recording_of(sample("a", 1)), tmp_path).run()


async def test_a_device_that_the_broker_refuses_holds_nobody_up(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    connect = Session.connect

    async def refused(session: Session) -> Connected:
        if session.options.client_id == "b":
            raise ConnectRefused("bad user name or password", 0x86)
        return await connect(session)

    monkeypatch.setattr(Session, "connect", refused)
    async with AnsweringBroker() as broker:
        samples = [sample("b", 1), sample("a", 2), sample("b", 3), sample("a", 4)]
        run = run_of(broker, recording_of(*samples), tmp_path, settle=0.1)
        async with asyncio.timeout(60):
            found = await run.run()
    assert [device for device, _ in broker.received] == ["a", "a"]
    assert found.never_connected == {"bad user name or password": 1}
    assert (found.counters["unfinished"], found.counters["unsent"]) == (2, 2)


async def test_a_recording_cannot_be_changed_by_a_command(tmp_path: Path) -> None:
    async with AnsweringBroker() as broker:
        run = run_of(broker, recording_of(sample("a", 1)), tmp_path)
        await run.run()
    [device] = run._devices.values()
    with pytest.raises(ValueError, match="a recording cannot change x"):
        device.group.apply(device, "x", 1.0)
