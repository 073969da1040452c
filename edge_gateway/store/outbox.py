"""The outbox of each sink: chunks of lines, sent and removed in the order they came.

A chunk belongs to one sink and one bucket. It has rendered lines, compressed, or refers to a block of windows, whose
lines are rendered when they are taken; a block takes nothing of the budget while the history has it. The budget is of
room in the file. Over it an outbox drops chunks by policy and counts every line: `merge` drops the finest windows
first, oldest first, because coarser tiers contain their readings too; `drop_oldest` goes by age alone. Neither drops
what takes no room, nor chunks that are being sent.
"""

import sqlite3
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import Final, Literal, NamedTuple

from edge_gateway.records import codec
from edge_gateway.records.store_effects import Stamp
from edge_gateway.store.block_table import drop_unused
from edge_gateway.store.counters import StoreCounters
from edge_gateway.store.room_in_file import row_in_file
from edge_gateway.store.schema import StoreDamaged

MOST_LINES: Final = 5_000
MOST_BYTES: Final = 1_000_000
"""Bounds of a chunk and of a parcel; only a single line may be larger."""
MOST_CHUNKS: Final = 200
"""Chunks read at once for a parcel."""

NOT_CARRIED: Final = 100
"""Rank of lines that no coarser tier contains: alerts, late and partial readings. Windows have their tier's number."""

_BACKSLASH: Final = 0x5C

OnFull = Literal["merge", "drop_oldest"]


@dataclass(frozen=True, slots=True)
class SinkBudget:
    """A sink that has an outbox, the bytes that it may take in the store's file, and what happens above that."""

    name: str
    max_bytes: int
    on_full: OnFull = "merge"


class Reference(NamedTuple):
    """A block of windows, by its number, without the first `skip` of its rows."""

    block: int
    skip: int


Render = Callable[[Reference], bytes]
"""Renders the lines of a block."""


@dataclass(frozen=True, slots=True)
class Parcel:
    """What one request carries: the chunks of one bucket with ids `first` to `last`, within the bounds above.

    `at` is the wall time in ms of the first chunk. `superseded` lines are left out, because a later line of the parcel
    has the same point. `unsure`: the wall clock was not sure when some of them came, so that points may be among them
    that are too old for the bucket.
    """

    sink: str
    first: int
    last: int
    bucket: str
    body: bytes
    lines: int
    at: int
    superseded: int = 0
    unsure: bool = False


@dataclass(frozen=True, slots=True)
class Waiting:
    """What waits for a sink: `bytes` of its budget, `oldest` the wall time (ms) of the oldest chunk."""

    chunks: int = 0
    lines: int = 0
    bytes: int = 0
    oldest: int | None = None


class Dropped(NamedTuple):
    """A chunk that was dropped: its sink, its tier (or NOT_CARRIED) and its id."""

    sink: str
    rank: int
    number: int


