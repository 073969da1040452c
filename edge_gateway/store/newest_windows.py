"""The newest windows of a tier, found from its end: a short answer from a long history costs little."""

import sqlite3
from collections import deque
from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from typing import Any

from edge_gateway.store.selection import LARGEST, RowSelection

Row = dict[str, Any]


def newest_start(db: sqlite3.Connection, table: str, tier: int, stop: int) -> int | None:
    """Return where to look for the newest window that starts before `stop` (ms); None if there is none."""
    (newest,) = db.execute(
        f"SELECT MAX(start) FROM (SELECT MAX(start) AS start FROM {table} WHERE tier=?1 AND start<?2 UNION ALL"  # noqa: S608
        " SELECT MAX(MIN(last_start, ?2-1)) FROM block"
        " WHERE kind=?3 AND tier=?1 AND first_start<=last_start AND first_start<?2)",
        (tier, stop, table),
    ).fetchone()
    return None if newest is None else int(newest)


def newest_windows(
    db: sqlite3.Connection,
    table: str,
    tier: int,
    wanted: RowSelection,
    *,
    read: Callable[[RowSelection], Iterable[Row]],
    every: int,
) -> list[Row]:
    """Return the newest of the wanted windows of a tier, in order, as many as `wanted.limit`.

    The first look is at the newest `every` ms, the length of a window; each further one at twice as much. `read` yields
    the windows of a selection in order.
    """
    found: list[Row] = []
    least = -LARGEST if wanted.since is None else wanted.since
    stop, reach = LARGEST if wanted.until is None else wanted.until, every
    while (
        len(found) < wanted.limit
        and (newest := newest_start(db, table, tier, stop)) is not None
        and newest >= least
    ):
        first = max(newest + 1 - reach, least)
        part = read(replace(wanted, since=first, until=min(stop, newest + 1)))
        found = list(deque(part, wanted.limit - len(found))) + found
        stop, reach = first, 2 * reach
    return found


def newest_of(tiers: Sequence[list[Row]], count: int) -> list[Row]:
    """Return the newest of the windows of several tiers, in the order of the tiers."""
    starts = sorted((row["start"], number) for number, rows in enumerate(tiers) for row in rows)
    kept = starts[-count:]
    taken = [sum(tier == number for _, tier in kept) for number in range(len(tiers))]
    return [row for rows, many in zip(tiers, taken, strict=True) for row in rows[len(rows) - many :]]
