"""What rules have seen of each input of each device: its last value, and when that was read.

A reading advances an input if it is not older than the newest of that input; see `lateness`. Readings of one time are
applied one after another. A metric read as number and as text is two inputs; the values of the latter are string codes.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import numpy as np

from edge_gateway.columns.growing import room_for, with_room
from edge_gateway.rules.columns.lateness import TimesRead, boots_since, newest_so_far
from edge_gateway.rules.columns.rows import InputValues, Rows, columns_of
from edge_gateway.rules.columns.runs import run_start_mask
from edge_gateway.rules.language.ruleset import ONLINE, lookbacks_of

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from edge_gateway.columns.frame import BoolColumn, FloatColumn, Frame, IntColumn
    from edge_gateway.rules.columns.registry_view import RegistryView
    from edge_gateway.rules.language.ruleset import Rule

Input = tuple[str, bool]
"""(metric name, whether it is read as text)."""

_TIME_BITS: Final = 43
"""Times up to the year 2248 fit; the bits above hold the position of the device in the frame."""
_NO_SEQ: Final = -1
"""Below any seq: of an input not read yet, or read last in an earlier boot."""
_NONE: Final = np.zeros(0, np.int64)
_NO_VALUES: Final = InputValues(_NONE, _NONE, np.zeros(0))
_BY_DEVICE: Final = ("cursor", "boot", "first_seen", "born")
_BY_INPUT: Final = ("last", "last_at", "last_seq", "lost")


class Inputs:
    """The state of all inputs; `lookback`: how long the last value of each counts, ms.

    By device: `cursor`, the newest time (ms), `boot` of the newest reading, `first_seen` (ms), and `born`, the
    complement of the newest birth's boot (0: none). By device and input: the `last` value, its time `last_at` (ms, 0:
    none), its seq `last_seq` within `boot`, and whether it was `lost`: unknown since. `online`: the inputs whose values
    count while their devices are online.
    """

    def __init__(self, wanted: Sequence[Input], registry: RegistryView, lookback: IntColumn) -> None:
        self.wanted = tuple(wanted)
        self._registry = registry
        self.lookback = lookback
        self.online = np.flatnonzero(lookback == ONLINE)
        self._number_of = np.full(0, -1, np.int64)
        self._text_of = np.full(0, -1, np.int64)
        for number, (name, is_text) in enumerate(self.wanted):
            self._learn(registry.metric(name), number, is_text=is_text)
        self._number_of_series = np.full(0, -1, np.int64)
        self._text_of_series = np.full(0, -1, np.int64)
        self._epoch = registry.series_epoch
        self._any_texts = any(is_text for _, is_text in self.wanted)
        self.cursor = np.zeros(0, np.int64)
        self.boot = np.zeros(0, np.int64)
        self.first_seen = np.zeros(0, np.int64)
        self.born = np.zeros(0, np.int64)
        self.last = np.zeros((0, len(self.wanted)))
        self.last_at = np.zeros((0, len(self.wanted)), np.int64)
        self.last_seq = np.zeros((0, len(self.wanted)), np.int64)
        self.lost = np.zeros((0, len(self.wanted)), np.bool_)

    def _learn(self, metric: int, number: int, *, is_text: bool) -> None:
        self._number_of = with_room(self._number_of, metric + 1, -1)
        self._text_of = with_room(self._text_of, metric + 1, -1)
        (self._text_of if is_text else self._number_of)[metric] = number

    def make_room(self, devices: int) -> None:
        """Make room for so many devices."""
        have = len(self.cursor)
        if devices <= have:
            return
        size = room_for(devices, have)
        for name in _BY_DEVICE:
            setattr(self, name, with_room(getattr(self, name), size, 0))
        more = (size - have, len(self.wanted))
        self.last = np.concatenate([self.last, np.full(more, np.nan)])
        self.last_at = np.concatenate([self.last_at, np.zeros(more, np.int64)])
        self.last_seq = np.concatenate([self.last_seq, np.full(more, _NO_SEQ)])
        self.lost = np.concatenate([self.lost, np.zeros(more, np.bool_)])

    # --- reading a frame

    def rows_of(self, frame: Frame) -> Rows:
        """The rows that rules take, with their values. Changes nothing."""
        order = np.argsort(frame.device, kind="stable")
        device, at = frame.device[order], frame.at[order]
        first = run_start_mask(device)
        before = self._newest_time_before(device, at, first)
        boot = frame.boot[order]
        same = (boot == self.boot[device]).all() and self._are_of_birth(device, boot).all()
        if not ((at > before).all() and same):
            return self._rows_out_of_order(frame, order[at >= 0])
        several = not first.all()
        start = _starts(first) if several else np.arange(len(device))
        stamps, values = TimesRead(at, _NONE, frame.seq[order]), self._values(frame, order)
        x, place = columns_of(values, len(order), len(self.wanted))
        return Rows(order, device, boot, stamps, at, True, start, several, values, _NO_VALUES, x, place)

    def _rows_out_of_order(self, frame: Frame, order: IntColumn) -> Rows:
        """As `rows_of`, of rows some of which are not newer than all before of their device, or of another boot."""
        device, at, boot = frame.device[order], frame.at[order], frame.boot[order]
        first = run_start_mask(device)
        before = self._newest_time_before(device, at, first)
        stamps = TimesRead(at, boots_since(device, boot, self.boot[device]), frame.seq[order])
        now, values = np.maximum(at, before), self._values(frame, order)
        newest = self._are_newest(values, device, boot, stamps, at <= before)
        known = newest & (now[values.row] - at[values.row] <= self.lookback[values.number])
        x, place = columns_of(values.only(known), len(order), len(self.wanted))
        values, late = values.only(newest), values.only(~newest)
        several = not first.all()
        return Rows(order, device, boot, stamps, now, False, _starts(first), several, values, late, x, place)

    def _are_of_birth(self, device: IntColumn, boot: IntColumn) -> BoolColumn:
        """Whether rows are of the boot of their device's newest birth, if it matters and there was one."""
        if not len(self.online):
            return np.ones(len(device), np.bool_)
        born = self.born[device]
        found: BoolColumn = (born == 0) | (~boot == born)
        return found

    def add(self, rows: Rows, number: int, own: IntColumn, values: FloatColumn) -> None:
        """Add values of an input that was computed on its `own` rows: newest, late, or unknown at once, as if read."""
        if rows.in_order:
            rows.add(number, own, values)
            return
        computed = InputValues(own, np.full(len(own), number), values)
        newest = self._are_newest(
            computed, rows.device, rows.boot, rows.stamps, np.ones(len(rows.at), np.bool_)
        )
        known = newest & (rows.now[own] - rows.at[own] <= self.lookback[number])
        rows.add_some(computed, newest, known)

    def _are_newest(
        self,
        values: InputValues,
        device: IntColumn,
        boot: IntColumn,
        stamps: TimesRead,
        behind: BoolColumn,
    ) -> BoolColumn:
        """Which values are the newest of their input; only devices with a row `behind` another need a look."""
        newest = np.ones(len(values.row), np.bool_)
        doubtful = np.zeros(len(self.cursor), np.bool_)
        doubtful[device[behind]] = True
        entries = np.flatnonzero(doubtful[device[values.row]])
        entries = entries[np.argsort(values.row[entries], kind="stable")]
        row = values.row[entries]
        cell = device[row] * len(self.wanted) + values.number[entries]
        cells = np.unique(cell)
        before = TimesRead(self.last_at.ravel()[cells], np.zeros_like(cells), self.last_seq.ravel()[cells])
        newest[entries] = newest_so_far(cell, stamps.of(row), cells, before)
        if len(self.online):
            newest &= self._are_of_birth(device, boot)[values.row] | ~np.isin(values.number, self.online)
        return newest

    def passed_rows(self, frame: Frame, taken: Rows) -> Rows:
        """The rows with values that rules pass over, each on its own; with what was computed on them already."""
        passed = np.ones(frame.rows, np.bool_)
        passed[taken.source] = False
        passed[taken.source[taken.late.row]] = True
        row, number, _ = taken.values
        passed[taken.source[row[np.isnan(taken.x[taken.place[number], row])]]] = True
        order = np.flatnonzero(passed)
        values = self._values(frame, order)
        x, place = columns_of(values, len(order), len(self.wanted))
        stamps = TimesRead(frame.ts[order], _NONE, frame.seq[order])
        alone, late = np.arange(len(order)), _NO_VALUES
        device, boot = frame.device[order], frame.boot[order]
        rows = Rows(order, device, boot, stamps, stamps.at, True, alone, False, values, late, x, place)
        row_of = np.full(frame.rows, -1)
        row_of[taken.source] = np.arange(len(taken.source))
        of_taken = row_of[order]
        for each in np.unique(np.concatenate([taken.values.number, taken.late.number])).tolist():
            known = np.where(of_taken >= 0, taken.taken(each)[of_taken], np.nan)
            missing = np.flatnonzero(~np.isnan(known) & np.isnan(rows.column(each)))
            if len(missing):
                rows.add(each, missing, known[missing])
        return rows

    def _newest_time_before(self, device: IntColumn, at: IntColumn, first: BoolColumn) -> IntColumn:
        """For each row the newest time of its device so far."""
        cursor = self.cursor[device]
        if first.all():
            return cursor
        offset = np.cumsum(first) << _TIME_BITS
        newest = np.maximum.accumulate(offset + np.maximum(at, cursor)) - offset
        before = np.empty_like(newest)
        before[1:] = newest[:-1]
        return np.where(first, cursor, before)

    def _values(self, frame: Frame, order: IntColumn) -> InputValues:
        """The values of wanted inputs in the kept rows."""
        self._learn_series()
        row_of = np.full(frame.rows, -1)
        row_of[order] = np.arange(len(order))
        found = _wanted(row_of[frame.row], self._number_of_series[frame.series], frame.value)
        if not self._any_texts or not len(frame.state_row):
            return found
        codes = frame.state_code.astype(np.float64)
        texts = _wanted(row_of[frame.state_row], self._text_of_series[frame.state_series], codes)
        return found.then(texts)

    def _learn_series(self) -> None:
        """Look up the inputs of new series; of all series if numbers were given to others."""
        if self._epoch != self._registry.series_epoch:
            self._epoch = self._registry.series_epoch
            self._number_of_series = self._text_of_series = np.full(0, -1, np.int64)
        have = len(self._number_of_series)
        metric = self._registry.series_metric[have:]
        if len(metric):
            highest = int(metric.max()) + 1
            self._number_of = with_room(self._number_of, highest, -1)
            self._text_of = with_room(self._text_of, highest, -1)
            self._number_of_series = np.concatenate([self._number_of_series, self._number_of[metric]])
            self._text_of_series = np.concatenate([self._text_of_series, self._text_of[metric]])

    # --- joins

    def joined(self, rows: Rows, number: int) -> FloatColumn:
        """The input at every row: its last value by then, if that is not older than the lookback."""
        column = rows.column(number)
        if not np.isnan(column).any():
            return column
        inside, source = _last_within(rows, column)
        last = np.where(self.lost[rows.device, number], np.nan, self.last[rows.device, number])
        value = np.where(inside, column[source], last)
        at = np.where(inside, rows.at[source], self.last_at[rows.device, number])
        return np.where((at > 0) & (rows.now - at <= self.lookback[number]), value, np.nan)

    def newest_of(self, rows: Rows, numbers: tuple[int, ...]) -> IntColumn:
        """The newest time of any of these inputs at every row, ms: the now of a rule that reads them."""
        if rows.in_order:
            return rows.at
        found = np.zeros(len(rows.at), np.int64)
        for number in numbers:
            inside, source = _last_within(rows, rows.column(number))
            at = np.where(inside, rows.at[source], self.last_at[rows.device, number])
            np.maximum(found, at, out=found)
        return found

    # --- remembering a frame

    def note_first_seen(self, rows: Rows) -> None:
        """Store when devices were first seen; call once per frame, before it is evaluated."""
        unseen = np.flatnonzero(self.first_seen[rows.device] == 0)[::-1]
        self.first_seen[rows.device[unseen]] = rows.at[unseen]

    def remember(self, rows: Rows) -> None:
        """Advance the cursors and store the last values; call once per frame, after it was evaluated."""
        self.cursor[rows.device] = rows.now
        row, number, value = rows.values
        cell = rows.device[row] * len(self.wanted) + number
        seq = rows.stamps.seq[row]
        if not rows.in_order:
            seq = self._of_last_boot(rows, seq)
            self.boot[rows.device] = rows.boot
        self.last.ravel()[cell] = value
        self.last_at.ravel()[cell] = rows.at[row]
        self.last_seq.ravel()[cell] = seq
        self.lost.ravel()[cell] = False

    def _of_last_boot(self, rows: Rows, seq: IntColumn) -> IntColumn:
        """The seqs of the values, none where the device has had another boot since; forgets those of earlier frames."""
        boots = rows.stamps.boot
        newest = np.zeros(len(self.cursor), np.int64)
        newest[rows.device] = boots
        self.last_seq[newest > 0] = _NO_SEQ
        row = rows.values.row
        return np.where(boots[row] == newest[rows.device[row]], seq, _NO_SEQ)

    def forget(self, devices: IntColumn) -> None:
        """Forget what these retired devices sent."""
        devices = devices[devices < len(self.cursor)]
        for name in (*_BY_DEVICE, "last_at"):
            getattr(self, name)[devices] = 0
        self.last_seq[devices], self.lost[devices] = _NO_SEQ, False

    def start(self, device: int, boot: int) -> frozenset[int]:
        """Take in the boot of a birth; the inputs whose values that lost, because it is another boot."""
        known = ~self.born[device] if self.born[device] else self.boot[device]
        self.born[device] = ~boot
        return self.lose(device) if known != boot else frozenset()

    def lose(self, device: int, numbers: Iterable[int] | None = None) -> frozenset[int]:
        """Lose the values of a device that count while it is online, of all inputs or some; the inputs that had one."""
        lost = [each for each in self.online.tolist() if numbers is None or each in numbers]
        held = (self.last_at[device, lost] > 0) & ~self.lost[device, lost]
        self.lost[device, lost] = True
        return frozenset(each for each, had in zip(lost, held.tolist(), strict=True) if had)

    def shift(self, devices: IntColumn, by: IntColumn) -> None:
        """Follow clocks that were set by so many ms: all times keep their distance from now, any next time is in order.

        The inputs must have room for the devices.
        """
        self.cursor[devices] = 0
        self.first_seen[devices] = shifted(self.first_seen[devices], by)
        self.last_at[devices] = shifted(self.last_at[devices], by[:, None])

    def texts(self) -> set[int]:
        """Codes of the last texts of all devices."""
        found: set[int] = set()
        for number, (_, is_text) in enumerate(self.wanted):
            if is_text:
                found.update(self.last[self.last_at[:, number] > 0, number].astype(np.int64).tolist())
        return found

    def take_over(self, old: Inputs) -> None:
        """Take over what is known of devices, and the last values of the inputs that both sets have."""
        self.make_room(len(old.cursor))
        size = len(old.cursor)
        for name in _BY_DEVICE:
            getattr(self, name)[:size] = getattr(old, name)
        for number, wanted in enumerate(self.wanted):
            if wanted in old.wanted:
                source = old.wanted.index(wanted)
                for name in _BY_INPUT:
                    getattr(self, name)[:size, number] = getattr(old, name)[:, source]

    # --- snapshots

    def snapshot(self, devices: int) -> dict[str, Any]:
        return {name: getattr(self, name)[:devices].copy() for name in (*_BY_DEVICE, *_BY_INPUT)}

    def restore(self, state: dict[str, Any]) -> None:
        devices = len(state["cursor"])
        self.make_room(devices)
        for name in (*_BY_DEVICE, *_BY_INPUT):
            getattr(self, name)[:devices] = state[name]


