"""Whatever closes, comes again, is late or is trimmed: the store holds, answers and sends what a plain dict would.

The model keeps the readings of each window. It knows nothing of blocks, rows, transactions or kinds of lines.
"""

import math
from collections import Counter
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from pathlib import Path
from random import Random
from typing import Any, NamedTuple

import pytest

from edge_gateway.records.store_effects import Kind
from edge_gateway.store import compaction, fresh_windows
from edge_gateway.store.database import Record, Store
from edge_gateway.store.history import History
from tests.gateway.store.fleet import MINUTE, SETTINGS, T0, TIERS, Reading, closed, late, named
from tests.gateway.store.stored import opened

SERIES = 12
EVERY = [tier.every for tier in TIERS]
SMALL_PIECES = {"MOST": 60, "LEAST": 25, "STARTS": 2, "FEW_STARTS": 4, "CELL": 4, "BLOCK_ROWS": 7}
FOR_EVER = replace(SETTINGS, tiers=tuple(replace(tier, keep=0) for tier in TIERS), history_keep=0)

Key = tuple[int, int, int]
"""tier, series, start"""


class Window(NamedTuple):
    readings: tuple[tuple[int, float], ...]
    revision: int

    def facts(self) -> tuple[float, ...]:
        values = [value for _, value in self.readings]
        first, last = min(self.readings), max(self.readings)
        return len(values), math.fsum(values), min(values), max(values), first[1], last[1]


class Model:
    """What is stored, and what was sent of each window last."""

    def __init__(self) -> None:
        self.held: dict[Key, Window] = {}
        self.sent: dict[Key, Window] = {}
        self.pending: list[tuple[int, Reading]] = []
        self.newest: dict[tuple[int, int], int] = {}
        self.trimmed = 0

    def take(self, tier: int, readings: list[Reading], revision: int = 0) -> None:
        """Merge readings into the windows of a tier; a window that is not stored begins with `revision`."""
        parts: dict[Key, list[tuple[int, float]]] = {}
        for series, ts, value in readings:
            parts.setdefault((tier, series, ts - ts % EVERY[tier]), []).append((ts, value))
        for key, part in parts.items():
            old = self.held.get(key)
            more = () if old is None else old.readings
            self.held[key] = Window((*more, *part), revision if old is None else old.revision + 1)
            self.sent[key] = self.held[key]
            self.newest[key[:2]] = max(self.newest.get(key[:2], 0), key[2])

    def merge_late(self) -> None:
        pending, self.pending = self.pending, []
        for tier in range(len(TIERS)):
            self.take(tier, [reading for tiers, reading in pending if tiers >> tier & 1], revision=1)

    def trim(self, cuts: tuple[int, ...]) -> None:
        self.merge_late()
        gone = [key for key in self.held if key[2] < cuts[key[0]]]
        self.trimmed += len(gone)
        for key in gone:
            del self.held[key]


