"""Read the local history: windows, states, what no window takes, alerts, commands, quarantine and events.

It uses a read-only connection of its own, whether the gateway runs or not. Rows are plain dicts in the form of
`edge-gateway query --json`; times and `every` in ms.
"""

import json
import sqlite3
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import replace
from functools import partial
from heapq import merge
from itertools import chain, islice
from operator import itemgetter
from pathlib import Path
from types import TracebackType
from typing import Any, Final, NamedTuple, Self

from edge_gateway.errors import BadInput
from edge_gateway.journal.spool import STORE, require_directory
from edge_gateway.store.newest_windows import newest_of, newest_start, newest_windows
from edge_gateway.store.row_checksum import checked
from edge_gateway.store.schema import connect_reader
from edge_gateway.store.selection import LARGEST, RowSelection

AT_ONCE: Final = 2_000
"""Windows read at a time."""
FEW_SERIES: Final = 50
"""Up to this many series are looked up start by start; for more, the whole range is read."""
LAST_SPAN: Final = 86_400_000
"""Last values are searched in the newest day (ms) of windows first, then in twice as much before, and so on."""
USE_MARGIN: Final = 3 * 86_400_000
"""How far behind (ms) an entry of `series_use` may be: MARGIN there, which needs numpy."""

_IN_TOPIC: Final = "instr('/' || topic || '/', '/' || ? || '/')"
"""The value is a level of the topic."""
Row = dict[str, Any]
StoredRow = tuple[int, int, int, bytes | None]
"""start (ms), series, revision, row without its checksum, None if that does not match"""
_KEY: Final = itemgetter(0, 1)


class _Sought(NamedTuple):
    """A series whose newest window is sought: it starts from `least` on, and before `stop` (ms)."""

    names: Row
    least: int
    stop: int


