"""Compare what a damaged spool holds after recovery with what the intact one holds.

intact spool ─▶ recovered, all late readings merged ─▶ windows and the last line of each point: the truth
damaged copy ─▶ recovered the same way ─▶ each window is that of the truth or absent, and no line contradicts the truth
"""

from __future__ import annotations

import random
import shutil
import struct
import time
import zlib
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple
from unittest import mock

from edge_gateway.configuration.model import GatewayConfig
from edge_gateway.errors import OtherSpool
from edge_gateway.fold.pipeline import Pipeline
from edge_gateway.journal import spool
from edge_gateway.journal.segments import parse_name
from edge_gateway.records.inputs import Batch
from edge_gateway.recovery.replay import effects_in
from edge_gateway.recovery.startup import INFLUX, Startup, open_store, recover_spool
from edge_gateway.status.catalogue import Problem
from edge_gateway.status.clock import MachineClock
from edge_gateway.store.database import Store
from edge_gateway.store.history import History
from edge_gateway.store.schema import READ_ERRORS, is_damage
from tests.proofs.corruption.damage import Damage, damage_applied, read_only
from tests.proofs.proof import Findings

UP_WITHIN = 10.0
NAME = "corrupted"
MAGIC = b"EGJ\x01"
_FRAME = struct.Struct("<4sB3xIQQI")
Key = tuple[Any, ...]


class SpoolContents(NamedTuple):
    """What a spool holds: windows and states by their names, the last line of each point, the newest record."""

    windows: dict[Key, Key]
    lines: dict[Key, str]
    number: int


@dataclass(frozen=True, slots=True)
class IntactSpool:
    """An undamaged spool, its configuration, and what it holds."""

    place: Path
    config: GatewayConfig
    held: SpoolContents


