"""A full disk and a used-up budget: what may still be written, what is given up, and how it recovers."""

from __future__ import annotations

import asyncio
import errno
import sqlite3
from dataclasses import dataclass, field
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest

from edge_gateway.configuration.model import SpoolSection
from edge_gateway.journal.files import Files
from edge_gateway.journal.reserve import Reserve
from edge_gateway.journal.segments import Journal, JournalFull
from edge_gateway.service.disk_guard import LOAN, MARGIN, DiskGuard
from edge_gateway.status.catalogue import Problem
from edge_gateway.status.counters import Counters
from edge_gateway.status.problems import Problems
from edge_gateway.store.budget import LATE_BYTES, SpoolBytes

SIZE = 1 << 20
FULL = OSError(errno.ENOSPC, "No space left on device")
BROKEN = OSError(errno.EIO, "Input/output error")


class Disk(Files):
    """Says how much is free."""

    free = 1 << 40

    def free_bytes(self, _: Path) -> int:
        return self.free


@dataclass
class Retries:
    count: int = 0

    def retry_now(self) -> None:
        self.count += 1


@dataclass
class Place:
    """A disk guard over a real journal and a real reserve."""

    guard: DiskGuard
    disk: Disk
    journal: Journal
    commits: Retries = field(default_factory=Retries)
    late: int = 0
    hastened: list[str] = field(default_factory=list)

    @classmethod
    def of(cls, place: Path, **spool: Any) -> Place:
        disk = Disk()
        journal = Journal.open(place / "journal", segment_bytes=100, max_bytes=1 << 20)
        commits = Retries()
        guard = DiskGuard(
            section=SpoolSection(path=place, **spool).model_copy(update={"max_bytes": 1 << 20}),
            journal=journal,
            commits=cast("Any", commits),
            reserve=Reserve(place / "reserve", size=SIZE, files=disk),
            store_facts=lambda: cast("Any", SimpleNamespace(late_pending=made.late, quarantine_bytes=0)),
            accepting=asyncio.Event(),
            counters=Counters(),
            problems=Problems(lambda: 0),
        )
        guard.accepting.set()
        made = cls(guard, disk, journal, commits)
        guard.request_checkpoint = lambda: made.hastened.append("checkpoint")
        return made

    def write(self, *numbers: int) -> None:
        for number in numbers:
            self.journal.append(number, bytes(200))
            self.journal.sync(power=False)

    @property
    def told(self) -> str:
        return " ".join(problem.text for problem in self.guard.problems if problem.code == Problem.DISK.code)


@pytest.mark.problem("raises", "disk")
@pytest.mark.problem("clears", "disk")
async def test_a_full_disk_leaves_the_reserve_to_everything_but_deliveries(tmp_path: Path) -> None:
    place = Place.of(tmp_path)
    guard = place.guard
    await guard.check()
    assert (tmp_path / "reserve").stat().st_size == SIZE
    guard.commit_failed(FULL)
    assert not (tmp_path / "reserve").exists()
    assert not guard.accepting.is_set()
    assert (place.commits.count, place.hastened) == (1, ["checkpoint"])
    told = place.told
    assert told.startswith(f"nothing is acknowledged: the disk of {tmp_path} is full: ")
    guard.commit_failed(FULL)
    assert place.commits.count == 1, "there is nothing more to give"
    guard.commit_resumed()
    assert not guard.accepting.is_set()
    place.disk.free = SIZE + MARGIN - 1
    await guard.check()
    assert not guard.accepting.is_set()
    assert place.told == told, "a steady text"
    place.disk.free += 1
    await guard.check()
    assert guard.accepting.is_set()
    assert not place.told
    assert (guard.counters.commits_stalled, guard.counters.reserve_released) == (1, 1)


async def test_without_a_reserve_it_goes_on_with_the_first_commit_that_succeeds(tmp_path: Path) -> None:
    place = Place.of(tmp_path)
    place.disk.free = SIZE
    await place.guard.check()
    place.guard.commit_failed(FULL)
    assert place.guard.accepting.is_set()
    assert place.told
    place.guard.commit_resumed()
    assert not place.told


@pytest.mark.parametrize("error", [BROKEN, sqlite3.OperationalError("database is locked")], ids=str)
async def test_an_error_other_than_a_full_disk_releases_nothing(tmp_path: Path, error: Exception) -> None:
    place = Place.of(tmp_path)
    await place.guard.check()
    place.guard.write_failed(error)
    if isinstance(error, OSError):
        place.guard.commit_failed(error)
    assert place.guard.reserve.held
    assert place.guard.accepting.is_set()


async def test_a_store_on_a_full_disk_releases_the_reserve_too(tmp_path: Path) -> None:
    place = Place.of(tmp_path)
    await place.guard.check()
    place.guard.write_failed(FULL)
    assert not place.guard.accepting.is_set()
    await place.guard.check()
    assert place.guard.accepting.is_set()


