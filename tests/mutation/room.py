"""One room's mutants: made, drawn and run by mutmut in a copy of the checkout.

    checkout ─▶ copy ─▶ every mutant of the room ─▶ a seeded sample ─▶ the room's tests against each ─▶ verdicts

mutmut 3 mutates functions, except decorated ones. It learns from one run of the tests which of them reach a function,
and runs only those against its mutants, those of the module's own test file first (`tests.mutation.order`). One that
no test kills is shown to mypy, which counts as well: `./test` runs both. One that only changes the case of letters in
SQL means the same to SQLite and is not counted.
"""

import ast
import json
import os
import random
import re
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final, NamedTuple

from tests.architecture.rooms import ROOT

ROOMS: Final = {
    "fold": ("edge_gateway/fold/*",),
    "rules": ("edge_gateway/rules/language/*", "edge_gateway/rules/columns/*", "edge_gateway/rules/alerts/*"),
    "windows": ("edge_gateway/windows/*",),
    "fleet": ("edge_gateway/fleet/*",),
    "records": ("edge_gateway/records/*",),
    "columns": ("edge_gateway/columns/*",),
    "journal": ("edge_gateway/journal/*",),
    "store": ("edge_gateway/store/*",),
}
"""Each room and the files that are mutated."""

SURVIVED: Final = {0: "", 5: " (no test reaches it)", 33: " (no test reaches it)"}
"""Exit statuses of the tests against a mutant that lives, and what is said of it."""
KILLED: Final = {1, 3, 24, 36, 152}
"""Exit statuses of a mutant that died: a test failed, pytest crashed, out of time (24, 36, 152)."""
_NOT_BY_THE_MUTANT: Final = {-signal.SIGINT, -signal.SIGTERM}
_TIMEOUT: Final = {"timeout_constant": ["10"], "timeout_multiplier": ["6"]}
"""Out of time is, by the wall clock, six times what the tests took without a mutant and a minute more."""
_MANGLED: Final = re.compile(r"(?P<module>[\w.]+)\.x(?:_|ǁ(?P<owner>\w+)ǁ)(?P<name>\w+)__mutmut_\d+")
_HUNK: Final = re.compile(r"^@@ -(\d+)")
_SQL: Final = re.compile(
    r"\b(?:SELECT|INSERT|UPDATE|DELETE|CREATE|PRAGMA|BEGIN|COMMIT|ROLLBACK|RELEASE|SAVEPOINT"
    r"|FROM|WHERE|AND|UNION|VALUES|ORDER|ASC|DESC|MIN|MAX)\b|[=<>]\?"
)
_GENERATE: Final = """
from mutmut.__main__ import create_mutants
from mutmut.utils.file_utils import copy_also_copy_files, copy_src_dir
copy_src_dir(), copy_also_copy_files(), create_mutants(2)
"""


class RoomFailed(Exception):
    """mutmut could not make or run the mutants of a room."""


@dataclass(frozen=True, slots=True)
class Survivor:
    """A mutant that no test killed: the line it changes, and how."""

    place: str
    change: tuple[str, ...]


class Verdict(NamedTuple):
    """How many mutants a room has, how many of the drawn ones were a change at all, and which of these live."""

    mutants: int
    sampled: int
    survivors: list[Survivor]

    @property
    def share_killed(self) -> float:
        """Of the sample, 0 to 1."""
        return 1 - len(self.survivors) / self.sampled if self.sampled else 1.0


def try_room(room: str, count: int, seed: int, work: Path) -> Verdict:
    """Draw `count` mutants of a room and run its tests against each, in `work`; RoomFailed."""
    copy_checkout(work)
    (work / "setup.cfg").write_text(configuration(room, seed, top_level(work)))
    _python(work, "-c", _GENERATE)
    names = sorted(statuses_in(work))
    sample = draw(names, count, f"{seed} {room}")
    _python(work, "-m", "mutmut", "run", *sample)
    statuses = statuses_in(work)
    lives = [name for name in sample if survived(name, statuses[name])]
    refused = refused_by_mypy(work, lives) if lives else set()
    left = [survivor(work, name, statuses[name]) for name in lives if name not in refused]
    survivors = [one for one in left if not changes_only_case_of_sql(one.change)]
    return Verdict(len(names), len(sample) - len(left) + len(survivors), survivors)


def changes_only_case_of_sql(change: tuple[str, ...]) -> bool:
    """Whether a mutant changes nothing but the case of keywords and names in SQL, which means the same to SQLite."""
    before, after = ("".join(line[1:] for line in change if line[0] == sign) for sign in "-+")
    differs = [at for at, (one, other) in enumerate(zip(before, after, strict=False)) if one != other]
    if before.lower() != after.lower() or not differs:
        return False
    text = before[before.rfind('"', 0, differs[0]) + 1 : before.find('"', differs[-1])]
    return bool(_SQL.search(text)) and "'" not in text


def refused_by_mypy(work: Path, mutants: Iterable[str]) -> set[str]:
    """Return those mutants with which the package has faults for mypy; RoomFailed if it has some without them."""
    if (ROOT / ".mypy_cache").is_dir():
        shutil.copytree(ROOT / ".mypy_cache", work / ".mypy_cache")
    if not _mypy_accepts(work):
        raise RoomFailed("mypy finds faults without a mutant")
    return {mutant for mutant in mutants if not _mypy_accepts_mutant(work, mutant)}


