"""The store's own numbers for series and texts.

The gateway's numbers end with its checkpoint; the store's last as long as the data that bears them. A
series of the store is (device, metric, site, type, forwarded tags), so a device whose tags change gets new
series, and windows keep the tags they were opened with.
"""

import json
import sqlite3
from collections.abc import Iterable, Sequence
from typing import Any, Final, NamedTuple

import numpy as np

from edge_gateway.durable.effects import SeriesName, TextName

UNKNOWN: Final = -1
VERSIONS_KEPT: Final = 8
_VERSION_BITS: Final = 32

Ids = np.ndarray[Any, np.dtype[np.int64]]


class Identity(NamedTuple):
    """What the store knows of one of its series; `tags` are the forwarded ones, sorted by key."""

    device: str
    metric: str
    site: str
    type: str
    tags: dict[str, str]

    def labels(self) -> dict[str, str]:
        """Tags of the series' points."""
        return {
            **self.tags,
            "device": self.device,
            "metric": self.metric,
            "site": self.site,
            "type": self.type,
        }


def _tags_text(tags: dict[str, str]) -> str:
    return json.dumps(tags, sort_keys=True, ensure_ascii=False, separators=(",", ":"))


class Names:
    """Translate the gateway's numbers to the store's, and the store's to names."""

    def __init__(self, db: sqlite3.Connection, forwarded: Sequence[str]) -> None:
        self._db = db
        self._forwarded = tuple(sorted(forwarded))
        self.load()

    def load(self) -> None:
        """Take what is committed, as after a rollback."""
        rows = self._db.execute("SELECT series, version, id FROM number")
        self._ids = {series << _VERSION_BITS | version: number for series, version, number in rows}
        self._texts: dict[int, int] = dict(self._db.execute("SELECT code, id FROM code"))
        self._identities: dict[int, Identity] = {}
        self._text_of: dict[int, str] = {}

    def follow_forwarded(self) -> None:
        """Give series new numbers where other tags are forwarded than when they were defined."""
        rows = self._db.execute(
            "SELECT number.series, version, device, metric, site, type, number.tags"
            " FROM number JOIN series ON series.id = number.id"
        ).fetchall()
        for *facts, tags in rows:
            series, version, device, metric, site, type_ = facts
            self._number(SeriesName(series, version, device, metric, site, type_, json.loads(tags)))

    def define(self, names: Iterable[SeriesName]) -> None:
        for name in names:
            self._number(name)
            self._forget_old_versions(name.series)

    def define_texts(self, names: Iterable[TextName]) -> None:
        for name in names:
            self._db.execute("INSERT OR IGNORE INTO text(text) VALUES(?)", (name.text,))
            number = self._db.execute("SELECT id FROM text WHERE text=?", (name.text,)).fetchone()[0]
            self._db.execute("INSERT OR REPLACE INTO code VALUES(?, ?)", (name.code, number))
            self._texts[name.code] = number

    def ids(self, series: Ids, versions: Ids) -> Ids:
        """Store numbers of (series, version) columns; UNKNOWN where a pair was never defined."""
        keys = (series << _VERSION_BITS | versions).tolist()
        get = self._ids.get
        return np.array([get(key, UNKNOWN) for key in keys], np.int64)

    def text_ids(self, codes: Ids) -> Ids:
        """Store numbers of a column of codes; UNKNOWN where a code was never defined."""
        get = self._texts.get
        return np.array([get(code, UNKNOWN) for code in codes.tolist()], np.int64)

    def identity(self, number: int) -> Identity:
        known = self._identities.get(number)
        if known is None:
            *facts, tags = self._db.execute(
                "SELECT device, metric, site, type, tags FROM series WHERE id=?", (number,)
            ).fetchone()
            device, metric, site, type_ = facts
            known = self._identities[number] = Identity(device, metric, site, type_, json.loads(tags))
        return known

    def text(self, number: int) -> str:
        known = self._text_of.get(number)
        if known is None:
            row = self._db.execute("SELECT text FROM text WHERE id=?", (number,)).fetchone()
            known = self._text_of[number] = row[0]
        return known

    def siblings(self, number: int) -> list[int]:
        """All series of the same device and metric, whatever their tags, the series itself first."""
        rows = self._db.execute(
            "SELECT other.id FROM series JOIN series AS other USING(device, metric) WHERE series.id=?"
            " ORDER BY other.id<>series.id, other.id DESC",
            (number,),
        )
        return [row[0] for row in rows]

    def _number(self, name: SeriesName) -> None:
        forwarded = {key: name.tags.get(key) or "unknown" for key in self._forwarded}
        facts = (name.device, name.metric, name.site, name.type or "unknown", _tags_text(forwarded))
        self._db.execute(
            "INSERT OR IGNORE INTO series(device, metric, site, type, tags) VALUES(?,?,?,?,?)", facts
        )
        number = self._db.execute(
            "SELECT id FROM series WHERE device=? AND metric=? AND site=? AND type=? AND tags=?", facts
        ).fetchone()[0]
        self._db.execute(
            "INSERT OR REPLACE INTO number VALUES(?, ?, ?, ?)",
            (name.series, name.version, number, _tags_text(name.tags)),
        )
        self._ids[name.series << _VERSION_BITS | name.version] = number

    def _forget_old_versions(self, series: int) -> None:
        rows = self._db.execute(
            "SELECT version FROM number WHERE series=? ORDER BY version DESC LIMIT -1 OFFSET ?",
            (series, VERSIONS_KEPT),
        ).fetchall()
        for (version,) in rows:
            self._db.execute("DELETE FROM number WHERE series=? AND version=?", (series, version))
            self._ids.pop(series << _VERSION_BITS | version, None)
