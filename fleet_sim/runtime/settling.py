"""The wait at the end of a run, while messages under way arrive; a user who interrupts the run can cut it short."""

from __future__ import annotations

import asyncio
import math
import time
from collections.abc import Mapping, Sequence
from typing import Final, Protocol

from fleet_sim.devices.counters import Counters
from fleet_sim.devices.device import Device

__all__ = ["Settling"]

AGAIN: Final = 0.02
"""Seconds between two looks at whether a run has settled."""
ASK_AGAIN: Final = 6.0
"""Seconds between births that ask for a receipt: a gateway sends a device at most one every 5 s."""
HURRIED: Final = 1.0
"""Seconds without any progress after which a hurried wait ends."""


class _Gateways(Protocol):
    @property
    def statuses(self) -> Mapping[str, object]: ...


class Awaited(Protocol):
    """The part of a deployment whose messages are awaited."""

    @property
    def counters(self) -> Counters: ...

    @property
    def devices(self) -> Sequence[Device]: ...

    @property
    def observer(self) -> _Gateways: ...

    def waiting(self) -> int: ...

    def reconnecting(self) -> bool: ...

    def drain(self) -> None: ...


class Settling:
    """Waits until nothing is under way. `hurry` ends the wait soon after the last progress, called again at once."""

    def __init__(self, fleet: Awaited) -> None:
        self._fleet = fleet
        self._patience = math.inf
        self._asked = -math.inf

    def hurry(self) -> None:
        """Wait only while messages still arrive; at the second call no longer at all."""
        self._patience = HURRIED if self._patience == math.inf else 0.0

    async def wait(self, longest: float) -> None:
        """Wait, at most `longest` seconds, until messages are sent, acknowledged and, if that matters, receipted.

        Devices that lost their connection have that time to get it back.
        """
        progress, since = self._progress(), time.monotonic()
        deadline = since + longest
        while time.monotonic() < min(deadline, since + self._patience):
            self._fleet.drain()
            if (
                not self._fleet.counters.in_flight
                and not self._fleet.waiting()
                and not self._fleet.reconnecting()
                and not self._lacks_receipts()
            ):
                return
            await asyncio.sleep(AGAIN)
            if (now := self._progress()) != progress:
                progress, since = now, time.monotonic()

    def _progress(self) -> tuple[int, ...]:
        counters = self._fleet.counters
        return counters.published, counters.in_flight, counters.receipts

    def _lacks_receipts(self) -> bool:
        """Say whether a device waits for a receipt that matters; ask for those again that do not come."""
        if not self._wants_receipts() or not any(device.kept for device in self._fleet.devices):
            return False
        if time.monotonic() - self._asked >= ASK_AGAIN:
            self._asked = time.monotonic()
            self._ask_for_receipts()
        return True

    def _wants_receipts(self) -> bool:
        """Say whether to wait for receipts.

        A broker that dropped a connection may have lost messages that it acknowledged; those sent while no gateway
        was subscribed are lost too, which receipts show by naming some. Only receipts prove that nothing else is
        missing. A gateway that was heard sends some, even if none has come yet.
        """
        counters = self._fleet.counters
        listened_to = counters.receipts > 0 or bool(self._fleet.observer.statuses)
        return listened_to and bool(counters.reconnects or counters.missing)

    def _ask_for_receipts(self) -> None:
        """Publish the births of devices that lack one again: a gateway answers each with a receipt."""
        for device in self._fleet.devices:
            if device.kept and device.online:
                device.connected()
