"""Read a recorded CSV file into samples: device, time, values.

Empty rows, which spreadsheets pad their files with, are skipped. A row without a usable time, device or label,
and a value that is not a number, are counted and left out; they never stop a replay. A censored value (`<0.03`)
is sent as its limit with the mapping's `censored_quality`, so that rules err on the safe side and the doubt
stays visible.
"""

import csv
import math
import re
from collections import defaultdict
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import NamedTuple
from zoneinfo import ZoneInfo

from fleet_recordings.mapping import FromColumn, Mapping, legal_name
from fleet_wire.errors import system_text
from fleet_wire.topics import is_level

__all__ = ["RecordedSample", "Recording", "RecordingUnreadable", "read_recording"]

CENSORED = ("<", ">")
NUMBER = re.compile(r"[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?", re.ASCII)
GROUPED = re.compile(r"[+-]?\d{1,3}(\.\d{3})+", re.ASCII)
"""Thousands separated by dots, where the decimal sign is a comma."""


class RecordingUnreadable(Exception):
    """The file cannot be read with this mapping; the text says why."""


Row = dict[str, str | None]
"""A row by column; None where the row is too short."""


class RecordedSample(NamedTuple):
    """What one device measured at one time (ms since 1970). `m`: values by metric; `q`: qualities below 1."""

    ts: int
    device: str
    m: dict[str, float]
    q: dict[str, float] | None


@dataclass(slots=True)
class Recording:
    """All samples in time order; those of the same time stay in the order of the file.

    `units` are by device and metric, `tags` by device and tag; `sites` and `types` by device. `first_bad` says what is
    wrong with the first bad row.
    """

    samples: list[RecordedSample] = field(default_factory=list)
    units: dict[str, dict[str, str | None]] = field(default_factory=dict)
    tags: dict[str, dict[str, str]] = field(default_factory=dict)
    sites: dict[str, str] = field(default_factory=dict)
    types: dict[str, str] = field(default_factory=dict)
    rows: int = 0
    empty_rows: int = 0
    bad_rows: int = 0
    first_bad: str = ""
    bad_values: int = 0
    censored: int = 0


def read_recording(path: Path, mapping: Mapping, *, most_metrics: int | None = None) -> Recording:
    """Read a whole file.

    Raises:
        RecordingUnreadable: the file is missing, lacks a column of the mapping, has no readable row, or has more than
            `most_metrics`, which is what a run can hold.
    """
    recording = Recording()
    try:
        with path.open(encoding=mapping.encoding, newline="") as file:
            rows = csv.DictReader(file, delimiter=mapping.separator)
            _check_columns(path, mapping, rows.fieldnames or ())
            for row in rows:
                _count_row(recording, mapping, row, rows.line_num)
    except OSError as problem:
        raise RecordingUnreadable(f"cannot read {path}: {system_text(problem)}") from None
    except (UnicodeDecodeError, csv.Error) as problem:
        raise RecordingUnreadable(f"{path}: {problem}; check the mapping's encoding and separator") from None
    _check_result(path, recording, most_metrics)
    if mapping.long is not None:
        recording.samples = _joined(recording.samples)
    recording.samples.sort(key=lambda sample: sample.ts)
    return recording


def _check_columns(path: Path, mapping: Mapping, found: Iterable[str]) -> None:
    wanted = [*mapping.time.columns, *mapping.device.tags.values()]
    wanted += [mapping.device.column] if mapping.device.column else []
    about = (mapping.device.site, mapping.device.type)
    wanted += [one.column for one in about if isinstance(one, FromColumn)]
    wanted += [metric.column for metric in mapping.metrics.values()]
    if mapping.long is not None:
        long = mapping.long
        wanted += [name for name in (long.name, long.value, long.unit, long.qualifier) if name]
    missing = [name for name in wanted if name not in {*found, *mapping.optional}]
    if missing:
        raise RecordingUnreadable(f"{path}: no column {', '.join(missing)}; it has {', '.join(found)}")


