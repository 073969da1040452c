"""Power cuts in the middle of journal and checkpoint writing, on a model of a disk that forgets what was not synced.

Between two syncs of a file its writes may be there, or not, or in part, in any combination; names in a directory
are there once the directory was synced, and may or may not be before.
"""

import random
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from edge_gateway.durable.checkpoint import read_latest, write_checkpoint
from edge_gateway.durable.files import Files
from edge_gateway.durable.journal import Journal


@dataclass
class File:
    """Content in the cache, content on the disk, and writes since the last sync as (offset, bytes)."""

    cached: bytearray = field(default_factory=bytearray)
    durable: bytes = b""
    unsynced: list[tuple[int, bytes]] = field(default_factory=list)


class PowerCut(Exception):
    """The lights went out."""


class CutDisk(Files):
    """Counts steps, and cuts the power at one of them."""

    def __init__(self, cut_at: int) -> None:
        self.left = cut_at
        self.names_now: dict[str, File] = {}
        self.names_durable: dict[str, File] = {}
        self.handles: dict[int, File] = {}

    def _step(self) -> None:
        if self.left == 0:
            raise PowerCut
        self.left -= 1

    def create(self, path: Path) -> int:
        self._step()
        assert path.name not in self.names_now
        self.names_now[path.name] = File()
        return self.reopen(path)

    def reopen(self, path: Path) -> int:
        handle = len(self.handles) + 100
        self.handles[handle] = self.names_now[path.name]
        return handle

    def write(self, handle: int, data: bytes) -> None:
        self._step()
        file = self.handles[handle]
        file.unsynced.append((len(file.cached), data))
        file.cached += data

    def datasync(self, handle: int) -> None:
        self._step()
        file = self.handles[handle]
        file.durable, file.unsynced = bytes(file.cached), []

    def sync(self, handle: int) -> None:
        self.datasync(handle)

    def truncate(self, handle: int, size: int) -> None:
        self._step()
        del self.handles[handle].cached[size:]

    def close(self, handle: int) -> None:
        del self.handles[handle]
        self.handles[-handle] = File()

    def rename(self, source: Path, target: Path) -> None:
        self._step()
        self.names_now[target.name] = self.names_now.pop(source.name)

    def unlink(self, path: Path) -> None:
        self._step()
        self.names_now.pop(path.name, None)

    def sync_directory(self, path: Path) -> None:
        assert path.is_dir()
        self._step()
        self.names_durable = dict(self.names_now)

    def read(self, path: Path) -> bytes:
        return bytes(self.names_now[path.name].cached)

    def names(self, directory: Path) -> list[str]:
        assert directory.is_dir()
        return sorted(self.names_now)

    def left_behind(self, directory: Path, rng: random.Random) -> None:
        """Write to a real directory what one possible disk holds after the cut."""
        directory.mkdir()
        for name in {*self.names_now, *self.names_durable}:
            views = [view[name] for view in (self.names_now, self.names_durable) if name in view]
            certain = len(views) == 2 and views[0] is views[1]
            if certain or rng.random() < 0.5:
                (directory / name).write_bytes(_survivor(rng.choice(views), rng))


def _survivor(file: File, rng: random.Random) -> bytes:
    content = bytearray(file.durable)
    for offset, data in file.unsynced:
        kept = rng.choice((b"", data, data[: rng.randrange(len(data) + 1)], bytes(len(data))))
        if kept:
            content.extend(bytes(max(0, offset - len(content))))
            content[offset : offset + len(kept)] = kept
    return bytes(content)


def body(number: int) -> bytes:
    return random.Random(number).randbytes(10 + number % 30)


def write_until_cut(disk: CutDisk, directory: Path) -> tuple[int, int]:
    """Append groups and unlink behind a mark, until the power goes; returns the last durable record and the mark."""
    durable = mark = number = 0
    try:
        journal = Journal.open(directory, segment_bytes=300, files=disk)
        for group in range(25):
            for _ in range(1 + group % 4):
                number += 1
                journal.append(number, body(number))
            journal.sync()
            durable = number
            if group % 6 == 5:
                mark = durable - 3
                journal.unlink_before(mark)
    except PowerCut:
        pass
    return durable, mark


def steps_of_a_whole_run(tmp_path: Path) -> int:
    disk = CutDisk(10**9)
    write_until_cut(disk, tmp_path / "whole")
    return 10**9 - disk.left


@pytest.mark.parametrize("seed", range(4))
def test_whatever_the_disk_forgot_every_acknowledged_record_is_there_and_none_is_invented(
    tmp_path: Path, seed: int
) -> None:
    rng = random.Random(seed)
    steps = steps_of_a_whole_run(tmp_path)
    assert steps > 60
    for cut in range(steps):
        disk = CutDisk(cut)
        durable, mark = write_until_cut(disk, tmp_path / "journal")
        left = tmp_path / f"left{cut}"
        disk.left_behind(left, rng)
        journal = Journal.open(left, segment_bytes=300)
        records = list(journal.read(mark))
        numbers = [number for number, _ in records]
        assert all(data == body(number) for number, data in records)
        assert numbers == list(range(numbers[0], numbers[-1] + 1)) if numbers else durable == 0
        assert set(range(max(mark, 1), durable + 1)) <= set(numbers)
        assert journal.report.lost == ()
        assert journal.report.set_aside == ()
        newest = journal.last_number or durable
        journal.append(newest + 1, body(newest + 1))
        journal.sync()
        journal.close()
        assert [number for number, _ in Journal.open(left).read(mark)] == [*numbers, newest + 1]


@pytest.mark.parametrize("seed", range(4))
def test_a_checkpoint_is_the_old_one_or_the_new_one_at_every_cut(tmp_path: Path, seed: int) -> None:
    rng = random.Random(seed)
    for cut in range(40):
        disk, written = CutDisk(cut), 0
        try:
            for number in range(1, 6):
                write_checkpoint(tmp_path / "real", number, {"n": number}, files=disk)
                written = number
        except PowerCut:
            pass
        left = tmp_path / f"left{cut}"
        disk.left_behind(left, rng)
        latest = read_latest(left)
        assert (latest.state["n"] if latest else 0) in {written, written + 1}