def _mypy_accepts_mutant(work: Path, mutant: str) -> bool:
    _python(work, "-m", "mutmut", "apply", mutant)
    try:
        return _mypy_accepts(work)
    finally:
        shutil.copy2(ROOT / _file_of(mutant), work / _file_of(mutant))


def _mypy_accepts(work: Path) -> bool:
    return _run(work, "-m", "mypy", "edge_gateway").returncode == 0


def survived(name: str, status: int | None) -> bool:
    """Whether a mutant lives, by the exit status of the tests against it; RoomFailed where they did not run."""
    if status in SURVIVED:
        return True
    if status in KILLED or (status is not None and status < 0 and status not in _NOT_BY_THE_MUTANT):
        return False
    raise RoomFailed(f"the tests against {name} did not run: exit status {status}")


def copy_checkout(work: Path) -> None:
    """Every file that git knows or would add, as it is now."""
    listed = subprocess.run(
        ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"],
        cwd=ROOT,
        capture_output=True,
        check=True,
        text=True,
    ).stdout
    for name in filter(None, listed.split("\0")):
        if (source := ROOT / name).is_file():
            (work / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(source, work / name)


def top_level(work: Path) -> list[str]:
    return sorted(path.name for path in work.iterdir())


def configuration(room: str, seed: int, copied: Iterable[str]) -> str:
    """mutmut's configuration for one room: its files, its tests, and what else these need beside them."""
    lists = {
        "source_paths": ["edge_gateway"],
        "only_mutate": ROOMS[room],
        "also_copy": copied,
        "pytest_add_cli_args_test_selection": [f"tests/gateway/{room}"],
        "pytest_add_cli_args": [
            *("-m", "not broker and not influx"),
            f"--hypothesis-seed={seed}",
            *("-p", "tests.mutation.order"),
        ],
        **_TIMEOUT,
    }
    return "[mutmut]\n" + "".join(
        f"{key} =\n" + "".join(f"    {value}\n" for value in values) for key, values in lists.items()
    )


def statuses_in(work: Path) -> dict[str, int | None]:
    """All mutants that were made, each with the exit status of the tests against it; None: not tried."""
    statuses: dict[str, int | None] = {}
    for file in (work / "mutants").rglob("*.py.meta"):
        statuses |= json.loads(file.read_text())["exit_code_by_key"]
    return statuses


def draw(names: list[str], count: int, seed: str) -> list[str]:
    """At most `count` of the names: the same ones for the same seed and code."""
    return sorted(random.Random(seed).sample(names, min(count, len(names))))


def survivor(work: Path, name: str, status: int | None) -> Survivor:
    found = described(name, _python(work, "-m", "mutmut", "show", name), ROOT)
    return Survivor(found.place + SURVIVED[status or 0], found.change)


def described(name: str, diff: str, root: Path) -> Survivor:
    """A mutant by its name and mutmut's diff, whose line numbers count from the function's first line."""
    found, file = _parts_of(name), _file_of(name)
    first = _line_of((root / file).read_text(), found["owner"], found["name"])
    change = tuple(line for line in diff.splitlines() if line[:1] in "-+" and line[:3] not in ("---", "+++"))
    return Survivor(f"{file}:{first + _offset(diff)}", change)


def _parts_of(name: str) -> re.Match[str]:
    found = _MANGLED.fullmatch(name)
    assert found is not None, name
    return found


def _file_of(name: str) -> Path:
    """Return the file that a mutant changes, below the checkout."""
    return Path(*_parts_of(name)["module"].split(".")).with_suffix(".py")


def _line_of(source: str, owner: str | None, name: str) -> int:
    """The line of a function, or of a method of the class `owner`."""
    tree: ast.AST = ast.parse(source)
    if owner:
        tree = next(node for node in ast.walk(tree) if isinstance(node, ast.ClassDef) and node.name == owner)
    functions = (node for node in ast.walk(tree) if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef))
    return next(node.lineno for node in functions if node.name == name)


def _offset(diff: str) -> int:
    """How many lines below the function's first one the first change is."""
    return next(number for number, line in _numbered(diff) if line[:1] in "-+") - 1


def _numbered(diff: str) -> Iterator[tuple[int, str]]:
    """The lines of the diff's hunks, numbered as they were before the change."""
    number = 0
    for line in diff.splitlines():
        if hunk := _HUNK.match(line):
            number = int(hunk[1])
        elif number:
            yield number, line
            number += line[:1] != "+"


def _python(work: Path, *arguments: str) -> str:
    """Return what Python prints with these arguments; RoomFailed where it fails."""
    ran = _run(work, *arguments)
    if ran.returncode:
        raise RoomFailed(f"mutmut failed:\n{ran.stdout[-3000:]}\n{ran.stderr[-3000:]}")
    return ran.stdout


def _run(work: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    """Run Python with these arguments and temporary files in `work`; stop all it started if interrupted."""
    temporary = work / "tmp"
    temporary.mkdir(exist_ok=True)
    environment = {**os.environ, "TMPDIR": str(temporary)}
    environment.pop("PYTHONPATH", None)
    process = subprocess.Popen(
        [sys.executable, *arguments],
        cwd=work,
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
    try:
        output, errors = process.communicate()
    except BaseException:
        os.killpg(process.pid, signal.SIGKILL)
        process.communicate()  # until the last of its workers is gone
        raise
    return subprocess.CompletedProcess(arguments, process.returncode, output, errors)
