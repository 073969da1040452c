"""Readings that rules are run over: of a recording, or of the history of a gateway."""

from __future__ import annotations

from dataclasses import dataclass, field
from operator import attrgetter
from typing import TYPE_CHECKING, NamedTuple

from edge_gateway.errors import BadInput
from fleet_config.counting import counted
from fleet_config.durations import format_duration
from fleet_wire.topics import is_level

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from pathlib import Path

    from edge_gateway.store.history import History
    from fleet_recordings.reading import RecordedSample, Recording

__all__ = ["DeviceFacts", "PastReadings", "Sample", "of_history", "of_recording", "read_csv"]


class Sample(NamedTuple):
    """What one device measured at one time (ms since 1970): values and qualities below 1 by metric."""

    ts: int
    device: str
    m: Mapping[str, float | str]
    q: Mapping[str, float] | None = None


@dataclass(slots=True)
class DeviceFacts:
    """What the birth of a device says; units by metric, None where it has none."""

    site: str
    type: str
    tags: dict[str, str] = field(default_factory=dict)
    units: dict[str, str | None] = field(default_factory=dict)


@dataclass(slots=True)
class PastReadings:
    """Samples in the order of time, at least one, and their devices. `notes`: what to know of them, a sentence each."""

    samples: list[Sample]
    devices: dict[str, DeviceFacts]
    notes: list[str] = field(default_factory=list)

    @property
    def start(self) -> int:
        return self.samples[0].ts

    @property
    def end(self) -> int:
        return self.samples[-1].ts

    @property
    def metrics(self) -> set[str]:
        return {metric for facts in self.devices.values() for metric in facts.units}

    def spans(self) -> dict[str, int]:
        """Return how long each device was heard, from its first reading to its last, in ms."""
        first: dict[str, int] = {}
        last: dict[str, int] = {}
        for sample in self.samples:
            first.setdefault(sample.device, sample.ts)
            last[sample.device] = sample.ts
        return {device: last[device] - ts for device, ts in first.items()}

    def within(self, since: int | None, until: int | None) -> PastReadings:
        """Return those in [since, until), ms. BadInput if there are none."""
        first = self.start if since is None else since
        stop = self.end + 1 if until is None else until
        samples = [sample for sample in self.samples if first <= sample.ts < stop]
        if not samples:
            raise BadInput("no reading lies within --since and --until")
        heard = {sample.device for sample in samples}
        devices = {name: facts for name, facts in self.devices.items() if name in heard}
        return PastReadings(samples, devices, self.notes)


def read_csv(file: Path, mapping: str | None) -> PastReadings:
    """Read a CSV file by a mapping's name or file; None: the file says its columns itself, as the mapping `plain`.

    BadInput: it cannot be read. ProblemsFound: the mapping is wrong, or missing.
    """
    from fleet_recordings.mapping import mapping_for  # noqa: PLC0415 - a history needs no CSV
    from fleet_recordings.reading import RecordingUnreadable, read_recording  # noqa: PLC0415

    try:
        return of_recording(read_recording(file, mapping_for(file, mapping)))
    except RecordingUnreadable as error:
        raise BadInput(str(error)) from error


def of_recording(recording: Recording) -> PastReadings:
    """Return the readings of a recording; what of it could not be read is noted."""
    devices = {
        name: DeviceFacts(
            recording.sites[name], recording.types[name], dict(recording.tags.get(name, {})), units
        )
        for name, units in recording.units.items()
    }
    notes = []
    if recording.bad_rows:
        notes.append(f"{counted(recording.bad_rows, 'row')} left out, the first: {recording.first_bad}")
    if recording.bad_values:
        notes.append(f"{counted(recording.bad_values, 'value')} left out: not numeric")
    return PastReadings(_samples(recording.samples), devices, notes)


def _samples(recorded: Iterable[RecordedSample]) -> list[Sample]:
    return [Sample(each.ts, each.device, each.m, each.q) for each in recorded]


def of_history(history: History, every: int, since: int | None, until: int | None) -> PastReadings:
    """Return a reading for each base window of a history: its last value, at the end of the window.

    Args:
        history: an open history; it is only read.
        every: the length of the base windows, ms.
        since: windows that start from this time on (ms); None for all.
        until: windows that start before this time (ms); None for all.

    Raises:
        BadInput: there are no windows.
    """
    found: dict[tuple[int, str], dict[str, float | str]] = {}
    devices: dict[str, DeviceFacts] = {}
    tags = {row["device"]: row["tags"] for row in history.series()}
    for what in ("windows", "states"):
        for row in history.query(what, tier=0, since=since, until=until):
            device = row["device"]
            if not is_level(device) or not is_level(row["site"]):
                continue
            found.setdefault((row["start"] + every - 1, device), {})[row["metric"]] = row["last"]
            facts = devices.setdefault(device, DeviceFacts(row["site"], row["type"], tags.get(device, {})))
            facts.units[row["metric"]] = None
    if not found:
        raise BadInput("the history has no windows of that time")
    samples = [Sample(ts, device, values) for (ts, device), values in found.items()]
    note = (
        f"the history holds windows of {format_duration(every)}: each counts as one reading, its last value at its"
        " end. Shorter excursions are not seen, and units not known"
    )
    return PastReadings(sorted(samples, key=attrgetter("ts", "device")), devices, [note])
