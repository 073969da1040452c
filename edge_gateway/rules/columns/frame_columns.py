"""The columns of one frame as rules read them: its inputs, and expressions computed on the rows that need them."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np

from edge_gateway.columns.growing import with_room
from edge_gateway.rules.columns.ranges import LateSamples, Ring
from edge_gateway.rules.language.analysis import Range
from fleet_config.match import UNKNOWN

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from edge_gateway.columns.frame import BoolColumn, FloatColumn, IntColumn
    from edge_gateway.rules.columns.compile import Symbols
    from edge_gateway.rules.columns.inputs import Inputs
    from edge_gateway.rules.columns.program import ExpressionColumn
    from edge_gateway.rules.columns.registry_view import RegistryView
    from edge_gateway.rules.columns.rows import Rows


class Histories:
    """The range histories that rules read, and the tags they compare, by device."""

    def __init__(self, symbols: Symbols) -> None:
        self._ranges = tuple(symbols.rings)
        self._functions = symbols.functions
        self._clocks = symbols.clocks
        self._rings = [Ring(each.ms, each.family) for each in self._ranges]
        self._input = [symbols.inputs[each.metric, False] for each in self._ranges]
        self._slot = [np.full(0, -1, np.int64) for _ in self._ranges]
        self._tags: dict[str, FloatColumn] = {}

    # --- devices

    def enrol(self, ring: int, devices: IntColumn) -> None:
        """Start a range history for those of the devices that have none."""
        self._slot[ring] = with_room(self._slot[ring], int(devices.max(initial=-1)) + 1, -1)
        new = devices[self._slot[ring][devices] < 0]
        first = self._rings[ring].panes.add_slots(len(new))
        self._slot[ring][new] = np.arange(first, first + len(new))

    def forget(self, devices: IntColumn) -> None:
        """Empty the devices' histories."""
        for ring, slot in zip(self._rings, self._slot, strict=True):
            slots = slot[devices[devices < len(slot)]]
            ring.panes.forget(slots[slots >= 0])

    def learn_tags(self, names: set[str], devices: list[int], registry: RegistryView) -> None:
        """Store the string codes of these tags of the devices."""
        for name in sorted(names):
            codes = with_room(self._tags.get(name, np.full(0, -1.0)), registry.devices, -1)
            for device in devices:
                codes[device] = registry.strings.code(registry.tags(device).get(name, UNKNOWN))
            self._tags[name] = codes

    def texts(self) -> set[int]:
        """Codes of all stored tags."""
        return {int(code) for codes in self._tags.values() for code in np.unique(codes) if code >= 0}

    def tag(self, name: str, devices: IntColumn) -> FloatColumn:
        """String code of a tag on each device."""
        return self._tags[name][devices]

    # --- ranges

    def over_range(
        self, ring: int, rows: Rows, nows: list[IntColumn] | None = None
    ) -> list[dict[str, FloatColumn]]:
        """Add the rows to a range history.

        Returns for each of `nows`, the ends of the range at each row, by default the rows' own times, each function's
        value at every row, NaN for devices without history.
        """
        slot, number = self._slot[ring], self._input[ring]
        known = np.flatnonzero(rows.device < len(slot))
        known = known[slot[rows.device[known]] >= 0]
        values, late = rows.column(number)[known], None
        if not rows.in_order:
            values = rows.newest(number)[known]
            late = _late_samples(rows, number, known)
        fed = self._rings[ring].feed(
            slot[rows.device[known]],
            rows.at[known],
            values,
            self._functions[ring],
            nows=None if nows is None else [now[known] for now in nows],
            late=late,
        )
        return [{name: _spread(column, known, rows) for name, column in each.items()} for each in fed]

    def at(self, ring: int, device: int, now: int, function: str) -> float:
        """A function of a device's range that ends at `now` (ms), which no sample is after; NaN without history.

        Changes nothing.
        """
        slot = int(self._slot[ring][device]) if device < len(self._slot[ring]) else -1
        return float("nan") if slot < 0 else self._rings[ring].at(slot, now, function)

    def at_once(self, ring: int, devices: IntColumn, nows: IntColumn, function: str) -> FloatColumn:
        """As `at`, of many devices, each at its own `nows`."""
        slot = with_room(self._slot[ring], int(devices.max(initial=-1)) + 1, -1)[devices]
        known = np.flatnonzero(slot >= 0)
        found = np.full(len(devices), np.nan)
        found[known] = self._rings[ring].at_once(slot[known], nows[known], function)
        return found

    def clocks_of(self, ring: int) -> list[tuple[int, ...]]:
        """The inputs whose newest time ends the range, for each kind of rule that reads it."""
        return list(self._clocks[ring])

    def unasked_rings(self, rows: Rows) -> list[int]:
        """The range histories of values that evaluate nothing: late ones, and those unknown at once."""
        row, number, _ = rows.values
        unknown = np.isnan(rows.x[rows.place[number], row])
        unasked = {*np.unique(rows.late.number).tolist(), *np.unique(number[unknown]).tolist()}
        return [ring for ring, number in enumerate(self._input) if number in unasked]

    def take_over(self, old: Histories, keep: set[Range]) -> None:
        """Take over the histories of the ranges in `keep`."""
        for number, wanted in enumerate(self._ranges):
            if wanted in keep and wanted in old._ranges:
                source = old._ranges.index(wanted)
                self._rings[number], self._slot[number] = old._rings[source], old._slot[source]

    # --- snapshots

    def snapshot(self) -> list[dict[str, Any]]:
        rings = zip(self._ranges, self._rings, self._slot, strict=True)
        return [
            {"metric": wanted.metric, **ring.panes.snapshot(), "slot": slot.copy()}
            for wanted, ring, slot in rings
        ]

    def restore(self, state: list[dict[str, Any]]) -> None:
        by_range = {Range(each["metric"], each["ms"], each["family"]): each for each in state}
        for number, wanted in enumerate(self._ranges):
            saved = by_range.get(wanted)
            if saved is not None:
                self._rings[number] = Ring.from_snapshot(saved)
                self._slot[number] = np.array(saved["slot"])


