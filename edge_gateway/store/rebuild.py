"""Rebuild windows from the journal's records, for a store that replaces a lost one.

If the journal still has the record in which a window closed, it has the whole window: late readings for it came in
later records. Such a window is rebuilt from the journal alone, whatever the damaged store holds of it, and is sent
only when complete. Late readings for windows that closed earlier are left to the salvage.
"""

import sqlite3
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any, Final

from edge_gateway.records.store_effects import StoreEffects
from edge_gateway.records.window_block import WindowBlock, keys
from edge_gateway.store.block_table import StoredBlock
from edge_gateway.store.coverage import Coverage
from edge_gateway.store.fresh_windows import FreshLines
from edge_gateway.store.late_job import LateJob
from edge_gateway.store.outbox import Reference
from edge_gateway.store.window_table import WindowTable

Derived = tuple[int, Sequence[StoreEffects] | None]
"""A record's number and effects; None instead of effects: series numbers of earlier records meant something else."""
Records = Callable[[], Iterator[Derived]]

AT_ONCE: Final = 2_000
"""Windows whose lines are queued at once."""
_FIRST_KEY: Final = (-(1 << 62), 0, 0)


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


def merge_all(jobs: Iterable[LateJob], lines: NoLines, coverage: Coverage) -> None:
    """Merge every late reading in the tiers where `coverage` admits it.

    In the others the window closed before the records begin; if its row can be salvaged, that has the reading already.
    """
    for job in jobs:
        while job.run(coverage, lines, each_tier=True):
            pass


def send_all(
    db: sqlite3.Connection, kinds: Iterable[tuple[WindowTable, FreshLines]], at: int
) -> tuple[set[tuple[int, int, int]], dict[int, int]]:
    """Queue the lines of all windows of these tables, at wall time `at` (ms).

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


def send_block(lines: FreshLines, block: StoredBlock, at: int) -> None:
    """Queue the windows of a block but those that were corrected, which are sent as the rows they are now."""
    windows = block.held.windows
    if block.valid.all():
        lines.block(block.tier, Reference(block.number, block.gone), windows, at)
    else:
        lines.windows(block.tier, windows.take(block.valid), at)


def _named(tier: int, windows: WindowBlock, heads: Mapping[int, int]) -> set[tuple[int, int, int]]:
    return {(tier, start, heads[number]) for number, start in keys(windows.rows)}
