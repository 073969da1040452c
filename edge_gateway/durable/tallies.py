"""Counters that are exact because they change in the transaction of what they count."""

import sqlite3


class Tallies:
    """Named counters of the store; `values` is what is committed or about to be."""

    def __init__(self, db: sqlite3.Connection) -> None:
        self._db = db
        self.values: dict[str, int] = {}
        self.load()

    def load(self) -> None:
        """Take what is committed, as after a rollback."""
        self.values = dict(self._db.execute("SELECT name, value FROM counter"))

    def add(self, name: str, count: int = 1) -> None:
        if count:
            self.values[name] = self.values.get(name, 0) + count
            self._db.execute("INSERT OR REPLACE INTO counter VALUES(?, ?)", (name, self.values[name]))
