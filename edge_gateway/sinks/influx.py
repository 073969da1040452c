"""The InfluxDB sink: parcels from the outbox, in order, one request in flight.

    outbox.take ─▶ write ─▶ decide ─┬─ accept ───────▶ outbox.done
         ▲                          ├─ halve ────────▶ write each half, in order
         │                          ├─ refuse ───────▶ quarantine line by line, with the reason
         └──────────────────────────┴─ keep, back off ▶ wait, write again

A parcel leaves the outbox only when each of its lines was accepted or put in quarantine.
"""

import asyncio
import sqlite3
from collections import deque
from collections.abc import Awaitable, Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final, Protocol

from edge_gateway.durable.effects import Quarantined
from edge_gateway.durable.outbox import MOST_LINES, Parcel, Waiting
from edge_gateway.sinks.outcomes import Decision, Outcome, Step, decide, wall_seconds

if TYPE_CHECKING:
    from edge_gateway.durable.store import Store

STORE_DELAY: Final = 1.0
LINGER: Final = 0.5
"""Seconds in which lines gather while there are fewer than a request may carry: a request of ten costs as much as one
of a thousand. The first ones after a pause are sent at once."""

Write = Callable[[str, bytes], Awaitable[Outcome]]
Sleep = Callable[[float], Awaitable[None]]


class Outlet(Protocol):
    """The loop's side of the store (`StoreThread`)."""

    def waiting(self, sink: str) -> Waiting: ...
    async def take(self, sink: str) -> Parcel: ...
    async def call(self, function: "Callable[[Store], None]") -> None: ...


@dataclass(slots=True)
class SinkFacts:
    """What a sink says of itself; `problem` is a sentence for the operator, empty while all is well."""

    requests: int = 0
    lines: int = 0
    refused_lines: int = 0
    failures: int = 0
    problem: str = ""
    waiting_until: float | None = None


@dataclass(slots=True)
class _Delivery:
    """A parcel on its way: pieces still to send, the first one first, and what was refused of it."""

    bucket: str
    at: int
    pieces: deque[list[bytes]]
    refused: list[Quarantined] = field(default_factory=list)


class InfluxSink:
    """Runs until cancelled; cancelled at any time it leaves what was not accepted in the outbox.

    Args:
        name: the sink's name in the outbox.
        outlet: where parcels come from.
        write: sends one body to one bucket.
        delays: a fresh, growing series of seconds for each run of failures, with jitter, at most 30 s.
        sleep: waits that many seconds.
        linger: seconds between two requests, while little waits.
        clock: wall time in seconds.
    """

    def __init__(
        self,
        name: str,
        outlet: Outlet,
        write: Write,
        delays: Callable[[], Iterator[float]],
        *,
        sleep: Sleep = asyncio.sleep,
        linger: float = LINGER,
        clock: Callable[[], float] = wall_seconds,
    ) -> None:
        self._name = name
        self._outlet = outlet
        self._write = write
        self._fresh_delays = delays
        self._delays = delays()
        self._sleep = sleep
        self._linger = linger
        self._draining = asyncio.Event()
        self._clock = clock
        self.facts = SinkFacts()
        self._settled = asyncio.Event()

    async def run(self) -> None:
        """Deliver parcel after parcel."""
        while True:
            parcel = await self._outlet.take(self._name)
            delivery = await self._deliver(parcel)
            await self._settle(parcel, delivery)
            if self._outlet.waiting(self._name).lines < MOST_LINES:
                await self._gather()

    async def _gather(self) -> None:
        with suppress(TimeoutError):
            async with asyncio.timeout(self._linger):
                await self._draining.wait()

    async def drain(self, deadline: float) -> bool:
        """Wait until nothing waits any more, at most `deadline` seconds; True when the outbox is empty.

        From now on nothing lingers.
        """
        self._draining.set()
        try:
            async with asyncio.timeout(deadline):
                while self._outlet.waiting(self._name).chunks:
                    self._settled.clear()
                    await self._settled.wait()
        except TimeoutError:
            return False
        return True

    async def _deliver(self, parcel: Parcel) -> _Delivery:
        lines = [line + b"\n" for line in parcel.body.split(b"\n")[:-1]]
        delivery = _Delivery(parcel.bucket, parcel.at, deque([lines]))
        while delivery.pieces:
            piece = delivery.pieces[0]
            outcome = await self._write(delivery.bucket, b"".join(piece))
            self.facts.requests += 1
            decision = decide(outcome, len(piece), self._clock())
            if decision.step in {Step.KEEP, Step.BACK_OFF}:
                await self._wait(decision)
            else:
                self._take_answer(decision, piece, delivery)
        return delivery

    def _take_answer(self, decision: Decision, piece: list[bytes], delivery: _Delivery) -> None:
        self._healthy()
        delivery.pieces.popleft()
        if decision.step is Step.HALVE:
            half = len(piece) // 2
            delivery.pieces.extendleft([piece[half:], piece[:half]])
        elif decision.step is Step.REFUSE:
            delivery.refused += (_quarantined(delivery, line, decision.reason) for line in piece)
        else:
            self.facts.lines += len(piece)

    async def _wait(self, decision: Decision) -> None:
        self.facts.failures += 1
        self.facts.problem = decision.reason
        delay = max(next(self._delays), decision.wait or 0.0)
        self.facts.waiting_until = self._clock() + delay
        await self._sleep(delay)
        self.facts.waiting_until = None

    def _healthy(self) -> None:
        if self.facts.problem:
            self.facts.problem = ""
            self._delays = self._fresh_delays()

    async def _settle(self, parcel: Parcel, delivery: _Delivery) -> None:
        """Take the parcel out of the outbox; a store that refuses is asked again."""
        self.facts.refused_lines += len(delivery.refused)
        counters = {f"{self._name}_refused_points": len(delivery.refused)}
        while True:
            try:
                await self._outlet.call(lambda store: store.done(parcel, delivery.refused, counters))
            except sqlite3.Error as error:
                self.facts.problem = f"the store refuses: {error}"
                await self._sleep(STORE_DELAY)
            else:
                self._healthy()
                self._settled.set()
                return


def _quarantined(delivery: _Delivery, line: bytes, reason: str) -> Quarantined:
    return Quarantined(f"influx/{delivery.bucket}", line, reason, delivery.at)
