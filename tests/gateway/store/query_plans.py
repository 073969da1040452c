"""How SQLite finds rows: a look-up must not read a whole table."""

from collections.abc import Iterator
from contextlib import contextmanager
from sqlite3 import Connection

READS_ALL = (
    "SCAN series",
    "SCAN number",
    "SCAN text",
    "SCAN window",
    "SEARCH window USING PRIMARY KEY (tier=?)",
)


@contextmanager
def plans(db: Connection) -> Iterator[list[str]]:
    """Filled at the end with how SQLite finds the rows of each query that was made."""
    asked: list[str] = []
    found: list[str] = []
    db.set_trace_callback(asked.append)
    yield found
    db.set_trace_callback(None)
    for query in asked:
        if query.startswith(("SELECT", "WITH")):
            found += [detail for *_, detail in db.execute(f"EXPLAIN QUERY PLAN {query}")]


def read_all(found: list[str]) -> list[str]:
    return [detail for detail in found if detail in READS_ALL]
