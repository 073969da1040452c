"""The InfluxDB sink: parcels from the outbox, in order, one request in flight.

    outbox.take ─▶ write ─▶ decide ─┬─ accept ───────▶ outbox.done
         ▲                          ├─ halve ────────▶ write each half, in order
         │                          ├─ refuse ───────▶ quarantine line by line, with the reason
         │                          ├─ hold ─────────▶ the bucket's lines stay, those of other buckets go on
         └──────────────────────────┴─ keep, back off ▶ wait, write again; what fails alone is tried (trial.py)

A parcel leaves the outbox only when each of its lines was accepted or put in quarantine.
"""

import asyncio
import sqlite3
from collections import deque
from collections.abc import Awaitable, Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime
from time import monotonic
from typing import TYPE_CHECKING, Final, Protocol

from edge_gateway.records.store_effects import Quarantined
from edge_gateway.sinks.held import HeldBuckets
from edge_gateway.sinks.outcomes import Decision, Outcome, Step, decide, wall_seconds
from edge_gateway.sinks.refused_lines import RefusedLines
from edge_gateway.sinks.trial import Convicts, Trial, Verdict, probe
from edge_gateway.status.catalogue import Problem
from edge_gateway.status.report import SinkWork
from edge_gateway.store.outbox import MOST_LINES, Parcel, Waiting
from fleet_wire.printable import printable

if TYPE_CHECKING:
    from edge_gateway.store.store import Store

STORE_DELAY: Final = 1.0
LONG_WAIT: Final = 60.0
"""Seconds of a Retry-After from which on the problem says when it ends."""
MOST_PROBLEM: Final = 2_000
"""Characters of a problem's text."""
LINGER: Final = 0.5
"""Seconds in which lines gather while there are fewer than a request may carry: a request of ten costs as much as one
of a thousand. The first ones after a pause are sent at once."""

Write = Callable[[str, bytes], Awaitable[Outcome]]
Sleep = Callable[[float], Awaitable[None]]


class Outlet(Protocol):
    """The loop's side of the store (`StoreThread`)."""

    def waiting(self, sink: str) -> Waiting: ...
    async def take(self, sink: str, without: frozenset[str]) -> Parcel: ...
    async def call(self, function: "Callable[[Store], None]") -> None: ...