async def test_a_reserve_released_during_a_check_counts_as_gone(tmp_path: Path) -> None:
    place = Place.of(tmp_path)
    await place.guard.check()
    looking = asyncio.create_task(place.guard.check())
    await asyncio.sleep(0)
    place.disk.free = 0
    place.guard.write_failed(FULL)
    await looking
    assert not place.guard.accepting.is_set()
    place.disk.free = SIZE + MARGIN
    await place.guard.check()
    assert place.guard.accepting.is_set()
    assert not place.told


async def test_stop_drops_nothing_and_lends_once_what_a_checkpoint_needs(tmp_path: Path) -> None:
    place = Place.of(tmp_path, on_full="stop")
    place.write(1, 2, 3)
    place.guard.commit_failed(JournalFull("full"))
    assert place.journal.max_bytes == (1 << 20) + LOAN
    assert (place.commits.count, place.hastened) == (1, ["checkpoint"])
    place.guard.commit_failed(JournalFull("full"))
    assert place.commits.count == 1
    assert [number for number, _ in place.journal.read()] == [1, 2, 3]
    assert (place.guard.counters.journal_lent, place.guard.counters.records_dropped) == (1, 0)
    place.guard.checkpointed()
    assert place.journal.max_bytes == 1 << 20


async def test_drop_oldest_drops_the_oldest_and_counts_each_record(tmp_path: Path) -> None:
    place = Place.of(tmp_path, on_full="drop_oldest")
    place.write(1, 2, 3)
    place.guard.commit_failed(JournalFull("full"))
    assert [number for number, _ in place.journal.read()] == [2, 3]
    place.guard.commit_failed(FULL)
    assert [number for number, _ in place.journal.read()] == [3]
    assert place.commits.count == place.guard.counters.records_dropped == 2
    place.guard.commit_failed(FULL)
    assert place.commits.count == 2, "the one being written stays"
    place.guard.commit_failed(JournalFull("full"))
    assert place.guard.counters.journal_lent == 1
    assert f"spool.max_bytes is used up: 232 B of 1.0 MiB in {tmp_path} (journal" in place.told


async def test_what_cannot_be_dropped_frees_nothing_and_is_no_error(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    place = Place.of(tmp_path, on_full="drop_oldest")
    place.write(1, 2, 3)
    before = place.commits.count

    def refuse(*_: object) -> None:
        raise BROKEN

    monkeypatch.setattr(Files, "unlink", refuse)
    place.guard.commit_failed(FULL)
    assert (place.commits.count, place.guard.counters.records_dropped) == (before, 0)
    assert "is full" in place.told


async def test_the_journal_gets_the_rest_of_the_budget_and_at_least_a_quarter(
    tmp_path: Path,
) -> None:
    place = Place.of(tmp_path)
    (tmp_path / "checkpoints").mkdir()
    state = tmp_path / "checkpoints" / f"checkpoint-{1:020d}"
    state.write_bytes(bytes(300_000))
    place.late = 10
    place.write(1)
    await place.guard.check()
    assert place.guard.used == SpoolBytes(place.journal.total_bytes, 300_000, 10 * LATE_BYTES, 0)
    assert place.journal.max_bytes == place.guard.budget == (1 << 20) - 300_000 - 10 * LATE_BYTES
    state.write_bytes(bytes(1 << 20))
    await place.guard.check()
    assert place.journal.max_bytes == 1 << 18


async def test_deliveries_wait_while_late_readings_take_too_much_of_the_budget(tmp_path: Path) -> None:
    place = Place.of(tmp_path)
    place.late = (1 << 18) // LATE_BYTES + 1
    for _ in range(2):
        await place.guard.check()
        assert not place.guard.accepting.is_set()
    assert "late readings" in place.told
    assert place.guard.counters.late_table_full == 1
    place.late -= 1
    await place.guard.check()
    assert place.guard.accepting.is_set()
    assert not place.told


async def test_each_cause_is_told_for_as_long_as_it_holds(tmp_path: Path) -> None:
    place = Place.of(tmp_path)
    await place.guard.check()
    place.guard.write_failed(FULL)
    place.guard.commit_failed(JournalFull("full"))
    place.late, place.disk.free = (1 << 18) // LATE_BYTES + 1, 0
    await place.guard.check()
    causes = [f"the disk of {tmp_path} is full", "spool.max_bytes is used up", "late readings that wait"]
    assert [place.told.count(cause) for cause in causes] == [1, 1, 1]
    place.guard.commit_failed(BROKEN)
    assert "fails: Input/output error; check the disk" in place.told
    assert causes[1] not in place.told
    place.guard.commit_resumed()
    place.late, place.disk.free = 0, 1 << 40
    await place.guard.check()
    assert not place.told


async def test_repeated_failures_of_a_commit_are_one_stall(tmp_path: Path) -> None:
    place = Place.of(tmp_path)
    for _ in range(3):
        place.guard.commit_failed(BROKEN)
    place.guard.commit_resumed()
    place.guard.commit_failed(BROKEN)
    assert place.guard.counters.commits_stalled == 2
