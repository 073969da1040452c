"""The store's tables, and opening its file.

Windows are rows of bytes with the key (tier, start, series), or in blocks: many that close together, found by the
times and series they span. Each window counts in one place. Transactions are not synced:
the journal is the commit point, and `synced` runs before its segments are unlinked.
"""

import json
import os
import sqlite3
from collections.abc import Iterable, Iterator, Sequence
from contextlib import closing, suppress
from itertools import chain
from pathlib import Path
from typing import Any, Final, TypeVar
from urllib.parse import quote

from edge_gateway.errors import OtherSpool
from edge_gateway.journal.files import FILES
from edge_gateway.store.eviction import SENDER
from fleet_config.counting import counted

VERSION: Final = 7
ROWS_A_STATEMENT: Final = 256
"""Most rows in one statement. Statements have this length or it divided by a power of four, so that few are prepared:
each takes 0.7 KB a row, and one of every length would take a hundred megabytes."""
STATEMENTS_KEPT: Final = 64
CACHE_KB: Final = 1_500
"""SQLite's own cache. The system caches the pages too, so a larger one holds most of them twice."""
NEWER_AT_MOST: Final = 100
"""A format number further ahead than this counts as damage."""
_HEADER_BYTES: Final = 100
_UNREADABLE: Final = frozenset(
    {sqlite3.SQLITE_IOERR_READ, sqlite3.SQLITE_IOERR_SHORT_READ, sqlite3.SQLITE_IOERR_CORRUPTFS}
)
READ_ERRORS: Final = (sqlite3.Error, UnicodeDecodeError)
"""Errors of reading; UnicodeDecodeError when SQLite's own message quotes damaged bytes."""
_DAMAGE_TEXTS: Final = ("Could not decode to UTF-8", "unsupported file format")
"""Messages of damage without an error code: bytes that are not text, and a header that SQLite never wrote."""
CHECKED_BYTES: Final = 64 << 20
"""A store up to this size is checked when it is opened; damage in a larger one is found in use."""
_REFUSALS: Final = frozenset(
    {
        sqlite3.SQLITE_BUSY,
        sqlite3.SQLITE_CANTOPEN,
        sqlite3.SQLITE_FULL,
        sqlite3.SQLITE_IOERR,
        sqlite3.SQLITE_LOCKED,
        sqlite3.SQLITE_READONLY,
    }
)

