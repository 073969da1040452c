"""The tools beside the tests: help, what ./test --full says of coverage, and what ./mutate draws and prints."""

import subprocess
from pathlib import Path

import pytest

from tests.architecture.coverage import Covered, below, by_room, room_named, table
from tests.architecture.rooms import ROOT
from tests.mutation.room import ROOMS, configuration, described, draw

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


@pytest.mark.parametrize("script", ["demo", "test", "prove", "mutate", "package", "setup/secrets"])
def test_the_help_of_a_script_fits_a_terminal_of_80_columns(script: str) -> None:
    ended = subprocess.run([ROOT / script, "--help"], capture_output=True, text=True, check=True)
    assert ended.stdout.startswith(("./", "setup/"))
    assert [line for line in ended.stdout.splitlines() if len(line) > 79] == []
