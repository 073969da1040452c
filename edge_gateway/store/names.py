"""The store's own numbers for series and texts.

The gateway's numbers are lost with its checkpoint; the store's last as long as the rows that contain them. A series
of the store is (device, metric, site, type, forwarded tags), so a device whose tags change gets new series,
and windows keep the tags they were opened with.
"""

import json
import sqlite3
from collections.abc import Iterable, Mapping, Sequence
from itertools import chain, islice
from typing import Any, Final, NamedTuple, TypeVar

import numpy as np

from edge_gateway.columns.numbering import NONE, Numbering
from edge_gateway.records.store_effects import SeriesName, TextName
from edge_gateway.store.row_checksum import NameTable, name_checksum
from edge_gateway.store.schema import ROWS_A_STATEMENT, StoreDamaged, insert_many, looked_up, rows_at_once

UNKNOWN: Final = NONE
VERSIONS_KEPT: Final = 8
_VERSION_BITS: Final = 32

_FACTS: Final = ("device", "metric", "site", "type", "tags")
_OF_SEVERAL: Final = (
    "SELECT id FROM series WHERE (device, metric) IN"
    " (SELECT device, metric FROM series GROUP BY device, metric HAVING COUNT(*) > 1)"
)

Ids = np.ndarray[Any, np.dtype[np.int64]]
Name = TypeVar("Name", str, tuple[str, ...])


class StoredSeries(NamedTuple):
    """What a series number of the store stands for; `tags` are the forwarded ones, sorted by key."""

    device: str
    metric: str
    site: str
    type: str
    tags: dict[str, str]

    def labels(self) -> dict[str, str]:
        """Return the tags of the series' points."""
        return {
            **self.tags,
            "device": self.device,
            "metric": self.metric,
            "site": self.site,
            "type": self.type,
        }


def _tags_text(tags: Mapping[str, str]) -> str:
    return json.dumps(tags, sort_keys=True, ensure_ascii=False, separators=(",", ":"))


