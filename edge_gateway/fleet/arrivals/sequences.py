"""Which messages are new, by (device, boot, seq), and which are missing.

A device's current boot, the one that appeared last, is kept in columns, and messages that continue it in order
are judged for the whole batch at once. The messages of devices with anything else in a batch are judged one by one:
holes, other boots, repeats within the batch.
"""

from collections.abc import Mapping
from typing import Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from edge_gateway.columns.frame import BoolColumn, IntColumn
from edge_gateway.fleet.arrivals.boot_mark import (
    CONFLICT,
    DUPLICATE,
    FIRST,
    MOST_MISSING,
    NEVER,
    NEW,
    NO_BIRTH,
    NOT_KNOWN,
    BootMark,
    missing,
)
from edge_gateway.fleet.arrivals.contents import Boot
from edge_gateway.fleet.arrivals.marks import Marks
from edge_gateway.fleet.timestamps import NO_TIME

NOTHING_SAID: Final[Mapping[int, int]] = {}
_ARRIVAL_BITS = 32
_ARRIVAL_MASK = (1 << _ARRIVAL_BITS) - 1


class MessageRows(NamedTuple):
    """Messages sorted by device, in arrival order within a device."""

    device: IntColumn
    boot: IntColumn
    seq: IntColumn
    time: IntColumn

    def pick(self, at: IntColumn | BoolColumn) -> "MessageRows":
        return MessageRows(self.device[at], self.boot[at], self.seq[at], self.time[at])


class Verdicts(NamedTuple):
    """What each message is, and where it stands in its boot."""

    verdict: NDArray[np.int8]
    """NEW, DUPLICATE, CONFLICT or NOT_KNOWN."""
    rows: MessageRows
    """The messages by device."""
    order: IntColumn
    """The position of each of the rows."""
    standing: NDArray[np.int8]
    """BELOW, HIGHEST or FIRST, of each of the rows."""


