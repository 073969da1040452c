"""Alerts, commands and acks as an independent MQTT client sees them at the broker."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, field
from time import time

import aiomqtt

from fleet_demo.waiting import awaiting
from fleet_wire.control_messages import (
    Ack,
    Alert,
    Command,
    MalformedMessage,
    decode_ack,
    decode_alert,
    decode_command,
)
from fleet_wire.topics import parse_alert_topic, parse_device_topic


@dataclass(frozen=True, slots=True)
class Seen:
    """A message and when it was seen (wall time, ms since 1970)."""

    at: float
    subject: str
    message: Alert | Command | Ack


@dataclass(slots=True)
class Watcher:
    """Alerts, commands and acks in the order they were seen."""

    host: str
    port: int
    seen: list[Seen] = field(default_factory=list)
    _news: asyncio.Event = field(default_factory=asyncio.Event)

    async def run(self) -> None:
        """Watch until cancelled."""
        client = aiomqtt.Client(self.host, self.port, protocol=aiomqtt.ProtocolVersion.V5)
        async with client:
            await client.subscribe("edge/v1/+/alerts/#", qos=1)
            await client.subscribe("fleet/v1/+/+/command", qos=1)
            await client.subscribe("fleet/v1/+/+/ack", qos=1)
            async for message in client.messages:
                if isinstance(message.payload, bytes) and message.payload and not message.retain:
                    self._take(str(message.topic), message.payload)

    def _take(self, topic: str, payload: bytes) -> None:
        try:
            found = _decode(topic, payload)
        except MalformedMessage:
            return
        if found is not None:
            self.seen.append(Seen(time() * 1000, *found))
            self._news.set()

    def alerts(self, subject: str, state: str) -> list[Seen]:
        return [
            one
            for one in self.seen
            if isinstance(one.message, Alert) and one.subject == subject and one.message.state == state
        ]

    def commands(self, subject: str | None = None) -> list[Seen]:
        return [
            one
            for one in self.seen
            if isinstance(one.message, Command)
            and one.message.kind == "command"
            and subject in {None, one.subject}
        ]

    def command_ids(self) -> list[str]:
        """Return the id of each command seen, repeated ones too."""
        return [one.message.id for one in self.commands() if isinstance(one.message, Command)]

    def acks(self, subject: str) -> list[Seen]:
        return [one for one in self.seen if isinstance(one.message, Ack) and one.subject == subject]

    async def first_alert(self, subject: str, state: str, within: float) -> Seen:
        """Wait for the first alert of a subject in a state; TimeoutError after `within` seconds."""
        return await self._first(
            f"an alert of {subject} is {state}", lambda: self.alerts(subject, state), within
        )

    async def first_ack(self, subject: str, within: float) -> Seen:
        """Wait for a device's first answer to a command; TimeoutError after `within` seconds."""
        return await self._first(f"{subject} answers a command", lambda: self.acks(subject), within)

    async def _first(self, what: str, seen: Callable[[], list[Seen]], within: float) -> Seen:
        async with awaiting(what, within):
            while not (found := seen()):
                self._news.clear()
                await self._news.wait()
        return found[0]


def _decode(topic: str, payload: bytes) -> tuple[str, Alert | Command | Ack] | None:
    alert = parse_alert_topic(topic)
    if alert is not None:
        return alert.subject, decode_alert(payload)
    device = parse_device_topic(topic)
    if device is None:
        return None
    return device.device, decode_command(payload) if device.kind == "command" else decode_ack(payload)
