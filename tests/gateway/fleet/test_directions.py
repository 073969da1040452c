"""Within the fleet, imports go one way: what a part may import stands before it."""

import ast
from collections.abc import Iterator
from pathlib import Path

from edge_gateway import fleet

ROOT = Path(fleet.__file__).parent
ORDER = (
    "limits",
    "timestamps",
    "token_buckets",
    "stamp_clock",
    "arrivals",
    "devices",
    "registry",
    "decoders",
    "value_checks",
    "accounting",
    "watch",
    "laps",
    "needy",
    "admission",
)
PACKAGE = "edge_gateway.fleet."


def parts() -> Iterator[tuple[str, str]]:
    """Every import within the fleet, as (part that imports, part imported)."""
    for path in ROOT.rglob("*.py"):
        part = path.relative_to(ROOT).with_suffix("").parts[0]
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.ImportFrom) and node.module and node.module.startswith(PACKAGE):
                yield part, node.module.removeprefix(PACKAGE).partition(".")[0]


def test_every_part_has_its_place() -> None:
    names = {path.relative_to(ROOT).with_suffix("").parts[0] for path in ROOT.rglob("*.py")}
    assert names == {*ORDER, "__init__"}


def test_imports_go_one_way() -> None:
    found = set(parts())
    assert len(found) > len(ORDER)
    back = {(one, other) for one, other in found if ORDER.index(other) > ORDER.index(one)}
    assert back == set()
