"""The tables beside the windows, each with a bound: alerts, commands, events, quarantine, what no window takes."""

import sqlite3
from collections.abc import Iterable, Mapping
from dataclasses import replace
from typing import Any, Final

import msgspec

from edge_gateway.records.alerts import CommandChange, Transition, alert_row
from edge_gateway.records.store_effects import WITHOUT_TIME, Event, Quarantined
from edge_gateway.store.counters import StoreCounters
from edge_gateway.store.eviction import ALERTS, APART, COMMANDS, QUARANTINE, evict, largest_owners
from edge_gateway.store.schema import insert_many
from fleet_wire.printable import printable

_ROW_BYTES: Final = 64
"""Size of a quarantined message beyond its topic, reason and payload."""
MOST_ALERTS: Final = 200_000
MOST_COMMANDS: Final = 100_000
MOST_EVENTS: Final = 10_000
MOST_APART: Final = 100_000
_DROPPED: Final = {ALERTS: "alerts_dropped", COMMANDS: "commands_dropped", APART: "apart_dropped"}


class SideTables:
    """Used inside the store's transactions."""

    def __init__(self, db: sqlite3.Connection, counters: StoreCounters, *, quarantine_max_bytes: int) -> None:
        self._db = db
        self._counters = counters
        self._most = quarantine_max_bytes
        sums = "SELECT COALESCE(SUM(size), 0) FROM quarantine"
        self.quarantine_bytes: int = db.execute(sums).fetchone()[0]

    def snapshot(self) -> int:
        """Return what memory holds, for `restore` after a rollback."""
        return self.quarantine_bytes

    def restore(self, snapshot: int) -> None:
        """Go back to what was committed."""
        self.quarantine_bytes = snapshot

    def alerts(self, transitions: Iterable[Transition]) -> None:
        """Keep transitions; reminders are for databases elsewhere, and would push out the changes they tell of."""
        rows = [
            (*(one.at, one.id, one.rule, one.subject, one.metric, one.state), _json(alert_row(one)))
            for one in transitions
            if one.event != "reminder"
        ]
        insert_many(self._db, "INSERT INTO alert(at, alert, rule, subject, metric, state, body)", 7, rows)

    def commands(self, changes: Iterable[CommandChange]) -> None:
        rows = [
            (
                *(one.id, one.n, one.device, one.name, _json(one.args)),
                *(one.state, one.at, one.detail),
            )
            for one in changes
        ]
        insert_many(self._db, "INSERT OR REPLACE INTO command", 8, rows)

    def events(self, events: Iterable[Event]) -> None:
        rows = [(event.at, event.code, event.text) for event in events]
        insert_many(self._db, "INSERT INTO event(at, code, text)", 3, rows)

    def quarantine(self, messages: Iterable[Quarantined]) -> None:
        """Add messages; over the bound, the oldest of whoever has most are dropped and counted.

        A reason may quote a payload or a server's answer, so it is stored in printable form.
        """
        safe = [replace(one, reason=printable(one.reason)) for one in messages]
        rows = [(one.at, one.topic, one.reason, one.payload, _size(one)) for one in safe]
        insert_many(self._db, "INSERT INTO quarantine(at, topic, reason, payload, size)", 5, rows)
        self.quarantine_bytes += sum(row[-1] for row in rows)
        self._counters.add("quarantined", len(rows))
        if self.quarantine_bytes > self._most:
            dropped, freed = evict(self._db, QUARANTINE, self.quarantine_bytes, self._most)
            self.quarantine_bytes -= freed
            self._counters.add("quarantine_dropped", dropped)

    def confirm_times(self, wall: int, least: int) -> None:
        """Correct when messages without a time arrived: the time was `wall` when `least` was the least possible."""
        timed = "SELECT value FROM meta WHERE key='timed_upto'"
        self._db.execute(
            f"UPDATE quarantine SET at=at+? WHERE reason=? AND id>COALESCE(({timed}), -1)",  # noqa: S608
            (wall - least, WITHOUT_TIME),
        )
        self._db.execute(
            "INSERT OR REPLACE INTO meta SELECT 'timed_upto', COALESCE(MAX(id), -1) FROM quarantine"
        )

    def quarantine_users(self, limit: int) -> list[tuple[str, int]]:
        """Return (device, bytes) of those who have most in quarantine, the largest first."""
        return largest_owners(self._db, QUARANTINE, limit)

    def quarantined(self, after: int, limit: int) -> list[tuple[int, Quarantined]]:
        """Return at most `limit` messages with ids above `after`, with their ids, in order."""
        columns = "SELECT id, topic, payload, reason, at FROM quarantine"
        rows = self._db.execute(f"{columns} WHERE id>? ORDER BY id LIMIT ?", (after, limit))
        return [(number, Quarantined(*message)) for number, *message in rows]

    def remove_quarantined(self, ids: Iterable[int]) -> None:
        """Remove messages by id."""
        for number in ids:
            (size,) = self._db.execute(
                "DELETE FROM quarantine WHERE id=? RETURNING size", (number,)
            ).fetchone()
            self.quarantine_bytes -= size

    def trim(self, before: int) -> None:
        """Remove rows older than `before` (ms), and the oldest above their bounds; not from the quarantine."""
        for table in ("alert", "command", "event", "apart"):
            self._db.execute(f"DELETE FROM {table} WHERE at<?", (before,))  # noqa: S608 - a name from the line above
        bounds = ((ALERTS, MOST_ALERTS), (COMMANDS, MOST_COMMANDS), (APART, MOST_APART))
        for of, most in bounds:
            (rows,) = self._db.execute(f"SELECT COUNT(*) FROM {of.table}").fetchone()  # noqa: S608 - from above
            self._counters.add(_DROPPED[of], evict(self._db, of, rows, most)[0])
        gone = "SELECT id FROM event ORDER BY id DESC LIMIT -1 OFFSET ?"
        self._db.execute(f"DELETE FROM event WHERE id IN ({gone})", (MOST_EVENTS,))  # noqa: S608 - from above


def _json(tree: Mapping[str, Any]) -> str:
    return msgspec.json.encode(tree).decode()


def _size(message: Quarantined) -> int:
    return len(message.payload) + len(message.topic) + len(message.reason) + _ROW_BYTES
