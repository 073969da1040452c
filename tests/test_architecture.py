"""The rules of the code base that a machine can hold."""

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
MAY_IMPORT = {
    "fleet_wire": set[str](),
    "fleet_config": set[str](),
    "fleet_console": {"fleet_wire"},
    "edge_gateway": {"fleet_wire", "fleet_config", "fleet_console"},
    "fleet_sim": {"fleet_wire", "fleet_config", "fleet_console"},
}
NEVER = {"tests", "benchmarks", "fleet_demo"}
MAX_FILE_LINES = 400
MAX_FUNCTION_LINES = 60
FILES = sorted(path.relative_to(ROOT) for package in MAY_IMPORT for path in (ROOT / package).rglob("*.py"))


def imported_packages(tree: ast.AST) -> Iterator[str]:
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (name.name.partition(".")[0] for name in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            yield node.module.partition(".")[0]


def is_asyncio(node: ast.AST) -> bool:
    return isinstance(node, ast.Name) and node.id == "asyncio"


def is_command_line(path: Path) -> bool:
    return "cli" in path.with_suffix("").parts


@pytest.mark.parametrize("path", FILES, ids=str)
def test_a_file_keeps_to_the_rules(path: Path) -> None:
    text = (ROOT / path).read_text()
    tree = ast.parse(text)
    package = path.parts[0]
    foreign = set(imported_packages(tree)) & (MAY_IMPORT.keys() | NEVER) - {package}
    assert foreign <= MAY_IMPORT[package], f"{package} must not import {foreign}"
    length = len(text.splitlines())
    assert length <= MAX_FILE_LINES, f"{length} lines"
    for node in ast.walk(tree):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            lines = (node.end_lineno or 0) - node.lineno + 1
            assert lines <= MAX_FUNCTION_LINES, f"{node.name} has {lines} lines"
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "print":
            assert is_command_line(path), f"print in line {node.lineno}"
        if isinstance(node, ast.Attribute) and node.attr == "wait_for":
            assert not is_asyncio(node.value), (
                f"line {node.lineno}: asyncio.wait_for swallows cancels on 3.11"
            )


def test_the_walk_sees_what_it_is_to_refuse() -> None:
    source = "import fleet_sim.devices.device\nimport edge_gateway.columns.frame\nfrom . import near\n"
    assert set(imported_packages(ast.parse(source))) == {"fleet_sim", "edge_gateway"}
    assert len(FILES) > len(MAY_IMPORT)
