"""What `status` calls the figures of the report, for people; their units are those the report declares."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, Final

from msgspec import Struct

from edge_gateway.cli.tables import cell, instant
from edge_gateway.status.fields import BYTES, MS, WALL, Field, declared
from edge_gateway.status.report import (
    Backlog,
    ClockStatus,
    MessageCounts,
    ReportSection,
    SinkStatus,
    SpoolParts,
    SpoolStatus,
    ValueCounts,
)
from fleet_config.durations import format_duration, rounded_duration, rounded_size

LABELS: Final[Mapping[type[Struct], Mapping[str, str | None]]] = {
    MessageCounts: {
        "received": "received",
        "new": "new",
        "duplicate": "duplicate",
        "not_known": "not known to be new",
        "quarantined": "quarantined",
        "qos0": "with QoS 0:",
    },
    ValueCounts: {
        "values": "in new messages",
        "accepted": "accepted",
        "late_merged": "of these merged late",
        "too_late": "too late",
        "bad": "bad",
        "refused": "above their rate",
    },
    ClockStatus: {
        "state": "",
        "trusted": "trusted:",
        "agree": "devices that agree",
        "differ": "devices that agree on another time",
        "off": "off by",
        "held": "messages that wait for the time",
    },
    SpoolStatus: {
        "record": "newest record",
        "committed": "on disk up to",
        "checkpoint": "checkpoint at",
        "uncommitted": "records not on disk yet",
        "unstored": "records not in the store yet",
        "recovered_in_ms": "last start took",
        "bytes": "",
        "journal_bytes": None,
        "max_bytes": "of at most",
        "reserve": "reserve for a full disk held:",
    },
    SpoolParts: {
        "journal": "journal",
        "checkpoints": "checkpoints",
        "late": "late readings",
        "quarantine": "quarantine",
    },
    SinkStatus: {
        "waiting": "",
        "requests": "requests",
        "lines": "lines accepted",
        "refused_lines": "lines refused",
        "failures": "failed requests",
        "problem": "problem:",
        "waiting_until": "next try at",
    },
    Backlog: {
        "chunks": "chunks waiting",
        "lines": "lines waiting",
        "bytes": "taking",
        "oldest": "oldest of",
    },
}
"""Label by section and field: it stands before the value, alone if it is empty; None leaves the field out."""


def figures(section: type[Struct], values: Mapping[str, Any]) -> str:
    """Return the figures of a section of the report: `received 10, new 8`."""
    return ", ".join(_figures(section, values))


def _figures(section: type[Struct], values: Mapping[str, Any]) -> Iterator[str]:
    """Yield labels with values. A gateway of another version may report fields that are not declared here."""
    known, labels = {of.wire: of for of in declared(section)}, LABELS.get(section, {})
    for name, value in values.items():
        label, of = labels.get(name, name.replace("_", " ")), known.get(name)
        if isinstance(value, Mapping) and value:
            yield from _figures(of.of if of else ReportSection, value)
        elif label is not None:
            yield f"{label} {_figure(of, value)}".lstrip()


def _figure(of: Field | None, value: object) -> str:
    """Return a value in units for people."""
    if of and of.unit == WALL:
        return instant(value)
    if of and isinstance(value, int):
        if of.unit == MS:
            return duration(value)
        if of.unit == BYTES:
            return rounded_size(value)
    return cell(value)


def duration(milliseconds: int) -> str:
    """Return a duration to the second, and below a second to the millisecond."""
    return (format_duration if abs(milliseconds) < 1000 else rounded_duration)(milliseconds)  # noqa: PLR2004
