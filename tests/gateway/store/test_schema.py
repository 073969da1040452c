"""The store's file: its formats, damage, and what makes it durable."""

import os
import sqlite3
import subprocess
import sys
from contextlib import nullcontext
from pathlib import Path

import pytest

from edge_gateway.errors import OtherSpool
from edge_gateway.store import schema
from edge_gateway.store.database import Store
from edge_gateway.store.schema import (
    emptied,
    in_statements,
    insert_many,
    is_begun,
    is_damage,
    looked_up,
    open_store,
    rows_at_once,
    set_aside,
)
from tests.gateway.store.stored import opened, rich
from tests.other_users import open_to_all


def test_a_newer_store_is_left_alone(tmp_path: Path) -> None:
    store = opened(tmp_path)
    store.close()
    with sqlite3.connect(store.path) as db:
        db.execute("PRAGMA user_version=99")
    db.close()
    before = store.path.read_bytes()
    with pytest.raises(OtherSpool, match="format 99, this one reads"):
        opened(tmp_path)
    assert store.path.read_bytes() == before


def test_the_log_of_a_store_goes_with_it(tmp_path: Path) -> None:
    for suffix in ("", "-wal", "-shm"):
        (tmp_path / f"s{suffix}").write_bytes(b"x")
    assert set_aside(tmp_path / "s", 9) == "s.corrupt-9"
    assert sorted(path.name for path in tmp_path.iterdir()) == [
        "s.corrupt-9",
        "s.corrupt-9-shm",
        "s.corrupt-9-wal",
    ]


READ = """
import os, sys
from contextlib import closing
from pathlib import Path
from edge_gateway.store.schema import connect_reader
os.setgroups([])
os.setegid(65_534)
os.seteuid(65_534)
with closing(connect_reader(Path(sys.argv[1]))) as db:
    print(db.execute("SELECT value FROM meta WHERE key='x'").fetchone()[0])
"""


@pytest.mark.skipif(os.geteuid() != 0, reason="takes another user's place")
@pytest.mark.parametrize("stopped", [True, False])
def test_a_user_who_may_only_read_the_directory_reads_a_store(tmp_path: Path, *, stopped: bool) -> None:
    """After a clean stop there is no log, which SQLite would make; while a gateway runs its log counts."""
    path = tmp_path / "spool" / "store.sqlite"
    db, _ = open_store(path)
    db.execute("INSERT INTO meta VALUES('x', 'kept')")
    if stopped:
        db.close()
    for file in path.parent.iterdir():
        file.chmod(0o644)
    open_to_all(path.parent)
    before = sorted(path.parent.iterdir())
    assert len(before) == (1 if stopped else 3)
    done = subprocess.run(
        [sys.executable, "-c", READ, str(path)], capture_output=True, text=True, check=False, timeout=60
    )
    assert (done.stdout, done.stderr) == ("kept\n", "")
    assert sorted(path.parent.iterdir()) == before
    db.close()


def test_sync_moves_the_log_into_the_file_even_beside_a_reader(store: Store) -> None:
    store.apply([(1, [rich(1)])])
    reader = sqlite3.connect(store.path)
    reader.execute("BEGIN")
    reader.execute("SELECT COUNT(*) FROM window").fetchone()
    store.apply([(2, [rich(2)])])
    store.sync()
    assert reader.execute("SELECT value FROM meta WHERE key='applied'").fetchone() == (1,)
    reader.close()
    store.apply([(3, [rich(3)])])
    store.sync()
    assert store.applied == 3


@pytest.mark.parametrize(
    "raised",
    [sqlite3.OperationalError("unsupported file format"), UnicodeDecodeError("utf-8", b"", 0, 1, "")],
)
def test_what_sqlite_says_of_a_broken_header_without_a_code_is_damage(raised: Exception) -> None:
    assert is_damage(raised)


def test_a_store_is_begun_once_it_has_tables_or_cannot_be_read(tmp_path: Path) -> None:
    path = tmp_path / "store.sqlite"
    assert not is_begun(path)
    path.write_bytes(b"")
    assert not is_begun(path)
    schema.remove(path)
    db, made = open_store(path)
    db.close()
    assert made
    assert is_begun(path)
    schema.remove(path)
    assert list(tmp_path.iterdir()) == []
    path.write_bytes(b"no database" * 100)
    assert is_begun(path)


def test_a_store_that_holds_nothing_is_said_to_be_empty(tmp_path: Path) -> None:
    path, log = tmp_path / "store.sqlite", tmp_path / "store.sqlite-wal"
    assert emptied(path) == ""
    log.write_bytes(b"log")
    for content, said in ((b"", "is empty"), (b"x", "ends after 1 byte"), (b"x" * 99, "ends after 99 bytes")):
        path.write_bytes(content)
        assert emptied(path) == f"the file {said}"
    assert (path.read_bytes(), log.read_bytes()) == (b"x" * 99, b"log"), "it was not opened"
    schema.remove(path)
    schema.connect(path).close()
    assert emptied(path) == "the file has no tables"
    open_store(path)[0].close()
    assert emptied(path) == ""
    schema.remove(path)
    path.mkdir()
    assert emptied(path) == ""


