"""The problems that are open now: each is logged and reported when it begins and when it ends."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field

from edge_gateway.status.catalogue import Problem
from edge_gateway.status.problem import Gravity
from edge_gateway.status.report import OpenProblem
from fleet_wire.printable import printable, printable_lines

log = logging.getLogger("edge_gateway.status")

MOST_NAMED = 5
"""Devices that one problem names; the others are only counted."""


def named(names: Sequence[str]) -> str:
    """Return the first few names, and how many more there are."""
    more = len(names) - MOST_NAMED
    return ", ".join(map(printable, names[:MOST_NAMED])) + (f" and {more} more" if more > 0 else "")


@dataclass(slots=True)
class Problems:
    """The open problems of one gateway.

    Args:
        clock: wall time in ms.
        changed: called when a problem begins, ends or changes its gravity.
    """

    clock: Callable[[], int]
    changed: Callable[[], None] = lambda: None
    _open: dict[Problem, OpenProblem] = field(default_factory=dict)

    def raise_(self, problem: Problem, detail: str = "", gravity: Gravity | None = None) -> None:
        """Open a problem, or update its text and gravity. A text of several lines is logged line by line.

        `detail` completes the problem's text; a `gravity` of None is the usual one. ValueError: it never has that one.
        """
        entry, before = problem.entry, self._open.get(problem)
        gravity = gravity or entry.gravities[0]
        if gravity not in entry.gravities:
            raise ValueError(f"{problem.code} is never a {gravity}")
        text = printable_lines(entry.text.format(detail))
        if before is None or before.text != text:
            for line in text.split("\n"):
                log.warning("%s: %s", problem.code, line)
        since = before.since if before else self.clock()
        self._open[problem] = OpenProblem(code=problem.code, text=text, since=since, gravity=gravity)
        if before is None or before.gravity is not gravity:
            self.changed()

    def update(self, problem: Problem, detail: str, gravity: Gravity | None = None) -> None:
        """Open a problem while there is a detail, and end it when that is empty."""
        if detail:
            self.raise_(problem, detail, gravity)
        else:
            self.clear(problem)

    def clear(self, problem: Problem) -> None:
        """End a problem; nothing happens if it is not open. ValueError: it lasts until the next start."""
        if problem.entry.latches:
            raise ValueError(f"{problem.code} lasts until the next start: {problem.entry.over.how}")
        if self._open.pop(problem, None) is not None:
            log.info("%s: over", problem.code)
            self.changed()

    def __contains__(self, problem: Problem) -> bool:
        return problem in self._open

    def __iter__(self) -> Iterator[OpenProblem]:
        return iter(tuple(self._open.values()))
