"""The coverage as the store keeps it, and its correction once the wall time is known.

A floor that was set at "now" by a wall clock that was not sure is provisional: what was known before stays beside it,
with the least the time was then. Monotonic time goes on from that, so that the right time of that moment follows when
the wall clock is confirmed.
"""

import sqlite3
from typing import Any, Final, NamedTuple

from edge_gateway.store.late_job import Coverage

ALWAYS: Final = -(1 << 62)
_NAMES: Final = ("floor", "frozen", "floor_before", "frozen_before", "unsure")


class _Kept(NamedTuple):
    """The coverage that counts; the one before it was set by an unsure clock; the least the time was then, ms."""

    now: Coverage
    before: Coverage
    unsure: int | None


class KeptCoverage:
    """Used inside the store's transactions. Times in ms."""

    def __init__(self, db: sqlite3.Connection) -> None:
        self._db = db
        found: dict[str, Any] = {
            key: value for key, value in db.execute("SELECT key, value FROM meta") if key in _NAMES
        }
        now = Coverage(found.get("floor", 0), found.get("frozen", ALWAYS))
        before = Coverage(found.get("floor_before", now.floor), found.get("frozen_before", now.frozen))
        self._kept = _Kept(now, before, found.get("unsure"))

    @property
    def now(self) -> Coverage:
        """The coverage that counts."""
        return self._kept.now

    def raise_to(self, floor: int, frozen: int = ALWAYS, *, unsure: int | None = None) -> None:
        """Move floor and frozen up to these times, never down.

        `unsure`: they are the time now, by a wall clock that is not sure, and this is the least it can be.
        """
        now, before, known = self._kept
        if unsure is None:
            before = _higher(before, floor, frozen)
        else:
            known = unsure
        self._keep(_Kept(_higher(now, floor, frozen), before, known))

    def confirm(self, wall: int, least: int) -> None:
        """Correct provisional times: `wall` is the time at which `least` was the least it could be."""
        now, before, unsure = self._kept
        if unsure is not None:
            right = wall - (least - unsure)
            floor = right if now.floor > before.floor else ALWAYS
            frozen = right if now.frozen > before.frozen else ALWAYS
            known = _higher(before, floor, frozen)
            self._keep(_Kept(known, known, None))

    def _keep(self, kept: _Kept) -> None:
        self._kept = kept
        values = zip(_NAMES, (*kept.now, *kept.before, kept.unsure), strict=True)
        self._db.executemany("INSERT OR REPLACE INTO meta VALUES(?, ?)", values)

    def snapshot(self) -> _Kept:
        """Return what memory holds, for `restore` after a rollback."""
        return self._kept

    def restore(self, snapshot: _Kept) -> None:
        """Go back to what was committed."""
        self._kept = snapshot


def _higher(one: Coverage, floor: int, frozen: int) -> Coverage:
    return Coverage(max(one.floor, floor), max(one.frozen, frozen))
