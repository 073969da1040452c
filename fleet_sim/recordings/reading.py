"""Reads a recorded CSV file into samples: which device, when, which values.

Rows that are wholly empty are the padding of spreadsheets and are passed over. A row whose time cannot be
read, and a value that is no number, are counted and left out; they never stop a replay. A censored value
(`<0.03`) is sent as its limit with the mapping's `censored_quality`, so that limits are judged on the safe
side and the doubt stays visible.
"""

import csv
import re
from collections import defaultdict
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import NamedTuple
from zoneinfo import ZoneInfo

from fleet_sim.recordings.mapping import Mapping, legal_name

__all__ = ["RecordedSample", "Recording", "RecordingUnreadable", "read_recording"]

CENSORED = ("<", ">")
PLAIN = re.compile(r"[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?", re.ASCII)
GROUPED = re.compile(r"[+-]?\d{1,3}(\.\d{3})+", re.ASCII)
"""Thousands parted by dots, where the decimal sign is the comma."""


class RecordingUnreadable(Exception):
    """The file cannot be read by this mapping; the text says why."""


class RecordedSample(NamedTuple):
    """What one device measured at one time (ms since 1970); `q` holds qualities below 1."""

    ts: int
    device: str
    m: dict[str, float]
    q: dict[str, float] | None


@dataclass(slots=True)
class Recording:
    """All samples in time order, rows of one time in the order of the file; `units` by device and metric."""

    samples: list[RecordedSample] = field(default_factory=list)
    units: dict[str, dict[str, str | None]] = field(default_factory=dict)
    tags: dict[str, dict[str, str]] = field(default_factory=dict)
    rows: int = 0
    empty_rows: int = 0
    bad_rows: int = 0
    bad_values: int = 0
    censored: int = 0


def read_recording(path: Path, mapping: Mapping) -> Recording:
    """Read a whole file.

    Raises:
        RecordingUnreadable: no such file, a column of the mapping is not there, or nothing in it can be read.
    """
    recording = Recording()
    try:
        with path.open(encoding=mapping.encoding, newline="") as file:
            rows = csv.DictReader(file, delimiter=mapping.separator)
            _require(path, mapping, rows.fieldnames or ())
            for row in rows:
                _take(recording, mapping, row)
    except OSError as problem:
        raise RecordingUnreadable(f"cannot read {path}: {problem.strerror}") from None
    except (UnicodeDecodeError, csv.Error) as problem:
        raise RecordingUnreadable(f"{path}: {problem}; check encoding and separator of the mapping") from None
    if not recording.samples:
        raise RecordingUnreadable(f"{path}: this mapping can read none of its rows ({recording.rows})")
    if mapping.long is not None:
        recording.samples = _gathered(recording.samples)
    recording.samples.sort(key=lambda sample: sample.ts)
    return recording


def _require(path: Path, mapping: Mapping, found: Iterable[str]) -> None:
    wanted = [*mapping.time.columns, *mapping.device.tags.values()]
    wanted += [mapping.device.column] if mapping.device.column else []
    wanted += [metric.column for metric in mapping.metrics.values()]
    if mapping.long is not None:
        long = mapping.long
        wanted += [name for name in (long.name, long.value, long.unit, long.qualifier) if name]
    missing = [name for name in wanted if name not in set(found)]
    if missing:
        raise RecordingUnreadable(f"{path}: no column {', '.join(missing)}; it has {', '.join(found)}")


def _take(recording: Recording, mapping: Mapping, row: dict[str, str]) -> None:
    recording.rows += 1
    if not any(value for value in row.values() if isinstance(value, str)):
        recording.empty_rows += 1
        return
    try:
        ts = time_of(" ".join(row[name] for name in mapping.time.columns), mapping)
    except (ValueError, TypeError):
        recording.bad_rows += 1
        return
    device = mapping.device.id or row[mapping.device.column or ""]
    recording.tags.setdefault(device, {tag: row[name] for tag, name in mapping.device.tags.items()})
    units = recording.units.setdefault(device, {})
    m, q = {}, {}
    for name, text, unit, qualifier in _values(mapping, row):
        value, censored = number_of(text, qualifier, mapping)
        if value is None:
            recording.bad_values += bool(text)
            continue
        m[name] = value
        units.setdefault(name, unit)
        if censored:
            q[name] = mapping.censored_quality
            recording.censored += 1
    if m:
        recording.samples.append(RecordedSample(ts, device, m, q or None))


def _values(mapping: Mapping, row: dict[str, str]) -> Iterator[tuple[str, str, str | None, str]]:
    for name, metric in mapping.metrics.items():
        yield name, row[metric.column] or "", metric.unit, ""
    if mapping.long is not None:
        long = mapping.long
        qualifier = row[long.qualifier] if long.qualifier else ""
        yield legal_name(row[long.name]), row[long.value], row[long.unit] if long.unit else None, qualifier


def time_of(text: str, mapping: Mapping) -> int:
    """Return the time in ms since 1970; ValueError where it is none."""
    form = mapping.time.format
    at = datetime.fromisoformat(text) if form == "iso" else datetime.strptime(text, form)  # noqa: DTZ007 - the zone follows
    if at.tzinfo is None:
        at = at.replace(tzinfo=ZoneInfo(mapping.time.zone))
    return round(at.timestamp() * 1000)


def number_of(text: str, qualifier: str, mapping: Mapping) -> tuple[float | None, bool]:
    """Return (value, censored); the sign of a censored value stands before it or in a column of its own."""
    text = (text or "").strip()
    sign = text[:1] if text[:1] in CENSORED else (qualifier or "").strip()[:1]
    plain = text.lstrip("<>").strip()
    if mapping.decimal == ",":
        plain = _with_point(plain)
    return (float(plain), sign in CENSORED) if PLAIN.fullmatch(plain) else (None, False)


def _with_point(text: str) -> str:
    """`1.234,5` → `1234.5`; what has a point where no thousands begin is no number of a file with commas."""
    whole, comma, rest = text.partition(",")
    if "." in text and not GROUPED.fullmatch(whole):
        return ""
    return whole.replace(".", "") + comma.replace(",", ".") + rest


def _gathered(samples: list[RecordedSample]) -> list[RecordedSample]:
    """Join the values of one device and time into one sample; a metric that comes twice begins another."""
    found: dict[tuple[int, str], list[RecordedSample]] = defaultdict(list)
    for sample in samples:
        group = found[sample.ts, sample.device]
        home = next((each for each in group if not each.m.keys() & sample.m.keys()), None)
        if home is None:
            group.append(sample._replace(m=dict(sample.m), q=dict(sample.q or {})))
        else:
            home.m.update(sample.m)
            if home.q is not None:
                home.q.update(sample.q or {})
    return [sample._replace(q=sample.q or None) for group in found.values() for sample in group]
