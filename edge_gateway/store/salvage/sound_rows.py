"""Which rows of a damaged store are sound enough to copy, table by table.

Windows, blocks of them, names, texts and outbox chunks have checksums. In the other tables, types and texts are
checked, and whether columns agree with each other. A row that refers to a missing series or text is not copied.
"""

import json
import math
from collections.abc import Callable, Collection
from dataclasses import dataclass, field
from typing import Any, Final, NamedTuple

import numpy as np

from edge_gateway.columns.point_number import PER_MS
from edge_gateway.records import codec
from edge_gateway.records.window_block import STATE_ROW, WINDOW_ROW
from edge_gateway.store.block_body import Revised, decoded, decoded_marks
from edge_gateway.store.kept_apart import APART_TIMES
from edge_gateway.store.room_in_file import row_in_file
from edge_gateway.store.row_checksum import checked, name_checksum
from edge_gateway.store.salvage.damaged_file import KeyedTable
from edge_gateway.store.schema import StoreDamaged

Row = tuple[Any, ...]

KINDS: Final = {"window": WINDOW_ROW, "state_window": STATE_ROW}

EARLIER: Final = 1 << 40
"""Subtracted from the ids of copied rows, so that they sort before all new ones, in their order."""
_ID: Final = (64,)
_WINDOW_BITS: Final = (16, 48, 32)


@dataclass(frozen=True, slots=True)
class Known:
    """What rows may refer to: series and text numbers, the number of tiers, and names of sinks and buckets."""

    series: Collection[int]
    texts: Collection[int]
    tiers: int
    sinks: Collection[str]
    buckets: set[str] = field(default_factory=set)


class SalvagedTable(NamedTuple):
    """A table that is copied: how to read it, the check that returns a row as it is inserted, and the INSERT."""

    table: KeyedTable
    sound: Callable[[Row, Known], Row | None]
    insert: str


class Unsound(Exception):
    """A row is damaged."""


def sound(kept: SalvagedTable, row: Row, known: Known) -> Row | None:
    """Return a row as it is inserted, or None if it is damaged. Never raises, whatever the row contains."""
    try:
        return kept.sound(row, known)
    except (Unsound, ValueError, TypeError, KeyError, OverflowError, codec.UndecodableBytes, StoreDamaged):
        return None


def _need(truth: object) -> None:
    if not truth:
        raise Unsound


def _whole(*values: Any) -> None:
    _need(all(isinstance(value, int) for value in values))


def _texts(*values: Any) -> list[str]:
    _need(all(isinstance(value, bytes) for value in values))
    return [value.decode() for value in values]


def _series(row: Row, _: Known) -> Row:
    number, *names, crc = row
    texts = _texts(*names)
    _need(crc == name_checksum(number, *texts) and isinstance(json.loads(texts[-1]), dict))
    _need(texts[0] and texts[1])
    return (number, *texts, crc)


def _number(row: Row, known: Known) -> Row:
    series, version, number, told, crc = row
    (tags,) = _texts(told)
    _need(crc == name_checksum(series, version, number, tags))
    _need(number in known.series and isinstance(json.loads(tags), dict))
    return (series, version, number, tags, crc)


def _text(row: Row, _: Known) -> Row:
    number, name, crc = row
    (text,) = _texts(name)
    _need(crc == name_checksum(number, text))
    return (number, text, crc)


def _code(row: Row, known: Known) -> Row:
    code, number, crc = row
    _need(crc == name_checksum(code, number) and number in known.texts)
    return row


def _window(row: Row, known: Known) -> Row:
    _same_window(row, known, WINDOW_ROW)
    return row


def _state_window(row: Row, known: Known) -> Row:
    written = _same_window(row, known, STATE_ROW)
    _need(int(written["first"]) in known.texts and int(written["last"]) in known.texts)
    return row


def _same_window(row: Row, known: Known, dtype: "np.dtype[Any]") -> Any:
    tier, start, series, revision, blob = row
    _whole(revision)
    data = checked(blob, start, series)
    _need(data is not None and 0 <= tier < known.tiers and series in known.series)
    assert data is not None
    return np.frombuffer(data, dtype, 1)[0]


def _block(row: Row, known: Known) -> Row:
    """Return number, kind, tier and windows of a block, but those that are gone, were corrected or lack a name."""
    number, kind, tier, first, last, count, marks, keys, body = row
    _whole(tier, first, last, count)
    (name,) = _texts(kind)
    windows, revisions = decoded(keys, body, KINDS[name])
    rows = windows.rows
    _need(0 <= tier < known.tiers)
    _need(first > last or (rows["start"][-1] == last and rows["start"][0] <= first))
    valid = (rows["start"] >= first) & ~decoded_marks(marks, len(rows))
    _need(np.count_nonzero(valid) == count)
    valid &= [one in known.series for one in rows["series"].tolist()]
    for end in ("first", "last") if name == "state_window" else ():
        valid &= [text in known.texts for text in rows[end].tolist()]
    return (number, name, tier, Revised(windows, revisions).take(np.flatnonzero(valid)))


