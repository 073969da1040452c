"""The marks of every device's boots, and what they say is stored and missing."""

from collections.abc import Mapping
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from edge_gateway.columns.frame import IntColumn
from edge_gateway.columns.growing import grow_columns
from edge_gateway.fleet.arrivals.boot_mark import MOST_MISSING, NO_BOOT, BootMark, missing
from edge_gateway.fleet.arrivals.contents import Contents
from edge_gateway.fleet.arrivals.forgotten import Forgotten

BOOTS_KEPT = 8
_MARK = (
    *("boot", "top", "newest", "oldest", "judged_from", "unsure_from", "unsure_to"),
    *("untimed", "earlier_top", "untimed_to", "born", "denied", "contested_to"),
)
"""Columns of the current boot's mark, by their names in `BootMark`."""
_EMPTY = BootMark(NO_BOOT)
_COUNTS = ("opened", "lost", "given_up", "claimed")
_FILLS = {
    **{name: getattr(_EMPTY, name) for name in _MARK},
    **dict.fromkeys((*_COUNTS, "holed", "conflicted"), 0),
}


class StoredRange(NamedTuple):
    """What is known of a boot: each seq from `since` up to `upto` has arrived or lies in a range of `missing`."""

    since: int
    upto: int
    missing: list[tuple[int, int]]
    """Inclusive."""


