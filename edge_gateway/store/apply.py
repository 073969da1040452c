"""Apply the effects of records to the store's tables, translating the gateway's numbers to the store's."""

from typing import Final, Protocol

import numpy as np

from edge_gateway.records.store_effects import (
    BEHIND,
    OVER_SHARE,
    Array,
    ClosedWindows,
    Kind,
    LateStates,
    LateValues,
    SeriesName,
    Stamp,
    StoreEffects,
    TextName,
)
from edge_gateway.records.window_block import WindowBlock
from edge_gateway.store.counters import StoreCounters
from edge_gateway.store.coverage import Coverage
from edge_gateway.store.late_job import LateJob
from edge_gateway.store.names import UNKNOWN, NameTables
from edge_gateway.store.outgoing_lines import (
    LOST,
    NOT_KNOWN,
    REPEATED,
    SHARE,
    TOO_LATE,
    OutgoingLines,
    WindowLines,
)
from edge_gateway.store.rebuild import NoLines
from edge_gateway.store.side_tables import SideTables
from edge_gateway.store.stored_windows import StoredWindows
from edge_gateway.windows.reduce import Readings

_REFUSED: Final = {
    Kind.PARTIAL: ("partial_windows", LOST),
    Kind.GONE: ("windows_refused", REPEATED),
    Kind.AGAIN: ("windows_refused", REPEATED),
}
"""The counter of refused rows, and why they are sent apart."""
UNNAMED: Final = "unnamed_readings"
"""The counter of readings that are not stored, because nobody knows the name of their series."""
_UNMERGED: Final = ((OVER_SHARE, SHARE), (BEHIND, TOO_LATE))
"""Why late readings are merged nowhere, by their `tiers`."""


class Resolver(Protocol):
    """A source of the names that a lost store no longer has: the registry, by the gateway's numbers."""

    def series_name(self, series: int, version: int) -> SeriesName | None: ...
    def text_name(self, code: int) -> TextName | None: ...


