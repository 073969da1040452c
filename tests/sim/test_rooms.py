"""The rooms of the simulator: each imports only from those after it in this order."""

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

PACKAGE = Path(__file__).parents[2] / "fleet_sim"
ORDER = (
    "cli", "recordings", "runtime", "judging", "scenario", "faults", "devices", "signals", "ledger", "plan", "kinds",
    "noise",
)  # fmt: skip


def room_of(module: str) -> str:
    return module.split(".")[1]


def imported(path: Path) -> Iterator[str]:
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("fleet_sim."):
            yield room_of(node.module or "")
        elif isinstance(node, ast.ImportFrom) and node.module == "fleet_sim":
            yield from (name.name for name in node.names)
        elif isinstance(node, ast.Import):
            yield from (room_of(name.name) for name in node.names if name.name.startswith("fleet_sim."))


@pytest.mark.parametrize("room", ORDER)
def test_a_room_imports_only_those_after_it(room: str) -> None:
    files = (
        [PACKAGE / f"{room}.py"] if (PACKAGE / f"{room}.py").exists() else [*(PACKAGE / room).rglob("*.py")]
    )
    allowed = {room, *ORDER[ORDER.index(room) + 1 :]}
    assert files
    for path in files:
        assert set(imported(path)) <= allowed, path


def test_every_room_has_its_place() -> None:
    rooms = {
        path.stem for path in PACKAGE.iterdir() if path.suffix == ".py" or (path / "__init__.py").exists()
    }
    assert rooms - {"__init__"} == set(ORDER)
