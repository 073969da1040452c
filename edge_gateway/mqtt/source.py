"""The telemetry session; nothing else touches it.

broker ─▶ session ─▶ arrived (bytes counted) ─▶ take() ─▶ fold ─▶ commit ─▶ acknowledge(ticket)
▲                │
└── pause/resume ┘  above `high` unacknowledged bytes reading stops, below `low` it resumes
"""

from __future__ import annotations

import asyncio
import logging
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from itertools import accumulate, groupby
from typing import NoReturn

from mqtt5 import PublishPacket

from edge_gateway.mqtt.broker_trouble import lost_text
from edge_gateway.mqtt.caught_up_clock import ECHO_EVERY, CaughtUpClock
from edge_gateway.mqtt.ownership import LEARN_WITHIN, Ownership
from edge_gateway.mqtt.refusals import REFUSED
from edge_gateway.mqtt.session_loss import SessionLoss
from edge_gateway.mqtt.subscriptions import Subscriptions
from edge_gateway.status.catalogue import Problem
from edge_gateway.status.counters import Counters
from edge_gateway.status.problems import Problems
from fleet_wire import backoff
from fleet_wire.errors import NOT_AUTHORISED, meaning
from fleet_wire.session import ConnectionLost, ConnectRefused, PublishQueueFull, Session, SessionOptions

log = logging.getLogger("edge_gateway.source")

HIGH = 64 << 20
LOW = 16 << 20
OVERHEAD = 64
MOST_AT_ONCE, MOST_BYTES_AT_ONCE = 1_000, 256 << 10
"""Most deliveries, and bytes of them, per fold: a message may hold a thousand samples, and a fold blocks the loop."""
SETTLED = 30.0
STANDSTILL = 10_000
"""Milliseconds: a process that wanted to sleep for one second and slept this long was stopped or suspended."""
SILENT_AFTER = 60_000
"""Milliseconds without the echo or any delivery after which a backlog can no longer explain the missing echo."""


@dataclass(slots=True)
class Arrivals:
    """Unacknowledged deliveries of one connection, in order; `size` in bytes."""

    epoch: int
    packets: list[PublishPacket]
    size: int

    @classmethod
    def of(cls, epoch: int, packets: list[PublishPacket]) -> Arrivals:
        return cls(epoch, packets, sum(len(packet.payload) + OVERHEAD for packet in packets))

    def count_within(self, count: int, size: int) -> int:
        """Return how many leading packets fit `count` and `size` bytes; at least one."""
        if self.size <= size:
            return min(len(self.packets), count)
        sizes = accumulate(len(packet.payload) + OVERHEAD for packet in self.packets[:count])
        return max(1, sum(1 for upto in sizes if upto <= size))

    def split_off(self, count: int) -> Arrivals:
        """Remove and return the first `count` packets."""
        first = Arrivals.of(self.epoch, self.packets[:count])
        self.packets = self.packets[count:]
        self.size -= first.size
        return first