@dataclass(slots=True)
class _Delivery:
    """A parcel on its way: pieces still to send, the first one first, and what became of the others."""

    bucket: str
    at: int
    pieces: deque[list[bytes]]
    stored: int = 0
    refused: list[Quarantined] = field(default_factory=list)
    trial: Trial = field(default_factory=Trial)

    @property
    def over(self) -> bool:
        """Whether every line was stored or refused."""
        return not self.pieces

    def split(self, convicts: Convicts) -> None:
        """The first piece becomes the lines of series that were refused before and the others, or else its halves."""
        piece = self.pieces.popleft()
        if len(parts := convicts.apart(piece)) > 1:
            self.pieces.extendleft(reversed(parts))
            return
        half = len(piece) // 2
        self.pieces.extendleft([piece[half:], piece[:half]])

    def refuse(self, reason: str) -> None:
        """The first piece goes to the quarantine, line by line."""
        piece = self.pieces.popleft()
        self.refused += (Quarantined(f"influx/{self.bucket}", line, reason, self.at) for line in piece)

    def accept(self) -> None:
        """The first piece is stored."""
        self.stored += len(self.pieces.popleft())


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
        timer: monotonic time in seconds.
    """

    part: Final = Problem.PART_SINK_INFLUX
    trouble: Final = Problem.SINK_INFLUX
    refused: Final = Problem.INFLUX_REFUSED

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
        timer: Callable[[], float] = monotonic,
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
        self._timer = timer
        self._held = HeldBuckets()
        self._refusals = RefusedLines()
        self._trouble = ""
        self._searching = False
        self._convicts = Convicts()
        self.facts = SinkWork()
        self._settled = asyncio.Event()

    async def run(self) -> None:
        """Deliver parcel after parcel."""
        while True:
            parcel = await self._next()
            delivery = await self._deliver(parcel)
            if not delivery.over:
                continue  # the lines of other buckets have waited for this one
            await self._settle(parcel, delivery)
            if self._held.closed(self._timer()) or self._outlet.waiting(self._name).lines < MOST_LINES:
                await self._gather()

    async def _next(self) -> Parcel:
        """The next parcel of a bucket that may be tried."""
        while True:
            now = self._timer()
            closed, wait = self._held.closed(now), self._held.wait(now)
            with suppress(TimeoutError):
                async with asyncio.timeout(wait):
                    return await self._outlet.take(self._name, closed)

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
        delivery = _Delivery(parcel.bucket, parcel.at, deque([lines]), trial=Trial(searching=self._searching))
        while not delivery.over:
            piece = delivery.pieces[0]
            decision = await self._send(delivery.bucket, piece)
            if decision.step is Step.HOLD:
                self.facts.failures += 1
                self._held.hold(delivery.bucket, decision.reason, self._timer(), self._fresh_delays())
                self._settle_trouble("")
                break
            if decision.step in {Step.KEEP, Step.BACK_OFF, Step.PROVE}:
                await self._failed(decision, piece, delivery)
            else:
                self._take_answer(decision, delivery)
        self._searching = delivery.trial.searching
        return delivery

    async def _send(self, bucket: str, piece: list[bytes]) -> Decision:
        outcome = await self._write(bucket, b"".join(piece))
        self.facts.requests += 1
        return decide(outcome, len(piece), self._clock())

    def _take_answer(self, decision: Decision, delivery: _Delivery) -> None:
        self._held.release(delivery.bucket)
        self._settle_trouble("")
        delivery.trial.answered()
        if decision.step is Step.HALVE:
            delivery.split(self._convicts)
        elif decision.step is Step.REFUSE:
            self._refuse(delivery, decision.reason)
        else:
            if len(delivery.pieces[0]) == 1:
                self._convicts.acquit(delivery.pieces[0][0])
            delivery.accept()

    async def _failed(self, decision: Decision, piece: list[bytes], delivery: _Delivery) -> None:
        """Wait for the server, unless it is the request that fails."""
        trial = delivery.trial
        due = decision.suspect and trial.suspects()
        verdict = Verdict.WAIT
        if due or decision.step is Step.PROVE:
            stores = await self._stores(delivery.bucket, piece[0])
            if not stores:
                self._convicts.clear()
            verdict = trial.judge(len(piece), stores=stores, known=piece[0] in self._convicts)
        if verdict is Verdict.WAIT:
            trial.waited += await self._wait(decision)
        elif verdict is Verdict.HALVE:
            delivery.split(self._convicts)
        elif verdict is Verdict.REFUSE:
            self._convicts.add(piece[0])
            reason = f"{decision.reason}; InfluxDB stores others of the same time and bucket"
            self._refuse(delivery, reason)

    def _refuse(self, delivery: _Delivery, reason: str) -> None:
        self._refusals.note(delivery.bucket, delivery.pieces[0], reason, self._timer())
        delivery.refuse(reason)

    def refusals(self) -> str:
        """What InfluxDB refused within the last hour, and what to do; empty for nothing."""
        return self._refusals.told(self._timer())

    async def _stores(self, bucket: str, line: bytes) -> bool:
        """Whether the server takes a point of our own where it fails for a line."""
        point = probe(line, self._clock())
        decision = await self._send(bucket, [point])
        return decision.step in {Step.ACCEPT, Step.REFUSE}

    async def _wait(self, decision: Decision) -> float:
        """Sleep until the next try; returns for how many seconds."""
        self.facts.failures += 1
        delay = max(next(self._delays), decision.wait or 0.0)
        until = self._clock() + delay
        self._settle_trouble(_with_wait(decision, until))
        self.facts.waiting_until = int(until * 1000)
        await self._sleep(delay)
        self.facts.waiting_until = None
        return delay

    def _settle_trouble(self, trouble: str) -> None:
        """Say what is wrong with the server, empty for nothing, beside what is wrong with single buckets."""
        if self._trouble and not trouble:
            self._delays = self._fresh_delays()
        self._trouble = trouble
        told = self._held.told()
        self.facts.problem = printable("; ".join([trouble, *told] if trouble else told), MOST_PROBLEM)

    async def _settle(self, parcel: Parcel, delivery: _Delivery) -> None:
        """Take the parcel out of the outbox; a store that refuses is asked again."""
        self.facts.lines += delivery.stored
        self.facts.refused_lines += len(delivery.refused)
        counters = {f"{self._name}_refused_points": len(delivery.refused)}
        while True:
            try:
                await self._outlet.call(lambda store: store.done(parcel, delivery.refused, counters))
            except sqlite3.Error as error:
                self._settle_trouble(f"the store refuses: {error}")
                await self._sleep(STORE_DELAY)
            else:
                self._settle_trouble("")
                self._settled.set()
                return


def _with_wait(decision: Decision, until: float) -> str:
    """The reason, and the wall time (s) of the next try where the server asked for a long wait."""
    if (decision.wait or 0.0) < LONG_WAIT:
        return decision.reason
    moment = datetime.fromtimestamp(until, UTC).strftime("%Y-%m-%d %H:%M:%SZ")
    return f"{decision.reason}; asked to wait, the next try is at {moment}"