class Life:
    """A store beside its model."""

    def __init__(self, place: Path, chance: Random) -> None:
        self.place, self.chance = place, chance
        self.store = opened(place, FOR_EVER, floor=0)
        self.model = Model()
        self.number = 1
        self.now = T0
        self.compacted = 0
        self.points: dict[tuple[str, str, int], str] = {}
        self.waiting: list[Record] = [(1, [named(range(SERIES))])]
        first = [reading for series in range(SERIES) for reading in self.of_window(0, series, T0)]
        self.model.take(0, first)
        self.record(windows=(closed(0, first),))

    def step(self) -> None:
        steps = (self.close, self.close, self.close, self.again, self.lateness, self.commit, self.run_late)
        rare = (
            self.compact,
            self.compact,
            self.trim,
            self.crash,
            self.crash,
            self.reopen,
            self.send,
            self.ask,
        )
        self.chance.choice([*steps, *steps, *rare])()

    # --- records

    def record(self, **effects: Any) -> None:
        self.number += 1
        self.waiting.append((self.number, [named(range(SERIES), self.now, **effects)]))

    def close(self) -> None:
        """Close first windows of some series, each at or behind the newest of its series; several windows at times."""
        tier = self.chance.choice([0, 0, 0, 1, 2])
        self.now += self.chance.randrange(2 * MINUTE)
        readings = []
        for series in self.chance.sample(range(SERIES), self.chance.randint(1, SERIES)):
            start = max(self.now, self.model.newest.get((tier, series), 0) + EVERY[tier])
            start -= start % EVERY[tier]
            for turn in range(self.chance.choice([1, 1, 1, 6])):
                readings += self.of_window(tier, series, start + turn * EVERY[tier])
        self.model.take(tier, readings)
        self.record(windows=(closed(tier, readings),))

    def again(self) -> None:
        """Close windows anew, stored or not; some of them are called first ones."""
        tier = self.chance.choice([0, 1])
        windows = {(series, self.any_start(tier)) for series in self.chance.sample(range(SERIES), 3)}
        readings = [reading for window in windows for reading in self.of_window(tier, *window)]
        self.model.take(tier, readings)
        kind = self.chance.choice([Kind.AGAIN, Kind.AGAIN, Kind.FIRST])
        self.record(windows=(closed(tier, readings, kind=kind),))

    def lateness(self) -> None:
        tiers = self.chance.choice([0b1, 0b11, 0b111])
        starts = [(self.chance.randrange(SERIES), self.any_start(0)) for _ in range(4)]
        readings = [reading for series, start in starts for reading in self.of_window(0, series, start)]
        self.commit()
        self.model.pending += [(tiers, reading) for reading in readings]
        self.record(late=late(readings, tiers=tiers))
        self.commit()

    def of_window(self, tier: int, series: int, start: int) -> list[Reading]:
        at = [start + self.chance.randrange(EVERY[tier]) for _ in range(self.chance.randint(1, 3))]
        return [(series, ts, self.chance.choice([1.5, -2.25, 1e300, 1 / 3, float(ts)])) for ts in at]

    def any_start(self, tier: int) -> int:
        at = T0 + self.chance.randrange(self.now - T0 + MINUTE)
        return at - at % EVERY[tier]

    # --- the store

    def commit(self) -> None:
        self.store.apply(self.waiting)
        self.waiting = []

    def run_late(self) -> None:
        self.commit()
        while self.store.run_late():
            pass
        self.model.merge_late()

    def trim(self) -> None:
        """Trim by a record, among others of its transaction."""
        self.cut()
        self.commit()

    def cut(self) -> None:
        at = self.any_start(0)
        cuts = tuple(at - at % every for every in EVERY)
        self.model.trim(cuts)
        self.record(cuts=cuts)

    def compact(self) -> None:
        """Cut some windows anew, whatever else waits."""
        for _ in range(self.chance.choice([1, 1, 9])):
            self.compacted += self.store.compact()

    def crash(self) -> None:
        """Die within a transaction: in the middle of it or at its end, before its commit; some of them trim.

        Other windows may take the numbers of the blocks that it stored and looked up.
        """
        for work in self.chance.choice(
            [(self.close, self.close, self.again), (self.close, self.cut, self.again)]
        ):
            work()
        works: list[Callable[[], Any]] = [partial(self.store.apply, self.waiting), self.store.compact]
        work = self.chance.choice(works)
        half = work is works[0] and self.chance.random() < 0.5
        part, name = (self.store._meta, "keep_applied") if half else (self.store._corrections, "note")
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(part, name, lambda *_: 1 / 0)
            with pytest.raises(ZeroDivisionError):
                work()
        if self.chance.random() < 0.5:
            self.reopen()
        else:
            self.compact()

    def reopen(self) -> None:
        self.store.close()
        self.store = opened(self.place, FOR_EVER, floor=0)

    def send(self) -> None:
        while (parcel := self.store.take("influx")) is not None:
            for line in parcel.body.decode().splitlines():
                head, fields, at = line.split(" ")
                device = dict(tag.split("=") for tag in head.split(",")[1:])["device"]
                self.points[parcel.bucket, device, int(at) // 10**6] = fields
            self.store.done(parcel)

    # --- what must be equal

    def ask(self) -> None:
        """Query some of the history."""
        self.commit()
        tier = self.chance.randrange(len(TIERS))
        device = self.chance.choice([None, self.chance.randrange(SERIES)])
        since, until = sorted(self.any_start(0) for _ in range(2))
        asked: dict[str, Any] = {"since": since, "until": until} if self.chance.random() < 0.7 else {}
        limit = self.chance.choice([0, 0, 3])
        found = self.query(
            tier, limit=limit, **asked, **({} if device is None else {"device": f"dev-{device}"})
        )
        wanted = [
            (start, series, window)
            for (its_tier, series, start), window in self.model.held.items()
            if its_tier == tier and device in {None, series}
        ]
        if asked:
            wanted = [one for one in wanted if since <= one[0] < until]
        numbers = dict(self.store._db.execute("SELECT device, id FROM series"))
        wanted.sort(key=lambda one: (one[0], numbers[f"dev-{one[1]}"]))
        assert found == [
            (start, f"dev-{series}", *window.facts(), window.revision)
            for start, series, window in wanted[-limit:]
        ]

    def query(self, tier: int, **asked: Any) -> list[tuple[Any, ...]]:
        names = ("start", "device", "count", "sum", "min", "max", "first", "last", "revision")
        with History.open(self.place, EVERY) as history:
            rows = list(history.query("windows", tier=tier, **asked))
            assert not history.damaged
        return [tuple(row[name] for name in names) for row in rows]

    def settle(self) -> None:
        """Everything is committed, merged and sent: compare all of it."""
        self.run_late()
        self.send()
        assert self.store.facts().counters.get("history_trimmed", 0) == self.model.trimmed
        for tier in range(len(TIERS)):
            found = Counter(self.query(tier))
            held = {key: window for key, window in self.model.held.items() if key[0] == tier}
            assert found == Counter(
                (start, f"dev-{series}", *window.facts(), window.revision)
                for (_, series, start), window in held.items()
            )
        assert {key: field_facts(fields) for key, fields in self.points.items()} == {
            (TIERS[tier].bucket, f"dev-{series}", start): window.facts()
            for (tier, series, start), window in self.model.sent.items()
        }
        waiting = self.store.facts().waiting["influx"]
        assert (waiting.chunks, waiting.lines, waiting.bytes) == (0, 0, 0)
        let_go = self.store._db.execute("SELECT COUNT(*) FROM block WHERE first_start>last_start")
        assert let_go.fetchone() == (0,)
        while self.store.scrub_pending:
            self.store.scrub()


def field_facts(fields: str) -> tuple[float, ...]:
    told = dict(field.split("=") for field in fields.split(","))
    numbers = (float(told[name]) for name in ("sum", "min", "max", "first", "last"))
    return int(told["count"][:-1]), *numbers


@pytest.mark.parametrize("seed", range(40))
def test_the_store_is_what_a_dict_would_be(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, seed: int
) -> None:
    monkeypatch.setattr(fresh_windows, "FEW", 3)
    monkeypatch.setattr(fresh_windows, "BLOCK_ROWS", 7)
    monkeypatch.setattr(fresh_windows, "MOST_GATHERED", 20)
    for name, value in SMALL_PIECES.items():
        monkeypatch.setattr(compaction, name, value)
    life = Life(tmp_path, Random(seed))
    life.commit()
    for _ in range(60):
        life.step()
    life.settle()
    life.reopen()
    life.settle()
    blocks: Store = life.store
    assert blocks._db.execute("SELECT COUNT(*) FROM block").fetchone()[0], "else nothing was tried"
    life.store.close()
