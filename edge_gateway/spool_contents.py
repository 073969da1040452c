"""Inspect, verify and export a spool whose lock this process holds, without changing it: `edge-gateway spool`."""

from __future__ import annotations

import base64
import re
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from edge_gateway.errors import BadInput, OtherSpool
from edge_gateway.journal import spool
from edge_gateway.journal.checkpoint import checkpoint_files, read_latest, refuse_other
from edge_gateway.journal.framing import FORMAT, RECORD, body_of, newer_format, scan
from edge_gateway.journal.reconcile import ScannedSegment, reconcile
from edge_gateway.journal.segments import parse_name
from edge_gateway.records import codec
from edge_gateway.recovery.attempts import ATTEMPTS_FILE, AttemptsFile
from edge_gateway.store import schema
from edge_gateway.store.block_body import decoded, decoded_marks
from edge_gateway.store.block_rows import DTYPES
from edge_gateway.store.row_checksum import NAME_TABLES, checked, name_checksum
from fleet_config.counting import counted, span

Row = dict[str, Any]
_ASIDE: Final = re.compile(r"\.corrupt-\d+$")
BAD_CHECKPOINT: Final = "damaged; the gateway will start from an older one and the journal"
MENDS: Final = "the gateway will replace the store and recover the rest"
COUNTED: Final = (
    *("window", "state_window", "late", "late_state", "apart"),
    *("alert", "command", "quarantine", "event"),
)


@dataclass(frozen=True, slots=True)
class SpoolCheck:
    """The result of one check."""

    check: str
    ok: bool
    detail: str


def contents(place: Path) -> Row:
    """Describe the spool as one nested mapping; sizes in bytes, times in ms.

    OtherSpool: a program of another version wrote it; what this one cannot read is not damaged.
    """
    _refuse_other(place)
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


def verify(place: Path) -> list[SpoolCheck]:
    """Check every checksum, the store's integrity, and whether journal, checkpoints and store fit together.

    OtherSpool as `contents`.
    """
    _refuse_other(place)
    return [*_journal_findings(place), *_checkpoint_findings(place), *_store_findings(place), _fit(place)]


def _refuse_other(place: Path) -> None:
    refuse_other(place / spool.CHECKPOINTS)
    schema.refuse_other(place / spool.STORE)


def messages(place: Path) -> Iterator[Row]:
    """Yield the journal's messages in order of arrival."""
    for number, record in _records(place):
        for given in record["inputs"]:
            if given["type"] == "batch":
                for topic, payload in zip(given["topics"], given["payloads"], strict=True):
                    yield _message(topic, payload, given["moment"]["wall"], record=number)


def quarantined(place: Path) -> Iterator[Row]:
    """Yield the messages and lines in quarantine."""
    rows = _rows(place, "SELECT at, topic, reason, payload FROM quarantine ORDER BY id")
    for at, topic, reason, payload in rows:
        yield _message(topic, payload, at, reason=reason)


def waiting_lines(place: Path) -> Iterator[Row]:
    """Yield the outbox lines in line protocol."""
    from edge_gateway.store.block_lines import lines_of_block  # noqa: PLC0415 - msgpack, which nothing else here needs

    chunks = "SELECT sink, bucket, at, block, skip, body FROM outbox ORDER BY id"
    try:
        with closing(schema.connect_reader(place / spool.STORE, held=True)) as db:
            for sink, bucket, at, block, skip, body in db.execute(chunks):
                text = codec.decompress(body) if block is None else lines_of_block(db, block, skip)
                for line in (
                    text.decode().removesuffix("\n").split("\n")
                ):  # splitlines would split at more than that
                    yield {"sink": sink, "bucket": bucket, "at": at, "line": line}
    except (codec.UndecodableBytes, *schema.READ_ERRORS) as error:
        raise _unreadable(error) from error


def _message(topic: str, payload: bytes, at: int, **more: Any) -> Row:
    return {"at": at, "topic": topic, "payload": base64.b64encode(payload).decode(), **more}


def _file(path: Path) -> Row:
    return {"name": path.name, "bytes": path.stat().st_size}


def _scans(directory: Path) -> list[tuple[str, ScannedSegment, bytes]]:
    paths = sorted(directory.iterdir()) if directory.is_dir() else []
    named = sorted((parsed, path) for path in paths if (parsed := parse_name(path.name)) is not None)
    found = []
    for (first, _), path in named:
        data = path.read_bytes()
        if (newer := newer_format(data)) is not None:
            raise OtherSpool.of(path, newer, FORMAT)
        scanned = scan(data)
        found.append((path.name, ScannedSegment(first, scanned.end, scanned), data))
    return found


