"""The control connection: alerts, commands, receipts and status, which bulk telemetry never delays.

committed effects ─▶ send() ─▶ queue ─▶ broker           operators ─▶ …/command ─▶ operate() ─▶ …/reply
▲
what was not confirmed before the connection broke goes to its front again
"""

from __future__ import annotations

import asyncio
import logging
import math
import time
from collections import deque
from collections.abc import Awaitable, Callable, Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any

import aiomqtt
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.properties import Properties
from paho.mqtt.reasoncodes import ReasonCode

from edge_gateway.outgoing import Message
from edge_gateway.source import YIELD_FIRST, YIELD_MOST
from edge_gateway.status import Counters, Problems
from fleet_wire import backoff, control, topics
from fleet_wire.errors import SESSION_TAKEN_OVER

log = logging.getLogger(__name__)

MOST_QUEUED = 20_000
AT_ONCE = 20
"""As many as paho sends before it waits for an answer: one more would grow old in its queue, past its expiry unseen."""
SHORT = 10.0
AWAY = 1.0
"""Seconds that a broker which is not connected is waited for at the end."""
DROPPED = "$SYS/broker/publish/messages/dropped"

Operate = Callable[[str, Mapping[str, Any]], Awaitable[str]]


class NewerGateway(Exception):
    """A gateway of the same id was started after this one: this one gives way."""


