"""What the history is known to lack: what a file that was lost had, and what was trimmed.

A time that was set at "now" by a wall clock that was not sure is provisional: what was known before stays beside it,
with the least the time was then. Monotonic time goes on from that, so that the right time of that moment follows when
the wall clock is confirmed.
"""

import sqlite3
from collections.abc import Mapping, Sequence
from typing import Any, Final, NamedTuple

from edge_gateway.store.settings import FOR_EVER

_UNSURE: Final = ("floor_before", "frozen_before", "unsure", "cut_unsure")


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

    def raised(self, complete_from: int, frozen: int) -> "Coverage":
        """Return the coverage with the later ones of these times."""
        return Coverage(max(self.complete_from, complete_from), max(self.frozen, frozen), self.cuts)


class _Kept(NamedTuple):
    """What is kept.

    Attributes:
        now: the coverage that counts.
        sure: what of it a sure clock has set.
        unsure: the least the time was, ms, when an unsure clock last set `complete_from` or `frozen`; else None.
        cut_unsure: the same of the last trim by an unsure clock.
    """

    now: Coverage
    sure: Coverage
    unsure: int | None = None
    cut_unsure: int | None = None


class StoredCoverage:
    """The coverage, kept in the table `meta`. Used inside the store's transactions.

    Its times never go back, unless a wall clock that was ahead has set them.
    """

    def __init__(self, db: sqlite3.Connection, tiers: int) -> None:
        self._db = db
        self._cut_keys = tuple(f"cut{tier}" for tier in range(tiers))
        meta = dict(db.execute("SELECT key, value FROM meta"))
        now = self.of(meta, otherwise=0)
        floor, frozen, unsure, cut_unsure = map(meta.get, _UNSURE)
        sure = Coverage(_whole(floor, now.complete_from), _whole(frozen, now.frozen), now.cuts)
        self._kept = _Kept(now, sure, unsure, cut_unsure)

    @property
    def now(self) -> Coverage:
        """The coverage that counts."""
        return self._kept.now

    def of(self, meta: Mapping[str, Any], *, otherwise: int) -> Coverage:
        """Return what a table `meta` says, which may be damaged."""
        cuts = tuple(_whole(meta.get(key, FOR_EVER), otherwise) for key in self._cut_keys)
        frozen = _whole(meta.get("frozen", FOR_EVER), otherwise)
        return Coverage(_whole(meta.get("floor"), otherwise), frozen, cuts)

    def advance(self, complete_from: int, frozen: int = FOR_EVER, *, unsure: int | None = None) -> None:
        """Move these times on, ms.

        `unsure`: they are the time now, by a wall clock that is not sure, and this is the least it can be.
        """
        kept = self._kept
        sure = kept.sure.raised(complete_from, frozen) if unsure is None else kept.sure
        unsure = kept.unsure if unsure is None else unsure
        self._keep(kept._replace(now=kept.now.raised(complete_from, frozen), sure=sure, unsure=unsure))

    def cut(self, cuts: Sequence[int], *, unsure: int | None = None) -> None:
        """Note a trim, ms by tier; `unsure`: the least the time can be, if the wall clock is not sure."""
        kept = self._kept
        now = kept.now._replace(cuts=tuple(map(max, kept.now.cuts, cuts)))
        self._keep(kept._replace(now=now, cut_unsure=kept.cut_unsure if unsure is None else unsure))

    def confirm(self, wall: int, least: int) -> None:
        """Correct provisional times: `wall` is the time at which `least` was the least it could be.

        A cut beyond the time of its trim took nothing that a device with a right clock could have sent.
        """
        now, sure, unsure, cut_unsure = self._kept
        cuts = now.cuts
        if unsure is not None:
            right = wall - (least - unsure)
            floor = right if now.complete_from > sure.complete_from else FOR_EVER
            now = sure.raised(floor, right if now.frozen > sure.frozen else FOR_EVER)
        if cut_unsure is not None:
            cuts = tuple(min(cut, wall - (least - cut_unsure)) for cut in cuts)
        now = now._replace(cuts=cuts)
        self._keep(_Kept(now, now))

    def _keep(self, kept: _Kept) -> None:
        self._kept = kept
        now, sure, unsure, cut_unsure = kept
        rows = [
            ("floor", now.complete_from),
            ("frozen", now.frozen),
            *zip(self._cut_keys, now.cuts, strict=True),
            *zip(_UNSURE, (sure.complete_from, sure.frozen, unsure, cut_unsure), strict=True),
        ]
        self._db.executemany("INSERT OR REPLACE INTO meta VALUES(?, ?)", rows)

    def snapshot(self) -> _Kept:
        """Return what memory holds, for `restore` after a rollback."""
        return self._kept

    def restore(self, snapshot: _Kept) -> None:
        """Go back to what was committed."""
        self._kept = snapshot


NOTHING_HELD = Coverage(complete_from=1 << 62)
"""Of a store of which it is not known what it lacks."""


def _whole(value: Any, otherwise: int) -> int:
    return value if isinstance(value, int) else otherwise