_TABLES: Final = f"""
CREATE TABLE meta(key TEXT PRIMARY KEY,value)WITHOUT ROWID;
CREATE TABLE counter(name TEXT PRIMARY KEY,value INTEGER)WITHOUT ROWID;
CREATE TABLE series(id INTEGER PRIMARY KEY,device TEXT NOT NULL,metric TEXT NOT NULL,site TEXT NOT NULL,
type TEXT NOT NULL,tags TEXT NOT NULL,crc,UNIQUE(device,metric,site,type,tags));
CREATE TABLE number(series,version,id,tags,crc,
PRIMARY KEY(series,version))WITHOUT ROWID;
CREATE INDEX number_id ON number(id);
CREATE TABLE series_use(id INTEGER PRIMARY KEY,upto INTEGER);
CREATE TABLE text(id INTEGER PRIMARY KEY,text TEXT NOT NULL UNIQUE,crc);
CREATE TABLE code(code INTEGER PRIMARY KEY,id,crc);
CREATE TABLE window(tier INTEGER,start INTEGER,series INTEGER,revision INTEGER,row BLOB,
PRIMARY KEY(tier,start,series))WITHOUT ROWID;
CREATE TABLE state_window(tier INTEGER,start INTEGER,series INTEGER,revision INTEGER,row BLOB,
PRIMARY KEY(tier,start,series))WITHOUT ROWID;
CREATE TABLE block(id INTEGER PRIMARY KEY,kind,tier,span,first_start,last_start,first_series,last_series,rows,size,
loose,corrected);
CREATE TABLE block_body(id INTEGER PRIMARY KEY,keys,body);
CREATE INDEX block_time ON block(kind,tier,span,last_start);
CREATE INDEX block_loose ON block(kind,tier,loose,last_start) WHERE loose;
CREATE INDEX block_gone ON block(id) WHERE first_start>last_start;
CREATE TABLE late(id INTEGER PRIMARY KEY,series,ts,value,quality,tiers,nth,at,aged);
CREATE TABLE late_state(id INTEGER PRIMARY KEY,series,ts,value,quality,tiers,nth,at,aged);
CREATE TABLE alert(id INTEGER PRIMARY KEY,at,alert,rule,subject,metric,state,body);
CREATE INDEX alert_at ON alert(at);
CREATE INDEX alert_subject ON alert(subject,id);
CREATE TABLE command(id TEXT PRIMARY KEY,n,device,name,args,state,at,detail);
CREATE INDEX command_at ON command(at);
CREATE INDEX command_device ON command(device);
CREATE TABLE quarantine(id INTEGER PRIMARY KEY,at,topic,reason,payload,size);
CREATE INDEX quarantine_sender ON quarantine({SENDER},id,size);
CREATE TABLE event(id INTEGER PRIMARY KEY,at,code,text);
CREATE TABLE apart(id INTEGER PRIMARY KEY,kind,at,device,metric,body);
CREATE INDEX apart_device ON apart(device,id);
CREATE TABLE outbox(id INTEGER PRIMARY KEY AUTOINCREMENT,sink,bucket,rank,lines,size,at,aged,block,skip,body);
CREATE INDEX outbox_sink ON outbox(sink,id);
CREATE INDEX outbox_rank ON outbox(sink,rank,id,lines,size);
CREATE INDEX outbox_block ON outbox(block) WHERE block NOT NULL;
CREATE TABLE corrected(sink,kind,tier,start,series,upto,due,PRIMARY KEY(sink,kind,tier,start,series))WITHOUT ROWID;
"""
"""Short, because the list of all tables must fit on the first page, which the salvage can replace."""

Row = TypeVar("Row")


class StoreUnreadable(Exception):
    """The file is not a store, or is damaged."""


class StoreDamaged(sqlite3.DatabaseError):
    """The content of a row is not what was stored, though SQLite can read its page."""

    sqlite_errorcode = sqlite3.SQLITE_CORRUPT


def connect(path: Path) -> sqlite3.Connection:
    """Open a connection for the one thread that writes; it begins transactions itself.

    The file is created here first, because SQLite would let everyone read it; -wal and -shm get its mode.
    """
    with suppress(OSError):  # it exists, or SQLite will say what is wrong
        FILES.close(FILES.create(path))
    db = sqlite3.connect(
        path, isolation_level=None, cached_statements=STATEMENTS_KEPT, check_same_thread=False, timeout=10
    )
    db.execute("PRAGMA journal_mode=WAL")
    db.execute("PRAGMA synchronous=NORMAL")
    db.execute(f"PRAGMA cache_size=-{CACHE_KB}")
    db.execute("PRAGMA journal_size_limit=16777216")
    return db


def read_only(path: Path) -> str:
    """Return the URI that opens a file for reading only, with the special characters of its path quoted."""
    return f"file:{quote(os.fsencode(path))}?mode=ro"


def connect_reader(path: Path, *, held: bool = False) -> sqlite3.Connection:
    """Open a read-only connection; sqlite3.OperationalError if there is no store, OtherSpool as `refuse_other`.

    `mode=ro` alone writes: SQLite makes or rebuilds the -shm file, its index of the log. With `held` nothing is
    written, unless a log lacks its index, as in an incomplete copy. Where there is no log, as after a clean stop, and
    this user may not make one, the file is read alone; a gateway that starts meanwhile may then fail this reader.

    Args:
        path: the store.
        held: this process holds the lock of the spool, so that no gateway writes meanwhile. Beside one that does, a
            reader that may not mend the index fails now and then.
    """
    refuse_other(path)
    how = _without_writing(path) if held or _may_make_no_log(path) else ""
    db = sqlite3.connect(f"{read_only(path)}{how}", uri=True, isolation_level=None, timeout=10)
    db.execute("PRAGMA query_only=ON")
    return db


