"""The InfluxDB sink: parcels from the outbox, in order, one request in flight.

    outbox.take ─▶ write ─▶ decide ─┬─ accept ───────▶ outbox.done
         ▲                          ├─ halve ────────▶ write each half, in order (sizes: request_size.py)
         │                          ├─ refuse ───────▶ quarantine line by line, with the reason
         │                          ├─ hold ─────────▶ the bucket's lines stay, those of other buckets go on
         └──────────────────────────┴─ keep, back off ▶ wait, write again; search for a line at fault (poison.py)

A parcel leaves the outbox once each of its lines is stored or in quarantine.
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
from edge_gateway.sinks.held_buckets import HeldBuckets
from edge_gateway.sinks.outcomes import Decision, Outcome, Step, decide, wall_seconds
from edge_gateway.sinks.poison import PoisonedSeries, PoisonSearch, Verdict, probe
from edge_gateway.sinks.refused_lines import RefusedLines
from edge_gateway.sinks.request_size import RequestSize
from edge_gateway.status.catalogue import Problem
from edge_gateway.status.report import SinkWork
from edge_gateway.store.outbox import MOST_LINES, Parcel, Waiting
from fleet_wire.printable import printable

if TYPE_CHECKING:
    from edge_gateway.store.database import Store

STORE_DELAY: Final = 1.0
"""Seconds before a refusing store is called again."""
LONG_WAIT: Final = 60.0
"""Seconds of a Retry-After from which the problem names the time of the next try."""
MOST_PROBLEM: Final = 2_000
"""Length of a problem's text, in characters."""
LINGER: Final = 0.5
"""Seconds to collect lines while fewer wait than fit in a request, which costs the same for ten as for a thousand. The
first lines after a pause are sent at once."""

Write = Callable[[str, bytes], Awaitable[Outcome]]
Sleep = Callable[[float], Awaitable[None]]


class Outlet(Protocol):
    """The sink's view of the store (`StoreThread`)."""

    def waiting(self, sink: str) -> Waiting: ...
    async def take(self, sink: str, without: frozenset[str]) -> Parcel: ...
    async def call(self, function: "Callable[[Store], None]") -> None: ...


@dataclass(slots=True)
class _Delivery:
    """A parcel being delivered: the pieces still to send, in order, and the outcome of the others."""

    parcel: Parcel
    pieces: deque[list[bytes]]
    stored: int = 0
    refused: list[Quarantined] = field(default_factory=list)
    search: PoisonSearch = field(default_factory=PoisonSearch)

    @property
    def bucket(self) -> str:
        return self.parcel.bucket

    @property
    def done(self) -> bool:
        """Every line was stored or refused."""
        return not self.pieces

    def split(self, poisoned: PoisonedSeries) -> None:
        """Split the first piece: lines of poisoned series from the others, or else in halves."""
        piece = self.pieces.popleft()
        if len(parts := poisoned.separated(piece)) > 1:
            self.pieces.extendleft(reversed(parts))
            return
        half = len(piece) // 2
        self.pieces.extendleft([piece[half:], piece[:half]])

    def cut(self, size: RequestSize) -> None:
        """Cut the first piece if the server would refuse it for its size."""
        parts = size.cut(self.pieces[0])
        if len(parts) > 1:
            self.pieces.popleft()
            self.pieces.extendleft(reversed(parts))

    def refuse(self, reason: str) -> None:
        """Put the lines of the first piece in quarantine."""
        piece = self.pieces.popleft()
        at = self.parcel.at
        self.refused += (Quarantined(f"influx/{self.bucket}", line, reason, at) for line in piece)

    def accept(self) -> None:
        """Count the first piece as stored."""
        self.stored += len(self.pieces.popleft())


