"""The problems that are open now: each is logged and reported when it begins and when it ends."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final

from edge_gateway.status.catalogue import Problem
from edge_gateway.status.problem import Gravity, Lasts
from edge_gateway.status.report import OpenProblem
from fleet_wire.printable import printable, printable_lines

log = logging.getLogger("edge_gateway.status")

MOST_NAMED = 5
"""Devices that one problem names; the others are only counted."""


LEVELS: Final = {
    Gravity.FAILURE: logging.ERROR,
    Gravity.WARNING: logging.WARNING,
    Gravity.NOTICE: logging.INFO,
}
"""At which level a problem is logged."""

_GRAVEST_FIRST: Final = (Gravity.FAILURE, Gravity.WARNING, Gravity.NOTICE)

AGAIN_WITHIN = 120_000
"""Ms after a start within which a problem that was open before it is taken for the same one."""

TOLD_EVERY = 60_000
"""Ms by which the end of a lasting problem may move before that counts as a change."""


def named(names: Sequence[str]) -> str:
    """Return the first few names, and how many more there are."""
    more = len(names) - MOST_NAMED
    return ", ".join(map(printable, names[:MOST_NAMED])) + (f" and {more} more" if more > 0 else "")


def most_pressing(problem: OpenProblem) -> tuple[int, int]:
    """Return the sort key of problems wherever they are listed: the gravest first, the newest of a gravity first."""
    return _GRAVEST_FIRST.index(problem.gravity), -problem.since


@dataclass(slots=True)
class Problems:
    """The open problems of one gateway.

    Args:
        clock: wall time in ms.
        changed: called when a problem begins, ends or changes its gravity; and when a lasting one changes its text, or
            will last a minute longer.
        timer: monotonic time in ms, by which a lasting problem ends.
        least: the least that the wall time can be, in ms; with it, a clock that is behind moves no earlier beginning.
    """

    clock: Callable[[], int]
    changed: Callable[[], None] = lambda: None
    timer: Callable[[], int] = lambda: time.monotonic_ns() // 1_000_000
    least: Callable[[], int] = lambda: 0
    _open: dict[Problem, OpenProblem] = field(default_factory=dict)
    _ends: dict[Problem, int] = field(default_factory=dict)
    """When each open problem that lasts for a time is over, by `timer`."""
    _told: dict[Problem, int] = field(default_factory=dict)
    """The same at the last call of `changed` for its sake."""
    _earlier: dict[Problem, int] = field(default_factory=dict)
    """When problems began that were open before the start, and not opened or cleared since."""
    _earlier_to: int = 0
    """Until when they count, by `timer`."""

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
                log.log(LEVELS[gravity], "%s: %s", problem.code, line)
        since = before.since if before else self._beginning(problem)
        self._open[problem] = OpenProblem(code=problem.code, text=text, since=since, gravity=gravity)
        again = before is not None and before.text == text
        prolonged = isinstance(entry.over, Lasts) and self._prolong(problem, entry.over.ms, again=again)
        if before is None or before.gravity is not gravity or prolonged:
            self.changed()

    def _prolong(self, problem: Problem, ms: int, *, again: bool) -> bool:
        """Let a problem last for `ms` from now; return whether that is a change.

        With the text it had, `again`, it is one if it ends a minute later than at the last change.
        """
        end = self._ends[problem] = self.timer() + ms
        if again and end - self._told.get(problem, 0) < TOLD_EVERY:
            return False
        self._told[problem] = end
        return True

    def update(
        self, problem: Problem, detail: str, gravity: Gravity | None = None, *, settled: bool = True
    ) -> None:
        """Open a problem while there is a detail, and end it when that is empty.

        `settled`: an empty detail means that all is well; if not, nothing is known of the problem yet.
        """
        if detail:
            self.raise_(problem, detail, gravity)
        elif settled:
            self.clear(problem)
        else:
            self._end(problem)

    def clear(self, problem: Problem) -> None:
        """End a problem, since all is well. ValueError: it lasts until a restart.

        If it is not open, that is taken for the end of the one from before the start.
        """
        well_again = self._earlier.pop(problem, None) is not None
        if not self._end(problem) and well_again:
            self.changed()  # what is kept for the next start

    def _end(self, problem: Problem) -> bool:
        """End a problem; return whether it was open."""
        if problem.entry.latches:
            raise ValueError(f"{problem.code} lasts until the next start: {problem.entry.over.how}")
        self._ends.pop(problem, None)
        self._told.pop(problem, None)
        if self._open.pop(problem, None) is None:
            return False
        log.info("%s: over", problem.code)
        self.changed()
        return True

    def expire(self) -> None:
        """End the lasting problems whose time is over, and forget earlier beginnings; call periodically."""
        for problem in [problem for problem, end in self._ends.items() if self.timer() > end]:
            self._end(problem)
        if self._earlier and self.timer() > self._earlier_to:
            self._earlier.clear()
            self.changed()

    def lasting(self) -> Iterator[tuple[OpenProblem, int]]:
        """Yield the open problems that last for a time, each with the ms that are left."""
        for problem, end in self._ends.items():
            yield self._open[problem], max(0, end - self.timer())

    def reopen(self, problem: Problem, before: OpenProblem, left: int) -> None:
        """Open a lasting problem as it was before a restart, for `left` ms; `changed` is the caller's to call.

        ValueError: it is none that lasts.
        """
        over = problem.entry.over
        most = over.ms if isinstance(over, Lasts) else 0
        if not most:
            raise ValueError(f"{problem.code} does not outlast a restart")
        self._open[problem] = before
        self._ends[problem] = self.timer() + min(left, most)
        log.log(LEVELS[before.gravity], "%s: %s (from before the restart)", problem.code, before.text)

    def begun_earlier(self, beginnings: Mapping[Problem, int]) -> None:
        """Let problems that open soon after a start begin when they did before it; wall ms by problem.

        Those of the process, and those that tell of what a start found, are left out.
        """
        self._earlier = {one: since for one, since in beginnings.items() if one.entry.outlives_a_restart}
        self._earlier_to = self.timer() + AGAIN_WITHIN

    def beginnings(self) -> dict[Problem, int]:
        """Return when each problem that may outlive a restart began, for `begun_earlier` of the next start."""
        begun = {
            problem: one.since for problem, one in self._open.items() if problem.entry.outlives_a_restart
        }
        return self._earlier | begun

    def _beginning(self, problem: Problem) -> int:
        """Return when a problem that opens now began."""
        now, earlier = self.clock(), self._earlier.pop(problem, None)
        if earlier is None or self.timer() > self._earlier_to:
            return now
        return min(earlier, max(now, self.least()))

    def text_of(self, problem: Problem) -> str:
        """Return the text of a problem; "" if it is not open."""
        return self._open[problem].text if problem in self._open else ""

    def __contains__(self, problem: Problem) -> bool:
        return problem in self._open

    def __iter__(self) -> Iterator[OpenProblem]:
        """Iterate over the open problems, the most pressing first."""
        return iter(sorted(self._open.values(), key=most_pressing))