def _may_make_no_log(path: Path) -> bool:
    """Whether a store has no log, and this user may not make one beside it."""
    alone = path.exists() and not path.with_name(f"{path.name}-wal").exists()
    return alone and not os.access(path.parent, os.W_OK, effective_ids=True)


def _without_writing(path: Path) -> str:
    """Return how to open a store that nobody writes to.

    With `readonly_shm` SQLite rebuilds the index in memory, as is needed after a kill. Without a log, as after a clean
    stop, the file alone is the store, as `immutable` takes it.
    """
    if path.with_name(f"{path.name}-shm").exists():
        return "&readonly_shm=1"
    return "" if path.with_name(f"{path.name}-wal").exists() else "&immutable=1"


def open_store(path: Path) -> tuple[sqlite3.Connection, bool]:
    """Open the store at `path`, making it if it is missing; the flag says whether it was made.

    Raises:
        StoreUnreadable: the file is damaged or not a store.
        OtherSpool: a program of another version made it.
        sqlite3.OperationalError: the disk refuses.
    """
    FILES.make_directory(path.parent)
    if path.is_dir():
        raise StoreUnreadable("the file is a directory")
    db = None
    try:
        db = connect(path)
        return db, _prepare(db, path)
    except (*READ_ERRORS, StoreUnreadable, OtherSpool) as error:
        if db is not None:
            db.close()
        if is_damage(error) or getattr(error, "sqlite_errorcode", 0) in _UNREADABLE:
            raise StoreUnreadable(str(error)) from error
        raise


def refuse_other(path: Path) -> None:
    """Raise OtherSpool if a program of another version made the store, without opening it as a database."""
    try:
        with path.open("rb") as file:
            head = file.read(_HEADER_BYTES)
    except OSError:
        return
    version = int.from_bytes(head[60:64])
    if head.startswith(b"SQLite format 3\0") and _is_other(version):
        raise OtherSpool.of(path, version, VERSION)


def _is_other(version: int) -> bool:
    """Whether a format number is of another program, and not damage."""
    return 0 < version < VERSION + NEWER_AT_MOST and version != VERSION


def is_begun(path: Path) -> bool:
    """Whether a store with tables exists, or one that cannot be read. A first start cut short leaves one without."""
    if not path.exists():
        return False
    try:
        with closing(connect(path)) as db:
            return bool(db.execute("SELECT COUNT(*) FROM sqlite_schema").fetchone()[0])
    except READ_ERRORS:
        return True


def emptied(path: Path) -> str:
    """Return what is wrong with a store file that holds nothing; "" where it holds something, or is missing.

    A file too short for a header is not opened: SQLite takes it for a new database, and deletes its log.
    """
    try:
        size = path.stat().st_size
    except OSError:
        return ""
    if size < _HEADER_BYTES:
        return f"the file ends after {counted(size, 'byte')}" if size else "the file is empty"
    return "" if is_begun(path) else "the file has no tables"


def _prepare(db: sqlite3.Connection, path: Path) -> bool:
    """Check a store, or make its tables; return whether they were made."""
    version = db.execute("PRAGMA user_version").fetchone()[0]
    if version == 0 and not db.execute("SELECT COUNT(*) FROM sqlite_schema").fetchone()[0]:
        db.executescript(f"BEGIN IMMEDIATE; {_TABLES} PRAGMA user_version={VERSION}; COMMIT;")
        return True
    if _is_other(version):
        raise OtherSpool.of(path, version, VERSION)
    if version != VERSION:
        raise StoreUnreadable(f"the file has format {version}; this program reads format {VERSION}")
    for check in _checks(path.stat().st_size):
        result = db.execute(f"PRAGMA {check}").fetchone()[0]
        if result != "ok":
            raise StoreUnreadable(f"the file is damaged: {result}")
    return False


def _checks(size: int) -> list[str]:
    """Return the checks for a file of this size; names are always checked, because they go to InfluxDB."""
    names = ["integrity_check(series)", "integrity_check(text)"]
    return ["quick_check(1)", *names] if size <= CHECKED_BYTES else names


