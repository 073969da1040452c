"""Rebuild windows from the journal's records, for a store that replaces a lost one.

If the journal still has the record in which a window closed, it has the whole window: late readings for it came in
later records. Such a window is rebuilt from the journal alone, whatever the damaged store holds of it, and is sent
only when complete. Late readings for windows that closed earlier are left to the salvage.
"""

import sqlite3
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any, Final

from edge_gateway.records.store_effects import StoreEffects
from edge_gateway.store.coverage import Coverage
from edge_gateway.store.late_job import LateJob, LateLines
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
    db: sqlite3.Connection, kinds: Iterable[tuple[WindowTable, LateLines]], at: int
) -> tuple[set[tuple[int, int, int]], dict[int, int]]:
    """Queue the lines of all windows of these tables, at wall time `at` (ms).

    Returns: (tier, start, head of the family) of the windows, and the head of each series' family: its lowest number.
    """
    heads: dict[int, int] = dict(
        db.execute("SELECT id, MIN(id) OVER (PARTITION BY device, metric) FROM series")
    )
    found = set()
    for table, lines in kinds:
        key: tuple[int, ...] = _FIRST_KEY
        while pieces := table.after(key, AT_ONCE):
            for tier, windows, _, key in pieces:  # noqa: B007 - the next piece begins behind the last key
                starts, series = windows.rows["start"].tolist(), windows.rows["series"].tolist()
                found |= {(tier, start, heads[number]) for start, number in zip(starts, series, strict=True)}
                lines.windows(tier, windows, at)
    return found, heads
