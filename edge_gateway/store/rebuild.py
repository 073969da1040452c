"""Rebuild windows from the journal's records, for a store that replaces a lost one.

If the journal still has the record in which a window closed, it has the whole window: late readings for it came in
later records. Such a window is rebuilt from the journal alone, whatever the damaged store holds of it, and is sent
only when complete. Late readings for windows that closed earlier are left to the salvage.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, Protocol

from edge_gateway.records.store_effects import Stamp, StoreEffects
from edge_gateway.records.window_block import WindowBlock, keys
from edge_gateway.store.block_table import StoredBlock
from edge_gateway.store.coverage import NOTHING_HELD, Coverage, StoredCoverage
from edge_gateway.store.fresh_windows import FreshLines
from edge_gateway.store.late_job import LateJob
from edge_gateway.store.names import Ids
from edge_gateway.store.outbox import Reference
from edge_gateway.store.outgoing_lines import OutgoingLines
from edge_gateway.store.window_table import WindowTable
from edge_gateway.windows.reduce import Readings

if TYPE_CHECKING:
    from edge_gateway.store.apply import Applier

Derived = tuple[int, Sequence[StoreEffects] | None]
"""A record's number and effects; None instead of effects: series numbers of earlier records meant something else."""
Records = Callable[[], Iterator[Derived]]

AT_ONCE: Final = 2_000
"""Windows whose lines are queued at once."""
_FIRST_KEY: Final = (-(1 << 62), 0, 0)


class LinesApart(Protocol):
    """Receives what no window takes."""

    def late(self, series: Ids, readings: Readings, nth: Ids, at: Stamp, why: str) -> None: ...
    def partial(self, tier: int, windows: WindowBlock, at: Stamp, why: str) -> None: ...


class NoLines:
    """Takes the place of `OutgoingLines` and sends nothing."""

    def __init__(self) -> None:
        self.of_texts = self

    def windows(self, *_: Any) -> None:
        """Send no window."""

    def block(self, *_: Any) -> None:
        """Send no block."""

    def late(self, *_: Any) -> None:
        """Send no late reading."""

    def partial(self, *_: Any) -> None:
        """Send no partial window."""


class _NoWindows(NoLines):
    def __init__(self, lines: LinesApart, of_texts: NoLines | None = None) -> None:
        super().__init__()
        self._lines = lines
        self.of_texts = of_texts or self

    def late(self, *reading: Any) -> None:
        """Send readings."""
        self._lines.late(*reading)

    def partial(self, *window: Any) -> None:
        """Send parts of windows."""
        self._lines.partial(*window)


def only_apart(lines: OutgoingLines) -> NoLines:
    """Return what sends only what no window takes: where nothing is left of the lost store, no table has that."""
    return _NoWindows(lines, _NoWindows(lines.of_texts))


@dataclass(frozen=True, slots=True)
class Rebuild:
    """Rebuilds the windows of a new store, inside its transaction. `take_times` notes what effects say of times."""

    db: sqlite3.Connection
    applier: Applier
    jobs: Sequence[LateJob]
    coverage: StoredCoverage
    take_times: Callable[[StoreEffects], None]

    def run(self, records: Iterable[Derived], upto: int | None, lines: NoLines) -> int:
        """Rebuild windows from records up to `upto`, or all effects from all if None; return the last one's number."""
        last, whole = 0, True
        for number, effects in records:
            if upto is not None and number > upto:
                break
            whole &= number == last + 1 and effects is not None
            last = number
            if effects is None:
                self.applier.store_fresh(lines)
                self._clear()
            for part in effects or ():
                self._take(part, lines, whole=whole)
                if upto is None:
                    self.applier.apply_rest(part)
        self._merge(lines, whole=whole)
        return last

    def _take(self, part: StoreEffects, lines: NoLines, *, whole: bool) -> None:
        if part.frozen is not None:
            self._merge(lines, whole=whole)
        self.applier.apply_windows(part, NOTHING_HELD, lines)
        self.take_times(part)

    def _merge(self, lines: NoLines, *, whole: bool) -> None:
        """Merge late readings. They open windows where the records are `whole`: all since the first one."""
        self.applier.store_fresh(lines)
        held = self.coverage.now if whole else NOTHING_HELD._replace(frozen=self.coverage.now.frozen)
        merge_all(self.jobs, lines, held)

    def _clear(self) -> None:
        """Remove all windows, and the late readings that wait for them."""
        for name in ("window", "state_window", "block", "block_body", "late", "late_state"):
            self.db.execute(f"DELETE FROM {name}")  # noqa: S608 - a name from the line above
        for job in self.jobs:
            job.windows.table.blocks.forget()


def merge_all(jobs: Iterable[LateJob], lines: NoLines, coverage: Coverage) -> None:
    """Merge every late reading in the tiers where `coverage` admits it; one that none admits goes to `lines`.

    Its windows closed before the records begin. If their rows can be salvaged, these have the reading already.
    """
    for job in jobs:
        while job.run(coverage, lines, each_tier=True):
            pass


def send_all(
    db: sqlite3.Connection, kinds: Iterable[tuple[WindowTable, FreshLines]], at: Stamp
) -> tuple[set[tuple[int, int, int]], dict[int, int]]:
    """Queue the lines of all windows of these tables, `at` is when they came.

    Returns: (tier, start, head of the family) of the windows, and the head of each series' family: its lowest number.
    """
    heads: dict[int, int] = dict(
        db.execute("SELECT id, MIN(id) OVER (PARTITION BY device, metric) FROM series")
    )
    found = set()
    for table, lines in kinds:
        for block in table.blocks.behind(0):
            found |= _named(block.tier, block.held.windows, heads)
            send_block(lines, block, at)
        key: tuple[int, ...] = _FIRST_KEY
        while pieces := table.after(key, AT_ONCE):
            for tier, windows, _, key in pieces:  # noqa: B007 - the next piece begins behind the last key
                found |= _named(tier, windows, heads)
                lines.windows(tier, windows, at)
    return found, heads


def send_block(lines: FreshLines, block: StoredBlock, at: Stamp) -> None:
    """Queue the windows of a block but those that were corrected, which are sent as the rows they are now."""
    windows = block.held.windows
    if block.valid.all():
        lines.block(block.tier, Reference(block.number, block.gone), windows, at)
    else:
        lines.windows(block.tier, windows.take(block.valid), at)


def _named(tier: int, windows: WindowBlock, heads: Mapping[int, int]) -> set[tuple[int, int, int]]:
    return {(tier, start, heads[number]) for number, start in keys(windows.rows)}