def is_damage(error: BaseException) -> bool:
    """Whether an error means that the file itself is damaged, not that the disk is full or busy."""
    code = getattr(error, "sqlite_errorcode", 0) & 0xFF
    coded = code in {sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB}
    return coded or isinstance(error, UnicodeDecodeError) or any(text in str(error) for text in _DAMAGE_TEXTS)


def is_refusal(error: BaseException) -> bool:
    """Whether an error comes from the disk, from another process or from lack of memory: trying again may succeed."""
    code = getattr(error, "sqlite_errorcode", 0) & 0xFF
    return isinstance(error, OSError | MemoryError) or code in _REFUSALS


def set_aside(path: Path, at: int) -> str:
    """Rename a damaged store and its log to `<name>.corrupt-<at>`; return the new name."""
    aside = path.with_name(f"{path.name}.corrupt-{at}")
    for suffix in ("-wal", "-shm", ""):
        source = path.with_name(path.name + suffix)
        if source.exists():
            source.replace(aside.with_name(aside.name + suffix))
    return aside.name


def remove(path: Path) -> None:
    """Remove a store and its log."""
    for suffix in ("", "-wal", "-shm"):
        path.with_name(path.name + suffix).unlink(missing_ok=True)


def synced(db: sqlite3.Connection) -> None:
    """Make everything committed so far survive a power cut."""
    busy, logged, moved = db.execute("PRAGMA wal_checkpoint(PASSIVE)").fetchone()
    if busy or logged != moved:
        # A reader keeps pages in the log. The log is as durable as the file once it is synced,
        # which a commit with synchronous=FULL does.
        db.execute("PRAGMA synchronous=FULL")
        db.execute("BEGIN IMMEDIATE")
        db.execute("INSERT INTO meta VALUES('synced', 1) ON CONFLICT(key) DO UPDATE SET value = value + 1")
        db.execute("COMMIT")
        db.execute("PRAGMA synchronous=NORMAL")


def insert_many(db: sqlite3.Connection, into: str, width: int, rows: Iterable[Sequence[Any]]) -> int:
    """Insert rows of `width` values with few, long statements; return how many were inserted.

    Each sqlite3 step releases the GIL and must wait for it again if the event loop is busy, so rows are not inserted
    one by one. `into` is the statement up to VALUES.
    """
    done = 0
    for part in in_statements(list(rows)):
        marks = ",".join([f"({','.join('?' * width)})"] * len(part))
        done += db.execute(f"{into} VALUES {marks}", list(chain.from_iterable(part))).rowcount
    return done


def in_statements(rows: Sequence[Row]) -> Iterator[Sequence[Row]]:
    """Split rows into pieces of few different lengths, so that few statements are prepared."""
    start, length = 0, ROWS_A_STATEMENT
    while start < len(rows):
        while start + length > len(rows):
            length //= 4
        yield rows[start : start + length]
        start += length


def looked_up(table: str, columns: str, key: Sequence[str]) -> str:
    """Return a SELECT for `rows_at_once` whose keys have several columns.

    It looks each key up in the table's index; `(a, b) IN (VALUES …)` with several rows would scan the whole table.
    """
    names = ", ".join(key)
    return (
        f"WITH wanted({names}) AS (VALUES {{}})"  # noqa: S608 - names from this package
        f" SELECT json_array({columns}) AS item FROM wanted CROSS JOIN {table} USING({names})"
    )


def rows_at_once(db: sqlite3.Connection, select: str, keys: Sequence[Sequence[Any]]) -> list[list[Any]]:
    """Run a SELECT for many keys in few steps: each step returns one row with all results as JSON.

    `select` has one column `item`, a JSON array, and `{}` in place of the keys' VALUES rows.
    """
    found: list[list[Any]] = []
    for part in in_statements(keys):
        marks = ",".join([f"({','.join('?' * len(part[0]))})"] * len(part))
        whole = f"SELECT json_group_array(json(item)) FROM ({select.format(marks)})"  # noqa: S608
        (answer,) = db.execute(whole, list(chain.from_iterable(part))).fetchone()
        found += json.loads(answer)
    return found
