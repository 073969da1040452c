"""The control connection: alerts, commands, receipts and status, never delayed by bulk telemetry.

committed effects ─▶ send() ─▶ Sending ─▶ broker ─▶ OwnTopics: operators' requests, and others' writes on our topics
                                 ▲                      │
                                 └──── replies ◀────────┘
"""

from __future__ import annotations

import asyncio
import logging
import random
from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any

import aiomqtt
from paho.mqtt.reasoncodes import ReasonCode

from edge_gateway.fold.messages import Message
from edge_gateway.mqtt.control_client import ControlClient
from edge_gateway.mqtt.own_topics import OwnTopics
from edge_gateway.mqtt.ownership import Ownership
from edge_gateway.mqtt.sending import Sending
from edge_gateway.mqtt.stopping import stop_if_asked, until_one_ends
from edge_gateway.status.catalogue import Problem
from edge_gateway.status.counters import Counters
from edge_gateway.status.problems import Problems
from edge_gateway.status.report import ShortStatus, as_plain
from fleet_console.version import VERSION
from fleet_wire import backoff, control_messages, topics
from fleet_wire.errors import RETAIN_NOT_SUPPORTED, SESSION_TAKEN_OVER, plain_text
from fleet_wire.printable import printable

log = logging.getLogger("edge_gateway.control")

SETTLED = 30.0
"""Seconds a connection must last to reset the count of losses."""
LOSSES_TO_REPORT = 3
"""Short connections in a row until they are a problem."""
SILENCE_TOLERATED = 1.0
"""Seconds a drain waits for a broker that answers nothing."""
LOOK_EVERY = 0.5
RETRY_FIRST, RETRY_MOST = 5.0, 300.0
"""Seconds between retries of what the broker refused."""
STAND_BY, STAND_BY_MOST = 15.0, 600.0
"""Seconds without a status of the other gateway of this id until it counts as gone; it publishes one every ten."""


class ClosedByGateway(Exception):
    """This side closes the connection; the text says why."""


