"""The tools beside the tests: help, what they install, what ./test --full says of coverage, what ./mutate prints."""

import ast
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from importlib.metadata import packages_distributions
from pathlib import Path

import pytest

from benchmarks.__main__ import BENCHMARKS
from tests.architecture.coverage import Covered, below, by_room, room_named, table
from tests.architecture.rooms import ROOT
from tests.mutation.room import ROOMS, configuration, described, draw
from tests.proofs.catalogue import BY_NAME

SCRIPTS = ("bench", "demo", "test", "prove", "mutate", "package")
FULL = Covered(10, 10, 20, 20)
POOR = Covered(10, 9, 20, 18)


@pytest.mark.parametrize(
    ("path", "room"),
    [
        ("edge_gateway/fold/pipeline.py", "fold"),
        ("edge_gateway/rules/language/tokens.py", "rules"),
        ("edge_gateway/rules/files/load.py", "rules/files"),
        ("edge_gateway/doctor.py", "doctor"),
        ("fleet_sim/devices/device.py", "fleet_sim/devices"),
        ("fleet_wire/session.py", "fleet_wire"),
    ],
)
def test_which_room_a_file_is_counted_in(path: str, room: str) -> None:
    assert room_named(Path(path)) == room


def test_a_pure_room_below_its_share_is_named_with_its_worst_files() -> None:
    rooms = by_room(
        {Path("edge_gateway/fold/a.py"): FULL, Path("edge_gateway/fold/b.py"): Covered(9, 9, 10, 2)}
    )
    (fault,) = below(rooms)
    assert fault.splitlines() == [
        "fold: 73.3% of the branches are tested, at least 95% are due:",
        "  edge_gateway/fold/b.py: 8 of 10 not taken",
    ]


def test_at_most_ten_files_of_a_room_are_named() -> None:
    (fault,) = below(by_room({Path(f"edge_gateway/fold/{n}.py"): POOR for n in range(12)}))
    assert len(fault.splitlines()) == 11


def test_other_rooms_are_shown_and_not_gated() -> None:
    rooms = by_room({Path("edge_gateway/store/a.py"): POOR, Path("edge_gateway/columns/a.py"): FULL})
    assert below(rooms) == []
    assert [line.split() for line in table(rooms)[1:]] == [
        ["columns", "100.0%", "100.0%"],
        ["store", "90.0%", "90.0%"],
    ]


@pytest.mark.parametrize("room", ROOMS)
def test_a_room_of_mutants_has_files_and_tests(room: str) -> None:
    root = Path(__file__).parents[1]
    for pattern in ROOMS[room]:
        assert list(root.glob(pattern))
    assert list((root / "tests/gateway" / room).rglob("test_*.py"))
    assert f"tests/gateway/{room}\n" in configuration(room, 1, ["tests"])


def test_a_draw_is_the_same_for_the_same_seed() -> None:
    names = [f"mutant {n}" for n in range(100)]
    assert draw(names, 5, "1 fold") == draw(names, 5, "1 fold") != draw(names, 5, "2 fold")
    assert draw(names, 1000, "1 fold") == sorted(names)


def test_a_survivor_is_shown_by_file_and_line(tmp_path: Path) -> None:
    file = tmp_path / "edge_gateway/columns/some.py"
    file.parent.mkdir(parents=True)
    file.write_text(
        "X = 1\n\n\ndef f(): ...\n\n\nclass A:\n    def f(self):\n        a = 1\n        return a\n"
    )
    diff = "# n: survived\n--- a\n+++ a\n@@ -1,3 +1,3 @@\n def f(self):\n     a = 1\n-    return a\n+    return None\n"
    one = described("edge_gateway.columns.some.xǁAǁf__mutmut_3", diff, tmp_path)
    assert one.place == "edge_gateway/columns/some.py:10"
    assert one.change == ("-    return a", "+    return None")


@pytest.fixture
def bare(tmp_path: Path) -> Path:
    """The scripts of a checkout without Python on the PATH: whatever would be set up ends in status 3."""
    (tmp_path / "setup").mkdir()
    (tmp_path / "bin").mkdir()
    for name in ("awk", "basename", "cat", "cksum", "dirname", "id", "sh", "tr"):
        (tmp_path / "bin" / name).symlink_to(shutil.which(name) or name)
    for name in (*SCRIPTS, "setup/shared.sh"):
        shutil.copy(ROOT / name, tmp_path / name)
    (tmp_path / "requirements.lock").touch()
    (tmp_path / "requirements-dev.lock").touch()
    return tmp_path


def run_in(place: Path, *command: str) -> subprocess.CompletedProcess[str]:
    script, *arguments = command
    started = [str(place / script), *arguments]
    only = {"PATH": str(place / "bin"), "HOME": str(place)}
    return subprocess.run(started, capture_output=True, text=True, check=False, env=only, timeout=60)