@pytest.mark.parametrize(("version", "other"), [(-1, True), (0, False), (1, True), (99, True), (100, False)])
def test_another_format_is_refused_before_the_file_is_opened_as_a_database(
    tmp_path: Path, version: int, *, other: bool
) -> None:
    path = tmp_path / "store.sqlite"
    schema.refuse_other(path)
    db, _ = open_store(path)
    db.execute(f"PRAGMA user_version={schema.VERSION + version}")
    db.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    db.close()
    with pytest.raises(OtherSpool) if other else nullcontext():
        schema.refuse_other(path)


@pytest.mark.parametrize(
    ("rows", "lengths"),
    [
        (0, []),
        (1, [1]),
        (4, [4]),
        (7, [4, 1, 1, 1]),
        (1_023, [256] * 3 + [64] * 3 + [16] * 3 + [4] * 3 + [1] * 3),
        (1_024, [256] * 4),
        (513, [256, 256, 1]),
    ],
)
def test_rows_are_split_into_statements_of_few_lengths(rows: int, lengths: list[int]) -> None:
    parts = list(in_statements(range(rows)))
    assert [len(part) for part in parts] == lengths
    assert [row for part in parts for row in part] == list(range(rows))


def test_rows_inserted_at_once_are_counted_and_found_at_once(tmp_path: Path) -> None:
    db, _ = open_store(tmp_path / "store.sqlite")
    rows = [(f"c{number}", number) for number in range(1_100)]
    assert insert_many(db, "INSERT INTO counter", 2, rows) == 1_100
    assert insert_many(db, "INSERT OR IGNORE INTO counter", 2, [("c5", 7), ("new", 7)]) == 1
    select = looked_up("counter", "name, value", ("name", "value"))
    assert rows_at_once(db, select, [*rows, ("c5", 7)]) == [list(row) for row in rows]
    assert rows_at_once(db, select, []) == []
    db.close()


def error_of(code: int) -> sqlite3.Error:
    error = sqlite3.OperationalError("refused")
    error.sqlite_errorcode = code
    return error


@pytest.mark.parametrize(
    ("error", "damage", "refusal"),
    [
        (error_of(sqlite3.SQLITE_CORRUPT), True, False),
        (error_of(sqlite3.SQLITE_CORRUPT_INDEX), True, False),
        (error_of(sqlite3.SQLITE_NOTADB), True, False),
        (error_of(sqlite3.SQLITE_FULL), False, True),
        (error_of(sqlite3.SQLITE_IOERR_WRITE), False, True),
        (error_of(sqlite3.SQLITE_READONLY_DBMOVED), False, True),
        (error_of(sqlite3.SQLITE_CONSTRAINT), False, False),
        (OSError(), False, True),
        (MemoryError(), False, True),
        (schema.StoreDamaged("checksum"), True, False),
        (ValueError(), False, False),
    ],
)
def test_damage_is_told_from_a_disk_that_refuses(error: Exception, *, damage: bool, refusal: bool) -> None:
    assert (is_damage(error), schema.is_refusal(error)) == (damage, refusal)


@pytest.mark.parametrize(("larger", "found"), [(0, True), (1, False)])
def test_a_store_up_to_a_size_is_checked_whole_when_it_is_opened(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, larger: int, *, found: bool
) -> None:
    store = opened(tmp_path)
    store.apply([(number, [rich(number)]) for number in range(1, 60)])
    (page,) = store._db.execute("SELECT MAX(pageno) FROM dbstat WHERE name='window'").fetchone()
    store.sync()
    store.close()
    data = bytearray(store.path.read_bytes())
    data[(page - 1) * 4096 : page * 4096] = bytes(4096)
    store.path.write_bytes(data)
    monkeypatch.setattr(schema, "CHECKED_BYTES", len(data) - larger)
    with pytest.raises(schema.StoreUnreadable, match="is damaged") if found else nullcontext():
        open_store(store.path)[0].close()


def test_a_directory_in_its_place_is_no_store(tmp_path: Path) -> None:
    (tmp_path / "store.sqlite").mkdir()
    with pytest.raises(schema.StoreUnreadable, match="is a directory"):
        open_store(tmp_path / "store.sqlite")


def test_the_list_of_tables_fits_on_the_first_page(tmp_path: Path) -> None:
    db, _ = open_store(tmp_path / "store.sqlite")
    pages = db.execute("SELECT pageno FROM dbstat WHERE name = 'sqlite_schema'").fetchall()
    assert pages == [(1,)], "salvage replaces this page alone"
    db.close()
