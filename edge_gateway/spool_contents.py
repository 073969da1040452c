"""What lies in a spool, read without changing anything: for `edge-gateway spool` and whoever mends a disk."""

from __future__ import annotations

import base64
import re
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from edge_gateway.journal import spool
from edge_gateway.journal.checkpoint import checkpoint_files, read_latest
from edge_gateway.journal.framing import RECORD, body_of, scan
from edge_gateway.journal.journal import parse_name
from edge_gateway.journal.survey import Scanned, survey
from edge_gateway.records import codec
from edge_gateway.recovery.attempts import ATTEMPTS_FILE, AttemptsFile
from edge_gateway.store import schema
from edge_gateway.store.row_checksum import checked

Row = dict[str, Any]
_ASIDE: Final = re.compile(r"\.corrupt-\d+$")
COUNTED: Final = ("window", "state_window", "late", "late_state", "alert", "command", "quarantine", "event")


@dataclass(frozen=True, slots=True)
class Finding:
    """One check and what it found."""

    check: str
    ok: bool
    detail: str


def contents(place: Path) -> Row:
    """What is there, as one nested mapping; sizes in bytes, times in ms."""
    checkpoint = read_latest(place / spool.CHECKPOINTS)
    tries = AttemptsFile(place / spool.CHECKPOINTS).read()
    return {
        "path": str(place),
        "journal": _journal_facts(place / spool.JOURNAL),
        "checkpoints": {
            "files": [
                _file(place / spool.CHECKPOINTS / name)
                for name in checkpoint_files(place / spool.CHECKPOINTS)
            ],
            "newest": None if checkpoint is None else checkpoint.number,
            "at": None if checkpoint is None else checkpoint.state.get("wall"),
        },
        "store": _store_facts(place / spool.STORE),
        "attempts": tries.attempt if (place / spool.CHECKPOINTS / ATTEMPTS_FILE).exists() else 0,
        "set_aside": [_file(path) for path in sorted(place.rglob("*")) if _ASIDE.search(path.name)],
    }


def verify(place: Path) -> list[Finding]:
    """Check everything that has a checksum or a shape, and that the parts fit together."""
    return [*_journal_findings(place), *_checkpoint_findings(place), *_store_findings(place), _fit(place)]


def messages(place: Path) -> Iterator[Row]:
    """Messages of the journal, as they came."""
    for number, record in _records(place):
        for given in record["inputs"]:
            if given["type"] == "batch":
                for topic, payload in zip(given["topics"], given["payloads"], strict=True):
                    yield _message(topic, payload, given["moment"]["wall"], record=number)


def quarantined(place: Path) -> Iterator[Row]:
    """Messages and lines in quarantine."""
    with closing(_reader(place)) as db:
        for at, topic, reason, payload in db.execute(
            "SELECT at, topic, reason, payload FROM quarantine ORDER BY id"
        ):
            yield _message(topic, payload, at, reason=reason)


def waiting_lines(place: Path) -> Iterator[Row]:
    """Lines that wait for a sink, in line protocol."""
    with closing(_reader(place)) as db:
        for sink, bucket, at, body in db.execute("SELECT sink, bucket, at, body FROM outbox ORDER BY id"):
            for line in (
                codec.decompress(body).decode().removesuffix("\n").split("\n")
            ):  # a tag may hold others
                yield {"sink": sink, "bucket": bucket, "at": at, "line": line}


def _message(topic: str, payload: bytes, at: int, **more: Any) -> Row:
    return {"at": at, "topic": topic, "payload": base64.b64encode(payload).decode(), **more}


def _file(path: Path) -> Row:
    return {"name": path.name, "bytes": path.stat().st_size}


def _scans(directory: Path) -> list[tuple[str, Scanned, bytes]]:
    paths = sorted(directory.iterdir()) if directory.is_dir() else []
    named = sorted((parsed, path) for path in paths if (parsed := parse_name(path.name)) is not None)
    found = []
    for (first, _), path in named:
        data = path.read_bytes()
        found.append((path.name, Scanned(first, len(data), scan(data)), data))
    return found


def _records(place: Path) -> Iterator[tuple[int, Any]]:
    scans = _scans(place / spool.JOURNAL)
    verdicts = survey([scanned for _, scanned, _ in scans]).verdicts
    for (_, _, data), verdict in zip(scans, verdicts, strict=True):
        for frame in verdict.frames:
            if frame.kind == RECORD:
                yield frame.number, codec.decode(body_of(data, frame))


