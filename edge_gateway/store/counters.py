"""Counters that are exact because they change in the transaction of what they count."""

import sqlite3


class StoreCounters:
    """Named counters of the store; `values` is what is committed or about to be."""

    def __init__(self, db: sqlite3.Connection) -> None:
        self._db = db
        self.values: dict[str, int] = dict(db.execute("SELECT name, value FROM counter"))

    def memory(self) -> dict[str, int]:
        """What memory holds now, to go back to after a rollback."""
        return dict(self.values)

    def recall(self, memory: dict[str, int]) -> None:
        """Back to what was committed."""
        self.values = memory

    def take_over(self, values: dict[str, int]) -> None:
        """Go on counting where another store was."""
        self._db.execute("DELETE FROM counter")
        self.values = {}
        for name, value in values.items():
            self.add(name, value)

    def add(self, name: str, count: int = 1) -> None:
        if count:
            self.values[name] = self.values.get(name, 0) + count
            self._db.execute("INSERT OR REPLACE INTO counter VALUES(?, ?)", (name, self.values[name]))