@dataclass(slots=True)
class Source:
    """Receives deliveries in order and keeps count of them until they are acknowledged. `clock`: monotonic ms."""

    connect_options: Callable[[], SessionOptions]
    """Called before each attempt: secrets and certificates may have been replaced."""
    subscriptions: Subscriptions
    echo_topic: str
    clock: Callable[[], int]
    listening: CaughtUpClock
    counters: Counters
    problems: Problems
    ownership: Ownership
    on_first_connect: Callable[[bool], None] = lambda _session_present: None
    received_to: int | None = None
    """Wall milliseconds up to which an earlier start received everything queued; None without an earlier start."""
    high: int = HIGH
    low: int = LOW
    _arrived: deque[Arrivals] = field(default_factory=deque)
    _news: asyncio.Event = field(default_factory=asyncio.Event)
    _unacknowledged: int = 0
    _paused: bool = False
    _may_take: bool = False
    _connected_before: bool = False
    _accepted: bool = False
    """Whether the broker accepted the connection of this attempt."""
    _arrived_at: int = 0
    """When a delivery last arrived, by `clock`."""
    _knows_births: bool = False
    """Whether this process has received the retained births. A resumed session delivers only what was queued; if that
    queue overflowed, the retained births are what reveals the gap."""
    _session: Session = field(init=False)
    _session_loss: SessionLoss = field(init=False)

    def __post_init__(self) -> None:
        self._session = Session(self.connect_options(), on_publish=self._take_in)
        self._session_loss = SessionLoss(self.problems.clock, self.counters, self.problems, self.received_to)
        self.ownership.on_give_way.append(self._give_way)

    @property
    def connected(self) -> bool:
        return self._session.connected

    @property
    def receive_maximum(self) -> int:
        """Deliveries that the broker is asked to leave unacknowledged at most."""
        return self._session.options.receive_maximum

    @property
    def waiting(self) -> int:
        """Number of deliveries not yet taken by the engine."""
        return sum(len(arrivals.packets) for arrivals in self._arrived)

    @property
    def unacknowledged(self) -> int:
        """Bytes of unacknowledged deliveries, those being folded included."""
        return self._unacknowledged

    async def run(self) -> None:
        """Stay connected until cancelled; errors are reported as problems and retried at growing intervals."""
        waits = backoff.delays()
        while True:
            await self.ownership.wait_held()
            since = self.clock()
            error = await self._connect_until_lost()
            if self.clock() - since > SETTLED * 1000:
                waits = backoff.delays()
            self._lost(error)
            await asyncio.sleep(next(waits))

    async def _connect_until_lost(self) -> Exception:
        try:
            await self._stay_connected()
        except (ConnectRefused, ConnectionLost, OSError, TimeoutError) as error:
            self._session.abort()  # a protocol error leaves it connected
            return error

    async def _stay_connected(self) -> NoReturn:
        self._session.options = self.connect_options()
        connected = await self._session.connect()
        self._accepted = True
        if not self._connected_before:
            self.on_first_connect(connected.session_present)
        self._session_loss.connected(session_present=connected.session_present)
        self._connected_before = True
        self._arrived_at = self.clock()
        await self._subscribe(session_present=connected.session_present)
        self._arrived_at = self.clock()
        self._listen()
        self.problems.clear(Problem.BROKER)
        log.info("subscribed at %s:%s", self._session.options.host, self._session.options.port)
        async with asyncio.TaskGroup() as tasks:
            echoes = tasks.create_task(self._send_echoes(), name="echo")
            kept = tasks.create_task(self.subscriptions.maintain(self._session), name="subscriptions")
            lost = await self._session.wait_lost()
            for task in (echoes, kept):
                task.cancel()
        raise lost

    async def _subscribe(self, *, session_present: bool) -> None:
        """Subscribe. The answer may wait behind a long backlog, so only complete silence is a problem."""
        silence = asyncio.create_task(self._report_silence(), name="silence")
        try:
            await self.subscriptions.reconcile(
                self._session, session_present=session_present, knows_births=self._knows_births
            )
        finally:
            silence.cancel()
        self._knows_births = True

    async def _report_silence(self) -> None:
        while True:
            rest = SILENT_AFTER - (self.clock() - self._arrived_at)
            if rest <= 0:
                break
            await asyncio.sleep(rest / 1000)
        where = f"{self._session.options.host}:{self._session.options.port}"
        self.problems.raise_(
            Problem.BROKER,
            f"the broker at {where} does not answer subscriptions, and nothing comes; see its log",
        )

    def _listen(self) -> None:
        """Start the clock of silence once a telemetry filter is granted."""
        if self.subscriptions.receives_telemetry and not self.listening.subscribed:
            self.listening.connected(self.clock())

    async def _send_echoes(self) -> None:
        while True:
            self._listen()
            echo = self.listening.echo_due(self.clock())
            if echo is not None:
                self._publish_echo(echo)
            self._check_echo()
            before = self.clock()
            await asyncio.sleep(ECHO_EVERY / 1000)
            self._note_standstill(before)

    def _note_standstill(self, before: int) -> None:
        """Do not blame the broker if this process stood still since `before`: nothing could arrive meanwhile."""
        if self.clock() - before > STANDSTILL:
            self._arrived_at = self.clock()

    def _publish_echo(self, echo: bytes) -> None:
        try:
            self._session.publish(self.echo_topic, echo, qos=1, on_ack=self._echo_answered)
        except (ValueError, PublishQueueFull) as error:
            self._echo_failed(str(error))

    def _check_echo(self) -> None:
        """Report an echo that does not return: a broker accepts it silently even if the ACL forbids reading it."""
        now = self.clock()
        if self.listening.lag(now) < SILENT_AFTER:
            if self.listening.caught_up:
                self.problems.clear(Problem.ECHO)
        elif not self._paused and now - self._arrived_at > SILENT_AFTER:
            self.problems.raise_(Problem.ECHO, self._why_no_echo())

    def _why_no_echo(self) -> str:
        """Return why an echo may not come back; on a connection on which one did, it is not the ACL."""
        if self.listening.caught_up:
            return "it does not come back: the broker drops it; check the size of its queues and its log"
        return f"it does not come back: check that the ACL lets it read {self.echo_topic}"

    def _echo_answered(self, reason: int) -> None:
        if reason == NOT_AUTHORISED:
            self._echo_failed(f"not authorised: check the ACL for {self.echo_topic}")
        elif reason >= REFUSED:
            self._echo_failed(meaning(reason))

    def _echo_failed(self, why: str) -> None:
        """Report it: without echoes the gateway cannot tell that it has caught up, and detects no silent device."""
        self.listening.echo_failed()
        self.problems.raise_(Problem.ECHO, why)

    def _lost(self, error: Exception) -> None:
        caught_up = self.listening.caught_up
        self._session_loss.disconnected(behind=self.listening.lag(self.clock()) if caught_up else None)
        self.listening.disconnected()
        self._paused = False
        self.counters.broker_connections_lost += self._accepted
        accepted, self._accepted = self._accepted, False
        if isinstance(error, ConnectionLost) and error.taken_over:
            self.ownership.give_way()
        if self.ownership.held:
            text = lost_text(error, self._session.options, accepted=accepted)
            self.problems.raise_(Problem.BROKER, text)
        self._drop_stale()

    def _give_way(self) -> None:
        """End the connection; the `TAKEN_OVER` problem replaces that of a lost broker."""
        self._session.abort()
        self.problems.clear(Problem.BROKER)

    def _drop_stale(self) -> None:
        """Drop untaken deliveries: the broker sends them again, and acks are valid on their own connection only."""
        while self._arrived:
            self._unacknowledged -= self._arrived.popleft().size
        self._paused = False

    def _take_in(self, epoch: int, packets: list[PublishPacket]) -> None:
        arrivals = Arrivals.of(epoch, packets)
        self._arrived.append(arrivals)
        self._unacknowledged += arrivals.size
        self._arrived_at = self.clock()
        if self._unacknowledged > self.high and not self._paused:
            self._paused = True
            self.counters.reading_paused += 1
            self._session.pause()
        self._news.set()

    async def wait_for_deliveries(self) -> None:
        """Wait until there is a delivery to take, and until it is known whether the spool is the newest."""
        await self._news.wait()
        if not self._may_take:
            await self.ownership.wait_learned(LEARN_WITHIN)
            self._may_take = True

    def take(self) -> list[Arrivals]:
        """Return as many deliveries as may be folded together, oldest first."""
        taken: list[Arrivals] = []
        room, size = MOST_AT_ONCE, MOST_BYTES_AT_ONCE
        while self._arrived and room > 0 and size > 0:
            first = self._arrived[0]
            count = first.count_within(room, size)
            part = self._arrived.popleft() if len(first.packets) == count else first.split_off(count)
            room -= len(part.packets)
            size -= part.size
            taken.append(part)
        if not self._arrived:
            self._news.clear()
        return taken

    async def let_gather(self, seconds: float) -> None:
        """Stop reading the socket for `seconds`: one read of many deliveries is cheaper than many of one."""
        self._session.pause()
        try:
            await asyncio.sleep(seconds)
        finally:
            if not self._paused:
                self._session.resume()

    def put_back(self, arrivals: Sequence[Arrivals]) -> None:
        """Return taken deliveries to the front of the queue."""
        self._arrived.extendleft(reversed(arrivals))
        self._news.set()

    def acknowledge(self, arrivals: Sequence[Arrivals]) -> None:
        """Acknowledge deliveries that are on disk, in arrival order, with one write per connection."""
        for epoch, group in groupby(arrivals, key=lambda part: part.epoch):
            self._session.ack(epoch, _packet_ids(group))
        self._unacknowledged -= sum(part.size for part in arrivals)
        if self._paused and self._unacknowledged < self.low:
            self._paused = False
            self._session.resume()

    async def close(self) -> None:
        await self._session.disconnect()


def _packet_ids(group: Iterator[Arrivals]) -> list[int]:
    return [packet.packet_id for part in group for packet in part.packets if packet.packet_id is not None]
