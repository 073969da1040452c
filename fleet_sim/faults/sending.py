"""Faults of how a device sends its messages."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from typing import TYPE_CHECKING, ClassVar, Literal, NamedTuple

from pydantic import Field

from fleet_config.durations import Duration, Percent, Size
from fleet_sim.faults.fault import Deed, DeviceFault

if TYPE_CHECKING:
    from fleet_sim.devices.emission import Message
    from fleet_sim.faults.withheld import Withheld

__all__ = ["SendingFault", "Strike"]

MOST_BATCHES = 1000


class Strike(NamedTuple):
    """A message that a fault strikes. `withheld` keeps messages back."""

    fault: int
    message: Message
    withheld: Withheld

    def noise(self, size: int) -> bytes:
        """Return `size` random bytes: the same for the same fault, device and message."""
        name = f"{self.fault}/{self.message.device.identity.id}/{self.message.seq}"
        return hashlib.shake_128(name.encode()).digest(size)


class SendingFault(DeviceFault):
    """A kind that sends a message in another way. Where several strike one message, the least `precedence` acts."""

    precedence: ClassVar[int]

    def takes(self, strike: Strike) -> bool:  # noqa: ARG002 - for those that do
        """Take over a message, and return True; return False to have it sent as usual."""
        return False

    def follows(self, strike: Strike) -> None:
        """Act after a message was sent."""


class LateBatch(SendingFault):
    """Messages are held back and sent together."""

    in_phase = True
    precedence = 0
    kind: Literal["late_batch"] = "late_batch"
    hold: Duration = 30_000

    def takes(self, strike: Strike) -> bool:
        strike.withheld.hold(strike.message)
        return True

    def deeds(self, from_ms: int, until_ms: int) -> Iterable[Deed]:
        hold = max(1, self.hold)
        ends = range(from_ms + hold, min(until_ms, from_ms + MOST_BATCHES * hold), hold)
        return [Deed(end, lambda targets: targets.release_batches()) for end in (*ends, until_ms)]


class Reorder(SendingFault):
    """A message is sent after its successors."""

    precedence = 1
    kind: Literal["reorder"] = "reorder"
    p: Percent = 0.01
    by: int = Field(default=1, ge=1, le=100)

    def takes(self, strike: Strike) -> bool:
        strike.withheld.hold(strike.message, behind=self.by)
        return True


class DamagingFault(SendingFault):
    """A kind that sends other bytes in place of a message."""

    def damaged(self, strike: Strike) -> bytes:
        """Return the bytes to send instead."""
        raise NotImplementedError

    def takes(self, strike: Strike) -> bool:
        message = strike.message
        message.device.emit_damaged(message.seq, message.payload, self.damaged(strike))
        return True


class Oversize(DamagingFault):
    """A payload beyond what is allowed."""

    precedence = 2
    kind: Literal["oversize"] = "oversize"
    p: Percent = 0.01
    size: Size = 70_000

    def damaged(self, strike: Strike) -> bytes:
        payload = strike.message.payload
        return payload + strike.noise(max(1, self.size - len(payload)))


class RandomPayload(DamagingFault):
    """A payload of random bytes."""

    precedence = 3
    kind: Literal["random"] = "random"
    p: Percent = 0.01

    def damaged(self, strike: Strike) -> bytes:
        return strike.noise(len(strike.message.payload))


class Truncated(DamagingFault):
    """A payload that ends too early."""

    precedence = 4
    kind: Literal["truncated"] = "truncated"
    p: Percent = 0.01

    def damaged(self, strike: Strike) -> bytes:
        payload = strike.message.payload
        return payload[: max(1, len(payload) // 2)]


class Duplicate(SendingFault):
    """A message is sent twice."""

    precedence = 5
    kind: Literal["duplicate"] = "duplicate"
    p: Percent = 0.01

    def follows(self, strike: Strike) -> None:
        strike.message.device.repeat(strike.message.payload)