class History:
    """An open history; a context manager that closes it."""

    def __init__(self, db: sqlite3.Connection, every: Sequence[int]) -> None:
        self._db = db
        self._every = tuple(every)
        self.damaged = 0
        """Windows that were left out because their checksum does not match."""
        self._readers = 0

    @classmethod
    def open(cls, spool: Path, every: Sequence[int]) -> Self:
        """Open the history of a spool; BadInput if there is none.

        Args:
            spool: the spool directory.
            every: window lengths of the tiers in ms, the base first.
        """
        require_directory(spool)
        path = spool / STORE
        if not path.exists():
            raise BadInput(f"there is no history at {path}; has this gateway run yet?")
        return cls(connect_reader(path), every)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._db.close()

    def query(
        self,
        what: str,
        *,
        tier: int | None = None,
        device: str | None = None,
        metric: str | None = None,
        since: int | None = None,
        until: int | None = None,
        limit: int = 0,
    ) -> Iterator[Row]:
        """Return the rows of one subject in order of time; KeyError for an unknown subject.

        Args:
            what: last, windows, states, partial, late, alerts, commands, quarantine or events.
            tier: only this tier of windows, states and parts of windows; None for all.
            device: only this device; of alerts the subject.
            metric: only this metric.
            since: from this time on, ms.
            until: before this time, ms.
            limit: at most this many rows, the newest; 0 for all.
        """
        subjects: dict[str, Callable[[RowSelection], Iterator[Row]]] = {
            "last": partial(self._last, tier or 0),
            "windows": partial(self._tiers, "window", self.windows, tier),
            "states": partial(self._tiers, "state_window", self.states, tier),
            "partial": partial(self.apart, "partial", tier),
            "late": partial(self.apart, "late", None),
            "alerts": self.alerts,
            "commands": self.commands,
            "quarantine": self.quarantine,
            "events": self.events,
        }
        return subjects[what](RowSelection(device, metric, since, until, limit))

    def metrics(self) -> list[str]:
        """Return the names of all metrics of which there are windows, or were."""
        return [name for (name,) in self._db.execute("SELECT DISTINCT metric FROM series ORDER BY metric")]

    def devices(self) -> list[str]:
        """Return the names of all devices of which there are windows, or were."""
        return [name for (name,) in self._db.execute("SELECT DISTINCT device FROM series ORDER BY device")]

    def series(self) -> Iterator[Row]:
        """Yield device, site, type, tags and metric of everything of which there are windows, or were."""
        named = (
            "SELECT DISTINCT device, site, type, number.tags, metric FROM series"
            " JOIN number ON number.id = series.id"
        )
        for device, site, kind, tags, metric in self._db.execute(named):
            yield _names(device, metric, site, kind) | {"tags": json.loads(tags)}

    def windows(self, tier: int, selection: RowSelection) -> Iterator[Row]:
        """Yield windows of numbers of a tier, by start, then series."""
        from edge_gateway.store.window_rows import window_rows  # noqa: PLC0415 - numpy, which other subjects need not

        with self._one_state():
            names = self._series(selection)
            for part in self._pieces("window", tier, selection, names):
                yield from window_rows(part, names, self._every[tier])

    def states(self, tier: int, selection: RowSelection) -> Iterator[Row]:
        """Yield windows of texts of a tier, by start, then series."""
        from edge_gateway.store.window_rows import state_rows  # noqa: PLC0415 - numpy, which other subjects need not

        with self._one_state():
            names = self._series(selection)
            texts: dict[int, str] = dict(self._db.execute("SELECT id, text FROM text"))
            for part in self._pieces("state_window", tier, selection, names):
                yield from state_rows(part, names, texts, self._every[tier])

    def apart(self, kind: str, tier: int | None, selection: RowSelection) -> Iterator[Row]:
        """Yield what no window takes, by time: parts of windows of a tier (`partial`), or readings (`late`)."""
        every = None if tier is None else self._every[tier]
        where = {"kind=?": kind, "device=?": selection.device, "metric=?": selection.metric}
        for (body,) in self._newest(
            "apart", "body", "at", {**where, "json_extract(body,'$.every')=?": every}, selection
        ):
            yield json.loads(body)

    def alerts(self, selection: RowSelection) -> Iterator[Row]:
        """Yield alert transitions, oldest first."""
        where = {"subject=?": selection.device, "metric=?": selection.metric}
        for (body,) in self._newest("alert", "body", "id", where, selection):
            yield json.loads(body)

    def commands(self, selection: RowSelection) -> Iterator[Row]:
        """Yield commands in their latest state, oldest first."""
        columns = ("id", "n", "device", "name", "args", "state", "at", "detail")
        for values in self._newest(
            "command", ", ".join(columns), "at", {"device=?": selection.device}, selection
        ):
            row = dict(zip(columns, values, strict=True))
            yield {**row, "args": json.loads(row["args"])}

    def quarantine(self, selection: RowSelection) -> Iterator[Row]:
        """Yield messages and lines in quarantine; `payload` in hexadecimal, `text` None unless it is UTF-8."""
        columns = ("id", "at", "topic", "reason", "payload")
        where = {_IN_TOPIC: selection.device}
        for values in self._newest("quarantine", ", ".join(columns), "id", where, selection):
            row = dict(zip(columns, values, strict=True))
            yield {**row, "payload": row["payload"].hex(), "text": _text(row["payload"])}

    def events(self, selection: RowSelection) -> Iterator[Row]:
        """Yield events of the gateway itself, oldest first."""
        for at, code, text in self._newest("event", "at, code, text", "id", {}, selection):
            yield {"at": at, "code": code, "text": text}

    @contextmanager
    def _one_state(self) -> Iterator[None]:
        """Read one state of the store with all statements: windows move between rows and blocks meanwhile."""
        if not self._readers:
            self._db.execute("BEGIN")
        self._readers += 1
        try:
            yield
        finally:
            self._readers -= 1
            if not self._readers:
                with suppress(sqlite3.ProgrammingError):  # closed before a reader came to its end
                    self._db.execute("COMMIT")

    def _tiers(
        self,
        table: str,
        one: Callable[[int, RowSelection], Iterator[Row]],
        tier: int | None,
        wanted: RowSelection,
    ) -> Iterator[Row]:
        """Yield the windows of one tier or of all, with a limit the newest of them."""
        tiers = range(len(self._every)) if tier is None else [tier]
        if not wanted.limit:
            return chain.from_iterable(one(number, wanted) for number in tiers)
        with self._one_state():
            newest = [
                newest_windows(
                    self._db, table, number, wanted, read=partial(one, number), every=self._every[number]
                )
                for number in tiers
            ]
        return iter(newest_of(newest, wanted.limit))

    def _last(self, tier: int, selection: RowSelection) -> Iterator[Row]:
        """Yield the newest window of each series, by device and metric.

        A stamp in the far future takes one series out of the search, and the others are looked for where they are.
        """
        last: dict[tuple[str, str], Row] = {}
        wanted = self._sought(tier, selection)
        stop, reach = LARGEST if selection.until is None else selection.until, LAST_SPAN
        since = -LARGEST if selection.since is None else selection.since
        while (
            wanted
            and (newest := newest_start(self._db, "window", tier, stop)) is not None
            and newest >= since
        ):
            first = newest - reach
            part = replace(selection, since=max(first, since), until=stop)
            last |= {(row["device"], row["metric"]): row for row in self._windows_of(tier, part, wanted)}
            wanted = {
                number: one
                for number, one in wanted.items()
                if one.least < first and (one.names["device"], one.names["metric"]) not in last
            }
            stop, reach = min(first, max((one.stop for one in wanted.values()), default=first)), 2 * reach
        return islice((last[key] for key in sorted(last)), selection.limit or None)

    def _windows_of(self, tier: int, selection: RowSelection, wanted: dict[int, _Sought]) -> Iterator[Row]:
        """Yield the windows of these series, by start."""
        from edge_gateway.store.window_rows import window_rows  # noqa: PLC0415 - numpy, which other subjects need not

        names = {number: one.names for number, one in wanted.items()}
        for part in self._pieces("window", tier, selection, names):
            yield from window_rows(part, names, self._every[tier])

    def _sought(self, tier: int, selection: RowSelection) -> dict[int, _Sought]:
        """Return the selected series with what is known of where their newest windows are.

        The newest base window is at the entry in `series_use` or later. A coarser one may be long before it.
        """
        used: dict[int, int] = dict(self._db.execute("SELECT id, upto FROM series_use"))
        ends = LARGEST if selection.until is None else selection.until
        sought = {}
        for number, names in self._series(selection).items():
            upto = used.get(number)
            least = -LARGEST if upto is None or tier or upto >= ends else upto
            sought[number] = _Sought(names, least, LARGEST if upto is None else upto + USE_MARGIN)
        return sought

    def _newest(
        self,
        table: str,
        columns: str,
        order: str,
        where: Mapping[str, str | int | None],
        selection: RowSelection,
    ) -> list[tuple[Any, ...]]:
        """Return the newest selected rows of a table, oldest first.

        `where` maps conditions to their values; those with None are left out.
        """
        named = {condition: value for condition, value in where.items() if value is not None}
        since = -(1 << 62) if selection.since is None else selection.since
        until = 1 << 62 if selection.until is None else selection.until
        conditions = " AND ".join(["at>=?", "at<?", *named])
        rows = self._db.execute(
            f"SELECT {columns} FROM {table} WHERE {conditions} ORDER BY {order} DESC LIMIT ?",  # noqa: S608
            (since, until, *named.values(), selection.limit or -1),
        ).fetchall()
        rows.reverse()
        return rows

    def _series(self, selection: RowSelection) -> dict[int, Row]:
        """Return the selected series by the store's numbers, with their names."""
        rows = self._db.execute(
            "SELECT id, device, metric, site, type FROM series"
            " WHERE (?1 IS NULL OR device=?1) AND (?2 IS NULL OR metric=?2)",
            (selection.device, selection.metric),
        )
        return {number: _names(*names) for number, *names in rows}

    def _pieces(
        self, table: str, tier: int, selection: RowSelection, names: dict[int, Row]
    ) -> Iterator[list[tuple[int, int, bytes]]]:
        """Yield (series, revision, row) of the selected windows, some at a time."""
        from edge_gateway.store.block_rows import BlockRows  # noqa: PLC0415 - numpy, which other subjects need not

        if not names:
            return
        span = self._span(table, tier, selection)
        alone = iter(()) if span is None else self._alone(table, tier, span, names)
        blocks = BlockRows(self._db, table, tier, names)
        first = -LARGEST if selection.since is None else selection.since
        in_blocks = blocks.read(first, LARGEST if selection.until is None else selection.until)
        merged = self._sound(merge(alone, in_blocks, key=_KEY))
        while part := list(islice(merged, AT_ONCE)):
            yield part
        self.damaged += blocks.damaged

    def _alone(
        self, table: str, tier: int, span: tuple[int, int], names: dict[int, Row]
    ) -> Iterator[StoredRow]:
        """Yield start, series, revision and row of the selected windows that are rows of the table, in order."""
        if len(names) <= FEW_SERIES:
            return self._by_start(table, tier, span, names)
        rows = self._db.execute(
            f"SELECT start, series, revision, row FROM {table} WHERE tier=? AND start>=? AND start<?"  # noqa: S608
            " ORDER BY start, series",
            (tier, *span),
        )
        return (_checked(row) for row in rows if row[1] in names)

    def _by_start(
        self, table: str, tier: int, span: tuple[int, int], series: Iterable[int]
    ) -> Iterator[StoredRow]:
        """Walk the starts that are stored, and look the series up at each: the primary key needs no index by series.

        The walk and the list of numbers both ascend, so the rows come by start, then series, from the first step on.
        """
        numbers = sorted(series)
        marks = ",".join("?" * len(numbers))
        following = f"SELECT MIN(start) FROM {table} WHERE tier=? AND start>=? AND start<?"  # noqa: S608
        rows = self._db.execute(
            f"WITH RECURSIVE held(at) AS ({following} UNION ALL"  # noqa: S608
            f" SELECT ({following.replace('start>=?', 'start>at')}) FROM held WHERE at NOT NULL)"
            f" SELECT start, series, revision, row FROM held CROSS JOIN {table}"
            f" ON tier=? AND start=at AND series IN ({marks})",
            (tier, *span, tier, span[1], tier, *numbers),
        )
        return map(_checked, rows)

    def _sound(self, rows: Iterable[StoredRow]) -> Iterator[tuple[int, int, bytes]]:
        """Yield series, revision and row of those whose checksum matches; count the others."""
        for _, series, revision, data in rows:
            if data is None:
                self.damaged += 1
            else:
                yield series, revision, data

    def _span(self, table: str, tier: int, selection: RowSelection) -> tuple[int, int] | None:
        """Return the range [first, stop) of starts to read, within what is stored; None if it is empty."""
        ends = [
            self._db.execute(f"SELECT {end}(start) FROM {table} WHERE tier=?", (tier,)).fetchone()[0]  # noqa: S608
            for end in ("MIN", "MAX")
        ]
        if ends[0] is None:
            return None
        every = self._every[tier]
        first = ends[0] if selection.since is None else max(ends[0], -(-selection.since // every) * every)
        stop = ends[1] + 1 if selection.until is None else min(ends[1] + 1, selection.until)
        return (first, stop) if first < stop else None


def _checked(row: tuple[int, int, int, object]) -> StoredRow:
    start, series, revision, blob = row
    return start, series, revision, checked(blob, start, series)


def _names(device: str, metric: str, site: str, kind: str) -> Row:
    return {"device": device, "metric": metric, "site": site, "type": kind}


def _text(payload: bytes) -> str | None:
    try:
        return payload.decode()
    except UnicodeDecodeError:
        return None