class Outbox:
    """The outboxes of all sinks in one table. Used inside the store's transactions."""

    def __init__(
        self, db: sqlite3.Connection, counters: StoreCounters, sinks: Sequence[SinkBudget], *, tiers: int
    ) -> None:
        self._db = db
        self._coarsest = tiers - 1
        self._counters = counters
        self._sinks: Mapping[str, SinkBudget] = {sink.name: sink for sink in sinks}
        self.render: Render = no_blocks
        """Whoever queues blocks sets it."""
        self._taken: dict[str, tuple[str, int]] = {}
        self.waiting: dict[str, Waiting] = self._counted()

    @property
    def sinks(self) -> tuple[str, ...]:
        return tuple(self._sinks)

    @property
    def holds_blocks(self) -> bool:
        """Whether blocks that the history let go of wait for a sink."""
        held = "SELECT 1 FROM block WHERE first_start>last_start LIMIT 1"
        return self._db.execute(held).fetchone() is not None

    def bytes_in_file(self) -> int:
        """Return what waits in bytes; a block that the history let go of counts once, however many sinks need it."""
        waiting = sum(waiting.bytes for waiting in self.waiting.values())
        if len(self._sinks) <= 1:
            return waiting
        again = "SELECT SUM(size)-MAX(size) FROM outbox WHERE block NOT NULL GROUP BY block"
        return waiting - sum(int(size) for (size,) in self._db.execute(again))

    @property
    def newest(self) -> int:
        """Id of the newest chunk ever queued; 0 before the first."""
        row = self._db.execute("SELECT seq FROM sqlite_sequence WHERE name='outbox'").fetchone()
        return 0 if row is None else int(row[0])

    def oldest_by_bucket(self, sink: str) -> dict[str, int]:
        """Return the id of the oldest chunk of each bucket for which something waits."""
        oldest = "SELECT bucket, MIN(id) FROM outbox WHERE sink=? GROUP BY bucket"
        return dict(self._db.execute(oldest, (sink,)).fetchall())

    @contextmanager
    def only(self, sink: str) -> Iterator[None]:
        """Queue lines for this sink alone while the block runs."""
        sinks, self._sinks = self._sinks, {sink: self._sinks[sink]}
        try:
            yield
        finally:
            self._sinks = sinks

    def snapshot(self) -> dict[str, Waiting]:
        """Return what memory holds, for `restore` after a rollback."""
        return dict(self.waiting)

    def restore(self, snapshot: dict[str, Waiting]) -> None:
        """Go back to what was committed."""
        self.waiting = snapshot

    def recount(self) -> None:
        """Count what waits again, after chunks were inserted by others."""
        self.waiting = self._counted()

    def _counted(self) -> dict[str, Waiting]:
        facts = "SELECT sink, COUNT(*), SUM(lines), SUM(size) FROM outbox GROUP BY sink"
        found = {sink: Waiting(*sums) for sink, *sums in self._db.execute(facts).fetchall()}
        return {sink: replace(found.get(sink, Waiting()), oldest=self._oldest(sink)) for sink in self._sinks}

    def drop_unconfigured(self) -> None:
        """Remove and count what waits for sinks that are no longer configured."""
        found = self._db.execute("SELECT sink, SUM(lines) FROM outbox GROUP BY sink").fetchall()
        for sink, lines in found:
            if sink not in self._sinks:
                self._counters.add("outbox_dropped_unconfigured", lines)
                self._delete("sink=?", (sink,))

    def drop_old(self) -> None:
        """Remove and count all that waits, but for what is being sent."""
        for sink in self._sinks:
            where, key = "sink=? AND NOT (bucket=? AND id<=?)", (sink, *self._taken.get(sink, ("", 0)))
            self._counters.add("outbox_dropped_old", self._remove(sink, where, key))

    def put(self, bucket: str, rank: int, body: bytes, lines: int, at: Stamp) -> None:
        """Queue lines for every sink.

        Args:
            bucket: their bucket.
            rank: their tier, or NOT_CARRIED.
            body: complete lines, each ended by a line feed.
            lines: how many.
            at: when they came.
        """
        if not lines:
            return
        for piece, count in _pieces(body, lines):
            packed = codec.compress(piece)
            size = row_in_file(len(packed))
            for sink in self._sinks:
                self._db.execute(
                    "INSERT INTO outbox(sink, bucket, rank, lines, size, at, aged, body) VALUES(?,?,?,?,?,?,?,?)",
                    (sink, bucket, rank, count, size, *at, packed),
                )
                self._grow(sink, 1, count, size)

    def put_block(self, bucket: str, rank: int, what: Reference, lines: int, at: Stamp) -> None:
        """Queue a block for every sink; see `put`."""
        columns = "sink, bucket, rank, lines, size, at, aged, block, skip, body"
        into = f"INSERT INTO outbox({columns}) VALUES(?,?,?,?,0,?,?,?,?,X'')"
        for sink in self._sinks:
            self._db.execute(into, (sink, bucket, rank, lines, *at, *what))
            self._grow(sink, 1, lines, 0)

    def enforce(self) -> list[Dropped]:
        """Drop chunks of sinks that are over their budget; return them."""
        gone = []
        for sink, budget in self._sinks.items():
            while self.waiting[sink].bytes > budget.max_bytes:
                dropped = self._drop_one(sink, finest_first=budget.on_full == "merge")
                if dropped is None:
                    break
                gone.append(dropped)
        return gone

    def room(self, sink: str) -> int:
        """Return by how many bytes less than half of a sink's budget is taken."""
        return max(0, self._sinks[sink].max_bytes // 2 - self.waiting[sink].bytes)

    def take(self, sink: str, without: frozenset[str] = frozenset()) -> Parcel | None:
        """Return the oldest lines of a sink with those of the same bucket behind them, as many as a request may carry.

        They stay until `done`. Order matters only within a bucket, so the buckets in `without` are passed
        over. None if there is nothing else.
        """
        others = f"AND bucket NOT IN ({', '.join('?' * len(without))})" if without else ""
        columns = "id, bucket, lines, at, aged, block, skip, body"
        rows = self._db.execute(
            f"SELECT {columns} FROM outbox WHERE sink=? {others} ORDER BY id LIMIT {MOST_CHUNKS}",  # noqa: S608
            (sink, *without),
        )
        first = last = lines = at = 0
        bucket, bodies, size, distinct, unsure = None, [], 0, True, False
        for number, its_bucket, its_lines, its_at, aged, block, skip, packed in rows:
            if bucket is not None and its_bucket != bucket:
                continue
            body = _unpacked(packed) if block is None else self.render(Reference(block, skip))
            full = lines + its_lines > MOST_LINES or size + len(body) > MOST_BYTES
            if bucket is not None and full:
                break
            if bucket is None:
                first, bucket, at = number, its_bucket, its_at
            last, lines, size = number, lines + its_lines, size + len(body)
            bodies.append(body)
            distinct &= block is not None
            unsure |= aged is not None
        if bucket is None:
            return None
        self._taken[sink] = bucket, last
        if distinct or len(bodies) == 1:
            return Parcel(sink, first, last, bucket, b"".join(bodies), lines, at, unsure=unsure)
        kept = newest_points(b"".join(bodies))
        superseded = lines - len(kept)
        return Parcel(sink, first, last, bucket, b"".join(kept), len(kept), at, superseded, unsure)

    def done(self, parcel: Parcel) -> None:
        """Remove lines that a sink accepted, or that went to the quarantine."""
        where = "sink=? AND bucket=? AND id BETWEEN ? AND ?"
        key = (parcel.sink, parcel.bucket, parcel.first, parcel.last)
        self._remove(parcel.sink, where, key)
        self._counters.add("outbox_sent_lines", parcel.lines)
        self._counters.add("outbox_superseded_lines", parcel.superseded)

    def release(self, sink: str) -> None:
        """Note that a sink stopped and sends nothing any more."""
        self._taken.pop(sink, None)

    def _drop_one(self, sink: str, *, finest_first: bool) -> Dropped | None:
        order = "rank, id" if finest_first else "id"
        where = "sink=? AND size>0 AND NOT (bucket=? AND id<=?)"
        row = self._db.execute(
            f"SELECT id, rank, lines FROM outbox WHERE {where} ORDER BY {order} LIMIT 1",  # noqa: S608
            (sink, *self._taken.get(sink, ("", 0))),
        ).fetchone()
        if row is None:
            return None
        number, rank, lines = row
        carried = finest_first and rank < self._coarsest
        self._remove(sink, "sink=? AND id=?", (sink, number))
        self._counters.add("outbox_merged_lines" if carried else "outbox_dropped_lines", lines)
        return Dropped(sink, rank, number)

    def _remove(self, sink: str, where: str, key: tuple[object, ...]) -> int:
        """Remove chunks; return how many lines they had."""
        sums = "COUNT(*), COALESCE(SUM(lines), 0), COALESCE(SUM(size), 0)"
        facts = f"SELECT {sums} FROM outbox WHERE {where}"  # noqa: S608
        chunks, lines, size = self._db.execute(facts, key).fetchone()
        self._delete(where, key)
        self._grow(sink, -chunks, -lines, -size)
        return int(lines)

    def _delete(self, where: str, key: tuple[object, ...]) -> None:
        blocks = f"SELECT DISTINCT block FROM outbox WHERE {where} AND block NOT NULL"  # noqa: S608
        numbers = [number for (number,) in self._db.execute(blocks, key)]
        self._db.execute(f"DELETE FROM outbox WHERE {where}", key)  # noqa: S608
        drop_unused(self._db, numbers)

    def _grow(self, sink: str, chunks: int, lines: int, size: int) -> None:
        now = self.waiting[sink]
        self.waiting[sink] = Waiting(
            now.chunks + chunks, now.lines + lines, now.bytes + size, self._oldest(sink)
        )

    def _oldest(self, sink: str) -> int | None:
        row = self._db.execute("SELECT at FROM outbox WHERE sink=? ORDER BY id LIMIT 1", (sink,)).fetchone()
        return None if row is None else int(row[0])


def no_blocks(what: Reference) -> bytes:
    """Render no block: none was queued."""
    raise StoreDamaged(f"an outbox refers to block {what.block}, which nobody queued")


def newest_points(body: bytes) -> list[bytes]:
    """Keep the last line of each point (series and time)."""
    points: dict[tuple[bytes, bytes], bytes] = {}
    for line in body.split(b"\n")[:-1]:
        point = point_of(line)
        points.pop(point, None)
        points[point] = line
    return [line + b"\n" for line in points.values()]


def point_of(line: bytes) -> tuple[bytes, bytes]:
    """Return series and time of a line. A space in the series has a backslash before it."""
    end = line.find(b" ")
    while end > 0 and line[end - 1] == _BACKSLASH:
        end = line.find(b" ", end + 1)
    return line[:end], line[line.rfind(b" ") :]


def _unpacked(packed: bytes) -> bytes:
    try:
        return codec.decompress(packed)
    except codec.UndecodableBytes as error:
        raise StoreDamaged(f"a chunk of the outbox cannot be decompressed: {error}") from error


def _pieces(body: bytes, lines: int) -> list[tuple[bytes, int]]:
    if lines <= MOST_LINES and len(body) <= MOST_BYTES:
        return [(body, lines)]
    pieces: list[tuple[bytes, int]] = []
    part: list[bytes] = []
    size = 0
    for line in (line + b"\n" for line in body.split(b"\n")[:-1]):
        if part and (len(part) == MOST_LINES or size + len(line) > MOST_BYTES):
            pieces.append((b"".join(part), len(part)))
            part, size = [], 0
        part.append(line)
        size += len(line)
    pieces.append((b"".join(part), len(part)))
    return pieces
