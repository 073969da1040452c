"""Eviction from a table that is full: the oldest rows of whoever has most rows or bytes in it.

So a device that floods a table pushes out its own rows and never those of others.
"""

from __future__ import annotations

import json
import sqlite3
from typing import Final, NamedTuple

_AT_ONCE: Final = 1_000
_SPARE: Final = 64
"""Eviction frees 1/_SPARE of the bound beyond what is needed, because finding out who has most takes long."""
_REST: Final = "substr(topic, 10)"
_FROM_NAME: Final = f"substr({_REST}, instr({_REST}, '/') + 1)"
SENDER: Final = (
    "CASE WHEN substr(topic, 1, 9) = 'fleet/v1/'"
    f" THEN substr({_FROM_NAME}, 1, instr({_FROM_NAME} || '/', '/') - 1) ELSE topic END"
)
"""SQL for the device in a topic, or the whole topic where it names none."""


class OwnedTable(NamedTuple):
    """A table whose rows have owners.

    Attributes:
        table: its name.
        key: the column that orders its rows by age.
        owner: SQL for the owner of a row; an index begins with it.
        takes: SQL for what a row takes of the bound.
    """

    table: str
    key: str
    owner: str
    takes: str


QUARANTINE: Final = OwnedTable("quarantine", "id", SENDER, "size")
ALERTS: Final = OwnedTable("alert", "id", "subject", "1")
APART: Final = OwnedTable("apart", "id", "device", "1")
COMMANDS: Final = OwnedTable("command", "rowid", "device", "1")


def largest_owners(db: sqlite3.Connection, of: OwnedTable, limit: int) -> list[tuple[str, int]]:
    """Return (owner, what its rows take) of those who have most, the largest first."""
    select = f"SELECT {of.owner} AS owner, SUM({of.takes}) AS used FROM {of.table} GROUP BY owner"  # noqa: S608 - from above
    return db.execute(f"{select} ORDER BY used DESC, owner LIMIT ?", (limit,)).fetchall()


def evict(db: sqlite3.Connection, of: OwnedTable, used: int, most: int) -> tuple[int, int]:
    """Remove the oldest rows of whoever has most until the table is within its bound.

    Args:
        db: the store, in a transaction.
        of: the table.
        used: what all its rows take.
        most: what they may take.

    Returns: (rows removed, what they took).
    """
    rows = freed = 0
    while used - freed > most:
        (owner, has), *others = largest_owners(db, of, 2)
        wanted = used - freed - most + most // _SPARE
        lead = has - (others[0][1] if others else 0)
        removed, room = _remove_oldest(db, of, owner, min(wanted, max(lead, most // _SPARE, 1)))
        rows, freed = rows + removed, freed + room
    return rows, freed


def _remove_oldest(db: sqlite3.Connection, of: OwnedTable, owner: str, wanted: int) -> tuple[int, int]:
    rows = freed = 0
    while freed < wanted:
        (answer,) = db.execute(
            f"SELECT json_group_array(json_array(id, takes)) FROM (SELECT {of.key} AS id, {of.takes} AS takes"  # noqa: S608
            f" FROM {of.table} WHERE {of.owner} = ? ORDER BY {of.key} LIMIT ?)",
            (owner, _AT_ONCE),
        ).fetchone()
        going = []
        for key, takes in json.loads(answer):
            if freed >= wanted:
                break
            going.append(key)
            freed += takes
        if not going:
            break
        chosen = "(SELECT value FROM json_each(?))"
        db.execute(f"DELETE FROM {of.table} WHERE {of.key} IN {chosen}", (json.dumps(going),))  # noqa: S608
        rows += len(going)
    return rows, freed
