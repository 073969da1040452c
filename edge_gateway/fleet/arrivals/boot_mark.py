"""What arrived of one boot of one device: a mark, and the holes below it."""

from bisect import bisect_right
from dataclasses import dataclass, field

NEW, DUPLICATE, CONFLICT = 0, 1, 2

NO_TIME = -(2**63)
"""Time of a message that carries none."""
HOLES_KEPT = 64
MOST_MISSING = 1_000_000
"""A hole of more messages than that is a device's odd numbering or its life before this gateway, and nothing that is
missing: it is held, so that what comes of it is new, and is counted nowhere."""


@dataclass(slots=True)
class BootMark:
    """Everything up to `top` arrived or lies in a hole. Holes are [from, to], both in, ascending, apart.

    `newest` is the newest device time taken in, `top_time` that of the highest seq.
    """

    boot: int
    top: int = -1
    newest: int = NO_TIME
    top_time: int = NO_TIME
    holes: list[list[int]] = field(default_factory=list)

    def accept(self, seq: int, time: int) -> int:
        """Take in one message; return NEW, DUPLICATE or CONFLICT.

        A message that was taken in before cannot be newer than the newest taken in: one that is comes from a
        device that started its sequence again under the same boot.
        """
        if seq > self.top:
            self._raise_to(seq)
            self.top_time = time if time != NO_TIME else self.top_time
        elif not self._fill(seq):
            return CONFLICT if time > self.newest else DUPLICATE
        self.newest = max(self.newest, time)
        return NEW

    def steps_back(self, seq: int, time: int) -> bool:
        """Whether a message would be the highest so far, yet older than the highest before it."""
        return seq > self.top and NO_TIME < time < self.top_time

    def _raise_to(self, seq: int) -> None:
        self._open(seq - 1)
        self.top = seq

    def _open(self, last: int) -> None:
        """Miss everything above the mark up to `last`."""
        if last <= self.top:
            return
        if self.holes and self.holes[-1][1] == self.top:
            self.holes[-1][1] = last
        else:
            self.holes.append([self.top + 1, last])

    def _fill(self, seq: int) -> bool:
        at = bisect_right(self.holes, seq, key=_first) - 1
        if at < 0 or self.holes[at][1] < seq:
            return False
        first, last = self.holes[at]
        rest = [[first, seq - 1], [seq + 1, last]]
        self.holes[at : at + 1] = [hole for hole in rest if hole[0] <= hole[1]]
        return True

    def is_plausible(self, seq: int) -> bool:
        """Whether a device can be so far: nobody sends a million messages unseen."""
        return seq <= self.top + MOST_MISSING

    def expect(self, following: int) -> None:
        """Take in that the next new message will be `following`: what is missing below it is a hole."""
        self._open(following - 1)
        self.top = max(self.top, following - 1)

    def close_below(self, floor: int) -> int:
        """Close what the device no longer holds; return how many messages will never come."""
        lost = missing(self.top + 1, max(self.top, floor - 1))
        self.top = max(self.top, floor - 1)
        while self.holes and self.holes[0][0] < floor:
            first, last = self.holes[0]
            lost += missing(first, min(last, floor - 1))
            if last >= floor:
                self.holes[0][0] = floor
                break
            self.holes.pop(0)
        return lost

    def give_up(self) -> int:
        """Close the lowest holes beyond those kept; return how many messages that gives up."""
        surplus = self.holes[: max(0, len(self.holes) - HOLES_KEPT)]
        del self.holes[: len(surplus)]
        return sum(missing(first, last) for first, last in surplus)


def missing(first: int, last: int) -> int:
    """Return how many messages count as missing in a hole, both ends in: none where it is too large to be one."""
    size = last - first + 1
    return size if size <= MOST_MISSING else 0


def _first(hole: list[int]) -> int:
    return hole[0]
