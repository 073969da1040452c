"""The sink against a real InfluxDB: what it accepts, what it refuses, and what stays."""

import asyncio
import itertools
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from edge_gateway.records.store_effects import BEHIND, SeriesName, StoreEffects
from edge_gateway.sinks.influx.sink import InfluxSink
from edge_gateway.sinks.influx.writer import InfluxWriter
from edge_gateway.store.database import Store
from edge_gateway.store.history import History
from edge_gateway.store.line_protocol import prefix, render_late, render_windows
from edge_gateway.store.outbox import SinkBudget
from edge_gateway.store.settings import StoredTier, StoreSettings
from edge_gateway.store.store_thread import StoreThread
from tests.gateway.store.fleet import closed, late, named
from tests.servers.influx import Influx

PATIENCE = 60.0
DAY = 86_400_000
NOW = int(time.time() * 1000)


def point(number: int, *, value: str = "1.5", at: int = NOW) -> bytes:
    return f"sensor,device=d{number},metric=m,site=s value={value} {at - number}000000\n".encode()


def short_delays() -> Iterator[float]:
    return itertools.repeat(0.05)


class Bench:
    """A store, its thread and a sink on one bucket."""

    def __init__(self, spool: Path, bucket: str) -> None:
        settings = StoreSettings(
            (StoredTier(60_000, bucket, 30 * DAY),), sinks=(SinkBudget("influx", 1 << 30),)
        )
        self._spool = spool
        store = Store.open(spool / "store.sqlite", settings, floor=0, at=NOW)
        self.thread = StoreThread(store, lambda _: store)

    async def put(self, *lines: bytes) -> None:
        await self.thread.call(lambda store: store.enqueue(b"".join(lines), NOW))

    async def deliver(self, influx: Influx) -> InfluxSink:
        """Run the sink until the outbox is empty."""
        async with self.running(influx, influx.token) as sink:
            assert await sink.drain(PATIENCE)
        return sink

    async def trouble(self, influx: Influx, token: str = "") -> str:
        """Run the sink until it has a problem; return its text."""
        async with self.running(influx, token or influx.token) as sink, asyncio.timeout(PATIENCE):
            while not sink.facts.problem:  # noqa: ASYNC110 - nobody tells
                await asyncio.sleep(0.05)
        return sink.facts.problem

    @asynccontextmanager
    async def running(self, influx: Influx, token: str) -> AsyncIterator[InfluxSink]:
        """Run a sink while the block runs."""
        async with InfluxWriter(influx.url, influx.org, lambda: token) as writer:
            sink = InfluxSink("influx", self.thread, writer.write, short_delays)
            task = asyncio.create_task(sink.run())
            yield sink
            task.cancel()
            with pytest.raises(asyncio.CancelledError):
                await task

    def quarantined(self) -> list[tuple[str, str]]:
        with History.open(self._spool, [60_000]) as history:
            return [(row["text"], row["reason"]) for row in history.query("quarantine")]


def stored(influx: Influx, bucket: str) -> dict[str, str]:
    rows = influx.query(f'from(bucket: "{bucket}") |> range(start: -40d)')
    return {row["device"]: row["_value"] for row in rows}


async def test_good_lines_are_stored_and_the_bad_one_alone_is_put_aside(
    influx: Influx, tmp_path: Path
) -> None:
    bucket = influx.fresh_bucket()
    bench = Bench(tmp_path, bucket)
    bad = b"sensor,device=d7,metric=m,site=s value=oops 1\n"
    await bench.put(*(point(n) for n in range(7)), bad, *(point(n) for n in range(8, 20)))
    sink = await bench.deliver(influx)
    assert set(stored(influx, bucket)) == {f"d{n}" for n in range(20)} - {"d7"}
    ((line, reason),) = bench.quarantined()
    assert line == bad.decode()
    assert "unable to parse" in reason
    assert (sink.facts.lines, sink.facts.refused_lines, sink.facts.problem) == (19, 1, "")
    await bench.thread.stop(5)


async def test_points_of_another_type_or_outside_retention_are_put_aside_and_the_rest_stored(
    influx: Influx, tmp_path: Path
) -> None:
    bucket = influx.fresh_bucket(retention_s=7 * 86_400)
    influx.write(bucket, point(0).decode(), precision="ns")
    bench = Bench(tmp_path, bucket)
    clash, old = point(1, value='"text"'), point(2, at=NOW - 10 * DAY)
    await bench.put(point(3), clash, point(4), old, point(5))
    sink = await bench.deliver(influx)
    assert set(stored(influx, bucket)) == {"d0", "d3", "d4", "d5"}
    assert [line for line, _ in bench.quarantined()] == [clash.decode(), old.decode()]
    assert all("422" in reason for _, reason in bench.quarantined())
    assert sink.facts.lines == 3
    assert f"'sensor' for bucket '{bucket}' are refused (422" in sink.new_refusals()
    await bench.thread.stop(5)


async def test_lines_that_are_all_refused_are_told_with_what_to_do(influx: Influx, tmp_path: Path) -> None:
    clash, short = influx.fresh_bucket(), influx.fresh_bucket(retention_s=86_400)
    influx.write(clash, point(0, value='"text"').decode(), precision="ns")
    told = []
    for bucket, at in ((clash, NOW), (short, NOW - 10 * DAY)):
        bench = Bench(tmp_path / bucket, bucket)
        await bench.put(*(point(n, at=at) for n in range(1, 9)))
        sink = await bench.deliver(influx)
        assert len(bench.quarantined()) == 8
        assert sink.facts.problem == ""
        told.append(sink.new_refusals())
        await bench.thread.stop(5)
    assert "its own bucket" in told[0]
    assert "influx status" in told[1]


