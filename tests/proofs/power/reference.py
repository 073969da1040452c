"""What a spool must hold after each of its records: all records ever written, folded once from the beginning.

every journal segment ever written ─▶ records ─▶ fold ─▶ digest of the state     ┐
                                         └──▶ a store of its own ─▶ its tables,  ├─ AfterRecord, by record number
                                              and the points its lines make      ┘
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

import msgspec
import numpy as np

from edge_gateway.configuration.model import GatewayConfig
from edge_gateway.fold.pipeline import Pipeline
from edge_gateway.journal import spool
from edge_gateway.journal.framing import body_of, scan
from edge_gateway.records import codec
from edge_gateway.records.closings import Closings
from edge_gateway.records.inputs import Batch, Input
from edge_gateway.records.store_effects import effects_from_tree
from edge_gateway.records.window_block import WINDOW_ROW
from edge_gateway.recovery.settings import fold_settings
from edge_gateway.recovery.startup import ALWAYS, open_store
from edge_gateway.recovery.state import State
from edge_gateway.store.database import Store
from edge_gateway.store.schema import connect_reader
from tests.proofs.power.disk_model import Disk
from tests.proofs.power.disk_trace import Step
from tests.stored_rows import stored_rows

TABLES: Final = {
    "series": "SELECT * FROM series ORDER BY id",
    "text": "SELECT * FROM text ORDER BY id",
    "late": "SELECT * FROM late",
    "late_state": "SELECT * FROM late_state",
    "alert": "SELECT * FROM alert ORDER BY id",
    "command": "SELECT * FROM command ORDER BY id",
    "quarantine": "SELECT * FROM quarantine ORDER BY id",
    "event": "SELECT * FROM event ORDER BY id",
    "counter": "SELECT * FROM counter WHERE name NOT LIKE 'outbox%' ORDER BY name",
}
"""Tables that depend on the records alone. Revisions and the outbox also depend on when late readings were merged and
on what the database had accepted; their result is compared as points."""
ALERT_STEPS: Final = "SELECT alert || ' ' || state || ' ' || at FROM alert"
OWN: Final = (b"gateway,", b"metric,", b"limit,")
"""The prefix of lines about the gateway itself, which no record causes."""

Message = tuple[str, bytes]


@dataclass(slots=True)
class Points:
    """The points in a database: the newest line of each. Equal points have an equal `sum`."""

    held: dict[tuple[str, bytes, bytes], int] = field(default_factory=dict)
    sum: int = 0

    def take(self, bucket: str, lines: Iterable[bytes]) -> None:
        for line in lines:
            if line.startswith(OWN):
                continue
            series, _, rest = line.partition(b" ")
            key = (bucket, series, rest.rpartition(b" ")[2])
            number = int.from_bytes(
                hashlib.blake2b(b"\0".join((bucket.encode(), line)), digest_size=12).digest(), "big"
            )
            self.sum += number - self.held.get(key, 0)
            self.held[key] = number

    def copy(self) -> Points:
        return Points(dict(self.held), self.sum)


@dataclass(frozen=True, slots=True)
class Stored:
    """A store with nothing left to merge or to send: digests of its tables, and totals of its windows."""

    tables: Mapping[str, bytes]
    points: int
    readings: int
    """Values in windows of the base tier."""
    windows: int
    """Windows of the base tier."""
    alert_steps: frozenset[str]


@dataclass(frozen=True, slots=True)
class AfterRecord:
    """State and store after a record."""

    state: bytes
    stored: Stored


@dataclass(slots=True)
class Reference:
    """What holds after each record, by number; and the record that holds or sends each message."""

    known: dict[int, AfterRecord] = field(default_factory=dict)
    received: dict[Message, int] = field(default_factory=dict)
    sent: dict[Message, int] = field(default_factory=dict)


def records_of(steps: Iterable[Step]) -> dict[int, bytes]:
    """Return the body of every record ever written to the journal, by number."""
    disk, segments = Disk(), {}
    for step in steps:
        disk.apply(step)
        if step.kind == "create" and step.path.endswith(".journal"):
            segments[step.path] = step.file
    records: dict[int, bytes] = {}
    for _, file in sorted(segments.items()):
        data = disk.content(file)
        records |= {frame.number: body_of(data, frame) for frame in scan(data).frames}
    return records


def fold_all(config: GatewayConfig, gateway: str, records: Mapping[int, bytes], place: Path) -> Reference:
    """Fold the records in order, with a store in `place`, which is created."""
    state = State.new(gateway, fold_settings(config))
    place.mkdir(parents=True)
    store = open_store(place, config, floor=ALWAYS, at=0, unsure=None)
    points, reference = Points(), Reference()
    reference.known[0] = AfterRecord(state_digest(state.pipeline), settle(store, place, points))
    for number, body in sorted(records.items()):
        record = codec.decode(body)
        closings = msgspec.convert(record["closings"], list[Closings])
        for given, left in zip(msgspec.convert(record["inputs"], list[Input]), closings, strict=True):
            for message in state.pipeline.fold(given, left, number=number).outgoing:
                reference.sent.setdefault((message.topic, message.payload), number)
            if isinstance(given, Batch):
                for arrived in zip(given.topics, given.payloads, strict=True):
                    reference.received.setdefault(arrived, number)
        store.apply([(number, [effects_from_tree(tree) for tree in record["effects"]])])
        reference.known[number] = AfterRecord(state_digest(state.pipeline), settle(store, place, points))
    store.close()
    return reference


def state_digest(pipeline: Pipeline) -> bytes:
    """Return a digest of the whole state of the fold.

    Except how far the rules have read the registry: a tick that finds nothing new advances it without a journal
    record, and the next fold continues from any position. And except what the fleet said of the machine's clock: a
    start forgets it.
    """
    tree = pipeline.snapshot()
    del tree["rules"]["known"], tree["admission"]["vote"]
    return hashlib.blake2b(codec.pack(tree), digest_size=16).digest()


def settle(store: Store, place: Path, points: Points) -> Stored:
    """Merge late readings, send every line, and return what is stored."""
    while store.run_late():
        pass
    for sink in store.facts().waiting:
        while (parcel := store.take(sink)) is not None:
            points.take(parcel.bucket, parcel.body.splitlines())
            store.done(parcel)
    return read_store(place, points)


def read_store(place: Path, points: Points) -> Stored:
    """Return what the store in a spool holds."""
    with closing(connect_reader(place / spool.STORE)) as db:
        tables = {name: _digest(db.execute(select)) for name, select in TABLES.items()}
        for kind in ("window", "state_window"):
            found = [(*row[:3], row[4]) for row in stored_rows(db, kind)]
            tables[kind] = _digest(found)
        base = [row[4] for row in stored_rows(db, "window") if row[0] == 0]
        rows = b"".join(row[: WINDOW_ROW.itemsize] for row in base)
        steps = frozenset(row[0] for row in db.execute(ALERT_STEPS))
    windows = np.frombuffer(rows, WINDOW_ROW)
    return Stored(tables, points.sum, int(windows["count"].sum()), len(windows), steps)


def _digest(rows: Iterable[tuple[object, ...]]) -> bytes:
    digest = hashlib.blake2b(digest_size=16)
    for row in rows:
        digest.update(repr(row).encode())
    return digest.digest()