def _records(place: Path) -> Iterator[tuple[int, Any]]:
    scans = _scans(place / spool.JOURNAL)
    plans = reconcile([scanned for _, scanned, _ in scans]).plans
    for (_, _, data), plan in zip(scans, plans, strict=True):
        for frame in plan.frames:
            if frame.kind != RECORD:
                continue
            try:
                record = codec.decode(body_of(data, frame))
            except codec.UndecodableBytes as error:
                raise BadInput(f"record {frame.number} of the journal cannot be decoded: {error}") from error
            yield frame.number, record


def _journal_facts(directory: Path) -> Row:
    scans = _scans(directory)
    found = reconcile([scanned for _, scanned, _ in scans])
    numbers = [frame.number for plan in found.plans for frame in plan.frames]
    return {
        "segments": [
            {
                "name": name,
                "bytes": scanned.size,
                "records": len(plan.frames),
                "sound": not plan.corrupt,
                "damaged_at": scanned.scan.unreadable[0][0]
                if plan.corrupt and scanned.scan.unreadable
                else None,
            }
            for (name, scanned, _), plan in zip(scans, found.plans, strict=True)
        ],
        "bytes": sum(scanned.size for _, scanned, _ in scans),
        "records": len(numbers),
        "first": min(numbers, default=None),
        "last": max(numbers, default=None),
        "lost": [list(hole) for hole in found.lost],
        "torn_bytes": found.torn_bytes,
    }


def _rows(place: Path, select: str) -> Iterator[tuple[Any, ...]]:
    try:
        with closing(schema.connect_reader(place / spool.STORE, held=True)) as db:
            yield from db.execute(select)
    except schema.READ_ERRORS as error:
        raise _unreadable(error) from error


def _unreadable(error: Exception) -> BadInput:
    return BadInput(f"the store cannot be read: {error}; `edge-gateway spool verify` lists what is damaged")


def _store_facts(path: Path) -> Row:
    if not path.exists():
        return {"bytes": 0}
    facts: Row = {"bytes": path.stat().st_size}
    try:
        with closing(schema.connect_reader(path, held=True)) as db:
            meta = dict(db.execute("SELECT key, value FROM meta"))
            facts |= {name: meta.get(name) for name in ("applied", "floor", "frozen")}
            facts["salvaging"] = "salvage" in meta
            facts["rows"] = {
                name: db.execute(f"SELECT COUNT(*) FROM {name}").fetchone()[0]  # noqa: S608 - names from above
                for name in COUNTED
            }
            blocks, windows = db.execute(
                "SELECT COUNT(*), COALESCE(SUM(rows), 0) FROM block WHERE first_start<=last_start"
            ).fetchone()
            facts["blocks"] = {"blocks": blocks, "windows": windows}
            sums = "SELECT sink, COUNT(*), SUM(lines), SUM(size), MIN(at) FROM outbox GROUP BY sink"
            names = ("chunks", "lines", "bytes", "oldest")
            facts["outbox"] = {
                sink: dict(zip(names, values, strict=True)) for sink, *values in db.execute(sums)
            }
    except schema.READ_ERRORS as error:
        facts["damage"] = str(error)
    return facts


def _journal_findings(place: Path) -> Iterator[SpoolCheck]:
    facts = _journal_facts(place / spool.JOURNAL)
    for segment in facts["segments"]:
        yield SpoolCheck(f"journal {segment['name']}", segment["sound"], _segment_text(segment))
    if facts["lost"]:
        yield SpoolCheck(
            "journal", False, f"records lost: {_spans(facts['lost'])}; what they contained is gone"
        )
    if facts["torn_bytes"]:
        yield _tail(place, facts)
    try:
        decoded = sum(1 for _ in _records(place))
    except BadInput as error:
        yield SpoolCheck("journal records", False, str(error))
    else:
        yield SpoolCheck("journal records", True, f"{decoded} can be decoded")


def _segment_text(segment: Row) -> str:
    records, damage = counted(segment["records"], "record"), segment["damaged_at"]
    if damage is not None:
        return f"{records}; the damage begins at byte {damage:,}"
    return records if segment["sound"] else f"{records}; others between them are missing"