@pytest.mark.parametrize(
    ("command", "said"),
    [
        (["bench", "foo"], "no 'foo'; known: gateway steady"),
        (["bench", "--rounds", "3"], "no option --rounds"),
        (["prove", "kill"], "no 'kill'; known: all kills"),
        (["prove", "kills", "--quik"], "no option --quik"),
        (["prove", "kills", "--at"], "no option --at"),
        (["prove", "kills", "--count"], "--count needs a value"),
        (["demo", "--kep"], "no option --kep"),
        (["demo", "twice"], "no 'twice'"),
        (["mutate", "folds"], "no 'folds'; known: fold rules"),
        (["mutate", "-c", "3"], "no option -c"),
        (["package", "--ofline"], "no option --ofline"),
        (["test", "--foo"], "no option --foo"),
        (["test", "tests", "--maxfai=1"], "no option --maxfai"),
        (["test", "-x", "--fast"], "--fast comes first"),
        (["test", "--fast", "tests/no_such.py::test_it"], "no file or folder tests/no_such.py"),
    ],
)
def test_what_a_script_does_not_know_is_refused_before_anything_is_set_up(
    bare: Path, command: list[str], said: str
) -> None:
    ended = run_in(bare, *command)
    assert (ended.returncode, ended.stdout) == (2, "")
    assert said in ended.stderr
    assert f"see {bare / command[0]} --help" in ended.stderr


@pytest.mark.parametrize(
    "command",
    [
        *(["bench", name, "--rounds", "1"] for name in BENCHMARKS),
        [
            "prove",
            "all",
            *BY_NAME,
            "--count",
            "3",
            "--quick",
            "--at-once=2",
            "--seed",
            "-5",
            "--json",
            "f",
            "--keep",
            "d",
        ],
        ["prove"],
        ["demo", "--keep", "--influx", "--sensors", "10", "--seed", "1"],
        ["mutate", *ROOMS, "--count", "3", "--seed", "1", "--keep"],
        ["package", "--output", "dist", "--offline"],
        ["test", "-k", "windows", "-x"],
        ["test", "--fast", "--lf", "--maxfail=2", "--durations", "5"],
    ],
    ids=" ".join,
)
def test_what_a_script_knows_is_set_up(bare: Path, command: list[str]) -> None:
    ended = run_in(bare, *command)
    assert (ended.returncode, "needs Python 3.11 or newer" in ended.stderr) == (3, True)


@pytest.mark.parametrize("script", [*SCRIPTS, "setup/secrets"])
def test_the_help_of_a_script_fits_a_terminal_of_80_columns(script: str) -> None:
    ended = subprocess.run([ROOT / script, "--help"], capture_output=True, text=True, check=True)
    assert ended.stdout.startswith(("./", "setup/"))
    assert [line for line in ended.stdout.splitlines() if len(line) > 79] == []


def imported(package: str) -> Iterator[str]:
    """What a program of this package can import, wherever in its files and in those of ours that they import."""
    files = (ROOT / package.replace(".", "/")).rglob("*.py")
    waiting = [".".join(path.relative_to(ROOT).with_suffix("").parts) for path in files]
    seen = set()
    while waiting:
        module = waiting.pop()
        path = ROOT / module.replace(".", "/")
        found = [place for place in (path.with_suffix(".py"), path / "__init__.py") if place.exists()]
        if not found or module in seen:
            continue
        seen.add(module)
        if "." in module:
            waiting.append(module.rpartition(".")[0])
        for node in (node for place in found for node in ast.walk(ast.parse(place.read_text()))):
            names = (
                [alias.name for alias in node.names]
                if isinstance(node, ast.Import)
                else [f"{node.module}", *(f"{node.module}.{alias.name}" for alias in node.names)]
                if isinstance(node, ast.ImportFrom)
                else []
            )
            waiting += names
            yield from (name.partition(".")[0] for name in names)


@pytest.mark.parametrize(
    ("script", "program"),
    [
        ("demo", "fleet_demo"),
        ("bench", "benchmarks"),
        ("prove", "tests.proofs"),
        ("mutate", "tests.mutation"),
    ],
)
def test_a_script_installs_all_that_its_program_imports(script: str, program: str) -> None:
    (lock,) = re.findall(r"^environment (\S+)", (ROOT / script).read_text(), re.MULTILINE)
    locked = set(re.findall(r"^([\w.-]+)==", (ROOT / lock).read_text(), re.MULTILINE))
    distributions = packages_distributions()
    others = {
        name for name in imported(program) if name in distributions and name not in sys.stdlib_module_names
    }
    needed = {name: {known.lower().replace("_", "-") for known in distributions[name]} for name in others}
    assert [name for name, offers in needed.items() if not offers & {*locked, "edge-fleet"}] == []
    assert others
