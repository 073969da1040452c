"""Which messages are new, by (device, boot, seq), and which are missing.

A device's current boot, the one that appeared last, is kept in columns, and messages that continue it in order
are judged for the whole batch at once. The messages of devices with anything else in a batch are judged one by one:
holes, other boots, repeats within the batch.
"""

from collections.abc import Mapping
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from edge_gateway.columns.frame import BoolColumn, IntColumn
from edge_gateway.columns.growing import with_room
from edge_gateway.fleet.arrivals.boot_mark import (
    DUPLICATE,
    HIGHEST,
    MOST_MISSING,
    NEW,
    NO_BOOT,
    BootMark,
    missing,
)
from edge_gateway.fleet.arrivals.forgotten import Forgotten
from edge_gateway.fleet.timestamps import NO_TIME

BOOTS_KEPT = 8
_ARRIVAL_BITS = 32
_ARRIVAL_MASK = (1 << _ARRIVAL_BITS) - 1
_MARK = ("boot", "top", "newest", "judged_from", "unsure_to", "untimed")
"""Columns of the current boot's mark, by their names in `BootMark`."""
_EMPTY = BootMark(NO_BOOT)
_COUNTS = ("opened", "lost", "given_up", "claimed")


class Verdicts(NamedTuple):
    """What each message is, and where it stands in its boot."""

    verdict: NDArray[np.int8]
    """NEW, DUPLICATE, CONFLICT or NOT_KNOWN."""
    rows: "MessageRows"
    """The messages by device."""
    order: IntColumn
    """The position of each of the rows."""
    standing: NDArray[np.int8]
    """BELOW, HIGHEST or FIRST, of each of the rows; of repeats it says nothing."""


class Stored(NamedTuple):
    """What is known of a boot: each seq from `since` up to `upto` has arrived or lies in a range of `missing`."""

    since: int
    upto: int
    missing: list[tuple[int, int]]
    """Inclusive."""


class MessageRows(NamedTuple):
    """Messages sorted by device, in arrival order within a device."""

    device: IntColumn
    boot: IntColumn
    seq: IntColumn
    time: IntColumn

    def pick(self, at: IntColumn | BoolColumn) -> "MessageRows":
        return MessageRows(self.device[at], self.boot[at], self.seq[at], self.time[at])


