"""The messages that a device holds: not sent, without PUBACK, without receipt.

A message is numbered when it is made. It moves `unsent → unacked → kept` and leaves when a receipt says
that it is stored, or when the buffer is full. Plain state: no clock, no socket.
"""

from collections.abc import Sequence
from typing import Literal, NamedTuple

__all__ = ["Outbox", "Resend"]

RESEND_AGAIN_MS = 5_000
"""A message that a receipt names missing again within this time is still under way: it is not sent again."""


class Resend(NamedTuple):
    seq: int
    payload: bytes


class Outbox:
    """The messages of one boot of one device, at most `room` of them beside those in flight."""

    __slots__ = (
        "_asked",
        "_drop_newest",
        "_kept",
        "_room",
        "_unacked",
        "_unsent",
        "boot",
        "lost",
        "next",
        "planned",
        "withheld",
    )

    def __init__(self, boot: int, room: int, drop: Literal["oldest", "newest"] = "oldest") -> None:
        self.boot = boot
        self.next = 0
        """The seq of the next message to be made."""
        self.planned = 0
        """Like `next`, counting messages that are made and whose time has not come."""
        self.lost = 0
        self.withheld: set[int] = set()
        """Messages that a fault holds back: made, not sent, and in no buffer."""
        self._room = room
        self._drop_newest = drop == "newest"
        self._unsent: dict[int, bytes] = {}
        self._unacked: dict[int, bytes] = {}
        self._kept: dict[int, bytes] = {}
        self._asked: dict[int, int] | None = None

    @property
    def unsent(self) -> int:
        return len(self._unsent)

    @property
    def unacked(self) -> int:
        return len(self._unacked)

    @property
    def kept(self) -> int:
        return len(self._kept)

    @property
    def floor(self) -> int:
        """The lowest seq still held, or the next one where nothing is: what is below it will never come."""
        lowest = [min(held) for held in (self._unsent, self._unacked, self._kept, self.withheld) if held]
        return min(lowest, default=self.next)

    def number(self) -> int:
        """Give the next message its seq."""
        seq = self.next
        self.next = self.planned = seq + 1
        return seq

    def sent(self, seq: int, payload: bytes) -> None:
        """Note that a message is on its way; it stays here until its PUBACK."""
        self._unacked[seq] = payload

    def store(self, seq: int, payload: bytes) -> list[int]:
        """Keep a message that cannot be sent now; return the seqs that will never be sent because of it."""
        if self._drop_newest and self._full():
            self.lost += 1
            return [seq]
        self._unsent[seq] = payload
        return self._make_room()

    def acked(self, seq: int) -> None:
        """Note a PUBACK: the broker has the message, the gateway perhaps not yet."""
        payload = self._unacked.pop(seq, None)
        if payload is not None and self._room:
            kept = self._kept
            kept[seq] = payload
            if len(kept) + len(self._unsent) > self._room:
                self._make_room()

    def refused(self, seq: int) -> None:
        """Note a PUBACK with a failure: the message will never be delivered."""
        if self._unacked.pop(seq, None) is not None:
            self.lost += 1

    def take_unsent(self) -> Resend | None:
        """Take the oldest message that was never sent; it counts as sent from now."""
        if not self._unsent:
            return None
        seq = next(iter(self._unsent))
        payload = self._unsent.pop(seq)
        self._unacked[seq] = payload
        return Resend(seq, payload)

    @property
    def held(self) -> int:
        """All messages it holds."""
        return len(self._unsent) + len(self._unacked) + len(self._kept)

    def receipt(self, upto: int, missing: Sequence[tuple[int, int]], now_ms: int) -> list[Resend]:
        """Drop what the gateway has stored, or no longer asks for; return what must be sent again, oldest first.

        What is below the receipt's `from` is dropped like what is stored: sent again, it would count nowhere. Only what
        has a PUBACK and is named missing is sent again: the rest is still under way.
        """
        gone = [seq for seq in self._kept if seq <= upto and not _within(seq, missing)]
        for seq in gone:
            del self._kept[seq]
        wanted = sorted(seq for seq in self._kept if _within(seq, missing)) if missing else []
        return [self._again(seq) for seq in wanted if self._may_ask(seq, now_ms)]

    def _may_ask(self, seq: int, now_ms: int) -> bool:
        if self._asked is None:
            self._asked = {}
        asked = self._asked
        if len(asked) > self._room:
            asked.clear()
        if now_ms - asked.get(seq, -RESEND_AGAIN_MS) < RESEND_AGAIN_MS:
            return False
        asked[seq] = now_ms
        return True

    def _again(self, seq: int) -> Resend:
        payload = self._kept.pop(seq)
        self._unacked[seq] = payload
        return Resend(seq, payload)

    def _full(self) -> bool:
        return len(self._unsent) + len(self._kept) >= self._room

    def _make_room(self) -> list[int]:
        """Drop what the broker has, then the oldest of what was never sent, until it fits; only these are lost."""
        lost = []
        while len(self._unsent) + len(self._kept) > self._room:
            if self._kept:
                del self._kept[next(iter(self._kept))]
            else:
                lost.append(next(iter(self._unsent)))
                del self._unsent[lost[-1]]
        self.lost += len(lost)
        return lost


def _within(seq: int, ranges: Sequence[tuple[int, int]]) -> bool:
    return any(first <= seq <= last for first, last in ranges)