@dataclass(slots=True)
class Judge:
    """Damages copies of an intact spool and counts broken promises."""

    intact: IntactSpool
    scratch: Path
    findings: Findings
    slowest: float = 0.0
    _made: int = field(default=0)

    def one(self, kind: str, seed: int) -> None:
        """Damage a fresh copy in one way, and recover it."""
        chance = random.Random(seed)
        place = self.scratch / f"copy-{self._made}"
        self._made += 1
        shutil.copytree(self.intact.place, place, ignore=shutil.ignore_patterns("control.sock", "reserve"))
        self.findings.faults[kind] += 1
        try:
            self._damaged(kind, place, chance, f"seed {seed}")
        finally:
            shutil.rmtree(place)

    def _damaged(self, kind: str, place: Path, chance: random.Random, seed: str) -> None:
        if kind == "read-only":
            self._refuses(place, f"read-only, {seed}", OSError, read_only(place))
        elif kind == "poison":
            self._poisoned(place, chance, seed)
        else:
            damage = damage_applied(place, kind, chance)
            label = f"{damage.kind} in {damage.file}, {seed}"
            if kind == "newer version":
                self._refuses(place, label, OtherSpool, nullcontext())
            else:
                self._recovers(place, label, damage)

    # --- spools that must be refused

    def _refuses(self, place: Path, label: str, error: type[Exception], around: Any) -> None:
        before = _bytes(place)
        with around:
            try:
                self._recover(place).store.close()
            except error:
                pass
            except Exception as other:
                if error is not OSError or "readonly" not in str(other):
                    self.findings.forbid("refused otherwise", f"{label}: {type(other).__name__}: {other}")
            else:
                self.findings.forbid("not refused", label)
        if _bytes(place) != before:
            self.findings.forbid("changed though refused", label)

    # --- spools that must be recovered

    def _recovers(self, place: Path, label: str, damage: Damage) -> None:
        intact = _readable_records(place)
        started = _busy_clock()
        try:
            recovered = self._recover(place)
        except Exception as error:
            self.findings.forbid("service not up", f"{label}: {type(error).__name__}: {error}")
            return
        self._timed(started, label)
        kept = {number for number, _ in recovered.journal.read()}
        if damage.part == "journal" and not intact <= kept:
            self.findings.forbid("readable record lost", f"{label}: {sorted(intact - kept)[:5]}")
        self._compare(recovered, label)

    def _timed(self, started: float, label: str) -> None:
        took = _busy_clock() - started
        self.findings.recoveries.append(took)
        if took > UP_WITHIN:
            self.findings.forbid("service not up in 10 s", f"{label}: {took:.1f} s")

    def _compare(self, recovered: Startup, label: str) -> None:
        """Check that every window held is right, and that anything missing was reported."""
        found = finish(recovered, self.intact.config)
        truth = self.intact.held
        self.findings.windows += len(found.windows)
        for key, window in found.windows.items():
            if truth.windows.get(key) != window:
                self.findings.wrong += 1
                self.findings.show(f"{label}: window {key}: {window}, not {truth.windows.get(key)}")
        for key, line in found.lines.items():
            if key[1].startswith("sensor,") and truth.lines.get(key, line) != line:
                self.findings.forbid("partial over good", f"{label}: {line}, not {truth.lines[key]}")
        missing = len(truth.windows.keys() - found.windows.keys())
        if (missing or found.number < truth.number) and not recovered.findings and recovered.whole:
            self.findings.forbid(
                "loss not reported", f"{label}: {missing} windows missing, record {found.number}"
            )
        for name in _set_aside_names(recovered):
            if not list(self._aside(recovered, name)):
                self.findings.forbid("not set aside", f"{label}: {name}")

    def _aside(self, recovered: Startup, name: str) -> Iterator[Path]:
        return recovered.store.path.parent.rglob(name)

    # --- a record that raises

    def _poisoned(self, place: Path, chance: random.Random, seed: str) -> None:
        """Make one message behind the checkpoint raise in the fold, at every attempt."""
        recovered = self._recover(self._copy(place))
        payloads = self._payloads(place, recovered)
        recovered.store.close()
        if not payloads:
            return
        poison = chance.choice(payloads)
        started = _busy_clock()
        with _poisonous(poison):
            for attempt in range(2):
                try:
                    recovered = self._recover(place)
                except _PoisonError:
                    if attempt:
                        self.findings.forbid("service not up", f"a record that raises, {seed}")
                        return
                else:
                    break
        self._timed(started, f"a record that raises, {seed}")
        aside = recovered.store.facts().counters.get("quarantined", 0)
        if not aside or not any(problem.code == "records_quarantined" for problem, _ in recovered.findings):
            self.findings.forbid("loss not reported", f"a record that raises, {seed}: {recovered.findings}")
        self._compare(recovered, f"a record that raises, {seed}")

    def _copy(self, place: Path) -> Path:
        other = place / "look"
        shutil.copytree(self.intact.place, other, ignore=shutil.ignore_patterns("control.sock", "reserve"))
        return other

    def _payloads(self, place: Path, recovered: Startup) -> list[bytes]:
        """Return telemetry that a recovery folds again."""
        seen: list[bytes] = []
        fold = Pipeline.fold

        def recording_fold(pipeline: Pipeline, given: Any, recorded: Any = None, *, number: int) -> Any:
            if isinstance(given, Batch):
                pairs = zip(given.topics, given.payloads, strict=True)
                seen.extend(payload for topic, payload in pairs if topic.endswith("/telemetry"))
            return fold(pipeline, given, recorded, number=number)

        recovered.store.close()
        shutil.rmtree(place / "look")
        with mock.patch.object(Pipeline, "fold", recording_fold):
            self._recover(self._copy(place)).store.close()
        shutil.rmtree(place / "look")
        return seen

    def _recover(self, place: Path) -> Startup:
        return recover_spool(place, self.intact.config, NAME, MachineClock())


class _PoisonError(Exception):
    """The error that a poisonous message raises."""


@contextmanager
def _poisonous(poison: bytes) -> Iterator[None]:
    fold = Pipeline.fold

    def raising(pipeline: Pipeline, given: Any, recorded: Any = None, *, number: int) -> Any:
        if isinstance(given, Batch) and poison in given.payloads:
            raise _PoisonError("this message raises")
        return fold(pipeline, given, recorded, number=number)

    with mock.patch.object(Pipeline, "fold", raising):
        yield


def _busy_clock() -> float:
    """Return seconds, without the time this thread waited for a processor."""
    waited = Path("/proc/thread-self/schedstat")
    queued = int(waited.read_text().split()[1]) if waited.exists() else 0
    return time.monotonic() - queued / 1e9


