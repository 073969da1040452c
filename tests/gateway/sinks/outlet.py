"""A sink on an outbox in memory, delivering to a fake InfluxDB without sleeping."""

import asyncio
import itertools
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

import pytest

from edge_gateway.records.store_effects import Quarantined
from edge_gateway.sinks.influx.sink import InfluxSink
from edge_gateway.sinks.influx.writer import InfluxWriter
from edge_gateway.store.outbox import Parcel, Waiting
from tests.fakes import FakeInflux


def line(number: int, kind: str = "sensor") -> bytes:
    return f"{kind},device=d{number} value={number}.5 {1_700_000_000_000 + number}\n".encode()


def parcel(number: int, lines: list[bytes], bucket: str = "telemetry") -> Parcel:
    return Parcel("influx", number, number, bucket, b"".join(lines), len(lines), 1_700_000_000_000)


@dataclass
class Outlet:
    """An outbox in memory, and what the sink put in quarantine and counted; its next calls can fail."""

    parcels: list[Parcel]
    refused: list[Quarantined] = field(default_factory=list)
    counters: dict[str, int] = field(default_factory=dict)
    errors: list[Exception] = field(default_factory=list)
    taken: int = 0
    lines: int = 0
    empty: asyncio.Event = field(default_factory=asyncio.Event)

    def waiting(self, sink: str) -> Waiting:
        assert sink == "influx"
        return Waiting(chunks=len(self.parcels), lines=self.lines)

    async def take(self, sink: str, without: frozenset[str]) -> Parcel:
        assert sink == "influx"
        if not self.parcels:
            self.empty.set()
            await asyncio.Event().wait()
        open_ones = [parcel for parcel in self.parcels if parcel.bucket not in without]
        if not open_ones:
            await asyncio.Event().wait()
        self.taken += 1
        return open_ones[0]

    async def call(self, function: Callable[[Any], None]) -> None:
        if self.errors:
            raise self.errors.pop(0)
        function(self)

    def done(self, parcel: Parcel, refused: list[Quarantined], counters: dict[str, int]) -> None:
        self.parcels.remove(parcel)
        self.refused += refused
        for name, count in counters.items():
            self.counters[name] = self.counters.get(name, 0) + count


class Sleeps:
    """Does not sleep; remembers for how long it should have."""

    def __init__(self) -> None:
        self.seconds: list[float] = []

    async def __call__(self, seconds: float) -> None:
        self.seconds.append(seconds)
        await asyncio.sleep(0)


def growing() -> Iterator[float]:
    return (min(30.0, 0.5 * 2**n) for n in itertools.count())


async def deliver(
    server: FakeInflux, outlet: Outlet, *, patience: float = 5.0
) -> tuple[InfluxSink, list[float]]:
    """Run a sink until the outlet is empty; returns it and how long it would have slept each time."""
    sleeps = Sleeps()
    async with InfluxWriter(server.url, "fleet", lambda: "secret", timeout=patience) as writer:
        sink = InfluxSink(
            "influx", outlet, writer.write, growing, sleep=sleeps, linger=0.0, clock=lambda: 1_700_000_000.0
        )
        task = asyncio.create_task(sink.run())
        await asyncio.wait(
            [task, asyncio.create_task(outlet.empty.wait())], return_when=asyncio.FIRST_COMPLETED
        )
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
    return sink, sleeps.seconds
