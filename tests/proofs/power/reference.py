"""What a spool must hold after each of its records, by folding all that were ever written once, from the beginning.

every journal segment ever written ─▶ records ─▶ fold ─▶ digest of the state     ┐
                                         └──▶ a store of its own ─▶ its tables,  ├─ Known, by record number
                                              and the points its lines leave     ┘
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
from edge_gateway.records.inputs import Batch, Input
from edge_gateway.records.store_effects import effects_from_tree
from edge_gateway.recovery.settings import fold_settings
from edge_gateway.recovery.startup import ALWAYS, State, open_store
from edge_gateway.store.schema import connect_reader
from edge_gateway.store.store import Store
from edge_gateway.windows.rows import WINDOW_ROW
from tests.proofs.power.disk_model import Disk
from tests.proofs.power.disk_trace import Step

TABLES: Final = {
    "series": "SELECT * FROM series ORDER BY id",
    "text": "SELECT * FROM text ORDER BY id",
    "window": "SELECT tier, start, series, row FROM window ORDER BY tier, start, series",
    "state_window": "SELECT tier, start, series, row FROM state_window ORDER BY tier, start, series",
    "late": "SELECT * FROM late",
    "late_state": "SELECT * FROM late_state",
    "alert": "SELECT * FROM alert ORDER BY id",
    "command": "SELECT * FROM command ORDER BY id",
    "quarantine": "SELECT * FROM quarantine ORDER BY id",
    "event": "SELECT * FROM event ORDER BY id",
    "counter": "SELECT * FROM counter WHERE name NOT LIKE 'outbox%' ORDER BY name",
}
"""What depends on records alone. A revision and an outbox also depend on when late readings were merged and what a
database had taken by then; what both come to is compared as points."""
BASE_WINDOWS: Final = "SELECT row FROM window WHERE tier=0"
ALERT_STEPS: Final = "SELECT alert || ' ' || state || ' ' || at FROM alert"
OWN: Final = b"gateway,"
"""Begins a line of the gateway on itself, which no record leads to."""

Message = tuple[str, bytes]


@dataclass(slots=True)
class Points:
    """What a database holds after lines: of each point the newest. `sum` is the same for the same points."""

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
    """A store with nothing left to merge or to send: digests of its tables, and what its windows count."""

    tables: Mapping[str, bytes]
    points: int
    readings: int
    """Values in windows of the base tier."""
    windows: int
    """Windows of the base tier."""
    alert_steps: frozenset[str]


@dataclass(frozen=True, slots=True)
class Known:
    """What is true after a record."""

    state: bytes
    stored: Stored


@dataclass(slots=True)
class Reference:
    """By record number what is true after it; by message the record that holds it, or that sends it."""

    known: dict[int, Known] = field(default_factory=dict)
    received: dict[Message, int] = field(default_factory=dict)
    sent: dict[Message, int] = field(default_factory=dict)


def records_of(steps: Iterable[Step]) -> dict[int, bytes]:
    """The body of every record that was ever written to a journal."""
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


def follow(config: GatewayConfig, gateway: str, records: Mapping[int, bytes], place: Path) -> Reference:
    """Fold the records in order, with a store in `place` (made)."""
    state = State.new(gateway, fold_settings(config))
    place.mkdir(parents=True)
    store = open_store(place, config, floor=ALWAYS, at=0)
    points, reference = Points(), Reference()
    reference.known[0] = Known(state_digest(state.pipeline), settle(store, place, points))
    for number, body in sorted(records.items()):
        record = codec.decode(body)
        for given in msgspec.convert(record["inputs"], list[Input]):
            for message in state.pipeline.fold(given).outgoing:
                reference.sent.setdefault((message.topic, message.payload), number)
            if isinstance(given, Batch):
                for arrived in zip(given.topics, given.payloads, strict=True):
                    reference.received.setdefault(arrived, number)
        store.apply([(number, [effects_from_tree(tree) for tree in record["effects"]])])
        reference.known[number] = Known(state_digest(state.pipeline), settle(store, place, points))
    store.close()
    return reference


def state_digest(pipeline: Pipeline) -> bytes:
    """The whole fold, bit for bit.

    But for the mark up to where the rules have looked at the registry: a tick that finds nothing there for them moves
    it and is not journaled, and the next fold looks from wherever it stands.
    """
    tree = pipeline.snapshot()
    del tree["rules"]["known"]
    return hashlib.blake2b(codec.pack(tree), digest_size=16).digest()


def settle(store: Store, place: Path, points: Points) -> Stored:
    """Merge what is late, hand out every line, and look at what is stored."""
    while store.run_late():
        pass
    for sink in store.facts().waiting:
        while (parcel := store.take(sink)) is not None:
            points.take(parcel.bucket, parcel.body.splitlines())
            store.done(parcel)
    return look(place, points)


def look(place: Path, points: Points) -> Stored:
    """Return what the store of a spool holds."""
    with closing(connect_reader(place / spool.STORE)) as db:
        tables = {name: _digest(db.execute(select)) for name, select in TABLES.items()}
        rows = b"".join(row[: WINDOW_ROW.itemsize] for (row,) in db.execute(BASE_WINDOWS))
        steps = frozenset(row[0] for row in db.execute(ALERT_STEPS))
    windows = np.frombuffer(rows, WINDOW_ROW)
    return Stored(tables, points.sum, int(windows["count"].sum()), len(windows), steps)


def _digest(rows: Iterable[tuple[object, ...]]) -> bytes:
    digest = hashlib.blake2b(digest_size=16)
    for row in rows:
        digest.update(repr(row).encode())
    return digest.digest()