def _late_samples(rows: Rows, number: int, known: IntColumn) -> LateSamples | None:
    """The late values of an input, in the known rows; None if there are none."""
    late = rows.late.only(np.flatnonzero(rows.late.number == number))
    place = np.full(len(rows.at), -1)
    place[known] = np.arange(len(known))
    kept = np.flatnonzero(place[late.row] >= 0)
    if not len(kept):
        return None
    order = kept[np.argsort(late.row[kept], kind="stable")]
    return LateSamples(place[late.row[order]], rows.at[late.row[order]], late.value[order])


def _spread(column: FloatColumn, known: IntColumn, rows: Rows) -> FloatColumn:
    found = np.full(len(rows.at), np.nan)
    found[known] = column
    return found


Clock = tuple[int, ...]
"""The inputs of a rule, whose newest time is its now."""


@dataclass(slots=True)
class FrameColumns:
    """The columns of one frame. Joins and ranges are computed once, when first asked for."""

    rows: Rows
    inputs: Inputs
    histories: Histories
    _joined: dict[int, FloatColumn] = field(default_factory=dict)
    _now: dict[Clock, IntColumn] = field(default_factory=dict)
    _over_range: dict[int, dict[Clock, dict[str, FloatColumn]]] = field(default_factory=dict)

    def joined(self, number: int) -> FloatColumn:
        found = self._joined.get(number)
        if found is None:
            found = self._joined[number] = self.inputs.joined(self.rows, number)
        return found

    def now(self, clock: Clock) -> IntColumn:
        """The newest time of a rule's inputs at every row."""
        if self.rows.in_order:
            return self.rows.at
        found = self._now.get(clock)
        if found is None:
            found = self._now[clock] = self.inputs.newest_of(self.rows, clock)
        return found

    def over_range(self, ring: int, function: str, clock: Clock) -> FloatColumn:
        found = self._over_range.get(ring)
        if found is None:
            found = self._over_range[ring] = self._ranges(ring)
        return found[clock][function]

    def _ranges(self, ring: int) -> dict[Clock, dict[str, FloatColumn]]:
        clocks = self.histories.clocks_of(ring)
        nows = None if self.rows.in_order else [self.now(clock) for clock in clocks]
        found = self.histories.over_range(ring, self.rows, nows)
        return dict.fromkeys(clocks, found[0]) if nows is None else dict(zip(clocks, found, strict=True))

    def settle(self, observed: Sequence[int] = ()) -> None:
        """Keep up the range histories that no rule has asked for.

        Those of values that evaluate nothing by themselves, and the `observed`, which are read on ticks.
        """
        unasked = () if self.rows.in_order else self.histories.unasked_rings(self.rows)
        if not (unasked or observed):
            return
        with np.errstate(all="ignore"):
            for ring in dict.fromkeys((*unasked, *observed)):
                if ring not in self._over_range:
                    self._over_range[ring] = self._ranges(ring)