class Marks:
    """The marks of every device: at most BOOTS_KEPT boots each, with at most HOLES_KEPT holes each.

    The current boot of a device, the one that appeared last, is kept in columns. A further boot replaces the one that
    was quiet longest, a further hole the lowest. What was known of them is forgotten: their messages are not known from
    then on.
    """

    def __init__(self) -> None:
        self._size = 0
        self.boot = np.empty(0, np.int64)
        """Current boot of each device; NO_BOOT before the first."""
        self.top = np.empty(0, np.int64)
        self.newest = np.empty(0, np.int64)
        self.oldest = np.empty(0, np.int64)
        self.judged_from = np.empty(0, np.int64)
        self.unsure_from = np.empty(0, np.int64)
        self.unsure_to = np.empty(0, np.int64)
        self.untimed = np.empty(0, np.bool_)
        self.earlier_top = np.empty(0, np.int64)
        self.untimed_to = np.empty(0, np.int64)
        self.born = np.empty(0, np.int64)
        self.denied = np.empty(0, np.bool_)
        self.contested_to = np.empty(0, np.int64)
        self._contested: dict[int, dict[int, int]] = {}
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
        self._holes: dict[int, list[list[int]]] = {}
        self.holed = np.empty(0, np.bool_)
        """Whether the current boot has holes, by device."""
        self._older: dict[int, dict[int, BootMark]] = {}
        self.forgotten = Forgotten()
        self.contents = Contents()
        self.conflicted = np.empty(0, np.bool_)
        """Whether messages of the device contradicted what came before under the same numbers, by device."""
        self._gone = {"lost_at_device": 0, "given_up": 0}
        """The counters of retired devices."""
        self.boots_forgotten = 0
        self.boots_begun_anew = 0
        self.one_by_one = 0
        """Messages that were judged one by one."""

    def make_room(self, devices: int) -> None:
        """Extend the columns to hold device numbers below `devices`."""
        if devices > self._size:
            self._size = devices
            grow_columns(self, devices, _FILLS)

    # --- one mark at a time

    def _take(self, device: int, boot: int) -> BootMark:
        """Return a boot's mark to work on, to be put back with `_put`; a boot never seen becomes the current one."""
        if int(self.boot[device]) == boot:
            return self._current(device)
        older = self._older.get(device, {})
        if boot in older:
            return older[boot]
        self._retire_current(device)
        return self.forgotten.begin(device, boot)

    def _keeps(self, device: int, boot: int) -> bool:
        return int(self.boot[device]) == boot or boot in self._older.get(device, {})

    def _find(self, device: int, boot: int) -> BootMark | None:
        """Return the mark of a boot; None if it is not kept."""
        if device < self._size and int(self.boot[device]) == boot != NO_BOOT:
            return self._current(device)
        return self._older.get(device, {}).get(boot)

    def _current(self, device: int) -> BootMark:
        columns = {name: getattr(self, name)[device].item() for name in _MARK}
        return BootMark(
            **columns, holes=self._holes.get(device, []), contested=self._contested.get(device, {})
        )

    def _retire_current(self, device: int) -> None:
        """Move the current boot to the older ones, to make way for a new current boot."""
        mark = self._current(device)
        self._holes.pop(device, None)
        self._contested.pop(device, None)
        self.claimed[device] = 0
        if mark.boot == NO_BOOT:
            return
        older = self._older.setdefault(device, {})
        older[mark.boot] = mark
        if self.conflicted[device]:
            for kept in older.values():
                kept.doubt(kept.top)  # outlasts the flag
        self.boot[device] = NO_BOOT
        self.conflicted[device] = False
        if len(older) >= BOOTS_KEPT:
            quiet = older.pop(next(iter(older)))
            self.given_up[device] += sum(missing(*hole) for hole in quiet.holes)
            self.forgotten.boot(device, quiet)
            self.contents.forget((device, quiet.boot))
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
        self._holes.pop(device, None)
        self._contested.pop(device, None)
        if mark.holes:
            self._holes[device] = mark.holes
        if mark.contested:
            self._contested[device] = mark.contested

    # --- what is known

    def boots(self, device: int) -> list[int]:
        """Return the boots kept of a device, the current one last."""
        if device >= self._size or int(self.boot[device]) == NO_BOOT:
            return []
        return [*self._older.get(device, {}), int(self.boot[device])]

    def stored(self, device: int, boot: int) -> StoredRange | None:
        """Return what is known of a boot; None if it is not kept."""
        mark = self._find(device, boot)
        if mark is None:
            return None
        since = mark.judged_from
        holes = [(max(first, since), last) for first, last in mark.holes if last >= since]
        return StoredRange(since, mark.top, holes)

    def was_born(self, device: int, boot: int, born: int) -> bool:
        """Whether the birth with this digest is the last one of its boot that came."""
        mark = self._find(device, boot)
        return mark is not None and mark.born == born

    def is_doubtful(self, device: int, boot: int) -> bool:
        """Whether a boot may have begun anew, so that a receipt could name as stored what never came."""
        mark = self._find(device, boot)
        return mark is not None and (mark.denied or bool(self.conflicted[device]))

    def gaps(self, device: int) -> list[tuple[int, int, int]]:
        """Return the missing ranges of a device as (boot, from, to), inclusive."""
        marks = [(boot, self._find(device, boot)) for boot in self.boots(device)]
        return [(boot, first, last) for boot, mark in marks if mark for first, last in mark.holes]

    def devices_with_gaps(self) -> list[int]:
        """Return the devices with missing messages, ascending."""
        older = (
            device for device, marks in self._older.items() if any(mark.holes for mark in marks.values())
        )
        return sorted({*self._holes, *older})

    def missing(self, device: int) -> int:
        """Return how many messages of a device are missing, at most MOST_MISSING."""
        return min(sum(missing(first, last) for _, first, last in self.gaps(device)), MOST_MISSING)

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
            "boots_begun_anew": self.boots_begun_anew,
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
            for mark in kept:
                self.contents.forget((device, mark.boot))
        for name, column in self._counted().items():
            self._gone[name] += int(column[known].sum())
        self.holed[known] = self.conflicted[known] = False
        for name in _MARK:
            getattr(self, name)[known] = getattr(_EMPTY, name)
        for name in _COUNTS:
            getattr(self, name)[known] = 0
        for device in known.tolist():
            self._holes.pop(device, None)
            self._contested.pop(device, None)
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
            "contents": self.contents.snapshot(),
            "conflicted": self.conflicted[: self._size].copy(),
            "older_holes": _table(
                [(number, *hole) for number, (_, mark) in enumerate(older) for hole in mark.holes], 3
            ),
            "contested": _table(
                [(device, *one) for device, held in sorted(self._contested.items()) for one in held.items()],
                3,
            ),
            "older_contested": _table(
                [(number, *one) for number, (_, mark) in enumerate(older) for one in mark.contested.items()],
                3,
            ),
            "gone": dict(self._gone),
            "boots_forgotten": self.boots_forgotten,
            "boots_begun_anew": self.boots_begun_anew,
            "one_by_one": self.one_by_one,
            "not_believed": self.not_believed,
        }

    def restore(self, state: dict[str, Any]) -> None:
        for name in (*_MARK, *_COUNTS):
            setattr(self, name, state[name].copy())
        self.forgotten.restore(state["forgotten"])
        self.contents.restore(state["contents"])
        self.conflicted = state["conflicted"].copy()
        self._size = len(self.boot)
        self.holed = np.zeros(self._size, np.bool_)
        self._holes, self._contested, self._older = {}, {}, {}
        for device, first, last in state["holes"].tolist():
            self._holes.setdefault(device, []).append([first, last])
            self.holed[device] = True
        for device, seq, time in state["contested"].tolist():
            self._contested.setdefault(device, {})[seq] = time
        marks = []
        for device, *values in state["older"].tolist():
            mark = BootMark(**dict(zip(_MARK, values, strict=True)))
            mark.untimed, mark.denied = bool(mark.untimed), bool(mark.denied)
            marks.append(mark)
            self._older.setdefault(device, {})[mark.boot] = mark
        for number, first, last in state["older_holes"].tolist():
            marks[number].holes.append([first, last])
        for number, seq, time in state["older_contested"].tolist():
            marks[number].contested[seq] = time
        self._gone = dict(state["gone"])
        self.boots_forgotten, self.boots_begun_anew = state["boots_forgotten"], state["boots_begun_anew"]
        self.one_by_one = state["one_by_one"]
        self.not_believed = state["not_believed"]


def _table(rows: list[tuple[int, ...]], width: int) -> NDArray[np.int64]:
    return np.array(rows, np.int64).reshape(-1, width)
