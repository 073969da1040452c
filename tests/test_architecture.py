"""The rules of the code base that a machine can hold: directions of imports, sizes, what only a CLI may do."""

import ast
import re
import subprocess
import sys
from collections import Counter
from collections.abc import Iterable
from graphlib import CycleError
from pathlib import Path

import pytest

from tests.architecture.purity import PURE_ROOMS
from tests.architecture.rooms import (
    EMPTY_NAMES,
    FLOORS,
    MAY_LOAD,
    ROOT,
    arrows_in,
    arrows_of,
    check_acyclic,
    files_of,
    floor_of,
    hidden_imports,
    imported_names,
    room_of,
    upward,
)

MAY_IMPORT = {
    "fleet_wire": set[str](),
    "fleet_config": set[str](),
    "fleet_console": {"fleet_wire"},
    "fleet_recordings": {"fleet_wire", "fleet_config"},
    "edge_gateway": {"fleet_wire", "fleet_config", "fleet_console", "fleet_recordings"},
    "fleet_sim": {"fleet_wire", "fleet_config", "fleet_console", "fleet_recordings"},
}
PAGE = ROOT / "docs/extend.md"
NEVER = {"tests", "benchmarks", "fleet_demo"}
FILE_LINES = 400
"""Fewer."""
MAX_FUNCTION_LINES = 60
FILES = [path for package in MAY_IMPORT for path in files_of(package)]
BESIDE = ("tests", "benchmarks", "fleet_demo", "schemas")
"""What stands beside the packages, and is read as often."""


def imported_packages(tree: ast.AST) -> set[str]:
    return {name.partition(".")[0] for name in imported_names(tree)}


def is_asyncio(node: ast.AST) -> bool:
    return isinstance(node, ast.Name) and node.id == "asyncio"


def is_command_line(path: Path) -> bool:
    return "cli" in path.with_suffix("").parts


@pytest.mark.parametrize("path", FILES, ids=str)
def test_a_file_keeps_to_the_rules(path: Path) -> None:
    text = (ROOT / path).read_text()
    tree = ast.parse(text)
    package = path.parts[0]
    foreign = imported_packages(tree) & (MAY_IMPORT.keys() | NEVER) - {package}
    assert foreign <= MAY_IMPORT[package], f"{package} must not import {foreign}"
    hidden = set() if path.as_posix() in MAY_LOAD else set(hidden_imports(tree))
    assert not hidden, (
        f"{hidden}: an import must be a plain one, by the whole path, to be seen by these rules"
    )
    assert too_long([path]) == []
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


def too_long(files: Iterable[Path]) -> list[str]:
    """Name the files of `FILE_LINES` lines and more."""
    lengths = {path: len((ROOT / path).read_text().splitlines()) for path in files}
    return [f"{path}: {length} lines" for path, length in lengths.items() if length >= FILE_LINES]


@pytest.mark.parametrize("folder", BESIDE)
def test_tests_and_tools_are_as_short(folder: str) -> None:
    assert too_long(files_of(folder)) == [], "split it by what it specifies"


def test_a_file_that_is_too_long_is_seen(tmp_path: Path) -> None:
    for lines in (FILE_LINES - 1, FILE_LINES):
        (tmp_path / f"{lines}.py").write_text("pass\n" * lines)
    assert too_long(sorted(tmp_path.iterdir())) == [f"{tmp_path / f'{FILE_LINES}.py'}: {FILE_LINES} lines"]


def swallowing(source: str) -> list[int]:
    """Lines that catch whatever is raised, do not raise it again at their end, and give no reason."""
    lines = source.splitlines()
    return [
        node.lineno
        for node in ast.walk(ast.parse(source))
        if isinstance(node, ast.ExceptHandler)
        and (
            node.type is None
            or {"Exception", "BaseException"} & {*re.findall(r"\w+", ast.unparse(node.type))}
        )
        and not (isinstance(last := node.body[-1], ast.Raise) and last.exc is None)
        and not re.search(r"#( noqa: BLE001 -)? \w+ \w+", "\n".join(lines[node.lineno - 1 : node.lineno + 1]))
    ]


