"""What a mutant's run comes to, and that nothing is left of one that is stopped."""

import os
import signal
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from tests.architecture.rooms import ROOT
from tests.mutation.order import pytest_collection_modifyitems
from tests.mutation.room import RoomFailed, changes_only_case_of_sql, survived
from tests.servers.process import wait_until

STOPPED = """
import sys
from pathlib import Path
from tests.mutation import __main__, room

def try_room(name, count, seed, work):
    Path("{told}").write_text(str(work))
    script = "import os, time; open('{pid}', 'w').write(str(os.getpid())); time.sleep(600)"
    room._python(work, "-c", f"import subprocess, sys; subprocess.run([sys.executable, '-c', {{script!r}}])")

__main__.try_room = try_room
sys.argv = ["./mutate", "columns"]
sys.exit(__main__.main())
"""

TWICE = """
import sys, pytest
arguments = ["-q", "-p", "no:cacheprovider", "-c", "{root}/pyproject.toml", "--rootdir", "{root}"]
arguments += ["-p", "tests.conftest", "-p", "tests.mutation.order", "{file}"]
sys.exit(pytest.main(arguments) or pytest.main(arguments))
"""
PROPERTY_OF_A_CLASS = """
from hypothesis import given, strategies

class TestNumbers:
    @given(strategies.integers())
    def test_a_number_is_itself(self, number):
        assert number == number
"""
AS_DEEP_AS_USUAL = """
def called(depth):
    return mutated(depth)

def mutated(depth):
    return original(depth)

def original(depth):
    return called(depth - 1) if depth else True

def test_recursion():
    assert called(900)
"""


@pytest.mark.parametrize("status", [0, 5, 33])
def test_a_mutant_lives_when_its_tests_pass_or_there_are_none(status: int) -> None:
    assert survived("m", status)


@pytest.mark.parametrize("status", [1, 3, 36, -signal.SIGXCPU, -signal.SIGSEGV, -signal.SIGKILL])
def test_a_mutant_dies_of_a_failed_test_of_its_time_and_of_a_crash(status: int) -> None:
    assert not survived("m", status)


@pytest.mark.parametrize("status", [None, 2, 4, 35, 255, -signal.SIGTERM])
def test_where_the_tests_did_not_run_there_is_no_verdict(status: int | None) -> None:
    with pytest.raises(RoomFailed, match="did not run"):
        survived("m", status)


@pytest.mark.parametrize(
    ("before", "after", "same"),
    [
        ('x = "SELECT id FROM event"', 'x = "select id from event"', True),
        ('for direction in ("ASC", "DESC"):', 'for direction in ("ASC", "desc"):', True),
        ('add("sent", db.execute("DELETE FROM t"))', 'add("SENT", db.execute("DELETE FROM t"))', False),
        ('x = "SELECT id FROM event"', 'x = "XXSELECT id FROM eventXX"', False),
        (
            "x = \"SELECT value FROM meta WHERE key='a'\"",
            "x = \"SELECT VALUE FROM META WHERE KEY='A'\"",
            False,
        ),
        ("x = 1", "x = 2", False),
    ],
)
def test_sql_in_large_or_small_letters_is_the_same(before: str, after: str, *, same: bool) -> None:
    assert changes_only_case_of_sql((f"-{before}", f"+{after}")) == same


def test_the_mutated_modules_own_tests_come_first(monkeypatch: pytest.MonkeyPatch) -> None:
    items: list[Any] = [
        SimpleNamespace(path=Path(f"test_{name}.py"), nodeid=name) for name in ("z", "b", "effects", "a")
    ]
    monkeypatch.setenv("MUTANT_UNDER_TEST", "edge_gateway.fold.effects.xǁEffectsǁfor_store__mutmut_3")
    pytest_collection_modifyitems(items)
    assert [item.nodeid for item in items] == ["effects", "a", "b", "z"]
    monkeypatch.setenv("MUTANT_UNDER_TEST", "stats")
    pytest_collection_modifyitems(items)
    assert [item.nodeid for item in items] == ["a", "b", "effects", "z"]


@pytest.mark.parametrize("text", [PROPERTY_OF_A_CLASS, AS_DEEP_AS_USUAL], ids=["property", "recursion"])
def test_tests_that_pass_pass_twice_in_one_process_and_through_mutmuts_calls(
    tmp_path: Path, text: str
) -> None:
    """So mutmut runs them: once for what they reach, once to see that they pass; each call through two of its own."""
    file = tmp_path / "test_numbers.py"
    file.write_text(text)
    ran = subprocess.run(
        [sys.executable, "-c", TWICE.format(root=ROOT, file=file)],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert ran.returncode == 0, ran.stdout


def test_sigterm_leaves_no_copy_and_no_process(tmp_path: Path) -> None:
    told, pid = tmp_path / "told", tmp_path / "pid"
    script = STOPPED.format(told=told, pid=pid)
    with subprocess.Popen([sys.executable, "-c", script], cwd=ROOT, stdout=subprocess.DEVNULL) as mutate:
        wait_until(lambda: pid.exists() and pid.read_text() != "", 60, "the worker started")
        mutate.terminate()
        assert mutate.wait(60) == 128 + signal.SIGTERM
    assert not Path(told.read_text()).exists()
    wait_until(lambda: not _runs(int(pid.read_text())), 60, "the worker is gone")


def _runs(pid: int) -> bool:
    try:
        os.kill(pid, 0)
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except (ProcessLookupError, FileNotFoundError):
        return False
