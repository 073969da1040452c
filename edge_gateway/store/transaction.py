"""One transaction: the tables and what parts of the store hold of them in memory change together or not at all."""

import sqlite3
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any, Protocol


class Restorable(Protocol):
    """A part of the store that holds something of the tables in memory, which a rollback must undo."""

    def snapshot(self) -> Any: ...
    def restore(self, snapshot: Any) -> None: ...


@contextmanager
def transaction(db: sqlite3.Connection, parts: Sequence[Restorable]) -> Iterator[None]:
    """Commit at the end; on an error roll back, restore the parts, and raise it."""
    snapshots = [part.snapshot() for part in parts]
    try:
        db.execute("BEGIN IMMEDIATE")
        yield
        db.execute("COMMIT")
    except BaseException:
        try:
            if db.in_transaction:
                db.execute("ROLLBACK")
        finally:  # some parts read the tables again
            for part, snapshot in zip(parts, snapshots, strict=True):
                part.restore(snapshot)
        raise
