"""Finds out whether another client uses the ids of this fleet's devices.

A broker closes the older of two connections with one client id. Mosquitto 2.0 does so without a reason code, which
looks like a bad network, and both clients take the session from each other without end. Therefore the retained status
of a device whose connection was closed without a reason is watched for a time: a birth that the device did not publish
is another client's.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import TYPE_CHECKING, Final, Protocol

from fleet_wire.control_messages import Birth, MalformedMessage, decode_status
from fleet_wire.errors import ConnectionLost, ConnectRefused
from fleet_wire.topics import STATUS, device_topic

if TYPE_CHECKING:
    from collections.abc import Sequence

    from fleet_sim.devices.device import Device

__all__ = ["OTHER_CLIENT", "SharedIds"]

OTHER_CLIENT: Final = (
    "another client on this broker uses the same id, e.g. a second run of this fleet: stop it, or give each fleet ids "
    "of its own"
)
MOST: Final = 100
"""Devices watched at a time; after a bad network or a restart of the broker all of a fleet are suspected."""
WATCHED: Final = 30.0
"""Seconds; two clients take a session from each other about every second."""


class Subscriber(Protocol):
    """The part of the observer that is used here."""

    async def follow(self, topics: Sequence[str]) -> None: ...

    async def unfollow(self, topics: Sequence[str]) -> None: ...


class SharedIds:
    """The devices that are watched. `found` is called with a device whose id is in use elsewhere, and what to say."""

    def __init__(
        self, found: Callable[[Device, str], None], now: Callable[[], float] = time.monotonic
    ) -> None:
        self._found = found
        self._now = now
        self._watched: dict[str, tuple[Device, float]] = {}
        self._followed: set[str] = set()
        self._refused = False

    def lost(self, device: Device, why: ConnectionLost) -> None:
        """Watch a device whose connection was closed without a reason, while there is room."""
        topic = device_topic(device.identity.site, device.identity.id, STATUS)
        if why.reason is None and (len(self._watched) < MOST or topic in self._watched):
            self._watched[topic] = (device, self._now() + WATCHED)

    async def update(self, subscriber: Subscriber) -> None:
        """Subscribe to the status of devices that are watched now, and no longer to that of others."""
        now = self._now()
        self._watched = {topic: each for topic, each in self._watched.items() if each[1] > now}
        ended, begun = self._followed - self._watched.keys(), self._watched.keys() - self._followed
        if self._refused:
            return
        try:
            if ended:
                await subscriber.unfollow(sorted(ended))
            if begun:
                await subscriber.follow(sorted(begun))
        except ConnectRefused:
            self._refused = True
        self._followed = (self._followed - ended) | begun

    def disconnected(self) -> None:
        """Watch nothing more: the subscriber's own connection is gone, so the closed ones were not taken over."""
        self._watched.clear()
        self._followed.clear()

    def heard(self, topic: str, payload: bytes) -> None:
        """Take a status message of a device."""
        device, _ = self._watched.get(topic, (None, 0.0))
        if device is None or not _is_birth(payload) or not device.is_foreign(payload):
            return
        del self._watched[topic]
        self._found(device, OTHER_CLIENT)


def _is_birth(payload: bytes) -> bool:
    try:
        return isinstance(decode_status(payload), Birth)
    except MalformedMessage:
        return False
