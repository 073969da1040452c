"""A disk that forgets, and the trace it is led along."""

import random
import sqlite3
import subprocess
import sys
from pathlib import Path

import pytest

from tests.proofs.power.disk_model import VARIANTS, Disk
from tests.proofs.power.disk_trace import Step, TraceReader, strace_command

ROOT = "/d"
HEXED = {
    word: "".join(f"\\x{byte:02x}" for byte in word.encode()) for word in ("/d/a", "/d/b", "/d", "one", "two")
}


def line(number: int, said: str) -> str:
    for word, text in HEXED.items():
        said = said.replace(f"<{word}>", f'"{text}"')
    return f"{number} 1700000000.5 {said}\n"


def read(tmp_path: Path, *lines: str) -> TraceReader:
    output = tmp_path / "trace"
    output.write_text("".join(lines))
    reader = TraceReader(Path(ROOT))
    reader.read(output)
    return reader


def test_a_call_that_another_thread_interrupts_is_placed_where_it_returned(tmp_path: Path) -> None:
    reader = read(
        tmp_path,
        line(7, "openat(AT_FDCWD, </d/a>, O_WRONLY|O_CREAT|O_EXCL, 0640) = 3<x>"),
        line(7, "write(3<x>, <one>, 3) = 3"),
        line(7, "fdatasync(3<x> <unfinished ...>"),
        line(8, "pwrite64(3<x>, <two>, 3, 512) = 3"),
        line(7, "<... fdatasync resumed>) = 0"),
    )
    assert [(step.kind, step.begun, step.line, step.offset) for step in reader.steps] == [
        ("create", 1, 1, 0),
        ("write", 2, 2, 0),
        ("write", 4, 4, 512),
        ("sync", 3, 5, 0),
    ]
    disk = Disk()
    for step in reader.steps:
        disk.apply(step)
    assert [step.offset for step in disk.waiting() if step.kind == "write"] == [512]


def test_a_handle_is_free_for_another_thread_before_its_close_returns(tmp_path: Path) -> None:
    reader = read(
        tmp_path,
        line(7, "openat(AT_FDCWD, </d/a>, O_WRONLY|O_CREAT, 0640) = 3<x>"),
        line(7, "close(3<x> <unfinished ...>"),
        line(8, "openat(AT_FDCWD, </d/b>, O_WRONLY|O_CREAT, 0640) = 3<x>"),
        line(7, "<... close resumed>) = 0"),
        line(8, "write(3<x>, <two>, 3) = 3"),
    )
    assert [(step.kind, step.path) for step in reader.steps] == [
        ("create", "a"),
        ("create", "b"),
        ("write", "b"),
    ]


def test_a_failed_call_is_not_a_step_and_a_short_write_has_its_returned_length(tmp_path: Path) -> None:
    reader = read(
        tmp_path,
        line(7, "openat(AT_FDCWD, </d/b>, O_WRONLY) = -1 ENOENT (No such file or directory)"),
        line(7, "openat(AT_FDCWD, </d/a>, O_WRONLY|O_CREAT, 0640) = 3<x>"),
        line(7, "write(3<x>, <one>, 3) = 2"),
        line(7, "write(3<x>, <two>, 3) = 3"),
        line(7, "rename(</d/a>, </d/b>) = 0"),
    )
    assert [(step.kind, step.offset, step.data) for step in reader.steps if step.kind == "write"] == [
        ("write", 0, b"on"),
        ("write", 2, b"two"),
    ]
    assert reader.files.keys() == {"b"}


def steps() -> list[Step]:
    return [
        Step("create", 1, 1, 0.0, "a.tmp", file=1),
        Step("write", 2, 2, 0.0, file=1, data=b"x" * 1500),
        Step("sync", 3, 3, 0.0, file=1),
        Step("rename", 4, 4, 0.0, "a.tmp", "a", file=1),
        Step("write", 5, 5, 0.0, file=1, offset=1500, data=b"y" * 1500),
    ]


def left(tmp_path: Path, variant: str, upto: int, seed: int = 0) -> dict[str, bytes]:
    disk, chance = Disk(), random.Random(seed)
    for step in steps()[:upto]:
        disk.apply(step)
    place = tmp_path / f"{variant}-{upto}-{seed}"
    disk.leave(place, VARIANTS[variant](disk.waiting(), chance), chance)
    return {path.name: path.read_bytes() for path in place.iterdir()}


def test_only_unsynced_writes_may_be_lost(tmp_path: Path) -> None:
    assert left(tmp_path, "dropped", 5) == {}
    assert left(tmp_path, "kept", 5) == {"a": b"x" * 1500 + b"y" * 1500}
    assert left(tmp_path, "names without data", 5) == {"a": b"x" * 1500}
    assert left(tmp_path, "zeros for data", 5) == {"a": b"x" * 1500 + bytes(1500)}
    assert left(tmp_path, "data without names", 5) == {}


def test_writes_are_torn_only_between_sectors(tmp_path: Path) -> None:
    seen = set()
    for seed in range(200):
        held = left(tmp_path, "torn anywhere", 5, seed).get("a", b"")[1500:]
        sectors = [held[start:end] for start, end in ((0, 36), (36, 548), (548, 1060), (1060, 1500))]
        assert all(len(set(sector)) <= 1 for sector in sectors)
        seen.add(tuple(sector[:1] for sector in sectors))
    assert len(seen) > 8


@pytest.mark.skipif(strace_command(Path()) is None, reason="strace is missing")
def test_the_disk_model_equals_the_files_sqlite_wrote(tmp_path: Path) -> None:
    script = (
        f"import sqlite3; db = sqlite3.connect({str(tmp_path / 'store')!r});"
        "db.execute('PRAGMA journal_mode=WAL'); db.execute('CREATE TABLE t(x)');"
        "db.execute('BEGIN'); db.executemany('INSERT INTO t VALUES(?)', [(str(n) * 50,) for n in range(900)]);"
        "db.execute('COMMIT'); db.execute('PRAGMA wal_checkpoint'); db.close()"
    )
    under = strace_command(tmp_path / "trace")
    assert under is not None
    foreground = [word for word in under if word != "-D"]
    subprocess.run([*foreground, sys.executable, "-c", script], check=True)
    reader = TraceReader(tmp_path)
    reader.read(tmp_path / "trace")
    disk = Disk()
    for step in reader.steps:
        disk.apply(step)
    assert disk.content(reader.files["store"]) == (tmp_path / "store").read_bytes()
    chance = random.Random(0)
    disk.leave(tmp_path / "image", VARIANTS["dropped"](disk.waiting(), chance), chance)
    with sqlite3.connect(tmp_path / "image" / "store") as db:
        assert db.execute("SELECT COUNT(*) FROM t").fetchone() == (900,)