async def test_a_wrong_token_or_a_missing_bucket_keeps_everything_until_it_is_mended(
    influx: Influx, tmp_path: Path
) -> None:
    bucket = influx.fresh_bucket()
    bench, lost = Bench(tmp_path / "a", bucket), Bench(tmp_path / "b", "no_such_bucket")
    for one in (bench, lost):
        await one.put(point(1))
    assert "401" in await bench.trouble(influx, token="wrong")
    assert "404" in await lost.trouble(influx)
    assert [one.thread.waiting("influx").lines for one in (bench, lost)] == [1, 1]
    await bench.deliver(influx)
    assert stored(influx, bucket) == {"d1": "1.5"}
    for one in (bench, lost):
        await one.thread.stop(5)


async def test_a_bucket_the_token_may_not_write_to_holds_up_no_other(influx: Influx, tmp_path: Path) -> None:
    ours, theirs = influx.fresh_bucket(), influx.fresh_bucket()
    found = influx.call("GET", f"/api/v2/buckets?name={ours}")["buckets"][0]
    resource = {"type": "buckets", "id": found["id"], "orgID": found["orgID"]}
    wanted = {"orgID": found["orgID"], "permissions": [{"action": "write", "resource": resource}]}
    token = influx.call("POST", "/api/v2/authorizations", wanted)["token"]
    settings = StoreSettings(
        (StoredTier(60_000, theirs, 30 * DAY), StoredTier(600_000, ours, 30 * DAY)),
        sinks=(SinkBudget("influx", 1 << 30),),
    )
    store = Store.open(tmp_path / "store.sqlite", settings, floor=0, at=NOW)
    start = NOW // 600_000 * 600_000 - 1_200_000
    named = SeriesName(0, 0, "d0", "m", "s", "t", {})
    windows = (closed(0, [(0, start, 1.0)]), closed(1, [(0, start, 1.0)]))
    store.apply([(1, [StoreEffects(start, (named,), windows=windows)])])
    thread = StoreThread(store, lambda _: store)
    async with InfluxWriter(influx.url, influx.org, lambda: token) as writer:
        sink = InfluxSink("influx", thread, writer.write, short_delays)
        task = asyncio.create_task(sink.run())
        async with asyncio.timeout(60):
            while thread.waiting("influx").lines > 1 or not sink.facts.problem:  # noqa: ASYNC110 - nobody tells
                await asyncio.sleep(0.05)
        assert stored(influx, ours)
        assert "write access" in sink.facts.problem
        assert theirs in sink.facts.problem
        assert thread.waiting("influx").lines == 1
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
    await thread.stop(5)


VALUES = [0.0, -0.0, 1.0, 7.0, 1e15, 1e16, 1e300, -1e308, 1.7976931348623157e308, 5e-324, 0.1, -12.5, 2.0**53]


async def test_no_value_of_a_device_makes_a_conflict_of_types_for_others(influx: Influx) -> None:
    """Whatever the first point of a field looked like, the next ones are of its type."""
    bucket = influx.fresh_bucket()
    start = NOW // 60_000 * 60_000 - 600_000
    async with InfluxWriter(influx.url, influx.org, lambda: influx.token) as writer:
        for number, value in enumerate(VALUES):
            window = closed(0, [(0, start, value), (0, start + 1, value)])
            before = prefix("sensor", {"device": f"d{number}", "metric": "m", "site": "s"})
            rows = render_windows([before], window.block) + render_late(
                prefix("sensor_late", {"device": f"d{number}"}), value, start, 0
            )
            assert (await writer.write(bucket, rows)).status == 204, value
    counted = [
        row
        for row in influx.query(f'from(bucket: "{bucket}") |> range(start: -1h)')
        if row["_field"] == "last"
    ]
    assert {float(row["_value"]) for row in counted} == set(VALUES)


async def test_late_readings_of_one_time_are_all_stored_and_none_twice_when_a_store_sends_again(
    influx: Influx, tmp_path: Path
) -> None:
    """A batch that is written again, and a store that is made again from the same records, add no point."""
    bucket = influx.fresh_bucket()
    at = NOW - 600_000
    told = late([(1, at, float(number)) for number in range(50)], tiers=BEHIND)
    for place in ("first", "made again"):
        bench = Bench(tmp_path / place, bucket)
        await bench.thread.call(lambda store: store.apply([(1, [named([1], at=NOW, late=told)])]))
        await bench.deliver(influx)
        await bench.thread.stop(5)
    rows = influx.query(f'from(bucket: "{bucket}") |> range(start: -1h)')
    assert sorted(float(row["_value"]) for row in rows) == [float(number) for number in range(50)]
    assert {row["_measurement"] for row in rows} == {"sensor_late"}


async def test_a_server_that_is_killed_and_comes_back_gets_everything_once(
    influx: Influx, tmp_path: Path
) -> None:
    if influx.runner is None:
        pytest.skip("a server given by INFLUX_URL is not ours to kill")
    bucket = influx.fresh_bucket()
    bench = Bench(tmp_path, bucket)
    await bench.put(*(point(n) for n in range(50)))
    await asyncio.to_thread(influx.kill)
    delivering = asyncio.create_task(bench.deliver(influx))
    await asyncio.to_thread(influx.start)
    sink = await delivering
    assert len(stored(influx, bucket)) == 50
    assert sink.facts.lines == 50
    assert bench.quarantined() == []
    await bench.thread.stop(5)
