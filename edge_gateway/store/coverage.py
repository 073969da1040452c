"""What the history is known to lack: what a file that was lost had, and what was trimmed."""

import sqlite3
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from edge_gateway.store.settings import FOR_EVER


class Coverage(NamedTuple):
    """Times in ms.

    Attributes:
        complete_from: windows that start earlier may be missing, because an earlier file was lost.
        frozen: windows that start earlier do not change: it is not known which readings they have.
        cuts: of each tier, windows that start earlier were trimmed. The fold knows of these.
    """

    complete_from: int = FOR_EVER
    frozen: int = FOR_EVER
    cuts: tuple[int, ...] = ()

    @property
    def floor(self) -> int:
        """The time from which on the base tier is complete."""
        return max(self.complete_from, self.cuts[0])


class StoredCoverage:
    """The coverage, kept in the table `meta`; its times never go back. Used inside the store's transactions."""

    def __init__(self, db: sqlite3.Connection, tiers: int) -> None:
        self._db = db
        self._cut_keys = tuple(f"cut{tier}" for tier in range(tiers))
        self.now = self.of(dict(db.execute("SELECT key, value FROM meta")), otherwise=0)

    def of(self, meta: Mapping[str, Any], *, otherwise: int) -> Coverage:
        """Return what a table `meta` says, which may be damaged."""
        cuts = tuple(_whole(meta.get(key, FOR_EVER), otherwise) for key in self._cut_keys)
        frozen = _whole(meta.get("frozen", FOR_EVER), otherwise)
        return Coverage(_whole(meta.get("floor"), otherwise), frozen, cuts)

    def advance(
        self, complete_from: int = FOR_EVER, frozen: int = FOR_EVER, cuts: Sequence[int] = ()
    ) -> None:
        """Move times on, ms."""
        self.now = Coverage(
            max(self.now.complete_from, complete_from),
            max(self.now.frozen, frozen),
            tuple(map(max, self.now.cuts, cuts)) if cuts else self.now.cuts,
        )
        rows = (("floor", self.now.complete_from), ("frozen", self.now.frozen))
        cut_rows = zip(self._cut_keys, self.now.cuts, strict=True)
        self._db.executemany("INSERT OR REPLACE INTO meta VALUES(?, ?)", (*rows, *cut_rows))

    def snapshot(self) -> Coverage:
        """Return what memory holds, for `restore` after a rollback."""
        return self.now

    def restore(self, snapshot: Coverage) -> None:
        """Go back to what was committed."""
        self.now = snapshot


NOTHING_HELD = Coverage(complete_from=1 << 62)
"""Of a store of which it is not known what it lacks."""


def _whole(value: Any, otherwise: int) -> int:
    return value if isinstance(value, int) else otherwise
