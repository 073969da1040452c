"""An engine on a bench: its collaborators are stand-ins that note what they are given and wait until told."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any, cast

from mqtt5 import PublishPacket

from edge_gateway.fleet.admission import Admission, AdmissionPolicy
from edge_gateway.fleet.registry import Registry
from edge_gateway.fold.effects import Effects
from edge_gateway.fold.pipeline import Pipeline
from edge_gateway.mqtt.caught_up_clock import CaughtUpClock
from edge_gateway.mqtt.source import Arrivals, Source
from edge_gateway.records.inputs import Batch, ClockConfirmed, Input, Tick
from edge_gateway.service.engine import (
    CLOSE_EVERY,
    Engine,
)
from edge_gateway.status.clock import SURE, ClockReading, ClockState
from edge_gateway.status.counters import Counters

WITHIN = 60.0


class Names:
    """Knows no series."""

    def new_series(self, _: Any) -> tuple[()]:
        return ()

    def new_texts(self, _: Any) -> tuple[()]:
        return ()

    def forget_texts(self, codes: object) -> None:
        """Nothing to forget."""


@dataclass
class Windows:
    pending: int = 0


@dataclass
class Fold:
    """Notes its inputs; each tick closes one waiting window, and changes state if `busy`."""

    windows: Windows = field(default_factory=Windows)
    admission: Admission = field(default_factory=lambda: Admission(Registry(), AdmissionPolicy()))
    confirmed: list[ClockConfirmed] = field(default_factory=list)
    busy: bool = False
    ticks: list[Tick] = field(default_factory=list)
    batches: list[Batch] = field(default_factory=list)
    numbers: list[int] = field(default_factory=list)
    changed: asyncio.Event = field(default_factory=asyncio.Event)

    def fold(self, given: Input, *, number: int) -> Effects:
        self.changed.set()
        self.numbers.append(number)
        if isinstance(given, Batch):
            self.batches.append(given)
            return Effects(given.moment.wall)
        if isinstance(given, ClockConfirmed):
            self.confirmed.append(given)
            return Effects(given.moment.wall)
        assert isinstance(given, Tick)
        self.ticks.append(given)
        self.windows.pending = max(0, self.windows.pending - 1)
        return Effects(given.moment.wall, changed=self.busy, urgent=self.busy)

    async def until(self, holds: Callable[[], bool]) -> None:
        async with asyncio.timeout(WITHIN):
            while not holds():
                self.changed.clear()
                await self.changed.wait()


@dataclass
class Deliveries:
    """A source that is fed by hand."""

    arrived: list[Arrivals] = field(default_factory=list)
    acknowledged: list[Arrivals] = field(default_factory=list)
    rests: list[float] = field(default_factory=list)
    there: asyncio.Event = field(default_factory=asyncio.Event)
    receive_maximum: int = 4_000

    @property
    def waiting(self) -> int:
        return len(self.arrived)

    def bring(self, payload: bytes) -> None:
        packet = cast("PublishPacket", Packet("fleet/v1/s/d/telemetry", payload))
        self.arrived.append(Arrivals(1, [packet], len(payload)))
        self.there.set()

    async def wait_for_deliveries(self) -> None:
        await self.there.wait()

    def take(self) -> list[Arrivals]:
        taken, self.arrived = self.arrived, []
        self.there.clear()
        return taken

    async def let_gather(self, seconds: float) -> None:
        self.rests.append(seconds)
        await asyncio.sleep(0)

    def acknowledge(self, arrivals: Sequence[Arrivals]) -> None:
        self.acknowledged += arrivals


@dataclass(frozen=True)
class Packet:
    topic: str
    payload: bytes
    qos: int = 1
    retain: bool = False
    duplicate: bool = False


@dataclass
class Disk:
    """A commit queue that finishes when told to."""

    unfinished: list[tuple[int, asyncio.Future[int]]] = field(default_factory=list)
    unapplied: int = 0
    free: asyncio.Event = field(default_factory=asyncio.Event)

    @property
    def pending(self) -> int:
        return len(self.unfinished)

    def submit(self, number: int, record: Any) -> asyncio.Future[int]:
        assert callable(record)
        future: asyncio.Future[int] = asyncio.get_running_loop().create_future()
        self.unfinished.append((number, future))
        return future

    async def room(self) -> None:
        await self.free.wait()

    def catch_up(self) -> None:
        for number, future in self.unfinished:
            future.set_result(number)
        self.unfinished = []
        self.free.set()


@dataclass
class Stored:
    pending: int = 0

    def apply(self, number: int, effects: Any) -> None:
        pass

    async def room(self) -> None:
        await asyncio.sleep(0)


class Clock:
    """Advances by a second at each call of `monotonic`."""

    def __init__(self) -> None:
        self.now = 0

    def wall(self) -> int:
        return 1_700_000_000_000 + self.now

    def monotonic(self) -> int:
        self.now += 1_000
        return self.now

    state = ClockState.PLAUSIBLE
    confirmed_at: int | None = None

    def read(self) -> ClockReading:
        return ClockReading(self.wall(), self.state, None if self.state in SURE else self.now)

    def confirm(self) -> None:
        self.state, self.confirmed_at = ClockState.CONFIRMED, self.now

    def hear_fleet(self, *, agrees: bool | None) -> None:
        """Believe a fleet that agrees."""
        if agrees:
            self.state = ClockState.AGREED

    def take_confirmation(self) -> int | None:
        before, self.confirmed_at = self.confirmed_at, None
        return before


@dataclass
class Bench:
    """An engine and its collaborators."""

    fold: Fold = field(default_factory=Fold)
    source: Deliveries = field(default_factory=Deliveries)
    disk: Disk = field(default_factory=Disk)
    store: Stored = field(default_factory=Stored)
    clock: Clock = field(default_factory=Clock)
    listening: CaughtUpClock = field(default_factory=CaughtUpClock)
    counters: Counters = field(default_factory=Counters)

    def __post_init__(self) -> None:
        self.engine = Engine(
            pipeline=cast("Pipeline", self.fold),
            names=cast("Any", Names()),
            source=cast("Source", self.source),
            commits=self.disk,
            store=self.store,
            send=lambda _: None,
            clock=self.clock,
            listening=self.listening,
            counters=self.counters,
            echo_topic="edge/v1/gw/echo",
            commit_interval=0.01,
        )

    @asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        task = asyncio.create_task(self.engine.run())
        try:
            yield
        finally:
            task.cancel()

    async def ticked(self, times: int) -> None:
        """Wait for so many rounds of the tick task."""
        async with asyncio.timeout(WITHIN):
            for _ in range(times):
                before = self.engine.ticked_at
                while self.engine.ticked_at == before:  # noqa: ASYNC110 - nothing tells of a tick that was not folded
                    await asyncio.sleep(CLOSE_EVERY)