@dataclass(slots=True)
class Control:
    """The control connection: reconnects, stands by, publishes. `clock`: monotonic seconds."""

    gateway: str
    connect: Callable[[aiomqtt.Will], ControlClient]
    stand_by: Callable[[], ControlClient]
    """Makes a client with another id, to listen while another gateway holds the connection."""
    report: Callable[[], dict[str, Any]]
    started: int
    sending: Sending
    own_topics: OwnTopics
    ownership: Ownership
    counters: Counters
    problems: Problems
    clock: Callable[[], float]
    _connected: bool = False
    _accepted: bool = False
    """Whether the broker accepted the connection of this attempt."""
    _losses: int = 0
    _silent_since: float | None = None
    _retry_at: float = 0.0
    _patience: float = STAND_BY
    _took_back_at: float | None = None
    _retries: Iterator[float] = field(default_factory=lambda: backoff.delays(RETRY_FIRST, RETRY_MOST))

    @property
    def queued(self) -> int:
        """Number of messages the broker has not acknowledged."""
        return self.sending.queued

    def send(self, messages: Iterable[Message]) -> None:
        """Queue messages whose record is on disk; never waits."""
        self.sending.send(messages)

    def publish_status(self) -> None:
        """Queue the current status as a retained message, in place of one that still waits."""
        topic = topics.gateway_status_topic(self.gateway)
        status = Message(topic, control_messages.encode_gateway_status(self.report()), retain=True)
        self.sending.send_replacing(status)

    async def run(self) -> None:
        """Stay connected until cancelled."""
        waits = backoff.delays()
        while True:
            if not self.ownership.held:
                await self._wait_until_alone()
            began = self.clock()
            error = await self._connect_until_lost()
            stop_if_asked()
            if self.clock() - began > SETTLED:
                self._losses, waits = 0, backoff.delays()
            self._lost(error)
            if self.ownership.held:
                await asyncio.sleep(next(waits))

    async def _connect_until_lost(self) -> Exception | None:
        try:
            async with self.connect(self._will()) as client:
                stop_if_asked()
                await self._serve(client)
        except (aiomqtt.MqttError, OSError, TimeoutError, ClosedByGateway) as error:
            return error
        return None

    def _lost(self, error: Exception | None) -> None:
        self.counters.control_connections_lost += self._accepted
        reported = not self._accepted and Problem.BROKER in self.problems  # which says why, with the address
        level = logging.DEBUG if reported else logging.INFO
        log.log(level, "control connection %s: %s", "lost" if self._accepted else "failed", _in_words(error))
        reason = _reason_of(error)
        was_accepted, self._connected, self._accepted = self._accepted, False, False
        self._silent_since = self.clock() if self._silent_since is None else self._silent_since
        if was_accepted:  # an attempt that the broker does not answer says nothing of packets
            self.sending.limit.lost(reason, self.sending.unanswered)
        if reason == RETAIN_NOT_SUPPORTED:
            self._set_retain(able=False)
        if reason == SESSION_TAKEN_OVER:
            self.ownership.give_way()
        self._losses += 1
        if self._losses >= LOSSES_TO_REPORT and self.ownership.held and Problem.BROKER not in self.problems:
            self.problems.raise_(Problem.CONTROL_CONNECTION, _in_words(error))

    def _set_retain(self, *, able: bool) -> None:
        """Note whether the broker supports retained messages."""
        self.sending.retains = able
        if able:
            self.problems.clear(Problem.NO_RETAIN)
        else:
            self.problems.raise_(Problem.NO_RETAIN)

    async def drained(self, within: float) -> bool:
        """Wait up to `within` seconds until the queue is acknowledged; False if it is not, or the broker is away."""
        begun = self.clock()
        while not self.sending.drained and self.clock() < min(begun + within, self._drain_deadline(begun)):
            with suppress(TimeoutError):
                async with asyncio.timeout(LOOK_EVERY / 10):
                    await self.sending.idle.wait()
        return self.sending.drained

    def _drain_deadline(self, begun: float) -> float:
        """Return when to give up on a broker that answers nothing, however often it accepts a connection."""
        if self._connected and self._silent_since is None:
            return float("inf")
        return max(begun, self._silent_since or begun) + SILENCE_TOLERATED

    async def _serve(self, client: ControlClient) -> None:
        self._accepted = True
        limits = client.limits
        if not limits.qos:
            raise ClosedByGateway("the broker does not support QoS 1, which the contract needs")
        self._set_retain(able=limits.retain)
        self.sending.limit.connected(limits.packet)
        await self.own_topics.subscribe(client)
        stop_if_asked()
        await self.ownership.learned()
        self._require_ownership()
        self._connected = True
        self.sending.try_again()
        self.publish_status()
        await until_one_ends(
            self.sending.send_all(client), self.own_topics.listen(client), self._maintain(client)
        )

    def _require_ownership(self) -> None:
        if not self.ownership.held:
            raise ClosedByGateway("another gateway uses this id")

    async def _maintain(self, client: ControlClient) -> None:
        """Run the periodic checks of one connection until it ends."""
        began = self.clock()
        while True:
            await asyncio.sleep(LOOK_EVERY)
            self._require_ownership()
            self.ownership.expire()
            self.own_topics.check()
            if self.sending.answered_at > began:
                self._silent_since = None
            if self.clock() - began > SETTLED:
                self.problems.clear(Problem.CONTROL_CONNECTION)
            await self._try_again(client)

    async def _try_again(self, client: ControlClient) -> None:
        """Retry what the broker refused, at growing intervals."""
        if not (self.sending.held or self.own_topics.refused):
            self._retries = backoff.delays(RETRY_FIRST, RETRY_MOST)
            self._retry_at = self.clock() + next(self._retries)
        elif self.clock() > self._retry_at:
            self._retry_at = self.clock() + next(self._retries)
            self.sending.try_again()
            if self.own_topics.refused:
                await self.own_topics.subscribe(client)

    # Standing by

    async def _wait_until_alone(self) -> None:
        """Listen under another client id until no other gateway of this id is active, then take the id back."""
        recently = self._took_back_at is not None and self.clock() - self._took_back_at < STAND_BY_MOST
        self._patience = min(2 * self._patience, STAND_BY_MOST) if recently else STAND_BY
        waits = backoff.delays()
        while not self.ownership.held:
            try:
                async with self.stand_by() as client:
                    stop_if_asked()
                    await client.subscribe(topics.gateway_status_topic(self.gateway), 1)
                    stop_if_asked()
                    while await self._another_is_active(client, self._patience * random.uniform(1, 2)):  # noqa: S311
                        pass
                    self._took_back_at = self.clock()
                    self.ownership.take_back()
            except (aiomqtt.MqttError, OSError) as error:
                log.info("standing by: %s", _in_words(error))
            stop_if_asked()
            if not self.ownership.held:
                await asyncio.sleep(next(waits))

    async def _another_is_active(self, client: ControlClient, within: float) -> bool:
        """Return whether another gateway publishes a live status on this id's topic within `within` seconds."""
        with suppress(TimeoutError):
            async with asyncio.timeout(within):
                async for message in client.messages:
                    status = self.own_topics.status_of(message)
                    if status is not None and not message.retain and self.ownership.is_at_work(status):
                        return True
        return False

    def _will(self) -> aiomqtt.Will:
        offline = ShortStatus(
            v=1,
            gateway=self.gateway,
            version=VERSION,
            state="offline",
            started=self.started,
            nonce=self.ownership.nonce,
        )
        topic = topics.gateway_status_topic(self.gateway)
        payload = control_messages.encode_gateway_status(as_plain(offline))
        return aiomqtt.Will(topic, payload, qos=1, retain=self.sending.retains)


def _in_words(error: Exception | None) -> str:
    """Describe the end of a connection."""
    return printable("ended" if error is None else plain_text(error))


def _reason_of(error: BaseException | None) -> int | None:
    """Return the broker's reason code for the end of a connection, which aiomqtt keeps in the cause."""
    while error is not None:
        if isinstance(error, aiomqtt.MqttCodeError) and isinstance(error.rc, ReasonCode):
            return int(error.rc.value)
        error = error.__cause__
    return None