class Sequences:
    """The marks of every device: at most BOOTS_KEPT boots each, with at most HOLES_KEPT holes each.

    A further boot replaces the one that was quiet longest, a further hole the lowest. What was known of them is
    forgotten: their messages are not known from then on.
    """

    def __init__(self) -> None:
        self._size = 0
        self.boot = np.empty(0, np.int64)
        """Current boot of each device; NO_BOOT before the first."""
        self.top = np.empty(0, np.int64)
        self.newest = np.empty(0, np.int64)
        self.judged_from = np.empty(0, np.int64)
        self.unsure_to = np.empty(0, np.int64)
        self.untimed = np.empty(0, np.bool_)
        self.opened = np.empty(0, np.int64)
        """Holes ever opened over all boots, by device."""
        self.lost = np.empty(0, np.int64)
        """Missing messages that the device no longer holds, by device: lost before they reached the gateway."""
        self.given_up = np.empty(0, np.int64)
        """Missing messages the gateway no longer waits for, since holes and boots are capped, by device."""
        self.claimed = np.empty(0, np.int64)
        """The implausible next seq in a birth of the current boot, by device; 0 if there was none."""
        self.not_believed = 0
        """Births and messages with an implausible seq."""
        self._implausible: set[int] = set()
        """Devices with an implausible seq in the current batch: their floors are ignored, too."""
        self._slow = np.empty(0, np.bool_)
        self._holes: dict[int, list[list[int]]] = {}
        self.holed = np.empty(0, np.bool_)
        """Whether the current boot has holes, by device."""
        self._older: dict[int, dict[int, BootMark]] = {}
        self.forgotten = Forgotten()
        self._gone = {"lost_at_device": 0, "given_up": 0}
        """The counters of retired devices."""
        self.boots_forgotten = 0
        self.one_by_one = 0
        """Messages that were judged one by one."""

    def make_room(self, devices: int) -> None:
        """Extend the columns to hold device numbers below `devices`."""
        if devices <= self._size:
            return
        self._size = devices
        for name in _MARK:
            setattr(self, name, with_room(getattr(self, name), devices, getattr(_EMPTY, name)))
        for name in _COUNTS:
            setattr(self, name, with_room(getattr(self, name), devices, 0))
        self._slow = with_room(self._slow, devices, fill=False)
        self.holed = with_room(self.holed, devices, fill=False)

    # --- messages

    def accept(self, device: IntColumn, boot: IntColumn, seq: IntColumn, time: IntColumn) -> Verdicts:
        """Judge and accept one batch of messages, in arrival order.

        `time` is the device time of each, ms; NO_TIME if it is absent or implausible.
        """
        count = len(device)
        self._implausible.clear()
        if not count:
            none = np.empty(0, np.int8)
            return Verdicts(none, MessageRows(device, boot, seq, time), np.empty(0, np.int64), none)
        self.make_room(int(device.max()) + 1)
        order = np.sort((device << _ARRIVAL_BITS) | np.arange(count)) & _ARRIVAL_MASK
        rows = MessageRows(device, boot, seq, time).pick(order)
        plain = (rows.boot == self.boot[rows.device]) & ~self.holed[rows.device] & self._is_sure(rows)
        repeat = plain & (rows.seq <= self.top[rows.device]) & (rows.time <= self.newest[rows.device])
        verdict = np.where(repeat, np.int8(DUPLICATE), np.int8(NEW))
        fresh = np.flatnonzero(~repeat)
        ahead = rows.pick(fresh)
        odd = ahead.device[~(plain[fresh] & self._in_order(ahead))]
        standing = np.full(count, HIGHEST, np.int8)
        if len(odd):
            self._slow[odd] = True
            slow = np.flatnonzero(self._slow[rows.device])
            verdict[slow], standing[slow] = self._one_by_one(rows.pick(slow))
            ahead = ahead.pick(~self._slow[ahead.device])
            self._slow[odd] = False
        self._advance(ahead)
        judged = np.empty(count, np.int8)
        judged[order] = verdict
        return Verdicts(judged, rows, order, standing)

    def _is_sure(self, rows: MessageRows) -> BoolColumn:
        """Return which rows the mark of their device's current boot can judge, as far as it goes."""
        timed = rows.time != NO_TIME
        sure: BoolColumn = ~timed | (rows.time > self.unsure_to[rows.device])
        sure &= rows.seq >= self.judged_from[rows.device]
        sure &= timed | self.untimed[rows.device]
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
        if not len(rows.device):
            return
        self.top[rows.device] = rows.seq  # ascending within a device
        first = np.ones(len(rows.device), np.bool_)
        np.not_equal(rows.device[1:], rows.device[:-1], out=first[1:])
        starts = np.flatnonzero(first)
        device = rows.device[starts]
        self.newest[device] = np.maximum(self.newest[device], np.maximum.reduceat(rows.time, starts))

    def _one_by_one(self, rows: MessageRows) -> tuple[list[int], list[int]]:
        """Judge rows in order; return their verdicts and standings."""
        verdicts: list[int] = []
        standings: list[int] = []
        holder, mark = -1, None
        for device, boot, seq, time in zip(*(column.tolist() for column in rows), strict=True):
            if mark is None or holder != device or mark.boot != boot:
                self._put(holder, mark)
                holder, mark = device, self._take(device, boot)
            standings.append(mark.standing(seq))
            self.opened[device] += seq > mark.top + 1
            if not mark.is_plausible(seq):
                self._disbelieve(device)
            verdicts.append(mark.accept(seq, time))
            self.given_up[device] += mark.drop_surplus_holes()
        self._put(holder, mark)
        self.one_by_one += len(verdicts)
        return verdicts, standings

    def _disbelieve(self, device: int) -> None:
        self.not_believed += 1
        self._implausible.add(device)

    # --- marks

    def _take(self, device: int, boot: int) -> BootMark:
        """Return a boot's mark to work on, to be put back with `_put`; a boot never seen becomes the current one."""
        if int(self.boot[device]) == boot:
            return self._current(device)
        older = self._older.get(device, {})
        if boot in older:
            return older[boot]
        self._retire_current(device)
        return self.forgotten.begin(device, boot)

    def _current(self, device: int) -> BootMark:
        columns = {name: getattr(self, name)[device].item() for name in _MARK}
        return BootMark(**columns, holes=self._holes.get(device, []))

    def _retire_current(self, device: int) -> None:
        """Move the current boot to the older ones, to make way for a new current boot."""
        mark = self._current(device)
        self._holes.pop(device, None)
        self.claimed[device] = 0
        if mark.boot == NO_BOOT:
            return
        older = self._older.setdefault(device, {})
        older[mark.boot] = mark
        self.boot[device] = NO_BOOT
        if len(older) >= BOOTS_KEPT:
            quiet = older.pop(next(iter(older)))
            self.given_up[device] += sum(missing(*hole) for hole in quiet.holes)
            self.forgotten.boot(device, quiet)
            self.boots_forgotten += 1

    def _put(self, device: int, mark: BootMark | None) -> None:
        if mark is None:
            return
        older = self._older.get(device, {})
        if mark.boot in older:
            older[mark.boot] = older.pop(mark.boot)
            return
        for name in _MARK:
            getattr(self, name)[device] = getattr(mark, name)
        self.holed[device] = bool(mark.holes)
        if mark.holes:
            self._holes[device] = mark.holes
        else:
            self._holes.pop(device, None)

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
        if boot == int(self.boot[device]) or boot in self._older.get(device, {}):
            mark = self._take(device, boot)
            self.lost[device] += mark.close_below(floor)
            self._put(device, mark)

    def birth(self, device: int, boot: int, floor: int, following: int) -> None:
        """Apply a birth: seqs below `floor` will never come, and the next new one will be `following`.

        What is missing between them becomes a hole; implausible values are ignored.
        """
        self.make_room(device + 1)
        mark = self._take(device, boot)
        floor, following = self._believed(device, mark, floor, following)
        self.opened[device] += following - 1 > max(mark.top, floor - 1)
        mark.expect_next(following)
        self.lost[device] += mark.close_below(floor)
        self.given_up[device] += mark.drop_surplus_holes()
        self._put(device, mark)

    def _believed(self, device: int, mark: BootMark, floor: int, following: int) -> tuple[int, int]:
        """Return (floor, next) with implausible values replaced by ones that change nothing."""
        floor, far = min(floor, following), not mark.is_plausible(following - 1)
        if mark.boot not in self._older.get(device, {}):
            self.claimed[device] = following if far else 0
        self.not_believed += far
        if far:
            return (floor if mark.is_plausible(floor - 1) else 0), mark.top + 1
        return floor, following

    # --- what is known

    def boots(self, device: int) -> list[int]:
        """Return the boots kept of a device, the current one last."""
        if device >= self._size or int(self.boot[device]) == NO_BOOT:
            return []
        return [*self._older.get(device, {}), int(self.boot[device])]

    def stored(self, device: int, boot: int) -> Stored | None:
        """Return what is known of a boot; None if it is not kept."""
        if boot not in self.boots(device):
            return None
        current = boot == int(self.boot[device])
        mark = self._current(device) if current else self._older[device][boot]
        return Stored(mark.judged_from, mark.top, [(first, last) for first, last in mark.holes])

    def gaps(self, device: int) -> list[tuple[int, int, int]]:
        """Return the missing ranges of a device as (boot, from, to), inclusive."""
        found = []
        for boot in self.boots(device):
            stored = self.stored(device, boot)
            found += [(boot, first, last) for first, last in stored.missing] if stored else []
        return found

    def devices_with_gaps(self) -> list[int]:
        """Return the devices with missing messages, ascending."""
        older = (
            device for device, marks in self._older.items() if any(mark.holes for mark in marks.values())
        )
        return sorted({*self._holes, *older})

    def missing(self, device: int) -> int:
        """Return how many messages of a device are missing, at most MOST_MISSING."""
        return min(sum(missing(first, last) for _, first, last in self.gaps(device)), MOST_MISSING)

    def implausible(self) -> list[int]:
        """Return the devices whose current boot has implausible numbers, in its birth or its messages, ascending."""
        ahead = self.claimed[: self._size] - MOST_MISSING - 1 > self.top[: self._size]
        leapt = (
            device
            for device, holes in self._holes.items()
            if any(first and not missing(first, last) for first, last in holes)
        )
        return sorted({*np.flatnonzero(ahead).tolist(), *leapt})

    def counters(self, device: int) -> dict[str, int]:
        """Return how many messages of a device went missing for good."""
        known = device < self._size
        return {name: int(column[device]) if known else 0 for name, column in self._counted().items()}

    def _counted(self) -> dict[str, IntColumn]:
        return {"lost_at_device": self.lost, "given_up": self.given_up}

    def totals(self) -> dict[str, int]:
        """Return the counters of the fleet, retired devices included."""
        sums = {
            name: self._gone[name] + int(column[: self._size].sum())
            for name, column in self._counted().items()
        }
        return {
            **sums,
            "boots_forgotten": self.boots_forgotten,
            "tombstones_dropped": self.forgotten.tombstones_dropped,
            "sequence_not_believed": self.not_believed,
        }

    def retire(self, names: Mapping[int, str]) -> None:
        """Forget retired devices, given by number with their names; their counts stay in the totals."""
        known = np.array([device for device in names if device < self._size], np.int64)
        for device in known.tolist():
            marks = [*self._older.get(device, {}).values(), self._current(device)]
            kept = [mark for mark in marks if mark.boot != NO_BOOT]
            self.forgotten.retire(device, names[device], kept)
        for name, column in self._counted().items():
            self._gone[name] += int(column[known].sum())
        self.holed[known] = False
        for name in _MARK:
            getattr(self, name)[known] = getattr(_EMPTY, name)
        for name in _COUNTS:
            getattr(self, name)[known] = 0
        for device in known.tolist():
            self._holes.pop(device, None)
            self._older.pop(device, None)

    # --- state

    def snapshot(self) -> dict[str, Any]:
        older = [(device, mark) for device, marks in sorted(self._older.items()) for mark in marks.values()]
        return {
            **{name: getattr(self, name)[: self._size].copy() for name in (*_MARK, *_COUNTS)},
            "holes": _table(
                [(device, *hole) for device, holes in sorted(self._holes.items()) for hole in holes], 3
            ),
            "older": _table(
                [(device, *(int(getattr(mark, name)) for name in _MARK)) for device, mark in older],
                1 + len(_MARK),
            ),
            "forgotten": self.forgotten.snapshot(),
            "older_holes": _table(
                [(number, *hole) for number, (_, mark) in enumerate(older) for hole in mark.holes], 3
            ),
            "gone": dict(self._gone),
            "boots_forgotten": self.boots_forgotten,
            "one_by_one": self.one_by_one,
            "not_believed": self.not_believed,
        }

    def restore(self, state: dict[str, Any]) -> None:
        for name in (*_MARK, *_COUNTS):
            setattr(self, name, state[name].copy())
        self.forgotten.restore(state["forgotten"])
        self._size = len(self.boot)
        self.holed, self._slow = np.zeros(self._size, np.bool_), np.zeros(self._size, np.bool_)
        self._holes, self._older = {}, {}
        for device, first, last in state["holes"].tolist():
            self._holes.setdefault(device, []).append([first, last])
            self.holed[device] = True
        marks = []
        for device, *values in state["older"].tolist():
            mark = BootMark(**dict(zip(_MARK, values, strict=True)))
            mark.untimed = bool(mark.untimed)
            marks.append(mark)
            self._older.setdefault(device, {})[mark.boot] = mark
        for number, first, last in state["older_holes"].tolist():
            marks[number].holes.append([first, last])
        self._gone = dict(state["gone"])
        self.boots_forgotten, self.one_by_one = state["boots_forgotten"], state["one_by_one"]
        self.not_believed = state["not_believed"]


def _table(rows: list[tuple[int, ...]], width: int) -> NDArray[np.int64]:
    return np.array(rows, np.int64).reshape(-1, width)
