"""What the history keeps beside windows: alerts, commands, events, and the quarantine with its cap."""

import sqlite3
from collections.abc import Iterable
from typing import Final

import msgspec

from edge_gateway.durable.effects import AlertChange, CommandChange, Event, Quarantined
from edge_gateway.durable.tallies import Tallies

_ROW_BYTES: Final = 64
"""What a quarantined message costs beside its topic, reason and payload."""


class Shelf:
    """Writes within the store's transactions."""

    def __init__(self, db: sqlite3.Connection, tallies: Tallies, *, quarantine_max_bytes: int) -> None:
        self._db = db
        self._tallies = tallies
        self._most = quarantine_max_bytes
        self.quarantine_bytes = 0
        self.load()

    def load(self) -> None:
        """Take what is committed, as after a rollback."""
        self.quarantine_bytes = self._db.execute("SELECT COALESCE(SUM(size), 0) FROM quarantine").fetchone()[
            0
        ]

    def alerts(self, changes: Iterable[AlertChange]) -> None:
        for change in changes:
            body = msgspec.json.encode(change).decode()
            self._db.execute(
                "INSERT INTO alert(at, alert, rule, subject, metric, state, body) VALUES(?,?,?,?,?,?,?)",
                (change.at, change.id, change.rule, change.subject, change.metric, change.state, body),
            )

    def commands(self, changes: Iterable[CommandChange]) -> None:
        for change in changes:
            args = msgspec.json.encode(change.args).decode()
            self._db.execute(
                "INSERT OR REPLACE INTO command VALUES(?,?,?,?,?,?,?)",
                (change.id, change.n, change.device, change.name, args, change.state, change.at),
            )

    def events(self, events: Iterable[Event]) -> None:
        for event in events:
            self._db.execute(
                "INSERT INTO event(at, code, text) VALUES(?,?,?)", (event.at, event.code, event.text)
            )

    def quarantine(self, messages: Iterable[Quarantined]) -> None:
        """Keep messages; over the cap the oldest are dropped and counted."""
        for message in messages:
            size = len(message.payload) + len(message.topic) + len(message.reason) + _ROW_BYTES
            self._db.execute(
                "INSERT INTO quarantine(at, topic, reason, payload, size) VALUES(?,?,?,?,?)",
                (message.at, message.topic, message.reason, message.payload, size),
            )
            self.quarantine_bytes += size
            self._tallies.add("quarantined")
        while self.quarantine_bytes > self._most:
            self._drop_oldest_quarantined()

    def delete_before(self, at: int) -> None:
        """Remove alerts, finished commands and events older than `at` (ms)."""
        for table in ("alert", "command", "event"):
            self._db.execute(f"DELETE FROM {table} WHERE at<?", (at,))  # noqa: S608 - a name from the line above

    def _drop_oldest_quarantined(self) -> None:
        number, size = self._db.execute("SELECT id, size FROM quarantine ORDER BY id LIMIT 1").fetchone()
        self._db.execute("DELETE FROM quarantine WHERE id=?", (number,))
        self.quarantine_bytes -= size
        self._tallies.add("quarantine_dropped")
