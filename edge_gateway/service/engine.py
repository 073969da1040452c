"""Fold deliveries, commit the record, and only then acknowledge and publish.

source.take() ─▶ fold ─▶ open record ──(1,000 messages, commit_interval, or a rule changed)──▶ commit queue ─▶ disk
│
source.acknowledge() ◀──┬── committed, in order ◀────────────────────────────────────────────────────┘
control.send() ◀────────┤
store.apply() ◀─────────┘          every few minutes: checkpoint, then the segments behind it are unlinked
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

import msgspec
from mqtt5 import PublishPacket, QoS

from edge_gateway.fleet.watch.clock_vote import Poll
from edge_gateway.fold.effects import Effects
from edge_gateway.fold.messages import Message
from edge_gateway.fold.pipeline import Pipeline
from edge_gateway.fold.series_names import SeriesNames
from edge_gateway.mqtt.caught_up_clock import CaughtUpClock
from edge_gateway.mqtt.source import Arrivals, Source
from edge_gateway.records.closings import Closings
from edge_gateway.records.inputs import Batch, ClockConfirmed, Input, Moment, Tick, runs
from edge_gateway.recovery.record import record_tree
from edge_gateway.service.cadence import Cadence
from edge_gateway.status.clock import ClockReading, ClockState
from edge_gateway.status.clock_report import clock_status
from edge_gateway.status.counters import Counters
from edge_gateway.status.report import ClockStatus
from fleet_console.failures import in_words
from fleet_wire.topics import STATUS

log = logging.getLogger("edge_gateway.engine")

TICK = 0.25
CLOSE_EVERY = 0.020
GATHER_MIN, GATHER_MAX = 0.002, 0.040
GATHER_FACTOR = 30
"""A fold of one message costs as much as one of a hundred, so after each fold deliveries gather for this many times its
duration (in seconds, within GATHER_MIN and GATHER_MAX). The first delivery after a pause is folded at once. At 1,000
messages/s half the factor takes 2 ms off the median time to a command, for 4 % of a core."""
MOST_IN_RECORD, MOST_BYTES_IN_RECORD = 1_000, 1 << 20
MOST_UNCOMMITTED = 100
MOST_UNSTORED = 500
"""Records. Beyond either limit neither deliveries nor ticks are folded until the disk has caught up."""
HELD_SHARE = 4
"""Deliveries that wait for a trusted clock may take 1/HELD_SHARE of Receive Maximum: the rest is for the others."""
ASK_FLEET_EVERY, GROUPS_EVERY = 1_000, 1_000
"""Milliseconds of the listening clock between questions to the fleet's clocks, and looks at groups of devices."""
_UNACKNOWLEDGED = QoS.AT_MOST_ONCE


class Commits(Protocol):
    """Makes records durable (`CommitQueue`)."""

    @property
    def pending(self) -> int: ...
    async def room(self) -> None: ...
    def submit(self, number: int, record: Any) -> asyncio.Future[int]: ...


class EffectStore(Protocol):
    """Stores the effects of records (`StoreThread`)."""

    @property
    def pending(self) -> int: ...
    def apply(self, number: int, effects: Any) -> None: ...
    async def room(self) -> None: ...


class Clock(Protocol):
    """The two clocks of a machine, in milliseconds, and how far its wall clock is believed."""

    @property
    def state(self) -> ClockState: ...
    def monotonic(self) -> int: ...
    def read(self) -> ClockReading: ...
    def take_confirmation(self) -> int | None: ...
    def hear_fleet(self, *, agrees: bool | None) -> None: ...
    def confirm(self) -> None: ...


@dataclass(slots=True)
class OpenRecord:
    """Inputs folded since the last record was submitted, and their effects."""

    inputs: list[Input] = field(default_factory=list)
    closings: list[Closings] = field(default_factory=list)
    effects: list[Any] = field(default_factory=list)
    arrivals: list[Arrivals] = field(default_factory=list)
    outgoing: list[Message] = field(default_factory=list)
    messages: int = 0
    size: int = 0

    @property
    def full(self) -> bool:
        return self.messages >= MOST_IN_RECORD or self.size >= MOST_BYTES_IN_RECORD

    def tree(self) -> dict[str, Any]:
        """Return the record as the journal encodes it."""
        return record_tree(self.inputs, self.closings, self.effects)


