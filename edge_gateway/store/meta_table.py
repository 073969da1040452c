"""Single values that the store keeps by name, among them the number of the newest record applied."""

import sqlite3
from collections.abc import Mapping
from typing import Any


class MetaTable:
    """Used inside the store's transactions."""

    def __init__(self, db: sqlite3.Connection) -> None:
        self._db = db

    def get(self, key: str, default: Any) -> Any:
        row = self._db.execute("SELECT value FROM meta WHERE key=?", (key,)).fetchone()
        return default if row is None else row[0]

    def keep(self, key: str, value: Any) -> None:
        self._db.execute("INSERT OR REPLACE INTO meta VALUES(?, ?)", (key, value))

    def applied(self) -> int | None:
        """Return the number of the newest record applied; None if it is not known."""
        return applied_in({key: self.get(key, None) for key in ("applied", "applied_check")})

    def keep_applied(self, number: int) -> None:
        """Keep it twice, so that damage to one shows."""
        self.keep("applied", number)
        self.keep("applied_check", ~number)


def applied_in(meta: Mapping[str, Any]) -> int | None:
    """Return the number of the newest record applied; None unless both entries of `meta` agree on it."""
    applied, check = meta.get("applied"), meta.get("applied_check")
    sound = isinstance(applied, int) and isinstance(check, int) and check == ~applied
    return applied if sound else None
