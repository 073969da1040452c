"""Records what gateways publish: their status, and every alert transition."""

from collections.abc import Callable, Sequence
from typing import Any

import mqtt5

from fleet_sim.devices.counters import Counters
from fleet_sim.devices.endpoint import Endpoint
from fleet_sim.ledger.writing import LedgerWriter
from fleet_wire.control_messages import MalformedMessage, decode_alert, decode_gateway_status
from fleet_wire.errors import ConnectionLost
from fleet_wire.session import Session
from fleet_wire.topics import STATUS, parse_alert_topic, parse_gateway_topic

__all__ = ["FILTERS", "Observer"]

FILTERS = ("edge/v1/+/status", "edge/v1/+/alerts/#")
RETAINED_WITHIN_US = 1_000_000
"""After subscribing, retained messages arrive within this time."""


class Observer:
    """Writes alerts to the ledger as they arrive, and keeps the newest status of each gateway."""

    def __init__(self, ledger: LedgerWriter, counters: Counters, now_us: Callable[[], int]) -> None:
        self._ledger = ledger
        self._counters = counters
        self._now_us = now_us
        self._session: Session | None = None
        self._subscribed_us = 0
        self._first = True
        self._seen: set[tuple[str, str, int]] = set()
        self.statuses: dict[str, dict[str, Any]] = {}
        self.on_device_status: Callable[[str, bytes], None] = lambda _topic, _payload: None
        """Called with topic and payload of what arrives for `follow`."""

    async def watch(self, endpoint: Endpoint, client_id: str, lost: Callable[[ConnectionLost], None]) -> None:
        """Connect and subscribe; `lost` is called when that connection ends.

        Raises:
            ConnectionLost: there is no connection.
            ConnectRefused: the broker refuses the user name and password.
        """
        self._first = self._session is None
        self._session = Session(endpoint.of_client(client_id), on_publish=self.received, on_lost=lost)
        connected = await self._session.connect()
        self._subscribed_us = self._now_us()
        await self._session.subscribe(FILTERS, session_present=connected.session_present)

    async def follow(self, topics: Sequence[str]) -> None:
        """Subscribe to the status of devices as well; the retained ones come at once."""
        if self._session is not None:
            await self._session.subscribe(topics, session_present=False)

    async def unfollow(self, topics: Sequence[str]) -> None:
        if self._session is not None:
            await self._session.unsubscribe(topics)

    def abandon(self) -> None:
        if self._session is not None:
            self._session.abort()

    async def leave(self) -> None:
        if self._session is not None and self._session.connected:
            await self._session.disconnect()

    def received(self, epoch: int, packets: list[mqtt5.PublishPacket]) -> None:
        """Record the messages of one read, and acknowledge them."""
        for packet in packets:
            self._take(packet.topic, packet.payload or b"")
        numbers = [packet.packet_id for packet in packets if packet.packet_id]
        if numbers and self._session is not None:
            self._session.ack(epoch, numbers)

    def _take(self, topic: str, payload: bytes) -> None:
        if not payload:
            return
        try:
            gateway = parse_gateway_topic(topic)
            if gateway is not None and gateway.kind == STATUS:
                self._status(gateway.gateway, decode_gateway_status(payload))
            elif (place := parse_alert_topic(topic)) is not None:
                self._alert(place.site, payload)
            else:
                self.on_device_status(topic, payload)
        except MalformedMessage:
            self._counters.malformed += 1

    def _status(self, gateway: str, status: dict[str, Any]) -> None:
        """Keep a status; the first one is written at once, so that a run that is killed can be verified, too.

        A will says only that the gateway is offline, which is noted in the status that was heard before. Pass over
        a status cut short for a broker that takes only small packets: it does not say how windows are computed.
        """
        if status.get("state") == "offline" and "windows" not in status:
            self._went(gateway)
            return
        if status.get("left_out"):
            return
        if gateway not in self.statuses:
            self._ledger.note("status", gateway=gateway, status=status)
        self.statuses[gateway] = status

    def _went(self, gateway: str) -> None:
        """Note that a gateway is offline, from now on unless that is known already."""
        known = self.statuses.get(gateway)
        if known is not None and known.get("state") != "offline":
            self.statuses[gateway] = known | {"state": "offline", "at": self._now_us() // 1000}

    def _is_old(self, transition: tuple[str, str, int]) -> bool:
        """Say whether a transition is no news but a retained message, as they come right after subscribing.

        The packet's retain flag does not tell: a live transition is published as retained, too.
        """
        soon = self._now_us() - self._subscribed_us < RETAINED_WITHIN_US
        return soon and (self._first or transition in self._seen)

    def _alert(self, site: str, payload: bytes) -> None:
        alert = decode_alert(payload)
        transition = (alert.id, alert.event, alert.at)
        retained = self._is_old(transition)
        self._seen.add(transition)
        self._counters.alerts += not retained
        self._ledger.note(
            "alert",
            at=self._now_us(),
            retained=retained,
            site=site,
            id=alert.id,
            group=alert.group,
            rule=alert.rule,
            level=alert.level,
            state=alert.state,
            event=alert.event,
            cause=alert.cause,
            subject=alert.subject,
            metric=alert.metric,
            raised=alert.at,
            boot=alert.boot,
            seq=alert.seq,
        )

    def record_statuses(self) -> None:
        """Write the newest status of every gateway to the ledger."""
        for gateway, status in self.statuses.items():
            self._ledger.note("status", gateway=gateway, status=status)
