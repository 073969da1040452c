"""In which order points reach InfluxDB."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import NamedTuple

from fleet_sim.ledger.reading import Ledger
from tests.proofs.proof import Findings


class Overtaken(NamedTuple):
    """A point that came after a newer one of its series."""

    series: bytes
    what: str


@dataclass(slots=True)
class WriteOrder:
    """Checks that the accepted points of a series come in order of time, and the revisions of a point in their order.

    A point that comes again is not overtaken: it is a correction, or was resent because its answer was unknown. Once it
    was corrected, what it said before must not come again.
    """

    newest: dict[tuple[str, bytes], int] = field(default_factory=dict)
    revisions: dict[tuple[str, bytes, int], list[bytes]] = field(default_factory=dict)
    overtaken: list[Overtaken] = field(default_factory=list)
    undone: list[str] = field(default_factory=list)
    """Revisions of points that came after their corrections."""

    def add(self, bucket: str, lines: list[bytes]) -> None:
        for line in lines:
            series, time_ms = series_of(line)
            key = bucket, series
            before = self.revisions.setdefault((*key, time_ms), [])
            if not before and time_ms < self.newest.get(key, 0):
                self.overtaken.append(
                    Overtaken(series, f"{bucket}: {line.decode()} after {self.newest[key]}")
                )
            if line in before[:-1]:
                self.undone.append(f"{bucket}: {line.decode()} after its correction {before[-1].decode()}")
            elif line not in before:
                before.append(line)
            self.newest[key] = max(time_ms, self.newest.get(key, 0))

    def judge(self, findings: Findings, late: set[str]) -> None:
        """Judge the order. Windows of the devices `late` are corrected.

        Where a correction and the point that it corrects wait together, only the correction is sent, at its own place:
        it may be behind newer points. Points of different times do no harm to one another in any order.
        """
        for sentence in self.undone:
            findings.forbid("corrected point undone", sentence)
        tags = {f"device={device}".encode() for device in late}
        for series, what in self.overtaken:
            if tags.isdisjoint(series.split(b",")):
                findings.forbid("out of order", what)


def series_of(line: bytes) -> tuple[bytes, int]:
    """Return measurement with tags, and the time. Spaces in tags are escaped; text fields may contain plain ones."""
    place = 0
    while (place := line.index(b" ", place)) and line[place - 1] == ord("\\"):
        place += 1
    return line[:place], int(line.rpartition(b" ")[2])


def devices_sending_late(ledger: Ledger) -> set[str]:
    """Return the devices of a run whose messages a fault held back, so that windows of theirs are corrected."""
    faults = (note for note in ledger.of_kind("fault") if note["kind"] == "late_batch")
    return {device for note in faults for device in note["devices"]}