def _tail(place: Path, facts: Row) -> SpoolCheck:
    """Judge the unreadable end of the journal, whose bytes alone do not show that it is damaged."""
    last = facts["last"] or 0
    found = f"{facts['torn_bytes']:,} B behind record {last} cannot be read"
    checkpoint = read_latest(place / spool.CHECKPOINTS)
    known = max(_store_facts(place / spool.STORE).get("applied") or 0, checkpoint.number if checkpoint else 0)
    if known > last:
        text = f"{found}: they are damaged, since checkpoint or store have record {known}"
        return SpoolCheck("journal end", False, text)
    text = (
        f"{found}: most likely a write that a kill or a power cut ended, of which nothing was acknowledged. Damage that"
        " cut the file short or overwrote it with zeros would look the same"
    )
    return SpoolCheck("journal end", True, text)


def _checkpoint_findings(place: Path) -> Iterator[SpoolCheck]:
    directory = place / spool.CHECKPOINTS
    found = read_latest(directory)
    names = checkpoint_files(directory)
    for name in names:
        bad = found is None or name in found.skipped
        yield SpoolCheck(
            f"checkpoint {name}",
            not bad,
            BAD_CHECKPOINT if bad else "sound",
        )
    if not names:
        yield SpoolCheck(
            "checkpoints",
            _journal_facts(place / spool.JOURNAL)["first"] in {None, 1},
            "none; the journal must begin at 1",
        )


def _store_findings(place: Path) -> Iterator[SpoolCheck]:
    path = place / spool.STORE
    if not path.exists():
        yield SpoolCheck("store", False, "missing; the gateway will make a new one, without the history")
        return
    try:
        with closing(schema.connect_reader(path, held=True)) as db:
            answer = db.execute("PRAGMA integrity_check(1)").fetchone()[0]
            yield SpoolCheck("store integrity", answer == "ok", answer)
            yield _name_finding(db)
            for table in ("window", "state_window"):
                rows = db.execute(f"SELECT row, start, series FROM {table}")  # noqa: S608 - a name from the line above
                bad = sum(checked(*row) is None for row in rows)
                yield _checksums(f"store {table}", bad)
            yield _block_finding(db)
            yield _outbox_finding(db)
    except schema.READ_ERRORS as error:
        yield SpoolCheck("store", False, str(error))


def _name_finding(db: sqlite3.Connection) -> SpoolCheck:
    bad = 0
    for kind in NAME_TABLES:
        rows = db.execute(f"SELECT {kind.columns} FROM {kind.table}")  # noqa: S608 - a constant
        bad += sum(name_checksum(*row) != crc for *row, crc in rows)
    return _checksums("store names", bad)


def _checksums(what: str, bad: int) -> SpoolCheck:
    """Judge a part of which so many rows are not what was stored."""
    return SpoolCheck(
        what, not bad, f"{counted(bad, 'row')} with a checksum mismatch; {MENDS}" if bad else "sound"
    )


def _block_finding(db: sqlite3.Connection) -> SpoolCheck:
    bad = 0
    blocks = "SELECT kind, corrected, keys, body FROM block LEFT JOIN block_body USING(id)"
    for kind, marks, keys, body in db.execute(blocks):
        try:
            decoded_marks(marks, len(decoded(keys, body, DTYPES[kind]).revisions))
        except (schema.StoreDamaged, KeyError):
            bad += 1
    return SpoolCheck(
        "store blocks", not bad, f"{counted(bad, 'block')} of windows damaged; {MENDS}" if bad else "sound"
    )


def _outbox_finding(db: sqlite3.Connection) -> SpoolCheck:
    bad = 0
    for (body,) in db.execute("SELECT body FROM outbox WHERE block IS NULL"):
        try:
            codec.decompress(body)
        except codec.UndecodableBytes:
            bad += 1
    return SpoolCheck("store outbox", not bad, f"{bad} damaged chunks of lines; {MENDS}" if bad else "sound")


def _fit(place: Path) -> SpoolCheck:
    """Check that no record is missing between checkpoint, journal and store."""
    facts = contents(place)
    first, last = facts["journal"]["first"], facts["journal"]["last"] or 0
    checkpoint, applied = facts["checkpoints"]["newest"] or 0, facts["store"].get("applied") or 0
    headless = first is not None and first > checkpoint + 1
    behind = first is not None and applied + 1 < first <= checkpoint + 1 and applied < checkpoint
    ahead = applied > max(last, checkpoint)
    held = "empty" if first is None else f"{first}–{last}"
    positions = f"journal {held}, checkpoint {checkpoint}, store {applied}"
    return SpoolCheck("positions", not (headless or behind or ahead), positions)


def _spans(ranges: list[list[int]]) -> str:
    return ", ".join(span(*one) for one in ranges)