class Sequences(Marks):
    """Judges messages by the marks, and moves the marks on."""

    def __init__(self) -> None:
        super().__init__()
        self._implausible: set[int] = set()
        """Devices with an implausible seq in the current batch: their floors are ignored, too."""
        self._slow = np.empty(0, np.bool_)

    def make_room(self, devices: int) -> None:
        super().make_room(devices)
        if len(self._slow) < self._size:
            self._slow = np.zeros(self._size, np.bool_)

    # --- messages

    def accept(
        self,
        device: IntColumn,
        boot: IntColumn,
        seq: IntColumn,
        time: IntColumn,
        said: Mapping[int, int] = NOTHING_SAID,
    ) -> Verdicts:
        """Judge and accept one batch of messages, in arrival order.

        Args:
            device: device of each message.
            boot: its boot.
            seq: its number.
            time: its device time, ms; NO_TIME if it is absent or implausible.
            said: digests of the contents of messages without a time, by their position, ascending.
        """
        count = len(device)
        self._implausible.clear()
        if not count:
            none = np.empty(0, np.int8)
            return Verdicts(none, MessageRows(device, boot, seq, time), np.empty(0, np.int64), none)
        self.make_room(int(device.max()) + 1)
        order = np.sort((device << _ARRIVAL_BITS) | np.arange(count)) & _ARRIVAL_MASK
        given = MessageRows(device, boot, seq, time)
        rows = given.pick(order)
        plain = (rows.boot == self.boot[rows.device]) & ~self.holed[rows.device] & self._is_sure(rows)
        again = plain & (rows.seq <= self.top[rows.device]) & (rows.time <= self.newest[rows.device])
        if said:
            again &= rows.time != NO_TIME
        verdict = np.where(again, np.int8(DUPLICATE), np.int8(NEW))
        standing = (~again).astype(np.int8)  # HIGHEST or BELOW, 1 or 0
        fresh = np.flatnonzero(standing)
        ahead = rows.pick(fresh)
        standing[fresh[self._first_ones(ahead.device)]] = FIRST
        odd = ahead.device[~(plain[fresh] & self._in_order(ahead))]
        if len(odd):
            self._slow[odd] = True
            slow = np.flatnonzero(self._slow[rows.device])
            digests = [said.get(place) for place in order[slow].tolist()]
            verdict[slow], standing[slow] = self._one_by_one(rows.pick(slow), digests)
            ahead = ahead.pick(~self._slow[ahead.device])
            self._slow[odd] = False
        self._advance(ahead)
        judged = np.empty(count, np.int8)
        judged[order] = verdict
        if said:
            self._remember_in_order(given, judged, said, set(odd.tolist()))
        return Verdicts(judged, rows, order, standing)

    def _first_ones(self, device: IntColumn) -> BoolColumn:
        """Return which of these rows, by device, is the first ever of its device's boot, of which there was a birth."""
        first: BoolColumn = self.top[device] < 0
        first[1:] &= device[1:] != device[:-1]
        return first

    def _remember_in_order(
        self, rows: MessageRows, verdict: NDArray[np.int8], said: Mapping[int, int], one_by_one: set[int]
    ) -> None:
        """Note the contents of messages without a time that were judged in columns: all of them were new."""
        for at, digest in said.items():
            device, boot, seq = int(rows.device[at]), int(rows.boot[at]), int(rows.seq[at])
            if device not in one_by_one:
                verdict[at] = self._by_content((device, boot), seq, digest, NEW)

    def _by_content(self, place: Boot, seq: int, digest: int, verdict: int) -> int:
        """Return the verdict on a message without a time, by what its boot said before."""
        if verdict == NEW:
            return NOT_KNOWN if self.contents.remember(place, seq, digest) else NEW
        if verdict != DUPLICATE:
            return verdict
        if self.contents.differs(place, seq, digest):
            return CONFLICT
        return NOT_KNOWN if self.contents.never_said(place, seq) else DUPLICATE

    def _is_sure(self, rows: MessageRows) -> BoolColumn:
        """Return which rows the mark of their device's current boot can judge, as far as it goes."""
        timed = rows.time != NO_TIME
        outside = (rows.time > self.unsure_to[rows.device]) | (rows.time < self.unsure_from[rows.device])
        sure: BoolColumn = np.where(timed, outside, rows.seq > self.untimed_to[rows.device])
        sure &= rows.seq >= self.judged_from[rows.device]
        sure &= rows.seq > self.contested_to[rows.device]
        sure &= timed | self.untimed[rows.device]
        sure &= ~(self.denied | self.conflicted)[rows.device]
        return sure

    def _in_order(self, rows: MessageRows) -> BoolColumn:
        """Return which rows have the seq that follows their device's row before."""
        starts = np.ones(len(rows.device), np.bool_)
        np.not_equal(rows.device[1:], rows.device[:-1], out=starts[1:])
        before = np.empty_like(rows.seq)
        before[1:] = rows.seq[:-1]
        before[starts] = self.top[rows.device[starts]]
        in_order: BoolColumn = rows.seq - 1 == before
        return in_order

    def _advance(self, rows: MessageRows) -> None:
        """Advance the marks of devices whose rows are all in order."""
        self.top[rows.device] = rows.seq  # ascending within a device
        np.maximum.at(self.newest, rows.device, rows.time)
        np.minimum.at(self.oldest, rows.device, np.where(rows.time == NO_TIME, NEVER, rows.time))

    def _one_by_one(self, rows: MessageRows, said: list[int | None]) -> tuple[list[int], list[int]]:
        """Judge rows in order; return their verdicts and standings."""
        verdicts: list[int] = []
        standings: list[int] = []
        holder, mark = -1, None
        for device, boot, seq, time, digest in zip(*(column.tolist() for column in rows), said, strict=True):
            if mark is None or holder != device or mark.boot != boot:
                self._put(holder, mark)
                holder, mark = device, self._take(device, boot)
            self.opened[device] += seq > mark.top + 1
            if not mark.is_plausible(seq):
                self._disbelieve(device)
            verdict, standing = self._judge(device, mark, seq, time, digest)
            verdicts.append(verdict)
            standings.append(standing)
            self.given_up[device] += mark.drop_surplus_holes()
        self._put(holder, mark)
        self.one_by_one += len(verdicts)
        return verdicts, standings

    def _judge(self, device: int, mark: BootMark, seq: int, time: int, digest: int | None) -> tuple[int, int]:
        """Judge and accept one message; return its verdict and standing.

        Once a message contradicted its boot, no repeat is known to be one.
        """
        standing, verdict = mark.standing(seq), mark.accept(seq, time)
        if mark.denied and self._counts_anew(device, mark, seq, digest, verdict):
            self._begin_anew(device, mark)
            standing, verdict = mark.standing(seq), mark.accept(seq, time)
        if digest is not None:
            verdict = self._by_content((device, mark.boot), seq, digest, verdict)
        self.conflicted[device] |= verdict == CONFLICT
        is_sure = verdict != DUPLICATE or not self.conflicted[device]
        return verdict if is_sure else NOT_KNOWN, standing

    def _counts_anew(self, device: int, mark: BootMark, seq: int, digest: int | None, verdict: int) -> bool:
        """Whether a message shows that its device was erased, as a birth had said."""
        if verdict == NOT_KNOWN and digest is not None:
            return self.contents.differs((device, mark.boot), seq, digest)
        return verdict == CONFLICT

    def _begin_anew(self, device: int, mark: BootMark) -> None:
        self.lost[device] += mark.begin_anew()
        self.contents.begin_anew((device, mark.boot))
        self.conflicted[device] = False
        self.opened[device] += 1  # a receipt is due: what the last one said no longer holds
        self.boots_begun_anew += 1

    def _disbelieve(self, device: int) -> None:
        self.not_believed += 1
        self._implausible.add(device)

    # --- what devices say of themselves

    def floors(self, device: IntColumn, boot: IntColumn, floor: IntColumn) -> None:
        """Close holes below the floors of devices. Call it after `accept` of the same batch.

        Floors of boots that are not kept are ignored.
        """
        current = boot == self.boot[device]
        idle = current & ~self.holed[device] & (floor <= self.top[device] + 1)
        for row in np.flatnonzero(~idle).tolist():
            if int(device[row]) not in self._implausible:
                self._floor(int(device[row]), int(boot[row]), int(floor[row]))

    def _floor(self, device: int, boot: int, floor: int) -> None:
        if self._keeps(device, boot):
            mark = self._take(device, boot)
            self.lost[device] += mark.close_below(floor)
            self._put(device, mark)

    def birth(
        self,
        device: int,
        boot: int,
        floor: int,
        following: int,
        *,
        born: int = NO_BIRTH,
        just_sent: bool = False,
    ) -> bool:
        """Apply a birth: seqs below `floor` will never come, and the next new one will be `following`.

        What is missing between them becomes a hole; implausible values are ignored. `born` is the digest of the birth,
        `just_sent` says that it is no copy the broker kept or sends again. Returns whether it denies what came before
        of its boot, because the device counts anew.
        """
        self.make_room(device + 1)
        mark = self._take(device, boot)
        denies = mark.take_birth(born, following, just_sent=just_sent)
        floor, following = self._believed(device, mark, floor, following)
        self.opened[device] += following - 1 > max(mark.known_to, floor - 1)
        mark.expect_next(following)
        self.lost[device] += mark.close_below(floor)
        self.given_up[device] += mark.drop_surplus_holes()
        self._put(device, mark)
        return denies

    def _believed(self, device: int, mark: BootMark, floor: int, following: int) -> tuple[int, int]:
        """Return (floor, next) with implausible values replaced by ones that change nothing."""
        floor, far = min(floor, following), not mark.is_plausible(following - 1)
        if mark.boot not in self._older.get(device, {}):
            self.claimed[device] = following if far else 0
        self.not_believed += far
        if far:
            return (floor if mark.is_plausible(floor - 1) else 0), mark.top + 1
        return floor, following

    def implausible(self) -> list[int]:
        """Return the devices whose current boot has implausible numbers, in its birth or its messages, ascending."""
        ahead = self.claimed[: self._size] - MOST_MISSING - 1 > self.top[: self._size]
        leapt = (
            device
            for device, holes in self._holes.items()
            if any(first and not missing(first, last) for first, last in holes)
        )
        return sorted({*np.flatnonzero(ahead).tolist(), *leapt})
