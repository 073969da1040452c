"""Which room may import which, as data.

A room is a folder, or a file, at the top of a package. Rooms stand on floors, the highest first: an import may only
lead to a lower floor, or stay in its room. So no two rooms import each other, and there is no cycle.
"""

import ast
from collections import defaultdict
from collections.abc import Iterable, Iterator
from graphlib import TopologicalSorter
from pathlib import Path
from typing import Final, NamedTuple

ROOT: Final = Path(__file__).parents[2]

FLOORS: Final[dict[str, tuple[tuple[str, ...], ...]]] = {
    "edge_gateway": (
        ("__main__",),
        ("cli",),
        ("backtest", "doctor", "spool_contents"),
        ("service",),
        ("mqtt", "recovery"),
        ("sinks",),
        ("status",),
        ("store",),
        ("journal",),
        ("configuration",),
        ("fold",),
        ("rules",),
        ("windows",),
        ("fleet",),
        ("records",),
        ("columns",),
        ("errors",),
    ),
    "fleet_sim": (
        ("cli",),
        ("recordings",),
        ("runtime",),
        ("judging",),
        ("scenario",),
        ("faults",),
        ("devices", "signals"),
        ("ledger",),
        ("plan",),
        ("kinds", "noise"),
    ),
}

EMPTY_NAMES: Final = {"util", "utils", "helper", "helpers", "manager", "base", "common", "misc"}

LOADERS: Final = {"import_module", "__import__", "exec", "eval", "modules", "run_module", "run_path"}
"""Names in Python's library by which an import hides from these rules."""
MAY_LOAD: Final = {"fleet_console/command_line.py"}
"""Files that may use them: this one imports the command that is called, from a table in the program's own `cli`."""


class Arrow(NamedTuple):
    """One import of another room of the same package."""

    importer: str
    imported: str
    file: Path


def room_of(path: Path) -> str:
    """The room of a file, given relative to the repository: "fold" of edge_gateway/fold/pipeline.py."""
    return path.with_suffix("").parts[1]


def files_of(package: str) -> list[Path]:
    """The package's Python files, relative to the repository."""
    return sorted(path.relative_to(ROOT) for path in (ROOT / package).rglob("*.py"))


def imported_names(tree: ast.AST) -> Iterator[str]:
    """Every imported module or name as a dotted path, wherever the import stands: `if TYPE_CHECKING` too."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (name.name for name in node.names)
        elif isinstance(node, ast.ImportFrom):
            yield from (f"{'.' * node.level}{node.module or ''}.{name.name}" for name in node.names)


def arrows_of(package: str) -> Iterator[Arrow]:
    for path in files_of(package):
        yield from arrows_in((ROOT / path).read_text(), path)


def arrows_in(source: str, path: Path) -> Iterator[Arrow]:
    """The imports of one file, given relative to the repository, that leave its room."""
    for name in imported_names(ast.parse(source)):
        package, _, rest = name.partition(".")
        room = rest.partition(".")[0]
        if package == path.parts[0] and room != room_of(path):
            yield Arrow(room_of(path), room, path)


def hidden_imports(tree: ast.AST) -> Iterator[str]:
    """What in a file imports without being seen by `imported_names`, and relative imports, which name no package."""
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom):
            yield from (name.name for name in node.names if node.level or name.name in LOADERS)
        elif isinstance(node, ast.Name | ast.Attribute):
            name = node.id if isinstance(node, ast.Name) else node.attr
            if name in LOADERS:
                yield name


def floor_of(package: str) -> dict[str, int]:
    """Each room's floor; the highest number is the lowest floor."""
    return {room: number for number, floor in enumerate(FLOORS[package]) for room in floor}


def upward(package: str, arrows: Iterable[Arrow]) -> set[Arrow]:
    """Imports that lead to the same floor or a higher one, or of the whole package: `from edge_gateway import *`."""
    floors = floor_of(package)
    return {arrow for arrow in arrows if floors.get(arrow.imported, -1) <= floors.get(arrow.importer, -1)}


def check_acyclic(pairs: set[tuple[str, str]]) -> None:
    """Raise graphlib.CycleError, which names the rooms, where imports lead back to where they began."""
    graph: dict[str, set[str]] = defaultdict(set)
    for importer, imported in pairs:
        graph[importer].add(imported)
    TopologicalSorter(graph).prepare()
