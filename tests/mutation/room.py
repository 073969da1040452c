"""One room's mutants: made, drawn and run by mutmut in a copy of the checkout.

    checkout ─▶ copy ─▶ every mutant of the room ─▶ a seeded sample ─▶ the room's tests against each ─▶ verdicts

mutmut 3 mutates functions, except decorated ones. It learns from one run of the tests which of them reach a function,
and runs only those against its mutants. A mutant that mypy refuses counts as killed: `./test` runs mypy too.
"""

import ast
import json
import os
import random
import re
import shutil
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

KILLED: Final = {"🎉", "⏰", "🧙", "💥"}
"""mutmut's signs for killed, out of time, refused by the type checker, crashed."""
_RESULT: Final = re.compile(r"^(\S+) (edge_gateway\.\S+__mutmut_\d+)$", re.MULTILINE)
_MANGLED: Final = re.compile(r"(?P<module>[\w.]+)\.x(?:_|ǁ(?P<owner>\w+)ǁ)(?P<name>\w+)__mutmut_\d+")
_HUNK: Final = re.compile(r"^@@ -(\d+)")
_MYPY: Final = (
    *("-m", "mypy", "--output", "json", "--cache-dir", os.devnull),
    *("--no-warn-unused-ignores", "--no-warn-unreachable"),
    *("--disable-error-code", "no-redef", "--disable-error-code", "has-type"),
)
"""Without what mypy says of mutants as such: functions that stand beside their original."""
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
    mutants: int
    sampled: int
    survivors: list[Survivor]

    @property
    def killed(self) -> float:
        """The share of the sample that was killed, 0 to 1."""
        return 1 - len(self.survivors) / self.sampled if self.sampled else 1.0


def try_room(room: str, count: int, seed: int, work: Path) -> Verdict:
    """Draw `count` mutants of a room and run its tests against each, in `work`; RoomFailed."""
    copy_checkout(work)
    (work / "setup.cfg").write_text(configuration(room, seed, top_level(work)))
    _mutmut(work, "-c", _GENERATE)
    names = mutants_in(work)
    sample = draw(names, count, f"{seed} {room}")
    results = dict(
        reversed(found) for found in _RESULT.findall(_mutmut(work, "-m", "mutmut", "run", *sample))
    )
    if missing := set(sample) - results.keys():
        raise RoomFailed(f"no result of {', '.join(sorted(missing))}")
    survivors = [survivor(work, name) for name in sample if results[name] not in KILLED]
    return Verdict(len(names), len(sample), survivors)


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
        "pytest_add_cli_args": ["-m", "not broker and not influx", f"--hypothesis-seed={seed}"],
        "timeout_multiplier": ["1"],
        "type_check_command": [sys.executable, *_MYPY, *(files.removesuffix("/*") for files in ROOMS[room])],
    }
    return "[mutmut]\n" + "".join(
        f"{key} =\n" + "".join(f"    {value}\n" for value in values) for key, values in lists.items()
    )


def mutants_in(work: Path) -> list[str]:
    """The names of all mutants that were made, sorted."""
    files = (work / "mutants").rglob("*.py.meta")
    return sorted(name for file in files for name in json.loads(file.read_text())["exit_code_by_key"])


def draw(names: list[str], count: int, seed: str) -> list[str]:
    """At most `count` of the names: the same ones for the same seed and code."""
    return sorted(random.Random(seed).sample(names, min(count, len(names))))


def survivor(work: Path, name: str) -> Survivor:
    diff = _mutmut(work, "-m", "mutmut", "show", name)
    return described(name, diff, ROOT)


def described(name: str, diff: str, root: Path) -> Survivor:
    """A mutant by its name and mutmut's diff, whose line numbers count from the function's first line."""
    found = _MANGLED.fullmatch(name)
    assert found is not None, name
    file = Path(*found["module"].split(".")).with_suffix(".py")
    first = _line_of((root / file).read_text(), found["owner"], found["name"])
    change = tuple(line for line in diff.splitlines() if line[:1] in "-+" and line[:3] not in ("---", "+++"))
    return Survivor(f"{file}:{first + _offset(diff)}", change)


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


def _mutmut(work: Path, *arguments: str) -> str:
    environment = {key: value for key, value in os.environ.items() if key != "PYTHONPATH"}
    ran = subprocess.run(
        [sys.executable, *arguments], cwd=work, env=environment, capture_output=True, check=False, text=True
    )
    if ran.returncode:
        raise RoomFailed(f"mutmut failed:\n{ran.stdout[-3000:]}\n{ran.stderr[-3000:]}")
    return ran.stdout.replace("\r", "\n")