def _late(row: Row, known: Known) -> Row:
    number, series, ts, value, quality, tiers, nth, at, aged = row
    _whole(ts, quality, tiers, nth, at, at if aged is None else aged)
    _need(series in known.series and isinstance(value, float) and math.isfinite(value))
    _need(0 <= quality <= 1000 and 0 < tiers < 1 << known.tiers and 0 <= nth < PER_MS)  # noqa: PLR2004 - thousandths
    return (number - EARLIER, *row[1:])


def _late_state(row: Row, known: Known) -> Row:
    number, series, ts, value, quality, tiers, nth, at, aged = row
    _whole(ts, quality, tiers, nth, at, at if aged is None else aged)
    _need(series in known.series and value in known.texts and 0 < tiers < 1 << known.tiers)
    return (number - EARLIER, *row[1:])


def _alert(row: Row, _: Known) -> Row:
    number, at, *texts = row
    named = _texts(*texts)
    body = json.loads(named[-1])
    facts = (body["at"], body["id"], body["rule"], body["subject"], body["metric"], body["state"])
    _need(facts == (at, *named[:-1]))
    return (number - EARLIER, at, *named)


def _command(row: Row, _: Known) -> Row:
    _, number, n, device, name, args, state, at, detail = row
    _whole(at)
    _need(n is None or isinstance(n, int))
    _need(isinstance(json.loads(args), dict))
    named = _texts(number, device, name, args, state, detail)
    return (named[0], n, *named[1:5], at, named[5])


def _quarantined(row: Row, _: Known) -> Row:
    number, at, topic, reason, payload, size = row
    _whole(at, size)
    _need(isinstance(payload, bytes) and len(payload) <= size)
    return (number - EARLIER, at, *_texts(topic, reason), payload, size)


def _apart(row: Row, _: Known) -> Row:
    number, kind, at, device, metric, body = row
    _whole(at)
    name, *named = _texts(kind, device, metric, body)
    facts = json.loads(named[-1])
    _need(name in APART_TIMES and (facts["device"], facts["metric"]) == tuple(named[:2]))
    _need(facts[APART_TIMES[name]] == at and isinstance(facts["why"], str))
    return (number - EARLIER, name, at, *named)


def _event(row: Row, _: Known) -> Row:
    number, at, code, text = row
    _whole(at)
    return (number - EARLIER, at, *_texts(code, text))


def _chunk(row: Row, known: Known) -> Row:
    number, sink, bucket, rank, lines, size, at, aged, block, _, body = row
    _need(block is None)
    _whole(rank, lines, size, at, at if aged is None else aged)
    names = _texts(sink, bucket)
    _need(
        names[0] in known.sinks
        and size == row_in_file(len(body))
        and codec.decompress(body).count(b"\n") == lines
    )
    _need(names[1] in known.buckets)
    return (number, *names, rank, lines, size, at, aged, None, None, body)


def _kept(
    name: str, key: tuple[str, ...], bits: tuple[int, ...], columns: str, judge: Callable[[Row, Known], Row]
) -> SalvagedTable:
    others = tuple(columns.split())
    stored = tuple(column for column in (*key, *others) if column != "rowid")
    marks = ", ".join("?" * len(stored))
    insert = f"INSERT OR IGNORE INTO {name}({', '.join(stored)}) VALUES({marks})"
    return SalvagedTable(KeyedTable(name, key, bits, others), judge, insert)


SERIES: Final = _kept("series", ("id",), _ID, "device metric site type tags crc", _series)
NUMBER: Final = _kept("number", ("series", "version"), (64, 32), "id tags crc", _number)
TEXT: Final = _kept("text", ("id",), _ID, "text crc", _text)
CODE: Final = _kept("code", ("code",), _ID, "id crc", _code)
_TAKEN: Final = "series ts value quality tiers nth at aged"
LATE: Final = _kept("late", ("id",), _ID, _TAKEN, _late)
LATE_STATE: Final = _kept("late_state", ("id",), _ID, _TAKEN, _late_state)
OUTBOX: Final = _kept("outbox", ("id",), _ID, "sink bucket rank lines size at aged block skip body", _chunk)
_KEY: Final = ("tier", "start", "series")
WINDOW: Final = _kept("window", _KEY, _WINDOW_BITS, "revision row", _window)
STATE_WINDOW: Final = _kept("state_window", _KEY, _WINDOW_BITS, "revision row", _state_window)
_BLOCK: Final = ("kind", "tier", "first_start", "last_start", "rows", "corrected", "keys", "body")
BLOCK: Final = SalvagedTable(
    KeyedTable("block", ("id",), _ID, _BLOCK, most=8, joined="block_body"), _block, ""
)
"""A block is not inserted as it is, but those of its windows that are stored nowhere yet."""
ALERT: Final = _kept("alert", ("id",), _ID, "at alert rule subject metric state body", _alert)
COMMAND: Final = _kept("command", ("rowid",), _ID, "id n device name args state at detail", _command)
QUARANTINE: Final = _kept("quarantine", ("id",), _ID, "at topic reason payload size", _quarantined)
EVENT: Final = _kept("event", ("id",), _ID, "at code text", _event)
APART: Final = _kept("apart", ("id",), _ID, "kind at device metric body", _apart)