class InfluxSink:
    """Delivers parcels until cancelled. Cancelled at any point, it leaves unsettled parcels in the outbox.

    Args:
        name: the sink's name in the outbox.
        outlet: the store that parcels are taken from.
        write: writes a body of lines to a bucket.
        address: of the server, for the texts of its problems; empty: not named.
        delays: makes the growing delays (s) of a run of failures, with jitter, at most 30 s.
        sleep: sleeps for that many seconds.
        linger: seconds to collect lines between two requests while few wait.
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
        address: str = "",
        sleep: Sleep = asyncio.sleep,
        linger: float = LINGER,
        clock: Callable[[], float] = wall_seconds,
        timer: Callable[[], float] = monotonic,
    ) -> None:
        self._name = name
        self._outlet = outlet
        self._write = write
        self._address = address
        self._fresh_delays = delays
        self._delays = delays()
        self._sleep = sleep
        self._linger = linger
        self._draining = asyncio.Event()
        self._clock = clock
        self._timer = timer
        self._held = HeldBuckets()
        self._refusals = RefusedLines()
        self._refused_anew = False
        self._trouble = ""
        self._searching = False
        self._poisoned = PoisonedSeries()
        self._size = RequestSize(timer)
        self.facts = SinkWork()
        self._settled = asyncio.Event()
        self._unknown_at = timer()

    def hold_back(self, why: str) -> None:
        """Say why nothing is sent before `run`."""
        self.facts.problem = why

    async def run(self) -> None:
        """Deliver parcels until cancelled."""
        self.facts.problem = ""
        while True:
            parcel = await self._next()
            delivery = await self._deliver(parcel)
            if not delivery.done:
                continue  # the bucket is held: go on with the others
            await self._settle(parcel, delivery)
            if self._held.closed(self._timer()) or self._outlet.waiting(self._name).lines < MOST_LINES:
                await self._gather()

    async def _next(self) -> Parcel:
        """Wait for the next parcel of a bucket that is not held."""
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

    def since_unknown(self) -> float:
        """Return the seconds since a write may last have been left on its way, by this run or the one before."""
        return self._timer() - self._unknown_at

    async def drain(self, deadline: float) -> bool:
        """Wait until the outbox is empty, at most `deadline` seconds; return whether it is.

        From now on no time is spent collecting lines.
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
        delivery = _Delivery(parcel, deque([lines]), search=PoisonSearch(searching=self._searching))
        while not delivery.done:
            delivery.cut(self._size)
            piece = delivery.pieces[0]
            decision = await self._send(delivery.bucket, piece)
            if decision.step is Step.HOLD:
                self.facts.failures += 1
                self._held.hold(delivery.bucket, decision.reason, self._timer(), self._fresh_delays())
                self._settle_trouble("")
                break
            if decision.step in {Step.KEEP, Step.BACK_OFF, Step.PROBE}:
                await self._failed(decision, piece, delivery)
            else:
                self._take_answer(decision, delivery)
        self._searching = delivery.search.searching
        return delivery

    async def _send(self, bucket: str, piece: list[bytes]) -> Decision:
        body = b"".join(piece)
        outcome = await self._write(bucket, body)
        self.facts.requests += 1
        if outcome.stored:
            self._size.accepted(len(body))
        elif outcome.too_large and len(piece) > 1:
            self._size.refused(len(body))
        if outcome.unknown:
            self._unknown_at = self._timer()
        return decide(outcome, len(piece), self._clock())

    def _take_answer(self, decision: Decision, delivery: _Delivery) -> None:
        self._held.release(delivery.bucket)
        self._settle_trouble("")
        delivery.search.begin_request()
        if decision.step is Step.HALVE:
            delivery.split(self._poisoned)
        elif decision.step is Step.REFUSE:
            self._refuse(delivery, decision.reason)
        else:
            if len(delivery.pieces[0]) == 1:
                self._poisoned.discard(delivery.pieces[0][0])
            delivery.accept()

    async def _failed(self, decision: Decision, piece: list[bytes], delivery: _Delivery) -> None:
        """Wait for the server, unless the request itself is at fault."""
        search = delivery.search
        due = decision.suspect and search.is_probe_due()
        verdict = Verdict.WAIT
        if due or decision.step is Step.PROBE:
            stores = await self._stores(delivery.bucket, piece[0])
            if not stores:
                self._poisoned.clear()
            verdict = search.judge(len(piece), stores=stores, known=piece[0] in self._poisoned)
        if verdict is Verdict.WAIT:
            search.waited += await self._wait(decision)
        elif verdict is Verdict.HALVE:
            delivery.split(self._poisoned)
        elif verdict is Verdict.REFUSE:
            self._poisoned.add(piece[0])
            reason = f"{decision.reason}; InfluxDB stores other points of that time in that bucket"
            self._refuse(delivery, reason)

    def _refuse(self, delivery: _Delivery, reason: str) -> None:
        unsure = delivery.parcel.unsure
        self._refusals.note(delivery.bucket, delivery.pieces[0], reason, self._timer(), unsure=unsure)
        self._refused_anew = True
        delivery.refuse(reason)

    def new_refusals(self) -> str:
        """Return what InfluxDB refused within the last hour, and what to do; empty if that is what was told before."""
        told, self._refused_anew = not self._refused_anew, False
        return "" if told else self._refusals.text(self._timer())

    async def _stores(self, bucket: str, line: bytes) -> bool:
        """Probe the server: return whether it stores our own point where it fails for a line."""
        point = probe(line, self._clock())
        decision = await self._send(bucket, [point])
        return decision.step in {Step.ACCEPT, Step.REFUSE}

    async def _wait(self, decision: Decision) -> float:
        """Sleep until the next try; return the seconds slept."""
        self.facts.failures += 1
        delay = max(next(self._delays), decision.wait or 0.0)
        until = self._clock() + delay
        self._settle_trouble(self._of_server(_with_wait(decision, until)))
        self.facts.waiting_until = int(until * 1000)
        await self._sleep(delay)
        self.facts.waiting_until = None
        return delay

    def _settle_trouble(self, trouble: str) -> None:
        """Report a fault of the server or the store, empty for none, together with those of single buckets."""
        if self._trouble and not trouble:
            self._delays = self._fresh_delays()
        self._trouble = trouble
        troubles = [trouble, self._of_server("; ".join(self._held.sentences()))]
        self.facts.problem = printable("; ".join(filter(None, troubles)), MOST_PROBLEM)

    def _of_server(self, trouble: str) -> str:
        """Say which server has the trouble; empty for none."""
        return f"InfluxDB at {self._address}: {trouble}" if trouble and self._address else trouble

    async def _settle(self, parcel: Parcel, delivery: _Delivery) -> None:
        """Take the parcel out of the outbox; retry while the store refuses."""
        self.facts.lines += delivery.stored
        self.facts.refused_lines += len(delivery.refused)
        counters = {f"{self._name}_refused_points": len(delivery.refused)}
        while True:
            try:
                await self._outlet.call(lambda store: store.done(parcel, delivery.refused, counters))
            except sqlite3.Error as error:
                self._settle_trouble(f"the store cannot record what was delivered: {error}")
                await self._sleep(STORE_DELAY)
            else:
                self._settle_trouble("")
                self._settled.set()
                return


def _with_wait(decision: Decision, until: float) -> str:
    """Return the reason, with the time of the next try (`until`, wall s) if the server asked for a long wait."""
    if (decision.wait or 0.0) < LONG_WAIT:
        return decision.reason
    moment = datetime.fromtimestamp(until, UTC).strftime("%Y-%m-%d %H:%M:%SZ")
    return f"{decision.reason}; the server asked to wait until {moment}"