@pytest.mark.parametrize("path", FILES, ids=str)
def test_whoever_catches_whatever_is_raised_says_why(path: Path) -> None:
    assert not swallowing((ROOT / path).read_text())


@pytest.mark.parametrize(
    ("handler", "lines"),
    [
        ("except Exception:\n    pass", [3]),
        ("except:\n    pass", [3]),
        ("except (OSError, BaseException) as error:\n    print(error)", [3]),
        ("except Exception:  # noqa: BLE001\n    pass", [3]),
        ("except Exception:  # noqa: BLE001 - the edge of the process\n    pass", []),
        ("except Exception:  # one bad record\n    pass", []),
        ("except Exception:\n    # one bad record\n    pass", []),
        ("except Exception:\n    close()\n    raise", []),
        ("except OSError:\n    pass", []),
    ],
)
def test_a_broad_catch_without_a_reason_is_seen(handler: str, lines: list[int]) -> None:
    assert swallowing(f"try:\n    run()\n{handler}\n") == lines


def test_the_walk_sees_what_it_is_to_refuse() -> None:
    source = "import fleet_sim.devices.device\nimport edge_gateway.columns.frame\nfrom . import near\n"
    assert imported_packages(ast.parse(source)) == {"fleet_sim", "edge_gateway", ""}
    assert len(FILES) > len(MAY_IMPORT)


@pytest.mark.parametrize("package", FLOORS)
def test_every_room_has_a_floor(package: str) -> None:
    rooms = {room_of(path) for path in files_of(package)} - {"__init__"}
    named = Counter(room for floor in FLOORS[package] for room in floor)
    assert rooms == named.keys(), "a room that is new or gone: tests/architecture/rooms.py and docs/extend.md"
    assert set(named.values()) == {1}


@pytest.mark.parametrize("package", FLOORS)
def test_an_import_leads_to_a_lower_floor(package: str) -> None:
    found = upward(package, arrows_of(package))
    assert not found, "\n".join(f"{arrow.file} must not import {arrow.imported}" for arrow in sorted(found))


@pytest.mark.parametrize("package", FLOORS)
def test_the_rooms_are_acyclic(package: str) -> None:
    check_acyclic({arrow[:2] for arrow in arrows_of(package)})


@pytest.mark.parametrize(
    "source",
    [
        "import edge_gateway.service.engine",
        "from edge_gateway import service",
        "from edge_gateway.service.engine import Engine",
        "from typing import TYPE_CHECKING\nif TYPE_CHECKING:\n    from edge_gateway.service import engine",
        "def f():\n    from edge_gateway.service import engine",
        "from edge_gateway import doctor",
        "from edge_gateway import *",
        "import edge_gateway",
        "import edge_gateway.errors, edge_gateway.service.engine as other",
        "class A:\n    from edge_gateway.service import engine",
        "try:\n    import edge_gateway.service\nexcept ImportError:\n    pass",
    ],
)
def test_an_import_up_is_seen(source: str) -> None:
    path = Path("edge_gateway/journal/planted.py")
    assert [arrow.importer for arrow in upward("edge_gateway", arrows_in(source, path))] == ["journal"]


@pytest.mark.parametrize(
    "source",
    [
        "from ..service import engine",
        "from .. import service",
        "from . import spool",
        "from importlib import import_module as load\nload('edge_gateway.service.engine')",
        "import importlib\nimportlib.import_module('edge_gateway.service.engine')",
        "f = lambda: __import__('edge_gateway.service.engine')",
        "import sys\nsys.modules['edge_gateway.service.engine']",
        "from sys import modules",
        "exec('import edge_gateway.service.engine')",
        "import runpy\nrunpy.run_module('edge_gateway.service.engine')",
    ],
)
def test_a_hidden_import_is_seen(source: str) -> None:
    assert list(hidden_imports(ast.parse(source)))


