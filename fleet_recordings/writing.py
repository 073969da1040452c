"""Write samples as a CSV file that the mapping `plain` reads."""

from __future__ import annotations

import csv
from typing import TYPE_CHECKING

from fleet_recordings.labels import iso

if TYPE_CHECKING:
    from pathlib import Path

    from fleet_recordings.reading import Recording

__all__ = ["write_plain"]


def write_plain(path: Path, recording: Recording) -> None:
    """Write a row for each value of a recording, in the order of its samples. OSError as of opening a file.

    Numbers are written so that reading them gives the same ones; a value of doubtful quality is marked `<`, as one
    that is censored.
    """
    tags = sorted({tag for about in recording.tags.values() for tag in about})
    with path.open("w", encoding="utf-8", newline="") as file:
        rows = csv.writer(file, lineterminator="\n")
        head = ("time", "device", "site", "type", *(f"tag.{tag}" for tag in tags))
        rows.writerow((*head, "metric", "value", "unit", "qualifier"))
        for sample in recording.samples:
            name, about = sample.device, recording.tags.get(sample.device, {})
            device = (name, recording.sites.get(name, ""), recording.types.get(name, ""))
            known = (iso(sample.ts), *device, *(about.get(tag, "") for tag in tags))
            for metric, value in sample.m.items():
                unit = recording.units[name].get(metric) or ""
                doubt = "<" if metric in (sample.q or {}) else ""
                rows.writerow((*known, metric, repr(value), unit, doubt))