@dataclass(slots=True)
class Control:
    """One aiomqtt client for everything that is not bulk telemetry."""

    gateway: str
    connect: Callable[[aiomqtt.Will], aiomqtt.Client]
    clock: Callable[[], int]
    report: Callable[[], dict[str, Any]]
    firing: Callable[[], Iterable[str]]
    operate: Operate
    started: int
    give_way: Callable[[], None]
    tell_rival: Callable[[], None]
    counters: Counters
    problems: Problems
    _cut_short: bool = False
    _connected: bool = False
    _patience: asyncio.Timeout | None = None
    _queue: deque[Message] = field(default_factory=deque)
    _news: asyncio.Event = field(default_factory=asyncio.Event)
    _idle: asyncio.Event = field(default_factory=asyncio.Event)

    @property
    def queued(self) -> int:
        """Messages that the broker does not have yet."""
        return len(self._queue)

    def send(self, messages: Iterable[Message]) -> None:
        """Queue messages whose record is on disk. Never waits; past the bound fleeting ones are dropped, counted."""
        for message in messages:
            if len(self._queue) >= MOST_QUEUED and (message.fleeting or not self._make_room()):
                self.counters.add("outgoing_dropped")
                continue
            self._queue.append(message)
        if self._queue:
            self._idle.clear()
            self._news.set()

    def publish_status(self) -> None:
        """Queue the retained status as it is now."""
        topic = topics.gateway_status_topic(self.gateway)
        self.send([Message(topic, control.encode_gateway_status(self.report()), retain=True)])

    async def run(self) -> None:
        """Stay connected until cancelled."""
        waits = backoff.delays()
        yielding = backoff.delays(YIELD_FIRST, YIELD_MOST)
        while True:
            gives_way, connected_at = False, math.inf
            try:
                async with self.connect(self._will()) as client:
                    waits, connected_at = backoff.delays(), time.monotonic()
                    self._connected = True
                    await self._serve(client)
            except (aiomqtt.MqttError, OSError, TimeoutError, NewerGateway) as error:
                self.counters.add("control_connections_lost")
                log.warning("control connection: %s", error)
                self._lost()
                gives_way = isinstance(error, NewerGateway) or _taken_over(error)
            if gives_way:
                self.give_way()
            self._cut_short = not gives_way and 0 <= time.monotonic() - connected_at < SHORT
            await asyncio.sleep(next(yielding if gives_way else waits))

    def _lost(self) -> None:
        self._connected = False
        if self._patience is not None:
            self._patience.reschedule(asyncio.get_running_loop().time() + AWAY)

    async def drained(self, within: float) -> bool:
        """Wait until everything queued is at the broker; False when that took too long, or the broker is away."""
        if not self._queue and self._idle.is_set():
            return True
        with suppress(TimeoutError):
            async with asyncio.timeout(within if self._connected else min(within, AWAY)) as self._patience:
                await self._idle.wait()
        self._patience = None
        return self._idle.is_set()

    async def _serve(self, client: aiomqtt.Client) -> None:
        await client.subscribe([(filter_, 1) for filter_ in self._filters()])
        self.publish_status()
        lost: BaseException | None = None
        try:
            async with asyncio.TaskGroup() as tasks:
                tasks.create_task(self._publish_all(client), name="control-publish")
                tasks.create_task(self._listen(client), name="control-listen")
        except* (aiomqtt.MqttError, OSError, TimeoutError, NewerGateway) as group:
            lost = group.exceptions[0]
        if lost is not None:
            raise lost

    def _filters(self) -> list[str]:
        alerts = f"edge/v1/{self.gateway}/alerts/#"
        own = topics.gateway_status_topic(self.gateway)
        return [topics.operator_command_topic(self.gateway), alerts, own, DROPPED]

    async def _publish_all(self, client: aiomqtt.Client) -> None:
        while True:
            await self._news.wait()
            self._news.clear()
            while self._queue:
                await self._publish_some(client)
            self._idle.set()

    async def _publish_some(self, client: aiomqtt.Client) -> None:
        some = [self._queue.popleft() for _ in range(min(AT_ONCE, len(self._queue)))]
        now = self.clock()
        due = [message for message in some if message.expires_at is None or message.expires_at > now]
        self.counters.add("commands_expired_in_queue", len(some) - len(due))
        tasks = [asyncio.ensure_future(_publish(client, one, now)) for one in due]
        try:
            await asyncio.gather(*tasks)
        finally:
            failed = [message for message, task in zip(due, tasks, strict=True) if not _succeeded(task)]
            self._queue.extendleft(reversed([message for message in failed if not message.fleeting]))

    async def _listen(self, client: aiomqtt.Client) -> None:
        async for message in client.messages:
            topic = str(message.topic)
            payload = message.payload if isinstance(message.payload, bytes) else b""
            if topic == DROPPED:
                self._broker_dropped(payload)
            elif topic == topics.operator_command_topic(self.gateway):
                await self._answer(payload)
            elif topic == topics.gateway_status_topic(self.gateway):
                self._look_for_rival(payload)
            elif message.retain and payload and topic not in set(self.firing()):
                self.send([Message(topic, b"", retain=True)])

    def _look_for_rival(self, payload: bytes) -> None:
        """A status of another start than ours, newer than ours, is another gateway's: the one started last goes on.

        A will says that it lost its connection: to us, if our own was cut short before, else it is gone.
        """
        try:
            status = control.decode_gateway_status(payload)
        except ValueError:
            return
        started, at = (
            value if isinstance(value := status.get(name), int) else 0 for name in ("started", "at")
        )
        if started > self.started and (status.get("state") == "online" or self._cut_short):
            raise NewerGateway(f"another gateway with the id {self.gateway} was started")
        if started != self.started and at > self.started:
            self.tell_rival()

    def _broker_dropped(self, payload: bytes) -> None:
        if payload.isdigit() and int(payload):
            self.problems.raise_(
                "broker_dropped", f"the broker has dropped {int(payload)} messages since it started"
            )

    async def _answer(self, payload: bytes) -> None:
        try:
            request = control.decode_operator_request(payload)
        except ValueError as error:
            self.counters.add("operator_requests_malformed")
            log.warning("an operator's request was refused: %s", error)
            return
        try:
            reply = control.OperatorReply(
                id=request.id, ok=True, detail=await self.operate(request.do, request.args)
            )
        except ValueError as error:
            reply = control.OperatorReply(id=request.id, ok=False, detail=str(error))
        topic = topics.operator_reply_topic(self.gateway)
        self.send([Message(topic, control.encode_operator_reply(reply))])

    def _make_room(self) -> bool:
        """Drop the oldest fleeting message for one that must not be lost."""
        for position, message in enumerate(self._queue):
            if message.fleeting:
                del self._queue[position]
                self.counters.add("outgoing_dropped")
                return True
        return False

    def _will(self) -> aiomqtt.Will:
        offline = {"v": 1, "gateway": self.gateway, "state": "offline", "started": self.started}
        topic = topics.gateway_status_topic(self.gateway)
        return aiomqtt.Will(topic, control.encode_gateway_status(offline), qos=1, retain=True)


def _succeeded(task: asyncio.Future[None]) -> bool:
    """Whether the broker has the message; a task that still runs is given up."""
    return not task.cancel() and not task.cancelled() and task.exception() is None


def _taken_over(error: BaseException | None) -> bool:
    """Whether another client with this id ended the connection; aiomqtt keeps the reason in the cause."""
    while error is not None:
        if isinstance(error, aiomqtt.MqttCodeError) and isinstance(error.rc, ReasonCode):
            return bool(error.rc.value == SESSION_TAKEN_OVER)
        error = error.__cause__
    return False


async def _publish(client: aiomqtt.Client, message: Message, now: int) -> None:
    properties = Properties(PacketTypes.PUBLISH)  # type: ignore[no-untyped-call]  # paho has no types here
    if message.expires_at is not None:
        properties.MessageExpiryInterval = max(1, math.ceil((message.expires_at - now) / 1000))
    if message.correlation is not None:
        properties.CorrelationData = message.correlation
    await client.publish(
        message.topic, message.payload, qos=message.qos, retain=message.retain, properties=properties
    )
