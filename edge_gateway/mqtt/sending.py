"""The queue of outgoing messages: what waits, what is in flight, and what the broker answered.

    send() ─▶ queue ─▶ fitted to the broker ─▶ PUBLISH ─▶ PUBACK ─┬─▶ accepted
                ▲                                                 ├─▶ refused: alerts are held and retried,
                │                                                 │            commands reported to the fold
                └── connection ended without an answer ◀──────────┘

Only unacknowledged messages are sent again, and only fleeting ones are dropped.
"""

from __future__ import annotations

import asyncio
import math
from collections import deque
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field, replace
from typing import Protocol

from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.properties import Properties

from edge_gateway.fold.messages import Message, MessageKind
from edge_gateway.mqtt.control_client import Limits
from edge_gateway.mqtt.fitting import fit, packet_size
from edge_gateway.mqtt.oversized import OversizedMessages
from edge_gateway.mqtt.packet_limit import PacketLimit
from edge_gateway.mqtt.refusals import REFUSED, Refusals
from edge_gateway.status.counters import Counters
from fleet_wire import topics

MOST_QUEUED = 20_000
MOST_HELD, MOST_HELD_A_TOPIC = 1_000, 4
AT_ONCE = 20
"""paho's default of messages in flight: one more would wait in paho's queue, where its expiry goes unnoticed."""
PROBE_EVERY = 60.0
"""Seconds between probes of whether receipts are accepted: they go at QoS 0, where a broker reports no refusal."""
PERMANENT = frozenset({0x90, 0x99})
"""Topic name invalid, payload format invalid: sending the same message again cannot help."""


Undelivered = Callable[[str, str, str, bool], None]


class Carrier(Protocol):
    """A connection that publishes (`ControlClient`)."""

    limits: Limits

    async def deliver(
        self,
        topic: str,
        payload: bytes,
        qos: int,
        retain: bool,  # noqa: FBT001 - as paho has it
        properties: Properties,
        /,
    ) -> int: ...


