"""What no window takes, kept with the reason: parts of windows that may lack readings, and refused late readings.

These readings count as accepted or as too late, and are in no window. With a sink they go to `sensor_partial` and
`sensor_late`; here they are whether there is one or not, and `edge-gateway query partial` and `query late` show them.
"""

import sqlite3
from collections.abc import Iterable, Iterator
from typing import Any, Final

import msgspec

from edge_gateway.records.window_block import WindowBlock
from edge_gateway.store.names import Ids, NameTables
from edge_gateway.store.schema import insert_many
from edge_gateway.store.window_rows import described
from edge_gateway.windows.reduce import Readings

Row = dict[str, Any]
_PERFECT: Final = 1000
"""Quality is in thousandths."""
APART_TIMES: Final = {"partial": "start", "late": "at"}
"""The kinds of rows, and the field of each that is its time, by which it is found and trimmed."""
_INTO: Final = "INSERT INTO apart(kind, at, device, metric, body)"


class KeptApart:
    """Used inside the store's transactions; series are the store's numbers, `why` a reason of `outgoing_lines`."""

    def __init__(self, db: sqlite3.Connection, names: NameTables) -> None:
        self._db = db
        self._names = names

    def windows(self, every: int, windows: WindowBlock, why: str) -> None:
        """Keep windows of numbers, `every` ms long."""
        series = windows.rows["series"]
        self._keep("partial", series, described(windows, every), why)

    def states(self, every: int, windows: WindowBlock, first: list[str], last: list[str], why: str) -> None:
        """Keep windows of texts; `first` and `last` are their texts."""
        rows = windows.rows
        facts = zip(rows["start"].tolist(), first, last, rows["changes"].tolist(), strict=True)
        described_rows = (
            {"start": start, "every": every, "first": one, "last": other, "changes": changes}
            for start, one, other, changes in facts
        )
        self._keep("partial", rows["series"], described_rows, why)

    def late(self, series: Ids, readings: Readings, why: str) -> None:
        """Keep readings of numbers; their own series are not used."""
        columns = readings.ts, readings.value, readings.quality / _PERFECT
        facts = zip(*(column.tolist() for column in columns), strict=True)
        rows = ({"at": ts, "value": value, "quality": quality} for ts, value, quality in facts)
        self._keep("late", series, rows, why)

    def late_texts(self, series: Ids, ts: Ids, texts: list[str], why: str) -> None:
        """Keep readings of texts; `ts` in ms."""
        rows = ({"at": at, "value": text} for at, text in zip(ts.tolist(), texts, strict=True))
        self._keep("late", series, rows, why)

    def _keep(self, kind: str, series: Ids, rows: Iterable[Row], why: str) -> None:
        insert_many(self._db, _INTO, 5, list(self._inserted(kind, series.tolist(), rows, why)))

    def _inserted(
        self, kind: str, numbers: list[int], rows: Iterable[Row], why: str
    ) -> Iterator[tuple[str, int, str, str, str]]:
        known = self._names.identities(sorted(set(numbers)))
        for number, row in zip(numbers, rows, strict=True):
            device, metric, site, type_, _ = known[number]
            body = {"device": device, "metric": metric, "site": site, "type": type_, **row, "why": why}
            yield kind, row[APART_TIMES[kind]], device, metric, msgspec.json.encode(body).decode()