def test_two_rooms_of_one_floor_do_not_import_each_other() -> None:
    floors = floor_of("edge_gateway")
    assert floors["mqtt"] == floors["recovery"]
    source = "from edge_gateway.recovery.replay import Replay"
    assert upward("edge_gateway", arrows_in(source, Path("edge_gateway/mqtt/planted.py")))


def test_a_cycle_is_seen() -> None:
    with pytest.raises(CycleError):
        check_acyclic({("a", "b"), ("b", "c"), ("c", "a")})


def rows_of(page: str, package: str) -> list[list[str]]:
    """The rows of a package's table of rooms, cell by cell."""
    section = page.partition(f"\n### {package}\n")[2].partition("\n#")[0]
    rows = [line.strip("|").split("|") for line in section.splitlines() if line.startswith("| `")]
    return [[cell.strip() for cell in row] for row in rows]


@pytest.mark.parametrize("package", FLOORS)
def test_the_page_shows_the_rooms_as_they_are(package: str) -> None:
    rows = rows_of(PAGE.read_text(), package)
    shown = tuple(tuple(re.findall(r"`(\w+)`", row[0])) for row in rows)
    assert shown == FLOORS[package], "docs/extend.md and tests/architecture/rooms.py must show the same rooms"


def test_the_page_says_which_rooms_are_pure() -> None:
    rows = rows_of(PAGE.read_text(), "edge_gateway")
    assert [row[0].strip("`") for row in rows if "pure" in row[2]] == list(PURE_ROOMS)


@pytest.mark.parametrize("named", sorted(set(re.findall(r"`([\w/]+\.py)`", PAGE.read_text()))))
def test_a_file_that_the_page_names_exists(named: str) -> None:
    assert any(path.as_posix().endswith(f"/{named}") for path in ROOT.glob("[!.]*/**/*.py")), named


def class_names(package: str) -> Counter[str]:
    trees = (ast.parse((ROOT / path).read_text()) for path in files_of(package))
    return Counter(node.name for tree in trees for node in tree.body if isinstance(node, ast.ClassDef))


@pytest.mark.parametrize("package", MAY_IMPORT)
def test_a_class_name_means_one_thing_in_a_package(package: str) -> None:
    twice = {name for name, count in class_names(package).items() if count > 1 and name[0] != "_"}
    assert not twice, f"one name for two things: rename one of each of {twice}"


@pytest.mark.parametrize("package", MAY_IMPORT)
def test_no_module_has_a_name_that_says_nothing(package: str) -> None:
    named = [path for path in files_of(package) if EMPTY_NAMES & {*path.with_suffix("").parts}]
    assert not named, "name a module for what it holds"


@pytest.mark.parametrize("package", MAY_IMPORT)
def test_no_module_repeats_the_name_of_its_folder(package: str) -> None:
    named = [path for path in files_of(package) if path.stem == path.parent.name]
    assert not named, "name a module for what it adds to its folder's name"


ORACLES = sorted(
    path.relative_to(ROOT)
    for path in (ROOT / "tests").rglob("*.py")
    if path.stem == "oracle" or path.stem.startswith("plain_")
)


def loaded_by(*modules: str) -> set[str]:
    """The packages of the product that are loaded when these modules are imported, by whatever they import."""
    names = f"sys.modules.keys() & {set(MAY_IMPORT)}"
    script = f"import sys\nfor module in {modules}: __import__(module)\nprint(*{names})"
    done = subprocess.run(
        [sys.executable, "-c", script], cwd=ROOT, capture_output=True, text=True, check=True, timeout=60
    )
    return set(done.stdout.split())


def test_an_oracle_shares_no_code_with_what_it_judges() -> None:
    """Types may be imported for type checking; `fleet_config` only reads what people write, such as `match`."""
    assert len(ORACLES) >= 4
    modules = [".".join(path.with_suffix("").parts) for path in ORACLES]
    assert loaded_by(*modules) <= {"fleet_config"}


def test_code_shared_with_an_oracle_is_seen() -> None:
    assert "edge_gateway" in loaded_by("tests.gateway.fleet.imbalance")