def _check_result(path: Path, recording: Recording, most_metrics: int | None) -> None:
    if not recording.samples:
        why = recording.first_bad or "no value is a number: check the columns and the decimal sign"
        raise RecordingUnreadable(f"{path}: none of its {recording.rows} rows is a sample; {why}")
    metrics = {name for units in recording.units.values() for name in units}
    if most_metrics is not None and len(metrics) > most_metrics:
        raise RecordingUnreadable(
            f"{path}: {len(metrics)} different metrics, and a run holds at most {most_metrics}; split the file"
        )


def _count_row(recording: Recording, mapping: Mapping, row: Row, line: int) -> None:
    recording.rows += 1
    if not any(value for value in row.values() if isinstance(value, str)):
        recording.empty_rows += 1
        return
    try:
        _read_row(recording, mapping, row)
    except ValueError as problem:
        recording.bad_rows += 1
        recording.first_bad = recording.first_bad or f"line {line}: {problem}"


def _read_row(recording: Recording, mapping: Mapping, row: Row) -> None:
    ts = time_of(" ".join(row[name] or "" for name in mapping.time.columns), mapping)
    device = mapping.device.id or row[mapping.device.column or ""] or ""
    if not is_level(device):
        raise ValueError(f"'{device}' is not a device id; use 1 to 64 of A-Z a-z 0-9 _ -")
    site = _said(mapping.device.site, row) or "recording"
    if not is_level(site):
        raise ValueError(f"'{site}' is not a site; use 1 to 64 of A-Z a-z 0-9 _ -")
    m, q, units = {}, {}, recording.units.get(device, {})
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
        recording.tags.setdefault(device, _tags(mapping, row))
        recording.units[device] = units
        recording.sites.setdefault(device, site)
        recording.types.setdefault(device, _said(mapping.device.type, row) or "unknown")


def _said(given: str | FromColumn, row: Row) -> str:
    return given if isinstance(given, str) else row.get(given.column) or ""


def _tags(mapping: Mapping, row: Row) -> dict[str, str]:
    tags = {tag: row[name] or "" for tag, name in mapping.device.tags.items()}
    prefix = mapping.device.tag_columns
    if prefix is not None:
        found = {name.removeprefix(prefix): text for name, text in row.items() if name.startswith(prefix)}
        tags |= {tag: text for tag, text in found.items() if tag and text}
    return tags


def _values(mapping: Mapping, row: Row) -> Iterator[tuple[str, str, str | None, str]]:
    """Yield (metric, text, unit, qualifier) for each value of a row; ValueError for an unusable label."""
    for name, metric in mapping.metrics.items():
        yield name, row[metric.column] or "", metric.unit, ""
    if mapping.long is not None:
        long = mapping.long
        qualifier = row.get(long.qualifier) if long.qualifier else ""
        unit = row.get(long.unit) or None if long.unit else None
        yield legal_name(row[long.name] or ""), row[long.value] or "", unit, qualifier or ""


def time_of(text: str, mapping: Mapping) -> int:
    """Return the time in ms since 1970; ValueError if it cannot be read."""
    form = mapping.time.format
    at = datetime.fromisoformat(text) if form == "iso" else datetime.strptime(text, form)  # noqa: DTZ007 - the zone follows
    if at.tzinfo is None:
        at = at.replace(tzinfo=ZoneInfo(mapping.time.zone))
    return round(at.timestamp() * 1000)


def number_of(text: str, qualifier: str, mapping: Mapping) -> tuple[float | None, bool]:
    """Return (value, censored); value is None if it is not a finite number.

    The `<` or `>` of a censored value stands before it, or in the qualifier.
    """
    text = text.strip()
    sign = text[:1] if text[:1] in CENSORED else qualifier.strip()[:1]
    plain = text.lstrip("<>").strip()
    if mapping.decimal == ",":
        plain = _with_point(plain)
    value = float(plain) if NUMBER.fullmatch(plain) else math.nan
    return (value, sign in CENSORED) if math.isfinite(value) else (None, False)


def _with_point(text: str) -> str:
    """Turn `1.234,5` into `1234.5`; return an empty text if a dot does not separate thousands."""
    whole, comma, rest = text.partition(",")
    if "." in text and not GROUPED.fullmatch(whole):
        return ""
    return whole.replace(".", "") + comma.replace(",", ".") + rest


def _joined(samples: list[RecordedSample]) -> list[RecordedSample]:
    """Join the values of one device and time into one sample; a repeated metric starts another."""
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
