"""QoS 1 publishes of a session until the broker acknowledges them: a send window, and a queue for the rest."""

from collections import deque
from collections.abc import Callable
from typing import NamedTuple

from fleet_wire.packets import is_duplicate, with_duplicate_flag

OnAck = Callable[[int], None]

FIRST_RESERVED_ID = 65_520
"""Publishes use packet ids below this one, SUBSCRIBE and UNSUBSCRIBE those from it to 65,535: they never collide."""
LONGEST_QUEUE = 32_000


class PublishQueueFull(Exception):
    """The message was not accepted: the broker acknowledges more slowly than this side publishes."""


class Resent(NamedTuple):
    """Packets to send first on a new connection, and callbacks of messages too large for the broker."""

    packets: list[bytes]
    too_large: list[OnAck]


class Outgoing:
    """Unacknowledged publishes in the order they were made, each under its packet id.

    Invariant: `unacked` holds all of them; `_waiting` holds the ids of those not sent on this connection, oldest first,
    or is None if there are none. A message keeps its packet id until it is acknowledged.
    """

    __slots__ = ("_longest_queue", "_next_id", "_waiting", "_window", "unacked")

    def __init__(self, longest_queue: int) -> None:
        if not 0 <= longest_queue <= LONGEST_QUEUE:
            raise ValueError(f"a queue can hold 0 to {LONGEST_QUEUE} publishes, not {longest_queue}")
        self._longest_queue = longest_queue
        self._window = 0
        self._next_id = 1
        self.unacked: dict[int, tuple[bytes, OnAck | None]] = {}
        self._waiting: deque[int] | None = None

    @property
    def queued(self) -> int:
        return len(self._waiting) if self._waiting else 0

    @property
    def in_flight(self) -> int:
        return len(self.unacked) - self.queued

    def take_id(self, *, hold: bool) -> int:
        """Return the packet id of the next message; raises PublishQueueFull if the queue is full."""
        if self._must_wait(hold=hold) and self.queued >= self._longest_queue:
            raise PublishQueueFull(f"{self.queued} publishes are already waiting for the broker")
        return self.next_id()

    @property
    def full(self) -> bool:
        """Whether a new message must wait for the broker."""
        return self._waiting is not None or len(self.unacked) >= self._window

    def next_id(self) -> int:
        """Return the packet id for a message that is sent at once; only if not `full`."""
        packet_id = self._next_id
        while packet_id in self.unacked:
            packet_id = _id_after(packet_id)
        self._next_id = _id_after(packet_id)
        return packet_id

    def admit(self, packet_id: int, packet: bytes, on_ack: OnAck | None, *, hold: bool) -> bool:
        """Add a message; return whether to send it now. With `hold` it always waits."""
        wait = self._must_wait(hold=hold)
        self.unacked[packet_id] = (packet, on_ack)
        if wait:
            self._waiting = self._waiting or deque()
            self._waiting.append(packet_id)
        return not wait

    def _must_wait(self, *, hold: bool) -> bool:
        return hold or self.full

    def acknowledged(self, packet_id: int) -> OnAck | None:
        """Remove an acknowledged message and return its callback, if it has one."""
        entry = self.unacked.pop(packet_id, None)
        return entry[1] if entry else None

    def sendable(self) -> list[bytes]:
        """Return the packets that fit into the window now, oldest first, and mark them as sent."""
        packets: list[bytes] = []
        waiting = self._waiting
        while waiting and len(self.unacked) - len(waiting) < self._window:
            # A message sent on the previous connection may have been acknowledged while its id waited here.
            entry = self.unacked.get(waiting.popleft())
            if entry:
                packets.append(entry[0])
        self._waiting = waiting or None
        return packets

    def resume(self, window: int, largest: int | None, *, session_present: bool) -> Resent:
        """Start a new connection: everything unacknowledged is sent again, in order, as far as the window allows.

        A message sent before keeps its packet id, and has DUP set if the broker kept the session. `largest` is the
        broker's maximum packet size in bytes.
        """
        self._window = max(1, min(window, FIRST_RESERVED_ID - 1 - self._longest_queue))
        never_sent = frozenset(self._waiting or ())
        for packet_id, (packet, on_ack) in self.unacked.items():
            sent = packet_id not in never_sent or is_duplicate(packet)
            self.unacked[packet_id] = (
                with_duplicate_flag(packet, duplicate=session_present and sent),
                on_ack,
            )
        too_large = self._drop_larger_than(largest)
        self._waiting = deque(self.unacked)
        return Resent(self.sendable(), too_large)

    def _drop_larger_than(self, largest: int | None) -> list[OnAck]:
        if largest is None:
            return []
        dropped = [packet_id for packet_id, (packet, _) in self.unacked.items() if len(packet) > largest]
        callbacks = [self.unacked.pop(packet_id)[1] for packet_id in dropped]
        return [on_ack for on_ack in callbacks if on_ack]


def _id_after(packet_id: int) -> int:
    return packet_id % (FIRST_RESERVED_ID - 1) + 1
