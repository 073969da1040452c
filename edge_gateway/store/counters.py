"""Counters that are exact because they change in the same transaction as what they count."""

import sqlite3


class StoreCounters:
    """Named counters; `values` is committed, or will be with the open transaction."""

    def __init__(self, db: sqlite3.Connection) -> None:
        self._db = db
        self.values: dict[str, int] = dict(db.execute("SELECT name, value FROM counter"))

    def snapshot(self) -> dict[str, int]:
        """Return what memory holds, for `restore` after a rollback."""
        return dict(self.values)

    def restore(self, snapshot: dict[str, int]) -> None:
        """Go back to what was committed."""
        self.values = snapshot

    def take_over(self, values: dict[str, int]) -> None:
        """Replace all counters by those of another store."""
        self._db.execute("DELETE FROM counter")
        self.values = {}
        for name, value in values.items():
            self.add(name, value)

    def add(self, name: str, count: int = 1) -> None:
        """Count within the open transaction."""
        if count:
            self.values[name] = self.values.get(name, 0) + count
            self._db.execute("INSERT OR REPLACE INTO counter VALUES(?, ?)", (name, self.values[name]))