class NameTables:
    """Translates the gateway's numbers to the store's, and these to names. Used inside the store's transactions."""

    def __init__(self, db: sqlite3.Connection, forwarded: Sequence[str]) -> None:
        self._db = db
        self._forwarded = tuple(sorted(forwarded))
        self.reload()
        self._undo: list[tuple[Numbering, int, int]] = []
        self._kin_dropped = False

    def reload(self) -> None:
        """Read the tables again, after rows were inserted by others."""
        self._ids = _numbering(self._db, "SELECT series << 32 | version, id FROM number")
        self._texts = _numbering(self._db, "SELECT code, id FROM code")
        self.kin: dict[int, list[int]] = {}
        """All series of a device and metric, by each of them; only where there are several."""
        self._find_kin(number for (number,) in self._db.execute(_OF_SEVERAL))

    def snapshot(self) -> None:
        """Begin to note changes, for `restore` after a rollback."""
        self._undo.clear()
        self._kin_dropped = False

    def restore(self, _: None) -> None:
        """Back to what was committed, after a rollback."""
        for table, key, before in reversed(self._undo):
            if before == UNKNOWN:
                table.remove(key)
            else:
                table.put(key, before)
        if self._undo or self._kin_dropped:
            self.kin.clear()
            self._find_kin(number for (number,) in self._db.execute(_OF_SEVERAL))
        self._undo.clear()

    def follow_forwarded(self) -> None:
        """Define all series again, because other tags are forwarded than before."""
        rows = self._db.execute(
            "SELECT number.series, version, device, metric, site, type, number.tags"
            " FROM number JOIN series ON series.id = number.id"
        ).fetchall()
        self.define(
            SeriesName(series, version, device, metric, site, kind, json.loads(tags))
            for series, version, device, metric, site, kind, tags in rows
        )

    def define(self, names: Iterable[SeriesName]) -> None:
        """Store what (series, version) pairs stand for; of each series only the newest 8 versions are kept."""
        waiting = iter(names)
        while some := list(islice(waiting, ROWS_A_STATEMENT)):
            self._define(some)

    def _define(self, names: Sequence[SeriesName]) -> None:
        named = [(name, self._facts(name)) for name in names]
        numbers = self._numbered([facts for _, facts in named])
        pairs = [(name.series, name.version, numbers[facts], _tags_text(name.tags)) for name, facts in named]
        insert_many(self._db, "INSERT OR REPLACE INTO number", 5, _with_checksums(pairs))
        for series, version, number, _ in pairs:
            self._keep(self._ids, series << _VERSION_BITS | version, number)
        self._find_kin(set(numbers.values()) - self.kin.keys())
        self._forget_old_versions({name.series for name, _ in named})

    def define_texts(self, names: Iterable[TextName]) -> None:
        """Store what text codes stand for."""
        named = list(names)
        if not named:
            return
        numbers = self._text_numbers([name.text for name in named])
        codes = [(name.code, numbers[name.text]) for name in named]
        insert_many(self._db, "INSERT OR REPLACE INTO code", 3, _with_checksums(codes))
        for code, number in codes:
            self._keep(self._texts, code, number)

    def forget_texts(self, codes: Iterable[int]) -> None:
        """Remove codes that are no longer used; the texts stay for the windows that contain them."""
        waiting = iter(codes)
        while some := list(islice(waiting, ROWS_A_STATEMENT)):
            marks = ",".join("?" * len(some))
            self._db.execute(f"DELETE FROM code WHERE code IN ({marks})", some)  # noqa: S608 - marks alone
            for code in some:
                self._undo.append((self._texts, code, self._texts.remove(code)))

    def check(self, kind: NameTable, after: tuple[int, ...], most: int) -> tuple[int, ...] | None:
        """Check `most` rows with keys above `after`; return the last key, None if there are no more.

        Raises:
            StoreDamaged: a row is not what was stored.
        """
        key, marks = ", ".join(kind.key), ", ".join("?" * len(kind.key))
        rows = self._db.execute(
            f"SELECT {kind.columns} FROM {kind.table} WHERE ({key}) > ({marks}) ORDER BY {key} LIMIT ?",  # noqa: S608
            (*after, most),
        ).fetchall()
        if any(name_checksum(*row) != crc for *row, crc in rows):
            raise StoreDamaged(f"checksum mismatch in table {kind.table}")
        return rows[-1][: len(kind.key)] if len(rows) == most else None

    def ids(self, series: Ids, versions: Ids) -> Ids:
        """Return the store's numbers of (series, version) columns; UNKNOWN where a pair was never defined."""
        return self._ids.many(series << _VERSION_BITS | versions)

    def text_ids(self, codes: Ids) -> Ids:
        """Return the store's numbers of a column of codes; UNKNOWN where a code was never defined."""
        return self._texts.many(codes)

    def identities(self, numbers: Iterable[int]) -> dict[int, StoredSeries]:
        """Return what the store's series numbers stand for."""
        return self.names_of(self._db, numbers)

    @staticmethod
    def names_of(db: sqlite3.Connection, numbers: Iterable[int]) -> dict[int, StoredSeries]:
        """The same of any store."""
        select = "SELECT json_array(id, device, metric, site, type, tags) AS item FROM series WHERE (id) IN (VALUES {})"
        rows = rows_at_once(db, select, [(number,) for number in numbers])
        return {
            number: StoredSeries(device, metric, site, kind, json.loads(tags))
            for number, device, metric, site, kind, tags in rows
        }

    def texts(self, numbers: Iterable[int]) -> dict[int, str]:
        """Return the texts behind the store's text numbers."""
        select = "SELECT json_array(id, text) AS item FROM text WHERE (id) IN (VALUES {})"
        return dict(rows_at_once(self._db, select, [(number,) for number in numbers]))

    def families(self, numbers: Iterable[int]) -> dict[int, list[int]]:
        """Return all series of the same device and metric, whatever their tags, by each of these; ascending."""
        select = (
            "SELECT json_array(one.id, other.id) AS item FROM series AS one"
            " JOIN series AS other USING(device, metric) WHERE (one.id) IN (VALUES {}) ORDER BY other.id"
        )
        found: dict[int, list[int]] = {}
        for number, other in rows_at_once(self._db, select, [(number,) for number in numbers]):
            found.setdefault(number, []).append(other)
        return {number: sorted(others) for number, others in found.items()}

    def removable(self) -> list[int]:
        """Return all series but the newest, whose number SQLite would use again if it were removed."""
        rows = self._db.execute("SELECT id FROM series WHERE id < (SELECT MAX(id) FROM series)")
        return [number for (number,) in rows]

    def forget(self, numbers: Sequence[int]) -> None:
        """Remove series that nothing refers to any more; one that is defined again gets a new number."""
        chosen, among = json.dumps(list(numbers)), "IN (SELECT value FROM json_each(?))"
        pairs = self._db.execute(f"SELECT series, version FROM number WHERE id {among}", (chosen,)).fetchall()  # noqa: S608
        for table in ("number", "series"):
            self._db.execute(f"DELETE FROM {table} WHERE id {among}", (chosen,))  # noqa: S608 - from the line above
        for series, version in pairs:
            key = series << _VERSION_BITS | version
            self._undo.append((self._ids, key, self._ids.remove(key)))
        if not self.kin.keys().isdisjoint(numbers):
            self._kin_dropped = True
            self.kin.clear()
            self._find_kin(number for (number,) in self._db.execute(_OF_SEVERAL))

    def _facts(self, name: SeriesName) -> tuple[str, str, str, str, str]:
        forwarded = {key: name.tags.get(key) or "unknown" for key in self._forwarded}
        return (name.device, name.metric, name.site, name.type or "unknown", _tags_text(forwarded))

    def _numbered(self, facts: Sequence[tuple[str, ...]]) -> dict[tuple[str, ...], int]:
        """Return the numbers of series; those that have none get one, with a checksum of both."""
        select = looked_up("series", "id, device, metric, site, type, tags", _FACTS)
        known = {tuple(found): number for number, *found in rows_at_once(self._db, select, facts)}
        new = self._new_numbers("series", dict.fromkeys(one for one in facts if one not in known))
        rows = _with_checksums((number, *one) for one, number in new.items())
        insert_many(self._db, "INSERT INTO series(id, device, metric, site, type, tags, crc)", 7, rows)
        return known | new

    def _text_numbers(self, texts: Sequence[str]) -> dict[str, int]:
        """Return the numbers of texts; those that have none get one, with a checksum of both."""
        select = "SELECT json_array(text, id) AS item FROM text WHERE (text) IN (VALUES {})"
        known: dict[str, int] = dict(rows_at_once(self._db, select, [(text,) for text in texts]))
        new = self._new_numbers("text", dict.fromkeys(text for text in texts if text not in known))
        rows = _with_checksums((number, text) for text, number in new.items())
        insert_many(self._db, "INSERT INTO text(id, text, crc)", 3, rows)
        return known | new

    def _new_numbers(self, table: str, names: Iterable[Name]) -> dict[Name, int]:
        """Number names on behind the highest number of a table."""
        (highest,) = self._db.execute(f"SELECT COALESCE(MAX(id), 0) FROM {table}").fetchone()  # noqa: S608
        return {name: number for number, name in enumerate(names, start=highest + 1)}

    def _forget_old_versions(self, series: Iterable[int]) -> None:
        select = (
            "SELECT json_array(series, version) AS item FROM (SELECT series, version, ROW_NUMBER()"  # noqa: S608
            " OVER (PARTITION BY series ORDER BY version DESC) AS place FROM number"
            f" WHERE (series) IN (VALUES {{}})) WHERE place > {VERSIONS_KEPT:d}"
        )
        for number, version in rows_at_once(self._db, select, [(number,) for number in series]):
            self._db.execute("DELETE FROM number WHERE series=? AND version=?", (number, version))
            key = number << _VERSION_BITS | version
            self._undo.append((self._ids, key, self._ids.remove(key)))

    def _find_kin(self, numbers: Iterable[int]) -> None:
        """Add the families of these series to `kin` if they have several members."""
        for members in self.families(numbers).values():
            self.kin |= dict.fromkeys(members, members) if len(members) > 1 else {}

    def _keep(self, table: Numbering, key: int, number: int) -> None:
        self._undo.append((table, key, table.get(key)))
        table.put(key, number)


def _with_checksums(rows: Iterable[tuple[Any, ...]]) -> list[tuple[Any, ...]]:
    return [(*row, name_checksum(*row)) for row in rows]


def _numbering(db: sqlite3.Connection, select: str) -> Numbering:
    pairs = np.fromiter(chain.from_iterable(db.execute(select)), np.int64).reshape(-1, 2)
    return Numbering.of(pairs[:, 0], pairs[:, 1])