def lookbacks(wanted: Sequence[Input], rules: Sequence[Rule], default: int) -> IntColumn:
    """How long the last value of each input counts, ms: the longest that any rule says, else `default`."""
    said = lookbacks_of(rules)
    return np.array([said.get(name, default) for name, _ in wanted], np.int64)


def shifted(times: IntColumn, by: IntColumn) -> IntColumn:
    """Times (ms, 0 for none) moved by so many ms; one stays a time, however far it is moved."""
    return np.where(times > 0, np.maximum(times + by, 1), 0)


def _last_within(rows: Rows, column: FloatColumn) -> tuple[BoolColumn, IntColumn]:
    """Whether a row, or one before it of the same device, has a value in the column; the last row that has."""
    source = np.maximum.accumulate(np.where(np.isnan(column), -1, np.arange(len(column))))
    return source >= rows.start, source


def _starts(first: BoolColumn) -> IntColumn:
    found: IntColumn = np.maximum.accumulate(np.where(first, np.arange(len(first)), 0))
    return found


def _wanted(row: IntColumn, number: IntColumn, value: FloatColumn) -> InputValues:
    """The values of kept rows and wanted inputs, both marked by numbers ≥ 0."""
    kept, every = (number >= 0) & (row >= 0), InputValues(row, number, value)
    return every if kept.all() else every.only(np.flatnonzero(kept))
