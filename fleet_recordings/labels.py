"""Labels: when something was wrong with which metric of which device; a CSV file with a row each.

Columns: device, start, end (ISO 8601, UTC unless it says otherwise); metric, kind, size and rule may be missing or
empty. `rule` names the rule that should fire; without it, every rule that reads the metric should.
"""

from __future__ import annotations

import csv
import math
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Final

from fleet_config.problems import NOWHERE, Problem, ProblemsFound, suggest
from fleet_wire.errors import system_text

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from pathlib import Path

__all__ = ["COLUMNS", "Label", "iso", "read_labels", "write_labels"]

COLUMNS: Final = ("device", "metric", "kind", "size", "start", "end", "rule")
_REQUIRED: Final = ("device", "start", "end")


@dataclass(frozen=True, slots=True, order=True)
class Label:
    """One fault or event. It is on in [start, end), ms since 1970; `size` None where its kind has none."""

    start: int
    device: str
    metric: str
    kind: str
    end: int
    size: float | None = None
    rule: str = ""


def iso(ms: int) -> str:
    """Return a time as text: 2014-01-02T03:04:05.678Z, without the milliseconds if they are 0."""
    at = datetime.fromtimestamp(ms / 1000, UTC)
    text = at.isoformat(timespec="milliseconds" if ms % 1000 else "seconds")
    return text.replace("+00:00", "Z")


def write_labels(path: Path, labels: Iterable[Label]) -> None:
    """Write a file of labels in the order of time. OSError as of opening a file."""
    with path.open("w", encoding="utf-8", newline="") as file:
        rows = csv.writer(file, lineterminator="\n")
        rows.writerow(COLUMNS)
        for label in sorted(labels, key=lambda label: (label.start, label.device, label.metric)):
            size = "" if label.size is None else repr(label.size)
            rows.writerow(
                (label.device, label.metric, label.kind, size, iso(label.start), iso(label.end), label.rule)
            )


def read_labels(path: Path) -> list[Label]:
    """Read a file of labels. ProblemsFound with everything that is wrong, by line."""
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            rows = csv.DictReader(file)
            _check_columns(path, rows.fieldnames or ())
            return _labels(path, rows)
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        why = system_text(error) if isinstance(error, OSError) else str(error)
        raise ProblemsFound([Problem(str(path), *NOWHERE, f"cannot be read: {why}")]) from None


def _check_columns(path: Path, found: Iterable[str]) -> None:
    names = list(found)
    problems = [
        Problem(
            str(path), 1, 1, f"no column '{name}'; labels need {', '.join(_REQUIRED)}{suggest(name, names)}"
        )
        for name in _REQUIRED
        if name not in names
    ]
    if problems:
        raise ProblemsFound(problems)


def _labels(path: Path, rows: csv.DictReader[str]) -> list[Label]:
    labels, problems = [], []
    for row in rows:
        try:
            labels.append(_label(row))
        except ValueError as error:
            problems.append(Problem(str(path), rows.line_num, 1, str(error)))
    if problems:
        raise ProblemsFound(problems)
    return sorted(labels)


def _label(row: Mapping[str, str | None]) -> Label:
    text = {name: (row.get(name) or "").strip() for name in COLUMNS}
    if not text["device"]:
        raise ValueError("a label without a device")
    start, end = (_time(name, text[name]) for name in ("start", "end"))
    if end <= start:
        raise ValueError(f"the label ends at {text['end']}, not after its start {text['start']}")
    return Label(start, text["device"], text["metric"], text["kind"], end, _size(text["size"]), text["rule"])


def _time(name: str, text: str) -> int:
    if not text:
        raise ValueError(f"a label without a time: '{name}' is empty; write one like 2014-01-02T03:04:05Z")
    try:
        at = datetime.fromisoformat(text)
    except ValueError:
        raise ValueError(f"{name}: '{text}' is not a time; write one like 2014-01-02T03:04:05Z") from None
    return round((at if at.tzinfo else at.replace(tzinfo=UTC)).timestamp() * 1000)


def _size(text: str) -> float | None:
    try:
        size = float(text) if text else None
    except ValueError:
        size = math.nan
    if size is not None and not math.isfinite(size):
        raise ValueError(f"size: '{text}' is not a number")
    return size