def _journal_facts(directory: Path) -> Row:
    scans = _scans(directory)
    found = survey([scanned for _, scanned, _ in scans])
    numbers = [frame.number for verdict in found.verdicts for frame in verdict.frames]
    return {
        "segments": [
            {
                "name": name,
                "bytes": scanned.size,
                "records": len(verdict.frames),
                "sound": not verdict.corrupt,
            }
            for (name, scanned, _), verdict in zip(scans, found.verdicts, strict=True)
        ],
        "bytes": sum(scanned.size for _, scanned, _ in scans),
        "records": len(numbers),
        "first": min(numbers, default=None),
        "last": max(numbers, default=None),
        "lost": [list(hole) for hole in found.lost],
        "torn_bytes": found.torn_bytes,
    }


def _reader(place: Path) -> sqlite3.Connection:
    return schema.connect_reader(place / spool.STORE)


def _store_facts(path: Path) -> Row:
    if not path.exists():
        return {"bytes": 0}
    facts: Row = {"bytes": path.stat().st_size}
    try:
        with closing(schema.connect_reader(path)) as db:
            meta = dict(db.execute("SELECT key, value FROM meta"))
            facts |= {name: meta.get(name) for name in ("applied", "floor", "frozen")}
            facts["salvaging"] = "salvage" in meta
            facts["rows"] = {
                name: db.execute(f"SELECT COUNT(*) FROM {name}").fetchone()[0]  # noqa: S608 - names from above
                for name in COUNTED
            }
            sums = "SELECT sink, COUNT(*), SUM(lines), SUM(size), MIN(at) FROM outbox GROUP BY sink"
            names = ("chunks", "lines", "bytes", "oldest")
            facts["outbox"] = {sink: dict(zip(names, told, strict=True)) for sink, *told in db.execute(sums)}
    except schema.READ_ERRORS as error:
        facts["damage"] = str(error)
    return facts


def _journal_findings(place: Path) -> Iterator[Finding]:
    facts = _journal_facts(place / spool.JOURNAL)
    for segment in facts["segments"]:
        yield Finding(f"journal {segment['name']}", segment["sound"], f"{segment['records']} records")
    if facts["lost"]:
        yield Finding("journal", False, f"records {facts['lost']} are lost")
    undecodable = []
    try:
        decoded = sum(1 for _ in _records(place))
    except codec.UndecodableBytes as error:
        undecodable.append(str(error))
        decoded = 0
    yield Finding(
        "journal records", not undecodable, undecodable[0] if undecodable else f"{decoded} can be decoded"
    )


def _checkpoint_findings(place: Path) -> Iterator[Finding]:
    directory = place / spool.CHECKPOINTS
    found = read_latest(directory)
    names = checkpoint_files(directory)
    for name in names:
        bad = found is None or name in found.skipped
        yield Finding(f"checkpoint {name}", not bad, "cannot be read" if bad else "readable")
    if not names:
        yield Finding(
            "checkpoints", _journal_facts(place / spool.JOURNAL)["first"] in {None, 1}, "there is none"
        )


def _store_findings(place: Path) -> Iterator[Finding]:
    path = place / spool.STORE
    if not path.exists():
        yield Finding("store", False, "there is none")
        return
    try:
        with closing(schema.connect_reader(path)) as db:
            verdict = db.execute("PRAGMA integrity_check(1)").fetchone()[0]
            yield Finding("store integrity", verdict == "ok", verdict)
            for table in ("window", "state_window"):
                rows = db.execute(f"SELECT row, start, series FROM {table}")  # noqa: S608 - a name from the line above
                bad = sum(checked(*row) is None for row in rows)
                yield Finding(
                    f"store {table}", not bad, f"{bad} rows are not what was written" if bad else "sound"
                )
            yield _outbox_finding(db)
    except schema.READ_ERRORS as error:
        yield Finding("store", False, str(error))


def _outbox_finding(db: sqlite3.Connection) -> Finding:
    bad = 0
    for (body,) in db.execute("SELECT body FROM outbox"):
        try:
            codec.decompress(body)
        except codec.UndecodableBytes:
            bad += 1
    return Finding("store outbox", not bad, f"{bad} chunks are not what was written" if bad else "sound")


def _fit(place: Path) -> Finding:
    """Whether journal, checkpoint and store leave no record out between them."""
    facts = contents(place)
    first, last = facts["journal"]["first"], facts["journal"]["last"] or 0
    checkpoint, applied = facts["checkpoints"]["newest"] or 0, facts["store"].get("applied") or 0
    headless = first is not None and first > checkpoint + 1
    behind = first is not None and applied + 1 < first <= checkpoint + 1 and applied < checkpoint
    ahead = applied > max(last, checkpoint)
    told = f"journal {first}–{last}, checkpoint {checkpoint}, store {applied}"
    return Finding("positions", not (headless or behind or ahead), told)
