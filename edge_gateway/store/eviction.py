"""Who must give way in a table that is full: whoever has most of it, with his oldest rows.

So what one device floods a table with pushes out its own, and never what others have there.
"""

from __future__ import annotations

import json
import sqlite3
from typing import Final, NamedTuple

_AT_ONCE: Final = 1_000
_SPARE: Final = 64
"""Over its bound a table gives up so great a part of it beyond what is needed: to look who has most takes long."""
_REST: Final = "substr(topic, 10)"
_FROM_NAME: Final = f"substr({_REST}, instr({_REST}, '/') + 1)"
SENDER: Final = (
    "CASE WHEN substr(topic, 1, 9) = 'fleet/v1/'"
    f" THEN substr({_FROM_NAME}, 1, instr({_FROM_NAME} || '/', '/') - 1) ELSE topic END"
)
"""The device in a topic, in SQL; where there is none, the topic."""


class Owned(NamedTuple):
    """A table: whose a row is and what it takes, both in SQL. An index begins with these and the id."""

    table: str
    key: str
    owner: str
    takes: str


QUARANTINE: Final = Owned("quarantine", "id", SENDER, "size")
ALERTS: Final = Owned("alert", "id", "subject", "1")
COMMANDS: Final = Owned("command", "rowid", "device", "1")


def biggest(db: sqlite3.Connection, of: Owned, limit: int) -> list[tuple[str, int]]:
    """(owner, what it takes) of those who have most, the biggest first."""
    select = f"SELECT {of.owner} AS owner, SUM({of.takes}) AS used FROM {of.table} GROUP BY owner"  # noqa: S608 - from above
    return db.execute(f"{select} ORDER BY used DESC, owner LIMIT ?", (limit,)).fetchall()


def give_way(db: sqlite3.Connection, of: Owned, used: int, most: int) -> tuple[int, int]:
    """Remove the oldest rows of whoever has most until the table is within its bound.

    Returns (rows, what they took).
    """
    rows = freed = 0
    while used - freed > most:
        (owner, has), *others = biggest(db, of, 2)
        wanted = used - freed - most + most // _SPARE
        lead = has - (others[0][1] if others else 0)
        removed, room = _remove_oldest(db, of, owner, min(wanted, max(lead, most // _SPARE, 1)))
        rows, freed = rows + removed, freed + room
    return rows, freed


def _remove_oldest(db: sqlite3.Connection, of: Owned, owner: str, wanted: int) -> tuple[int, int]:
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
