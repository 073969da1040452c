"""Branch coverage by room, from the `.coverage` of the unit tests, and the gate of the pure rooms.

`python -m tests.architecture.coverage` prints a line for each room. Exit status 1: a pure room is below its share; its
ten worst files are named.
"""

import json
import sys
import tempfile
from collections.abc import Iterable
from pathlib import Path
from typing import Any, Final, NamedTuple

from coverage import Coverage

from tests.architecture.purity import IMPURE_PARTS, PURE_ROOMS
from tests.architecture.rooms import room_of

LEAST: Final = 0.95
WORST_NAMED: Final = 10


class Covered(NamedTuple):
    """How many statements and branches there are, and how many of them the tests reached."""

    statements: int
    reached: int
    branches: int
    taken: int

    @property
    def share(self) -> float:
        """The share of branches taken, 0 to 1."""
        return self.taken / self.branches if self.branches else 1.0


def main() -> int:
    rooms = by_room(measured())
    faults = below(rooms)
    print("\n".join([*table(rooms), *faults]))
    return 1 if faults else 0


def measured() -> dict[Path, Covered]:
    """What `.coverage` says of each file, by its path in the repository."""
    data = Coverage()
    data.load()
    with tempfile.TemporaryDirectory() as directory:
        report = Path(directory, "coverage.json")
        data.json_report(outfile=str(report))
        files: dict[str, Any] = json.loads(report.read_text())["files"]
    return {Path(path): _covered(file["summary"]) for path, file in files.items()}


def _covered(summary: dict[str, int]) -> Covered:
    names = ("num_statements", "covered_lines", "num_branches", "covered_branches")
    return Covered(*(summary[name] for name in names))


def by_room(files: dict[Path, Covered]) -> dict[str, dict[Path, Covered]]:
    """Files by room: "fold", "rules/files" of what is not pure in a pure room, "fleet_sim/devices", "fleet_wire"."""
    rooms: dict[str, dict[Path, Covered]] = {}
    for path, covered in sorted(files.items()):
        rooms.setdefault(room_named(path), {})[path] = covered
    return rooms


def room_named(path: Path) -> str:
    package, *inner = path.with_suffix("").parts
    if package not in ("edge_gateway", "fleet_sim"):
        return package
    if ".".join((package, *inner[:2])) in IMPURE_PARTS:
        return "/".join(inner[:2])
    return room_of(path) if package == "edge_gateway" else f"{package}/{room_of(path)}"


def together(files: Iterable[Covered]) -> Covered:
    return Covered(*map(sum, zip(*files, strict=True)))


def table(rooms: dict[str, dict[Path, Covered]]) -> list[str]:
    """A line for each room that holds code; the gated ones first."""
    order = sorted(rooms, key=lambda room: (room not in PURE_ROOMS, room))
    lines = [f"{'coverage of the unit tests':28} lines  branches"]
    for room in order:
        total = together(rooms[room].values())
        if not total.statements:
            continue
        lines.append(
            f"{room:28} {_percent(total.reached, total.statements)}    {_percent(total.taken, total.branches)}"
        )
    return lines


def below(rooms: dict[str, dict[Path, Covered]]) -> list[str]:
    """What is wrong with each pure room that has too few branches taken, its worst files first."""
    return [
        f"{room}: {together(files.values()).share:.1%} of the branches are tested, at least {LEAST:.0%} are due:\n"
        + "\n".join(
            f"  {path}: {one.branches - one.taken} of {one.branches} not taken" for path, one in worst(files)
        )
        for room, files in rooms.items()
        if room in PURE_ROOMS and together(files.values()).share < LEAST
    ]


def worst(files: dict[Path, Covered]) -> list[tuple[Path, Covered]]:
    """The files with the most branches not taken, at most ten."""
    ordered = sorted(files.items(), key=lambda item: item[1].taken - item[1].branches)
    return [(path, one) for path, one in ordered[:WORST_NAMED] if one.taken < one.branches]


def _percent(part: int, whole: int) -> str:
    return f"{part / whole:5.1%}" if whole else "    –"


if __name__ == "__main__":
    sys.exit(main())
