"""State of every latch on every device: one cell each, in columns.

Cells are device-major: cell = base[device] + place in the device's class. A device's cells begin at a multiple of 8,
so that busy flags can be tested eight at a time.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, NamedTuple

import numpy as np

from edge_gateway.columns.growing import with_room
from edge_gateway.rules.alerts.device_classes import NO_CLASS, DeviceClasses
from edge_gateway.rules.columns.inputs import shifted
from edge_gateway.rules.columns.latch_scan import Carry
from edge_gateway.rules.columns.runs import expand_runs

if TYPE_CHECKING:
    from edge_gateway.columns.frame import BoolColumn, FloatColumn, IntColumn
    from edge_gateway.rules.columns.program import Program

NO_TIME: Final = 0
"""Times are ms since 1970 and greater than 0; 0 means none."""

_WORD: Final = 8
_MIN_ABANDONED: Final = 1 << 16
"""Fewer abandoned cells than this are not worth a compaction."""


class SavedCells(NamedTuple):
    """Busy cells, independent of the layout: columns of equal length. `key` is that of the latch."""

    device: IntColumn
    rule: IntColumn
    key: IntColumn
    on: BoolColumn
    up: IntColumn
    down: IntColumn
    stamps: IntColumn
    value: FloatColumn
    seen: IntColumn


class LatchCells:
    """The cells of all devices.

    By cell: `busy` (on, or beyond its threshold), `on` (latched), `up` and `down` (since when beyond the threshold or
    clear, ms), `stamps` (at how many time stamps in a row it was beyond), `value` (the last one read while busy) and
    `seen` (when that was, ms). At the first cell of an alert:
    `raised`, how many of its raising latches are on. By device: `class_of`, `base` (its first cell), `device_busy` (any
    cell is).
    """

    def __init__(self, program: Program) -> None:
        self.program = program
        self.classes = DeviceClasses(program)
        self.class_of = np.zeros(0, np.int64)
        self.base = np.zeros(0, np.int64)
        self.device_busy = np.zeros(0, np.bool_)
        self.busy = np.zeros(0, np.bool_)
        self.on = np.zeros(0, np.bool_)
        self.raised = np.zeros(0, np.int8)
        self.up = np.zeros(0, np.int64)
        self.down = np.zeros(0, np.int64)
        self.stamps = np.zeros(0, np.int64)
        self.value = np.zeros(0, np.float64)
        self.seen = np.zeros(0, np.int64)
        self.marked = np.zeros(0, np.bool_)
        self._used = 0
        self._abandoned = 0
        self._runs = 0
        self._run_base = np.zeros(0, np.int64)
        self._run_device = np.zeros(0, np.int64)

    # --- devices

    def make_room(self, devices: int) -> None:
        self.class_of = with_room(self.class_of, devices, NO_CLASS)
        self.base = with_room(self.base, devices, 0)
        self.device_busy = with_room(self.device_busy, devices, 0)

    def place(self, devices: IntColumn, classes: IntColumn) -> None:
        """Give devices a class and empty cells. Call `extract` on their busy cells first."""
        self._abandoned += int(self._room(self.class_of[devices]).sum())
        self.class_of[devices] = classes
        self.device_busy[devices] = False
        room = self._room(classes)
        base = self._used + np.cumsum(room) - room
        self.base[devices] = base
        self._used += int(room.sum())
        for name in ("busy", "on", "raised", "up", "down", "stamps", "value", "seen", "marked"):
            setattr(self, name, with_room(getattr(self, name), self._used, 0))
        first, self._runs = self._runs, self._runs + len(devices)
        self._run_base = with_room(self._run_base, self._runs, 0)
        self._run_device = with_room(self._run_device, self._runs, 0)
        self._run_base[first : self._runs], self._run_device[first : self._runs] = base, devices

    def _room(self, classes: IntColumn) -> IntColumn:
        """The number of cells a device of each class takes."""
        found: IntColumn = -(-self.classes.size[classes] // _WORD) * _WORD
        return found

    def compact(self) -> None:
        """Lay the cells out again if most of them were abandoned when devices changed class."""
        if self._abandoned <= max(self._used - self._abandoned, _MIN_ABANDONED):
            return
        saved = self.extract(self.all_busy())
        devices = np.flatnonzero(self.class_of != NO_CLASS)
        classes, self.class_of[devices] = self.class_of[devices], NO_CLASS
        self._used = self._runs = 0
        self.place(devices, classes)
        self._abandoned = 0
        self.insert(saved)

    def device_at(self, cells: IntColumn) -> IntColumn:
        """The device of each cell."""
        run = np.searchsorted(self._run_base[: self._runs], cells, side="right") - 1
        found: IntColumn = self._run_device[run]
        return found

    # --- cells

    def carry(self, cells: IntColumn) -> Carry:
        """The latches of these cells before a frame or a tick."""
        return Carry(self.on[cells], self.up[cells], self.down[cells], self.stamps[cells], self.seen[cells])

    def mark_busy_beyond(self, device: IntColumn, segment: IntColumn, value: FloatColumn) -> None:
        """Mark busy the latches of each device's segment whose threshold is below the value."""
        start = self.classes.start[self.class_of[device]]
        first = self.base[device] + (self.classes.segment_start[segment] - start)
        _, cell = expand_runs(first, self.classes.beyond(segment, value))
        self.busy[cell] = True
        self.device_busy[device] = True

    def absence_cells(self, devices: IntColumn) -> tuple[IntColumn, IntColumn]:
        """(position in `devices`, cell) of the devices' absence latches."""
        of = self.class_of[devices]
        owner, item = expand_runs(self.classes.absence[of], self.classes.absences[of])
        return owner, self.base[devices][owner] + self.classes.absence_place[item]

    def latch_at(self, cells: IntColumn, device: IntColumn) -> tuple[IntColumn, IntColumn]:
        """(latch, first cell of its alert) of each cell."""
        place = self.classes.start[self.class_of[device]] + (cells - self.base[device])
        return self.classes.latch[place], self.base[device] + self.classes.alert[place]

    def busy_pairs(self, device: IntColumn) -> tuple[IntColumn, IntColumn]:
        """(row, cell) for every busy cell of each row's device, by row and then by cell."""
        rows = np.flatnonzero(self.device_busy[device])
        owner = device[rows]
        words = -(-self.classes.size[self.class_of[owner]] // _WORD)
        row, word = expand_runs(self.base[owner] // _WORD, words)
        busy = np.flatnonzero(self.busy[: self._used].view(np.uint64)[word])
        row, word = rows[row[busy]], word[busy]
        flags = self.busy[: self._used].reshape(-1, _WORD)[word].ravel()
        found = np.flatnonzero(flags)
        return row[found // _WORD], word[found // _WORD] * _WORD + found % _WORD

    def all_busy(self) -> IntColumn:
        """Every busy cell, ascending."""
        words = np.flatnonzero(self.busy[: self._used].view(np.uint64))
        found = np.flatnonzero(self.busy[: self._used].reshape(-1, _WORD)[words].ravel())
        return words[found // _WORD] * _WORD + found % _WORD

    def shift(self, devices: IntColumn, by: IntColumn) -> None:
        """Follow clocks that were set by so many ms: what waits keeps its duration."""
        row, cell = self.busy_pairs(devices)
        for times in (self.up, self.down, self.seen):
            times[cell] = shifted(times[cell], by[row])

    # --- moving cells

    def move(self, devices: IntColumn, classes: IntColumn) -> tuple[SavedCells, IntColumn]:
        """Give devices other classes; what was busy on them, and the cells that came to another latch."""
        busy = self.busy_of(devices)
        before, _ = self.latch_at(busy, self.device_at(busy))
        saved = self.extract(busy)
        self.place(devices, classes)
        cells = self.insert(saved)
        placed = np.flatnonzero(cells >= 0)
        latch, _ = self.latch_at(cells[placed], saved.device[placed])
        return saved, cells[placed[latch != before[placed]]]

    def extract(self, cells: IntColumn) -> SavedCells:
        """Save busy cells and put them to rest."""
        device = self.device_at(cells)
        saved = self.save(cells, device)
        _, alert = self.latch_at(cells, device)
        self.raised[alert] = 0
        for name in ("busy", "on", "up", "down", "stamps", "value", "seen"):
            getattr(self, name)[cells] = 0
        return saved

    def save(self, cells: IntColumn, device: IntColumn) -> SavedCells:
        """Copy cells; `device` is the device of each."""
        latch, _ = self.latch_at(cells, device)
        table = self.program.table
        columns = (getattr(self, name)[cells] for name in SavedCells._fields[3:])
        return SavedCells(device, table.rule[latch], table.key[latch], *columns)

    def insert(self, saved: SavedCells) -> IntColumn:
        """Put saved cells into this layout; the cells, -1 where the device no longer has the latch."""
        cells = np.full(len(saved.device), -1, np.int64)
        owners = zip(saved.device.tolist(), saved.rule.tolist(), saved.key.tolist(), strict=True)
        for item, (device, rule, key) in enumerate(owners):
            place = self.classes.places(int(self.class_of[device])).get((rule, key))
            if place is not None:
                cells[item] = int(self.base[device]) + place
        self._fill(cells, saved)
        return cells

    def _fill(self, cells: IntColumn, saved: SavedCells) -> None:
        kept = np.flatnonzero((cells >= 0) & (saved.on | (saved.up != NO_TIME)))
        target, device = cells[kept], saved.device[kept]
        self.busy[target] = self.device_busy[device] = True
        for name in SavedCells._fields[3:]:
            getattr(self, name)[target] = getattr(saved, name)[kept]
        latch, alert = self.latch_at(target, device)
        raising = saved.on[kept] & self.program.table.raises[latch]
        np.add.at(self.raised, alert, raising.astype(np.int8))

    def cells_of(self, device: int, rule: int) -> list[tuple[int, int]]:
        """(cell, latch) of each latch of a rule on a device."""
        of, base = int(self.class_of[device]), int(self.base[device])
        start = int(self.classes.start[of])
        places = self.classes.places(of)
        return [
            (base + place, int(self.classes.latch[start + place]))
            for (owner, _), place in places.items()
            if owner == rule
        ]

    def latch_of(self, device: int, rule: int, key: int) -> int:
        """The latch of a rule's level on a device; -1 if it has none."""
        of = int(self.class_of[device])
        place = self.classes.places(of).get((rule, key))
        return -1 if place is None else int(self.classes.latch[self.classes.start[of] + place])

    def busy_of(self, devices: IntColumn) -> IntColumn:
        """Every busy cell of these devices."""
        _, cell = self.busy_pairs(devices)
        return cell