@dataclass(slots=True)
class Sending:
    """The outgoing queue. `monotonic`: milliseconds, in which messages expire; `clock`: monotonic seconds."""

    monotonic: Callable[[], int]
    clock: Callable[[], float]
    counters: Counters
    refusals: Refusals
    oversized: OversizedMessages
    limit: PacketLimit
    undelivered: Undelivered
    """Called with a command the broker refused: device, id, reason, and whether that is permanent."""
    on_status: Callable[[], None]
    """Called when the broker acknowledged a status."""
    idle: asyncio.Event = field(default_factory=asyncio.Event)
    """Set while nothing is queued or in flight; held alerts do not count."""
    answered_at: float = -math.inf
    """When the broker last answered anything."""
    unanswered: int = 0
    """Bytes of the largest packet without an answer on the current or last connection."""
    retains: bool = True
    """Whether the broker keeps retained messages."""
    _queue: deque[Message] = field(default_factory=deque)
    _news: asyncio.Event = field(default_factory=asyncio.Event)
    _held: dict[str, list[Message]] = field(default_factory=dict)
    """Alerts the broker refused, by topic, in order."""
    _asked_at: float = -math.inf

    @property
    def queued(self) -> int:
        """Number of messages the broker has not acknowledged."""
        return len(self._queue) + sum(map(len, self._held.values()))

    def topics_waiting(self) -> set[str]:
        """Return the topics of what is queued or held."""
        return {message.topic for message in self._queue} | self._held.keys()

    @property
    def held(self) -> bool:
        """Whether refused alerts wait for a retry."""
        return bool(self._held)

    @property
    def drained(self) -> bool:
        return not self._queue and self.idle.is_set()

    def send(self, messages: Iterable[Message]) -> None:
        """Queue messages whose record is on disk. Never waits; a full queue drops fleeting ones and counts them."""
        for message in messages:
            if len(self._queue) >= MOST_QUEUED and (message.fleeting or not self._make_room()):
                self.counters.outgoing_dropped += 1
                continue
            self._queue.append(message)
        if self._queue:
            self.idle.clear()
            self._news.set()

    def send_replacing(self, message: Message) -> None:
        """Queue a message in place of those that still wait for its topic."""
        if any(one.topic == message.topic for one in self._queue):
            self._queue = deque(one for one in self._queue if one.topic != message.topic)
        self.send([message])

    def try_again(self) -> None:
        """Queue the refused alerts again."""
        held, self._held = self._held, {}
        self.send(message for messages in held.values() for message in messages)

    async def send_all(self, carrier: Carrier) -> None:
        """Publish the queue until the connection ends."""
        self.unanswered = 0
        if self._queue:
            self._news.set()
        while True:
            await self._news.wait()
            self._news.clear()
            while self._queue:
                await self._send_some(carrier)
            self.idle.set()

    async def _send_some(self, carrier: Carrier) -> None:
        most = min(AT_ONCE, carrier.limits.received, len(self._queue))
        some = [self._queue.popleft() for _ in range(most)]
        now = self.monotonic()
        due = [message for message in some if not message.lapsed(now)]
        self.counters.commands_expired_in_queue += len(some) - len(due)
        due += self._probe(due)
        pairs = [(message, ready) for message in due if (ready := self._ready(message)) is not None]
        tasks = [asyncio.ensure_future(_publish(carrier, ready, now)) for _, ready in pairs]
        try:
            await asyncio.gather(*tasks)
        finally:
            self._settle([(*pair, task) for pair, task in zip(pairs, tasks, strict=True)])

    def _settle(self, sent: list[tuple[Message, Message, asyncio.Future[int]]]) -> None:
        """Handle each answer; return unanswered messages to the front of the queue."""
        again, self.unanswered = [], 0
        for message, ready, task in sent:
            reason = _result(task)
            if reason is not None:
                self._answered(message, ready, reason)
                continue
            self.unanswered = max(self.unanswered, packet_size(ready))
            if not message.fleeting:
                again.append(replace(message, doubtful=True))
        self._queue.extendleft(reversed(again))

    def _probe(self, due: list[Message]) -> list[Message]:
        """Return an occasional empty receipt at QoS 1, to a device that does not exist, beside real ones."""
        receipts = any(message.kind is MessageKind.RECEIPT for message in due)
        if not receipts or self.clock() - self._asked_at < PROBE_EVERY:
            return []
        self._asked_at = self.clock()
        topic = topics.device_topic(topics.NO_SITE, self.refusals.gateway, topics.RECEIPT)
        return [Message(topic, b"", fleeting=True)]

    def _ready(self, message: Message) -> Message | None:
        """Adapt a message to this broker's limits; None if it cannot be sent."""
        if message.retain and not self.retains:
            message = replace(message, retain=False)
            if not message.payload:
                return None
        ready = fit(message, self.limit.max_bytes)
        self.oversized.record(message, ready, self.limit.max_bytes)
        if ready is None:
            self.counters.too_large += 1
            self._report_undelivered(
                message, self.oversized.reason(message, self.limit.max_bytes), for_good=True
            )
        return ready

    def _answered(self, message: Message, ready: Message, reason: int) -> None:
        if not ready.qos:
            return
        self.answered_at = self.clock()
        self.limit.answered()
        if reason >= REFUSED:
            self._refused(message, reason)
            return
        self.refusals.accepted(message)
        self._held.pop(message.topic, None)
        if message.kind is MessageKind.STATUS:
            self.on_status()

    def _refused(self, message: Message, reason: int) -> None:
        why = self.refusals.refused(message, reason)
        if message.kind is MessageKind.ALERT:
            self._hold(message)
        self._report_undelivered(message, why, for_good=reason in PERMANENT)

    def _report_undelivered(self, message: Message, why: str, *, for_good: bool) -> None:
        """Report an undelivered command to the fold, unless an earlier try may have reached the device."""
        device = topics.parse_device_topic(message.topic)
        if (
            device is not None
            and message.correlation
            and message.expires_at is not None
            and not message.doubtful
        ):
            self.undelivered(device.device, message.correlation.decode(), why, for_good)

    def _hold(self, message: Message) -> None:
        of_topic = self._held.setdefault(message.topic, [])
        of_topic.append(message)
        if len(of_topic) > MOST_HELD_A_TOPIC:
            del of_topic[0]
        if len(self._held) > MOST_HELD:
            del self._held[next(iter(self._held))]
            self.counters.outgoing_dropped += 1

    def _make_room(self) -> bool:
        """Drop the oldest fleeting message for one that must not be lost."""
        for position, message in enumerate(self._queue):
            if message.fleeting:
                del self._queue[position]
                self.counters.outgoing_dropped += 1
                return True
        return False


def _result(task: asyncio.Future[int]) -> int | None:
    """Return the broker's reason code; None without one. Cancels a task that still runs."""
    if task.cancel() or task.cancelled() or task.exception() is not None:
        return None
    return task.result()


async def _publish(carrier: Carrier, message: Message, now: int) -> int:
    properties = Properties(PacketTypes.PUBLISH)  # type: ignore[no-untyped-call]  # paho has no types here
    if message.expires_at is not None:
        properties.MessageExpiryInterval = max(1, math.ceil((message.expires_at - now) / 1000))
    if message.correlation is not None:
        properties.CorrelationData = message.correlation
    return await carrier.deliver(message.topic, message.payload, message.qos, message.retain, properties)