@dataclass(slots=True)
class Engine:
    """Folds inputs in one order, and numbers the records that hold them. `commit_interval` in seconds."""

    pipeline: Pipeline
    names: SeriesNames
    source: Source
    commits: Commits
    store: EffectStore
    send: Callable[[Sequence[Message]], None]
    clock: Clock
    listening: CaughtUpClock
    counters: Counters
    echo_topic: str
    commit_interval: float
    number: int = 0
    committed: int = 0
    ticked_at: float = field(default_factory=time.monotonic)
    """When the tick task last completed a round, paused or not; monotonic seconds."""
    folded_at: float = field(default_factory=time.monotonic)
    """When the task that folds deliveries last completed a round; monotonic seconds."""
    accepting: asyncio.Event = field(default_factory=asyncio.Event)
    """Set while deliveries may be folded; ticks ignore it."""
    _paused: bool = False
    _fold_failed: asyncio.Event = field(default_factory=asyncio.Event)
    _fold_error: Exception = field(default_factory=Exception)
    _open: OpenRecord = field(default_factory=OpenRecord)
    _due: asyncio.TimerHandle | None = None
    _on_committed: list[tuple[int, Callable[[], None]]] = field(default_factory=list)
    _held: list[Arrivals] = field(default_factory=list)
    _held_while: tuple[bool, bool] = (True, False)
    """Whether the clock was trusted, and whether the fleet was asked, when the first delivery was held."""
    _ask_fleet: Cadence = field(default_factory=lambda: Cadence(ASK_FLEET_EVERY))
    _groups: Cadence = field(default_factory=lambda: Cadence(GROUPS_EVERY))
    _poll: Poll | None = None
    """What the fleet said when it was last asked: a clock that it agreed with is not voted on again."""

    def __post_init__(self) -> None:
        self.accepting.set()

    async def run(self) -> None:
        """Fold until cancelled. A failed fold of any caller ends this with RuntimeError: the state is half changed."""
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(self._raise_fold_error(), name="fold error")
            tasks.create_task(self._fold_arrivals(), name="fold")
            tasks.create_task(self._tick(), name="tick")

    async def _raise_fold_error(self) -> None:
        await self._fold_failed.wait()
        raise RuntimeError(
            f"an input could not be folded: {in_words(self._fold_error)}"
        ) from self._fold_error

    async def _fold_arrivals(self) -> None:
        loop = asyncio.get_running_loop()
        while True:
            await self.source.wait_for_deliveries()
            self.folded_at = time.monotonic()
            await self.accepting.wait()
            while self._overfull():
                await self.commits.room()
                await self.store.room()
            await self._fill_from_socket()
            started, many = loop.time(), self.source.waiting >= MOST_IN_RECORD
            self.fold_arrivals(self.source.take())
            self.folded_at = time.monotonic()
            if many or self.source.waiting:
                await asyncio.sleep(0)
            else:
                await self.source.let_gather(gather_time(loop.time() - started))

    def deliveries_moved_at(self) -> float:
        """Return when deliveries last made progress (monotonic seconds); now if none wait or waiting is intended."""
        waits = not self.source.waiting or self._paused or not self.accepting.is_set()
        return time.monotonic() if waits else self.folded_at

    def _overfull(self) -> bool:
        """Return whether too much is folded and not yet on disk to fold more."""
        full = self.commits.pending > MOST_UNCOMMITTED or self.store.pending > MOST_UNSTORED
        self.counters.folding_paused += full and not self._paused
        self._paused = full
        return full

    async def _fill_from_socket(self) -> None:
        """Yield to the event loop until the socket is empty or a full record waits."""
        seen = 0
        while seen < self.source.waiting < MOST_IN_RECORD:
            seen = self.source.waiting
            await asyncio.sleep(0)

    async def _tick(self) -> None:
        while True:
            await asyncio.sleep(self._until_tick())
            moment = self.judge_clock()
            self._release_held(moment)
            if not self._overfull():
                self.fold(Tick(moment, groups=self._groups.is_due(moment.listening)))
            self.ticked_at = time.monotonic()

    def _until_tick(self) -> float:
        """Return seconds to the next tick: short while windows wait and no delivery would close them anyway."""
        idle = not self.source.waiting and not self._paused
        return CLOSE_EVERY if idle and self.pipeline.windows.pending else TICK

    def moment(self) -> Moment:
        """Return the current time, as inputs carry it."""
        monotonic = self.clock.monotonic()
        elapsed = self.listening.advance(monotonic)
        clock = self.clock.read()
        return Moment(clock.wall, elapsed, clock.trusted, clock.least, clock.aged, monotonic)

    def judge_clock(self) -> Moment:
        """Let the fleet judge a clock that is not sure, and fold that it became sure; return the time now.

        The fleet is asked once a second of the listening clock.
        """
        moment = self.moment()
        if moment.least is not None and self._ask_fleet.is_due(moment.listening):
            self._poll = self.pipeline.admission.poll_clock(moment)
            self.clock.hear_fleet(agrees=self._poll.verdict)
            moment = self.moment()
        before = self.clock.take_confirmation()
        if before is not None:
            self.fold(ClockConfirmed(msgspec.structs.replace(moment, least=before)))
        return moment

    def confirm_clock(self) -> Moment:
        """Believe the wall clock as it is, since the operator says so; return the time."""
        self.clock.confirm()
        return self.judge_clock()

    def clock_status(self) -> ClockStatus:
        """Return how far the wall clock is believed, and why."""
        moment = self.moment()
        if self._poll is None or self.clock.state is not ClockState.AGREED:  # which ends the vote
            return clock_status(self.clock.state, self.pipeline.admission.poll_clock(moment), self.held)
        return clock_status(self.clock.state, self._poll, self.held)

    def fold_arrivals(self, arrivals: list[Arrivals]) -> None:
        """Fold deliveries; each is acknowledged once its record is on disk."""
        moment = self.moment()
        packets = self._without_echoes([packet for part in arrivals for packet in part.packets])
        held: set[int] = set()
        most_held = self.source.receive_maximum // HELD_SHARE - self.held
        urgent = False
        for run in runs([packet.topic for packet in packets]) if packets else ():
            batch = _batch(moment, packets[run], max(most_held - len(held), 0))
            effects = self.pipeline.fold(batch, number=self.number + 1)
            held.update(id(packets[run][position]) for position in effects.held)
            urgent |= effects.urgent
            self._keep(batch, effects)
        self._open.messages += len(packets)
        self._open.size += sum(part.size for part in arrivals)
        self._open.arrivals.extend(self._hold(arrivals, held, moment) if held else arrivals)
        self._submit_when_due(urgent=urgent)

    def _without_echoes(self, packets: list[PublishPacket]) -> list[PublishPacket]:
        echoes = [packet.payload for packet in packets if packet.topic == self.echo_topic]
        for echo in echoes:
            self.listening.echo_received(self.clock.monotonic(), echo)
        return [packet for packet in packets if packet.topic != self.echo_topic] if echoes else packets

    @property
    def held(self) -> int:
        """Number of deliveries that wait for a trusted clock."""
        return sum(len(part.packets) for part in self._held)

    def _hold(self, arrivals: list[Arrivals], held: set[int], moment: Moment) -> list[Arrivals]:
        """Set aside packets that wait for a trusted clock: they stay unacknowledged and are folded later.

        Those of an earlier connection are dropped: the broker sends them again.
        """
        if not self._held:
            self._held_while = self._clock_in_question(moment)
        kept = [part for part in self._held if part.epoch != arrivals[-1].epoch]
        self._held = [part for part in self._held if part.epoch == arrivals[-1].epoch]
        for part in arrivals:
            waiting = [packet for packet in part.packets if id(packet) in held]
            rest = [packet for packet in part.packets if id(packet) not in held]
            self._held += [Arrivals.of(part.epoch, waiting)] if waiting else []
            kept.append(Arrivals.of(part.epoch, rest))
        return kept

    def _clock_in_question(self, moment: Moment) -> tuple[bool, bool]:
        return moment.trusted, self.pipeline.admission.votes(moment)

    def _release_held(self, moment: Moment) -> None:
        """Fold what was held again when the clock is trusted, or doubted for another reason than before."""
        now = self._clock_in_question(moment)
        if self._held and (now == (True, False) or now != self._held_while):
            held, self._held = self._held, []
            self.source.put_back(held)

    def fold(self, given: Input) -> None:
        """Fold one input into the open record; submit the record if it is due."""
        try:
            effects = self.pipeline.fold(given, number=self.number + 1)
            self._keep(given, effects)
            self._submit_when_due(urgent=effects.urgent)
        except Exception as error:
            self._fold_error = error
            self._fold_failed.set()
            raise

    def _keep(self, given: Input, effects: Effects) -> None:
        if effects.changed:
            self._open.inputs.append(given)
            self._open.closings.append(effects.closings)
            self._open.effects.append(effects.for_store(self.names))
            self._open.outgoing.extend(effects.outgoing)
        if effects.births_wanted:
            self.source.subscriptions.request_births()
        if effects.foreign:
            self.source.subscriptions.foreign_deliveries(effects.foreign)

    def _submit_when_due(self, *, urgent: bool) -> None:
        if urgent or self._open.full:
            self.submit()
        elif self._open.inputs or self._open.arrivals:
            self._submit_later()

    def _submit_later(self) -> None:
        if self._due is None:
            self._due = asyncio.get_running_loop().call_later(self.commit_interval, self.submit)

    @property
    def newest(self) -> int:
        """Number of the newest record, including the open one if it is not empty."""
        return self.number + bool(self._open.inputs)

    def submit(self) -> int:
        """Close the open record and hand it to the commit queue; return the newest record's number."""
        if self._due is not None:
            self._due.cancel()
            self._due = None
        record, self._open = self._open, OpenRecord()
        if not record.inputs:
            self._when_committed(self.number, lambda: self.source.acknowledge(record.arrivals))
        else:
            self.number += 1
            future = self.commits.submit(self.number, record.tree)
            future.add_done_callback(lambda done: self._release_record(done, record))
        return self.number

    def _release_record(self, committed: asyncio.Future[int], record: OpenRecord) -> None:
        if committed.cancelled() or committed.exception() is not None:
            return
        self.committed = committed.result()
        self.source.acknowledge(record.arrivals)
        self.send(record.outgoing)
        self.store.apply(self.committed, record.effects)
        due = [done for number, done in self._on_committed if number <= self.committed]
        self._on_committed = [pair for pair in self._on_committed if pair[0] > self.committed]
        for done in due:
            done()

    def _when_committed(self, number: int, done: Callable[[], None]) -> None:
        """Call `done` once a record is on disk; at once if it already is."""
        if number <= self.committed:
            done()
        else:
            self._on_committed.append((number, done))

    async def durable(self, number: int) -> None:
        """Wait until record `number` is on disk."""
        event = asyncio.Event()
        self._when_committed(number, event.set)
        await event.wait()


def gather_time(cost: float) -> float:
    """Return seconds to let deliveries gather after a fold that took `cost` seconds."""
    return min(max(GATHER_FACTOR * cost, GATHER_MIN), GATHER_MAX)


def _batch(moment: Moment, packets: list[PublishPacket], may_hold: int) -> Batch:
    return Batch(
        moment,
        [packet.topic for packet in packets],
        [packet.payload for packet in packets],
        [position for position, packet in enumerate(packets) if packet.qos is _UNACKNOWLEDGED],
        copies=[
            position
            for position, packet in enumerate(packets)
            if (packet.retain or packet.duplicate) and packet.topic.endswith(STATUS)
        ],
        may_hold=may_hold,
    )
