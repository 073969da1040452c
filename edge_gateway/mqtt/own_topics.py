"""Handle what others write on this gateway's topics: operators' requests, foreign status messages, forged alerts.

The status and alert topics are subscribed to twice: first to receive what is retained, then with No Local, so that
every live message is somebody else's. Mosquitto 2.0 applies the second options only after an unsubscribe.
"""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable, Container, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

import aiomqtt
from paho.mqtt.subscribeoptions import SubscribeOptions

from edge_gateway.fold.messages import Message
from edge_gateway.mqtt.broker_dropped import BrokerDropped
from edge_gateway.mqtt.control_client import ControlClient
from edge_gateway.mqtt.ownership import Ownership
from edge_gateway.mqtt.refusals import REFUSED
from edge_gateway.mqtt.retained_alerts import RetainedAlerts
from edge_gateway.status.catalogue import Problem
from edge_gateway.status.counters import Counters
from edge_gateway.status.problem import Gravity
from edge_gateway.status.problems import Problems
from fleet_config.counting import counted
from fleet_wire import control_messages, topics
from fleet_wire.errors import NOT_AUTHORISED, meaning
from fleet_wire.payload import MalformedMessage
from fleet_wire.printable import printable

log = logging.getLogger("edge_gateway.own_topics")

DROPPED = "$SYS/broker/publish/messages/dropped"
MOST_SUSPECT = 20_000
LONGEST_DETAIL = 100_000
REPAIR_EVERY = 60.0
"""Seconds between repairs of one topic, so that a fast writer does not set our pace."""
NEVER_RETAINED = 2
"""Retain Handling 2: send no retained messages for this subscription."""

Operate = Callable[[str, Mapping[str, Any]], Awaitable[str]]


