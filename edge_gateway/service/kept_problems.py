"""What a restart leaves of the open problems, in a file of the spool.

a change ─▶ the file, soon, by a thread ─▶ the next start ─┬─ those that last for a time: opened for what is left of it
                                                           └─ others: if soon raised again, they began when they did
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from threading import Lock
from typing import Annotated, Final

import msgspec

from edge_gateway.journal.files import FILES, Files, write_whole
from edge_gateway.status.catalogue import Problem
from edge_gateway.status.problems import Problems
from edge_gateway.status.report import OpenProblem
from fleet_console.failures import in_words
from fleet_wire.printable import printable_lines

log = logging.getLogger("edge_gateway.kept_problems")

LONGEST: Final = 1 << 20
"""Bytes read of the file."""


class _Kept(msgspec.Struct):
    """One problem, and the ms for which it is still shown."""

    problem: OpenProblem
    left: Annotated[int, msgspec.Meta(ge=0)]


class _File(msgspec.Struct):
    """The problems that were open `at`, in monotonic ms: lasting ones, and when others began (wall ms by code)."""

    at: int
    kept: list[_Kept]
    begun: dict[str, int] = {}


def _known(begun: Mapping[str, int]) -> dict[Problem, int]:
    """Return beginnings by problem; a file of another version may hold codes that this one lacks."""
    codes = {problem.code: problem for problem in Problem}
    return {codes[code]: since for code, since in begun.items() if code in codes}


@dataclass(slots=True)
class KeptProblems:
    """Keeps the problems of one gateway. `clock`: monotonic ms that go on over restarts, see `MachineClock`."""

    path: Path
    problems: Problems
    clock: Callable[[], int]
    files: Files = FILES
    _holds_some: bool = False
    """Whether the file holds a problem."""
    _changed: asyncio.Event = field(default_factory=asyncio.Event)
    _writing: Lock = field(default_factory=Lock)

    def restore(self) -> None:
        """Open again what the file holds. The time since it was written counts as far as `clock` knows of it."""
        try:
            with self.path.open("rb") as file:
                held = msgspec.json.decode(file.read(LONGEST), type=_File)
        except FileNotFoundError:
            return
        except (OSError, ValueError, RecursionError) as error:
            log.warning("cannot read the problems of before the restart: %s", in_words(error))
            return
        away = max(0, self.clock() - held.at)
        for one in held.kept:
            if one.left > away:
                self._reopen(one.problem, one.left - away)
        self.problems.begun_earlier(_known(held.begun))
        self._holds_some = bool(held.kept or held.begun)
        self.problems.changed()

    def _reopen(self, before: OpenProblem, left: int) -> None:
        before.text = printable_lines(before.text)
        try:
            self.problems.reopen(Problem.of(before.code), before, left)
        except ValueError as error:
            log.warning("a problem of before the restart is left out: %s", error)

    def changed(self) -> None:
        """Let `run` write the file soon."""
        self._changed.set()

    async def run(self) -> None:
        """Write the file after changes, until cancelled."""
        while True:
            await self._changed.wait()
            await self.save()

    async def save(self) -> None:
        """Write the file, unless there is nothing to keep and nothing in it. A failure is only logged."""
        self._changed.clear()
        lasting = [_Kept(problem, left) for problem, left in self.problems.lasting()]
        begun = {problem.code: since for problem, since in self.problems.beginnings().items()}
        holds_some = bool(lasting or begun)
        if not holds_some and not self._holds_some:
            return
        held = _File(self.clock(), lasting, begun)
        try:
            await asyncio.to_thread(self._write, msgspec.json.encode(held))
        except OSError as error:
            log.warning("cannot keep problems for the next start: %s", in_words(error))
        else:
            self._holds_some = holds_some

    def _write(self, content: bytes) -> None:
        with self._writing:  # a write that was cancelled goes on in its thread
            write_whole(self.files, self.path, content)