def read_intact(place: Path, config: GatewayConfig, scratch: Path) -> IntactSpool:
    """Return what an undamaged spool holds, read from a copy."""
    copy = scratch / "intact"
    shutil.copytree(place, copy, ignore=shutil.ignore_patterns("control.sock", "reserve"))
    recovered = recover_spool(copy, config, NAME, MachineClock())
    if recovered.findings or not recovered.whole:
        raise AssertionError(f"the undamaged spool has findings: {recovered.findings}")
    held = finish(recovered, config)
    shutil.rmtree(copy)
    return IntactSpool(place, config, held)


def finish(recovered: Startup, config: GatewayConfig) -> SpoolContents:
    """Finish the store's pending work and return what it holds; damage found meanwhile is handled as in operation."""
    while True:
        try:
            windows, lines = _all_of(recovered, config)
        except READ_ERRORS as error:
            if not is_damage(error):
                raise
            _replace_store(recovered, config, str(error))
        else:
            break
    recovered.store.close()
    recovered.journal.close()
    return SpoolContents(windows, lines, recovered.number)


def _all_of(recovered: Startup, config: GatewayConfig) -> tuple[dict[Key, Key], dict[Key, str]]:
    store = recovered.store
    if not recovered.whole:
        store.freeze(MachineClock().wall())
    while store.facts().salvaging:
        store.salvage()
    while store.run_late():
        pass
    while store.scrub_pending:
        store.scrub()
    lines = _lines(store)
    return _windows(store, config), lines


def _replace_store(recovered: Startup, config: GatewayConfig, damage: str) -> None:
    """Replace the store, as the gateway does when it finds it damaged."""
    at = MachineClock().wall()
    recovered.store.close()
    recovered.store = open_store(
        recovered.store.path.parent,
        config,
        floor=max(at, recovered.state.pipeline.windows.closed_to),
        at=at,
        unsure=None,
        names=recovered.names,
        records=lambda: effects_in(recovered.journal),
        damage=damage,
    )
    recovered.findings.append((Problem.STORE_CORRUPT, damage))


def _windows(store: Store, config: GatewayConfig) -> dict[Key, Key]:
    with History.open(store.path.parent, [window.every for window in config.windows]) as history:
        rows = [*history.query("windows"), *history.query("states")]
    names = ("device", "metric", "every", "start")
    apart = {"revision", *names}
    return {
        tuple(row[name] for name in names): tuple(value for name, value in row.items() if name not in apart)
        for row in rows
    }


def _lines(store: Store) -> dict[Key, str]:
    """Return the last line of each point."""
    found: dict[Key, str] = {}
    while (parcel := store.take(INFLUX)) is not None:
        for line in parcel.body.decode().splitlines():
            head, _, at = line.rpartition(" ")
            found[parcel.bucket, head.split(" ")[0], at] = line
        store.done(parcel)
    return found


def _readable_records(place: Path) -> set[int]:
    """Return the numbers of readable records before the last group, in files that have a segment's name."""
    found = [
        record
        for path in (place / spool.JOURNAL).iterdir()
        if parse_name(path.name) is not None
        for record in _records_in(path.read_bytes())
    ]
    group = max((base for _, base in found), default=0)
    return {number for number, _ in found if number < group}


def _records_in(data: bytes) -> Iterator[tuple[int, int]]:
    """Yield number and first number of the commit group of every record with a right CRC.

    The frame, as `edge_gateway.journal.framing` documents it, is read here again, so that no record is judged lost or
    kept by the code under test.
    """
    at = data.find(MAGIC)
    while at >= 0:
        end = at + 4
        with suppress(struct.error):
            _, kind, length, number, base, check = _FRAME.unpack_from(data, at)
            body = data[at + _FRAME.size : at + _FRAME.size + length]
            if zlib.crc32(body, zlib.crc32(data[at : at + _FRAME.size - 4])) == check:
                end = at + _FRAME.size + len(body)
                if kind == 0:
                    yield number, base
        at = data.find(MAGIC, end)


def _set_aside_names(recovered: Startup) -> list[str]:
    words = " ".join(text for _, text in recovered.findings).replace(",", " ").replace(";", " ").split()
    return [f"{Path(word).name}*" for word in words if ".corrupt-" in word]


def _bytes(place: Path) -> dict[str, bytes]:
    return {
        str(path.relative_to(place)): path.read_bytes()
        for path in sorted(place.rglob("*"))
        if path.is_file() and not path.name.endswith(("-shm", "-wal")) and path.name != "recovery-attempts"
    }