@dataclass(slots=True)
class OwnTopics:
    """The receiving half of the control connection. `clock`: monotonic seconds."""

    gateway: str
    operate: Operate
    firing_alerts: Callable[[], Iterable[Message]]
    """Returns the retained message of every firing alert."""
    send: Callable[[Iterable[Message]], None]
    waiting: Callable[[], Container[str]]
    """Returns the topics of what is still to be sent."""
    ownership: Ownership
    clock: Callable[[], float]
    retained: RetainedAlerts
    dropped: BrokerDropped
    counters: Counters
    problems: Problems
    refused: dict[str, int] = field(default_factory=dict)
    """Reason code by topic filter the broker refused."""
    _suspect: dict[str, bool] = field(default_factory=dict)
    """Alert topics somebody else may have written to; True if that message was live, False if retained."""
    _repaired_at: dict[str, float] = field(default_factory=dict)
    """When each alert topic was last repaired."""

    @property
    def _alerts_filter(self) -> str:
        return f"edge/v1/{self.gateway}/alerts/#"

    @property
    def status_topic(self) -> str:
        return topics.gateway_status_topic(self.gateway)

    async def subscribe(self, client: ControlClient) -> None:
        """Subscribe and handle the retained messages; on return it is known whose status is retained."""
        watched = [self.status_topic, self._alerts_filter]
        others = [topics.operator_command_topic(self.gateway), DROPPED]
        self.refused = {}
        self.retained.connecting()
        await self._subscribe_to(client, watched, SubscribeOptions(qos=1))
        await client.unsubscribe(watched)
        await self._subscribe_to(
            client, watched, SubscribeOptions(qos=1, noLocal=True, retainHandling=NEVER_RETAINED)
        )
        await self._subscribe_to(client, others, SubscribeOptions(qos=1))
        self._report_refused()
        while len(client.messages):
            await self._handle(await anext(client.messages))
        if client.limits.retain and self._alerts_filter not in self.refused:
            waiting = self.waiting()
            firing = (message.topic for message in self.firing_alerts())
            self.retained.subscribed(topic for topic in firing if topic not in waiting)

    async def _subscribe_to(
        self, client: ControlClient, filters: list[str], options: SubscribeOptions
    ) -> None:
        answers = await client.subscribe([(one, options) for one in filters])
        codes = [answer if isinstance(answer, int) else answer.value for answer in answers]
        if len(codes) != len(filters):
            raise aiomqtt.MqttError(f"the broker gave {len(codes)} answers to {len(filters)} topic filters")
        self.refused |= {one: code for one, code in zip(filters, codes, strict=True) if code >= REFUSED}

    def _report_refused(self) -> None:
        """Raise a problem naming refused filters; only a notice if it is just the broker's counter, which few have."""
        if not self.refused:
            self.problems.clear(Problem.CONTROL_SUBSCRIPTIONS)
            return
        text = ", ".join(f"{one} ({_why(code)})" for one, code in self.refused.items())
        gravity = Gravity.NOTICE if set(self.refused) == {DROPPED} else Gravity.WARNING
        self.problems.raise_(Problem.CONTROL_SUBSCRIPTIONS, text, gravity)

    async def listen(self, client: ControlClient) -> None:
        """Handle messages until the connection ends."""
        async for message in client.messages:
            await self._handle(message)

    async def _handle(self, message: aiomqtt.Message) -> None:
        topic, payload = str(message.topic), _bytes_of(message)
        if topic == DROPPED:
            self.dropped.observe(payload)
        elif topic == topics.operator_command_topic(self.gateway):
            await self._answer(payload, retained=message.retain)
        elif topic == self.status_topic:
            self._check_status(message)
        elif payload or not message.retain:
            if message.retain:
                self.retained.received(topic)
            if len(self._suspect) < MOST_SUSPECT:
                self._suspect[topic] = not message.retain

    def check(self) -> None:
        """Repair topics and clear problems that are over; call periodically."""
        self.dropped.expire()
        if self._suspect:
            self._repair()
        if forgotten := self.retained.forgotten():
            self._publish_again(forgotten)

    def _publish_again(self, forgotten: Container[str]) -> None:
        """Publish the firing alerts that the broker retains no more."""
        again = [message for message in self.firing_alerts() if message.topic in forgotten]
        if again:
            log.warning(
                "the broker had lost %s that it should retain; published again",
                counted(len(again), "firing alert"),
            )
            self.send(again)

    def _repair(self) -> None:
        """Clear retained alerts that are not firing, left by an earlier start or forged.

        A firing alert that somebody overwrote is published again.
        """
        now = self.clock()
        self._repaired_at = {topic: at for topic, at in self._repaired_at.items() if at > now - REPAIR_EVERY}
        due = [topic for topic, live in self._suspect.items() if not (live and topic in self._repaired_at)]
        firing_alerts = {message.topic: message for message in self.firing_alerts()} if due else {}
        for topic in due:
            live = self._suspect.pop(topic)
            if live:
                self._report_forged(topic)
            if topic not in firing_alerts:
                self.send([Message(topic, b"", retain=True)])
            elif live:
                self.send([firing_alerts[topic]])
            self._repaired_at[topic] = now

    def _report_forged(self, topic: str) -> None:
        self.counters.alerts_overwritten += 1
        self.problems.raise_(Problem.FORGED_ALERTS, printable(topic))

    def status_of(self, message: aiomqtt.Message) -> dict[str, Any] | None:
        """Decode a status message; None if it is malformed."""
        try:
            return control_messages.decode_gateway_status(_bytes_of(message))
        except MalformedMessage:
            return None

    def _check_status(self, message: aiomqtt.Message) -> None:
        status = self.status_of(message)
        if status is not None:
            self.ownership.judge(status, retained=message.retain)

    async def _answer(self, payload: bytes, *, retained: bool) -> None:
        """Carry out an operator's request and reply. A retained one would return on every connect: it is ignored."""
        try:
            request = control_messages.decode_operator_request(payload)
        except MalformedMessage as error:
            self.counters.operator_requests_malformed += 1
            log.warning("ignored a malformed operator request: %s", printable(error))
            return
        if retained:
            self.counters.operator_requests_retained += 1
            log.warning(
                "ignored a retained operator request (publish it without retain): %s", printable(request.id)
            )
            return
        try:
            ok, detail = True, await self.operate(request.do, request.args)
        except ValueError as error:
            ok, detail = False, str(error)
        reply = control_messages.OperatorReply(id=request.id, ok=ok, detail=detail[:LONGEST_DETAIL])
        topic = topics.operator_reply_topic(self.gateway)
        self.send([Message(topic, control_messages.encode_operator_reply(reply))])


def _bytes_of(message: aiomqtt.Message) -> bytes:
    return message.payload if isinstance(message.payload, bytes) else b""


def _why(code: int) -> str:
    return "not authorised: check the ACL" if code == NOT_AUTHORISED else meaning(code)