class Applier:
    """Used inside the store's transactions. `kinds` are the late jobs of numbers and of texts."""

    def __init__(
        self,
        *,
        names: NameTables,
        counters: StoreCounters,
        side_tables: SideTables,
        lines: OutgoingLines,
        kinds: tuple[LateJob, LateJob],
        resolver: Resolver | None,
    ) -> None:
        self._names = names
        self._counters = counters
        self._side_tables = side_tables
        self._lines = lines
        self._numbers, self._texts = kinds
        self._windows, self._states = (kind.windows for kind in kinds)
        self._resolver = resolver

    def apply(self, effects: StoreEffects, coverage: Coverage) -> None:
        """Apply all effects of a record to a store that holds `coverage`."""
        self.apply_windows(effects, coverage, self._lines)
        self.apply_rest(effects)

    def apply_windows(
        self, effects: StoreEffects, coverage: Coverage, lines: OutgoingLines | NoLines
    ) -> None:
        """Apply names, closed windows and late readings; send the resulting points to `lines`."""
        self._names.define(effects.series)
        self._names.define_texts(effects.texts)
        for closed in effects.windows:
            self._close_windows(closed, effects.stamp, coverage, lines)
        for states in effects.states:
            self._close_states(states, effects.stamp, coverage, lines)
        if effects.late is not None:
            self._keep_late(effects.late, effects.stamp, lines)
        if effects.not_known is not None:
            self._send_late(effects.not_known, effects.stamp, lines, why=NOT_KNOWN)
        if effects.late_states is not None:
            self._keep_late_states(effects.late_states, effects.stamp, lines)
        self._names.forget_texts(effects.gone_texts)

    def store_fresh(self, lines: OutgoingLines | NoLines | None = None) -> None:
        """Store the windows that were gathered; they are sent to the outbox, or to `lines`."""
        sent = lines or self._lines
        self._windows.fresh.store(sent)
        self._states.fresh.store(sent.of_texts)

    def apply_rest(self, effects: StoreEffects) -> None:
        """Apply alerts, commands, quarantine and events."""
        self._side_tables.alerts(effects.alerts)
        self._lines.alerts(effects.alerts, effects.stamp)
        self._side_tables.commands(effects.commands)
        self._side_tables.quarantine(effects.quarantined)
        self._side_tables.events(effects.events)

    def _close_windows(
        self, closed: ClosedWindows, at: Stamp, coverage: Coverage, lines: OutgoingLines | NoLines
    ) -> None:
        ids = self._ids(closed.rows["series"], closed.versions)
        known = np.flatnonzero(ids != UNKNOWN)
        block = closed.block.take(known)
        block.rows["series"] = ids[known]
        self._merge(self._windows, closed.tier, block, closed.kind, at, coverage, lines)

    def _close_states(
        self, closed: ClosedWindows, at: Stamp, coverage: Coverage, lines: OutgoingLines | NoLines
    ) -> None:
        ids = self._ids(closed.rows["series"], closed.versions)
        known = np.flatnonzero(ids != UNKNOWN)
        block = closed.block.take(known)
        block.rows["series"] = ids[known]
        for end in ("first", "last"):
            block.rows[end] = self._text_ids(block.rows[end])
        self._merge(self._states, closed.tier, block, closed.kind, at, coverage, lines.of_texts)

    def _merge(  # noqa: PLR0917 - what there is to say of rows
        self,
        windows: StoredWindows,
        tier: int,
        rows: WindowBlock,
        kind: Kind,
        at: Stamp,
        coverage: Coverage,
        lines: WindowLines,
    ) -> None:
        """Merge rows into what is stored, and send the result; send apart what was refused.

        What is certainly new is gathered, and stored and sent with the end of the transaction.
        """
        if kind == Kind.FIRST and len(rows):
            new = windows.are_new(tier, rows)
            if not new.all():
                self._merge_known(windows, tier, rows.take(~new), kind, at, coverage, lines)
                rows = rows.take(new)
            windows.gather(tier, rows, at, lines)
        else:
            self._merge_known(windows, tier, rows, kind, at, coverage, lines)

    def _merge_known(  # noqa: PLR0917 - as above
        self,
        windows: StoredWindows,
        tier: int,
        rows: WindowBlock,
        kind: Kind,
        at: Stamp,
        coverage: Coverage,
        lines: WindowLines,
    ) -> None:
        windows.fresh.store(lines)
        merged = windows.merge(tier, rows, kind, coverage)
        lines.windows(tier, merged.stored, at)
        if len(merged.refused):
            counter, why = _REFUSED[kind]
            self._counters.add(counter, len(merged.refused))
            apart = rows.take(merged.refused)
            counted = windows.holds(tier, apart) & (kind == Kind.PARTIAL)
            for chosen, reason in ((~counted, why), (counted, NOT_KNOWN)):
                lines.partial(tier, apart.take(chosen), at, reason)

    def _keep_late(self, late: LateValues, at: Stamp, lines: OutgoingLines | NoLines) -> None:
        merged = late.tiers > 0
        kept = late.rows(merged)
        ids = self._ids(kept.series, kept.versions)
        known = ids != UNKNOWN
        columns = (kept.ts, kept.value, kept.quality, kept.tiers, kept.nth)
        self._numbers.add(at, [ids[known], *(column[known] for column in columns)])
        for fate, why in _UNMERGED if not merged.all() else ():
            self._send_late(late.rows(late.tiers == fate), at, lines, why=why)

    def _send_late(self, late: LateValues, at: Stamp, lines: OutgoingLines | NoLines, *, why: str) -> None:
        """Send readings that are merged nowhere."""
        ids = self._ids(late.series, late.versions)
        known = ids != UNKNOWN
        readings = Readings(ids[known], late.ts[known], late.value[known], late.quality[known])
        lines.late(readings.series, readings, late.nth[known], at, why)

    def _keep_late_states(self, late: LateStates, at: Stamp, lines: OutgoingLines | NoLines) -> None:
        ids = self._ids(late.series, late.versions)
        texts = self._text_ids(late.code)
        kept = (ids != UNKNOWN) & (late.tiers > 0)
        nothing = np.zeros(len(ids), np.int64)
        columns = (ids, late.ts, texts, nothing, late.tiers, nothing)
        self._texts.add(at, [column[kept] for column in columns])
        for fate, why in _UNMERGED:
            apart = (ids != UNKNOWN) & (late.tiers == fate)
            if apart.any():
                values, quality = texts[apart].astype(np.float64), nothing[apart].astype(np.uint16)
                readings = Readings(ids[apart], late.ts[apart], values, quality)
                lines.of_texts.late(readings.series, readings, nothing[apart], at, why)

    def _ids(self, series: Array, versions: Array) -> Array:
        ids = self._names.ids(series, versions)
        missing = np.flatnonzero(ids == UNKNOWN)
        if not len(missing):
            return ids
        if self._resolver is not None:
            pairs = dict.fromkeys(zip(series[missing].tolist(), versions[missing].tolist(), strict=True))
            found = (self._resolver.series_name(*pair) for pair in pairs)
            self._names.define(name for name in found if name is not None)
            ids = self._names.ids(series, versions)
        self._counters.add(UNNAMED, int((ids == UNKNOWN).sum()))
        return ids

    def _text_ids(self, codes: Array) -> Array:
        ids = self._names.text_ids(codes)
        missing = dict.fromkeys(codes[ids == UNKNOWN].tolist())
        if not missing:
            return ids
        found = [self._resolver.text_name(code) if self._resolver else None for code in missing]
        named = [name or TextName(code, "unknown") for name, code in zip(found, missing, strict=True)]
        self._names.define_texts(named)
        return self._names.text_ids(codes)