@dataclass(slots=True)
class RowSubset:
    """The rows of a frame that an expression is computed on, by the `clock` of its rule."""

    columns: FrameColumns
    rows: IntColumn
    clock: Clock

    def value(self, number: int) -> FloatColumn:
        return self.columns.joined(number)[self.rows]

    def tag(self, name: str) -> FloatColumn:
        return self.columns.histories.tag(name, self.columns.rows.device[self.rows])

    def ranged(self, ring: int, function: str) -> FloatColumn:
        return self.columns.over_range(ring, function, self.clock)[self.rows]


@dataclass(slots=True)
class ColumnTable:
    """Values of columns: `y[place[column], row]`, and in `seen` whether the column was evaluated on the row."""

    y: FloatColumn
    seen: BoolColumn
    place: IntColumn

    def values(self, column: IntColumn, row: IntColumn) -> FloatColumn:
        return self.y[self.place[column], row]

    def sees(self, column: IntColumn, row: IntColumn) -> BoolColumn:
        return self.seen[self.place[column], row]


def column_table(
    columns: FrameColumns, expressions: list[ExpressionColumn], column: IntColumn, row: IntColumn
) -> ColumnTable:
    """The inputs, and the expressions among the (column, row) pairs computed on their rows."""
    x, first = columns.rows.x, len(columns.rows.place)
    place = np.zeros(first + len(expressions), np.int64)
    place[:first] = columns.rows.place
    wanted = np.flatnonzero(column >= first)
    if not len(wanted):
        return ColumnTable(x, ~np.isnan(x), place)
    groups = [(number, rows) for number, rows in _by_column(column[wanted], row[wanted])]
    numbers = [each for number, _ in groups for each in (number, *expressions[number - first].beside)]
    distinct = list(dict.fromkeys(numbers))
    place[distinct] = np.arange(len(x), len(x) + len(distinct))
    y = np.full((len(x) + len(distinct), x.shape[1]), np.nan)
    y[: len(x)] = x
    seen = ~np.isnan(y)
    for number, rows in groups:
        expression = expressions[number - first]
        present = rows[columns.rows.has_any(expression.triggers, rows)]
        if len(present):
            for each in (number, *expression.beside):
                y[place[each], present] = expressions[each - first].operation(
                    RowSubset(columns, present, expression.clock)
                )
                seen[place[each], present] = True
    return ColumnTable(y, seen, place)


def _by_column(column: IntColumn, row: IntColumn) -> Iterator[tuple[int, IntColumn]]:
    """Each column with its rows, ascending and without repetition."""
    order = np.argsort(column, kind="stable")
    column, row = column[order], row[order]
    cuts = np.flatnonzero(column[1:] != column[:-1]) + 1
    for start, end in zip([0, *cuts.tolist()], [*cuts.tolist(), len(column)], strict=True):
        rows = row[start:end]
        once = np.ones(len(rows), np.bool_)
        once[1:] = rows[1:] != rows[:-1]
        yield int(column[start]), rows[once]
