"""Measuring and reporting: medians over rounds, and ratios to a reference in the same round.

Absolute numbers are those of one machine on one day. Candidates take turns within a round, so that other load affects
all of them; only the ratios of a round can be compared between machines.
"""

import json
import math
import os
import platform
import statistics
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from rich.console import Console
from rich.table import Table
from rich.text import Text

_TICK_S = 1 / os.sysconf("SC_CLK_TCK")

Measured = Mapping[str, float]
"""Quantities of one round; empty where the candidate stalled."""


class Stalled(Exception):
    """A candidate stopped after `done` of its messages."""

    def __init__(self, done: int, wanted: int) -> None:
        super().__init__(f"stalled at {done:,} of {wanted:,}")


def cpu_seconds(pid: int) -> float:
    """Return user and system time of a running process, its threads, and the children it has waited for."""
    # The name in brackets may hold anything; what follows the last bracket is counted from `state`.
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return sum(map(int, fields[11:15])) * _TICK_S


def resident_bytes(pid: int) -> int:
    """Resident memory of a running process."""
    for line in Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines():
        if line.startswith("Rss:"):
            return int(line.split()[1]) * 1024
    raise ValueError(f"no Rss of process {pid}")


def written_bytes(pid: int) -> int:
    """Return the bytes a running process has handed to the disk, without those cancelled before writing (proc(5))."""
    facts = dict(line.split(": ") for line in Path(f"/proc/{pid}/io").read_text().splitlines())
    return int(facts["write_bytes"]) - int(facts["cancelled_write_bytes"])


@dataclass(frozen=True, slots=True)
class Quantity:
    """A measured quantity: its unit, and how many digits after the point are worth showing."""

    unit: str
    digits: int = 1

    def shown(self, value: float) -> str:
        return "-" if math.isnan(value) else f"{value:,.{self.digits}f}"


@dataclass(frozen=True, slots=True)
class Comparison:
    """Candidates by name, each with one measurement a round; ratios are of the same round's reference, if any.

    `stalled` says of candidates that came to no end in a round how far they came, one text a round.
    """

    title: str
    reference: str | None
    quantities: Mapping[str, Quantity]
    rounds: Mapping[str, Sequence[Measured]]
    stalled: Mapping[str, Sequence[str]] = field(default_factory=dict)

    def median(self, candidate: str, quantity: str) -> float:
        """Return the median over the rounds it finished; NaN if it finished none."""
        values = [measured[quantity] for measured in self.rounds[candidate] if measured]
        return statistics.median(values) if values else math.nan

    def ratio(self, candidate: str, quantity: str) -> float:
        """Return the median over the rounds of candidate ÷ reference; NaN without a reference that finished."""
        if self.reference is None:
            return math.nan
        pairs = zip(self.rounds[candidate], self.rounds[self.reference], strict=True)
        whole = [(ours, theirs) for ours, theirs in pairs if ours and theirs]
        ratios = [ours[quantity] / theirs[quantity] for ours, theirs in whole if theirs[quantity]]
        return statistics.median(ratios) if ratios else math.nan

    def table(self) -> Table:
        count = len(next(iter(self.rounds.values())))
        ratios = f"; in brackets: ratio to {self.reference}" if self.reference else ""
        table = Table(title=f"{self.title} (median of {count}{ratios})")
        table.add_column("")
        for name, quantity in self.quantities.items():
            table.add_column(Text(f"{name}\n[{quantity.unit}]"), justify="right")
        for candidate in self.rounds:
            table.add_row(self._named(candidate), *(self._cell(candidate, name) for name in self.quantities))
        return table

    def as_dict(self) -> dict[str, object]:
        return {
            "title": self.title,
            "reference": self.reference,
            "units": {name: quantity.unit for name, quantity in self.quantities.items()},
            "medians": self._each(self.median),
            "ratios": self._each(self.ratio),
            "rounds": {candidate: list(map(dict, measured)) for candidate, measured in self.rounds.items()},
            "stalled": {name: list(texts) for name, texts in self.stalled.items() if name in self.rounds},
        }

    def _each(self, figure: Callable[[str, str], float]) -> dict[str, dict[str, float]]:
        return {one: {name: figure(one, name) for name in self.quantities} for one in self.rounds}

    def _named(self, candidate: str) -> str:
        stalls = self.stalled.get(candidate, ())
        if not stalls:
            return candidate
        return f"{candidate}: {stalls[-1]} in {len(stalls)} of {len(self.rounds[candidate])} rounds"

    @property
    def _comparable(self) -> bool:
        """Whether there is a reference that finished at least one round."""
        return self.reference is None or any(self.rounds[self.reference])

    def _cell(self, candidate: str, name: str) -> str:
        shown = self.quantities[name].shown(self.median(candidate, name))
        if not self._comparable:
            return shown if candidate == self.reference else f"{shown} (not comparable)"
        ratio = self.ratio(candidate, name)
        return shown if candidate == self.reference or math.isnan(ratio) else f"{shown} ({ratio:.2f})"


def compare(
    title: str,
    candidates: Mapping[str, Callable[[], Measured]],
    *,
    reference: str,
    quantities: Mapping[str, Quantity],
    rounds: int,
) -> Comparison:
    """Measure every candidate once a round, in reverse order every other round. One that stalls stops no other."""
    measured: dict[str, list[Measured]] = {name: [] for name in candidates}
    stalled: dict[str, list[str]] = {}
    for number in range(rounds):
        names = list(candidates)
        for name in names if number % 2 == 0 else reversed(names):
            try:
                measured[name].append(candidates[name]())
            except Stalled as stall:
                measured[name].append({})
                stalled.setdefault(name, []).append(str(stall))
    return Comparison(title, reference, quantities, measured, stalled)


def machine() -> dict[str, object]:
    """Describe the machine."""
    return {
        "machine": platform.machine(),
        "cores": len(os.sched_getaffinity(0)),
        "python": platform.python_version(),
        "kernel": platform.release(),
    }


def report(comparisons: Sequence[Comparison], json_file: Path | None) -> None:
    """Print the tables, and write all measurements to a file if one is given."""
    console = Console()
    for comparison in comparisons:
        console.print(comparison.table())
    if json_file is not None:
        told = {"machine": machine(), "comparisons": [comparison.as_dict() for comparison in comparisons]}
        json_file.write_text(json.dumps(_without_nan(told), indent=1) + "\n")


def _without_nan(told: object) -> object:
    """Replace NaN, which JSON lacks, by null."""
    if isinstance(told, dict):
        return {key: _without_nan(value) for key, value in told.items()}
    if isinstance(told, list):
        return [_without_nan(value) for value in told]
    return None if isinstance(told, float) and math.isnan(told) else told
