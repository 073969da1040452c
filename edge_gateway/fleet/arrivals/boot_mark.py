"""Which messages of one boot of one device have arrived: a high mark, and the holes below it.

A mark is bounded, and what it forgets it does not guess: such a message is neither new nor a duplicate but not known.
"""

from bisect import bisect_right
from dataclasses import dataclass, field

from edge_gateway.fleet.timestamps import NO_TIME

NEW, DUPLICATE, CONFLICT, NOT_KNOWN = 0, 1, 2, -1
BELOW, HIGHEST, FIRST = 0, 1, 2
"""Where a message stands in its boot: below the highest seq so far, above all of them, or first of all."""
NO_BOOT = -1
NEVER = 1 << 62
"""In place of a time, ms: later than any."""

HOLES_KEPT = 64
CONTESTED_KEPT = 64
MOST_MISSING = 1_000_000
"""A larger hole does not count as missing: the device numbers oddly, or it lived before this gateway did.

The hole is kept, so that messages in it are new.
"""
_LARGEST = (1 << 63) - 1
NO_BIRTH, BIRTH_FORGOTTEN = 0, -1
"""In place of a birth's digest: the boot had none yet; it may have had one, which is forgotten."""


@dataclass(slots=True)
class BootMark:
    """Every seq from `judged_from` up to `top` has arrived or lies in a hole.

    Of those below it is only known that none in a hole has arrived. `judged_from` is above the next seq only where a
    mark that was forgotten went on to there, and nothing has come since.

    Attributes:
        boot: the boot number.
        top: highest seq so far, -1 before the first.
        newest: newest device time so far, ms.
        oldest: oldest device time so far, ms; NEVER before the first.
        holes: [from, to], inclusive, ascending, never adjacent.
        judged_from: the lowest seq of which a repeat can be told.
        unsure_from: a message from this device time on (ms), up to `unsure_to`, may have arrived before the mark was
            made, in one that was forgotten.
        unsure_to: see `unsure_from`.
        untimed: a message without a time has arrived.
        earlier_top: the highest seq before the device was erased and began anew, -1 if it never was.
        untimed_to: a message without a time up to this seq may have arrived, too, in a mark that was forgotten.
        born: digest of the last birth, NO_BIRTH or BIRTH_FORGOTTEN.
        denied: a birth contradicts the mark: its device may have been erased and count anew. The next message tells.
        contested: device times (ms) of messages, by seq, that came below others and were newer than they: the clock was
            set back since, or the device counts anew, and another message has the same number.
        contested_to: the highest of these seqs so far.
    """

    boot: int
    top: int = -1
    newest: int = NO_TIME
    oldest: int = NEVER
    holes: list[list[int]] = field(default_factory=list)
    judged_from: int = 0
    unsure_from: int = NO_TIME
    unsure_to: int = NO_TIME
    untimed: bool = False
    earlier_top: int = -1
    untimed_to: int = -1
    born: int = NO_BIRTH
    denied: bool = False
    contested: dict[int, int] = field(default_factory=dict)
    contested_to: int = -1

    def accept(self, seq: int, time: int) -> int:
        """Accept one message; return NEW, DUPLICATE, CONFLICT or NOT_KNOWN.

        A repeated message cannot be newer than the newest one so far. If it is, the device restarted its sequence
        under the same boot: CONFLICT. A message that may be older than the mark takes a number that another one may
        come under: of repeats up to there, nothing is known. One that fills a hole and is newer than those above it may
        be of a device that counts anew: another time under its number is no repeat. Where a birth says so, one that is
        older than all of its boot is none either.
        """
        unsure = seq <= self.untimed_to if time == NO_TIME else self.unsure_from <= time <= self.unsure_to
        overtaken = self._is_overtaken(seq)
        if seq > self.top:
            self._raise_to(seq, unsure=unsure)
        elif not self._fill(seq):
            if time > self.newest or (self.denied and NO_TIME < time < self.oldest):
                return CONFLICT
            sure = seq >= self.judged_from and self.contested.get(seq, time) == time
            return DUPLICATE if sure and not (self.denied or unsure) else NOT_KNOWN
        elif overtaken and time > self.newest:
            self._contest(seq, time)
        self.newest = max(self.newest, time)
        self.oldest = min(self.oldest, NEVER if time == NO_TIME else time)
        self.untimed |= time == NO_TIME
        if unsure:
            self.doubt(seq)
        return NOT_KNOWN if unsure else NEW

    @property
    def known_to(self) -> int:
        """The highest seq so far, in a mark that was forgotten, too."""
        return max(self.top, self.judged_from - 1)

    def doubt(self, seq: int) -> None:
        """Note that no repeat of a message up to `seq` is known to be one."""
        self.judged_from = max(self.judged_from, min(seq + 1, _LARGEST))

    def _contest(self, seq: int, time: int) -> None:
        """Note that another message may have the number of this one; of more than CONTESTED_KEPT nothing is known."""
        self.contested[seq] = time
        self.contested_to = max(self.contested_to, seq)
        if len(self.contested) > CONTESTED_KEPT:
            lowest = min(self.contested)
            del self.contested[lowest]
            self.doubt(lowest)

    def standing(self, seq: int) -> int:
        """Return where a message that has not been accepted yet stands: BELOW, HIGHEST or FIRST."""
        if seq <= self.top:
            return BELOW
        return FIRST if self.top < 0 else HIGHEST

    def take_birth(self, born: int, following: int, *, just_sent: bool) -> bool:
        """Note a birth whose next new message is `following`, before `expect_next`; return whether it denies the mark.

        A copy that the broker kept or sends again may be long past: it does not deny what has come since. Nor does the
        last birth again; and of one that is forgotten nobody can tell whether it was the same. `born` is its digest.
        """
        if born == self.born:
            return False
        if just_sent:
            self.denied = following <= self.top and self.born != BIRTH_FORGOTTEN
        self.born = born
        return just_sent and self.denied

    def begin_anew(self) -> int:
        """Start over, since the device was erased; return how many messages were missing, and will never come.

        What came before is not known any more: a copy of it that is still under way is no new message. Its time is none
        before the first or after the last of them.
        """
        lost = sum(missing(*hole) for hole in self.holes)
        self.unsure_from = self.oldest if self.unsure_to == NO_TIME else min(self.unsure_from, self.oldest)
        self.unsure_to = max(self.unsure_to, self.newest)
        self.earlier_top = max(self.earlier_top, self.top)
        self.newest, self.oldest = NO_TIME, NEVER
        self.top, self.holes, self.judged_from, self.denied = -1, [], 0, False
        self.contested, self.contested_to = {}, -1
        return lost

    def _raise_to(self, seq: int, *, unsure: bool) -> None:
        """Move the mark up. Where it may not be the same boot any more, nothing is known below the message.

        A message newer than all that was forgotten, under a number that was taken then: the device counts anew.
        """
        if self.denied or (unsure and self.top < 0):
            self.doubt(seq - 1)
            self.holes, self.denied = [], False
        else:
            if seq < self.judged_from and not unsure:
                self.judged_from = self.top + 1
            self._open(seq - 1)
        self.top = seq

    def _open(self, last: int) -> None:
        """Open a hole from above the mark up to `last`; not where a forgotten mark had been."""
        first = self.known_to + 1
        if last < first:
            return
        if self.holes and self.holes[-1][1] == first - 1:
            self.holes[-1][1] = last
        else:
            self.holes.append([first, last])

    def _is_overtaken(self, seq: int) -> bool:
        """Return whether a message is missing and one with a plausible, higher seq has come."""
        at = self._hole_of(seq)
        if at < 0:
            return False
        first, last = self.holes[at]
        return last < self.top and missing(first, last) > 0

    def _fill(self, seq: int) -> bool:
        at = self._hole_of(seq)
        if at < 0:
            return False
        first, last = self.holes[at]
        rest = [[first, seq - 1], [seq + 1, last]]
        self.holes[at : at + 1] = [hole for hole in rest if hole[0] <= hole[1]]
        return True

    def _hole_of(self, seq: int) -> int:
        """Return the index of the hole that a message lies in; -1 if none."""
        at = bisect_right(self.holes, seq, key=_first) - 1
        return at if at >= 0 and seq <= self.holes[at][1] else -1

    def is_plausible(self, seq: int) -> bool:
        """Whether a seq is plausible: no device sends more than MOST_MISSING messages unseen."""
        return seq <= self.known_to + MOST_MISSING

    def expect_next(self, following: int) -> None:
        """Note that the device's next new message will be `following`: everything missing below it becomes a hole.

        Below where a forgotten mark had been, it says nothing: a birth may be an old one, or leave `next` out.
        """
        if following < self.judged_from:
            return
        self._open(following - 1)
        self.top = max(self.top, following - 1)

    def close_below(self, floor: int) -> int:
        """Close holes below `floor`, which the device no longer holds; return how many messages are lost."""
        lost = missing(self.known_to + 1, max(self.known_to, floor - 1))
        self.top = max(self.top, floor - 1)
        while self.holes and self.holes[0][0] < floor:
            first, last = self.holes[0]
            lost += missing(first, min(last, floor - 1))
            if last >= floor:
                self.holes[0][0] = floor
                break
            self.holes.pop(0)
        return lost

    def drop_surplus_holes(self) -> int:
        """Forget the lowest holes beyond HOLES_KEPT and what lies between them.

        Returns how many missing messages are not waited for any more.
        """
        surplus = self.holes[: max(0, len(self.holes) - HOLES_KEPT)]
        if not surplus:
            return 0
        del self.holes[: len(surplus)]
        self.judged_from = max(self.judged_from, surplus[-1][1] + 1)
        return sum(missing(first, last) for first, last in surplus)


def missing(first: int, last: int) -> int:
    """Return how many messages a hole (inclusive) counts as missing; 0 if it is larger than MOST_MISSING."""
    size = last - first + 1
    return size if size <= MOST_MISSING else 0


def _first(hole: list[int]) -> int:
    return hole[0]
