"""What becomes of the alerts whose latches switched: the few rows where Python looks at single alerts."""

from __future__ import annotations

from dataclasses import dataclass, field
from itertools import groupby
from typing import TYPE_CHECKING, NamedTuple

from edge_gateway.rules.alerts.state import (
    NOTHING,
    Change,
    Level,
    Standing,
    advance,
    let_time_pass,
    next_due,
    settle,
)
from edge_gateway.rules.columns.program import ABSENT

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from edge_gateway.rules.columns.program import Latch


class Mark(NamedTuple):
    """What one reading says to one latch; `seen` False: nothing, the latch only stands by."""

    alert: int
    row: int
    cell: int
    latch: int
    seen: bool
    is_up: bool
    is_down: bool
    on: bool
    up: int
    down: int


class Verdict(NamedTuple):
    """A change of an alert, with the row that caused it (-1 on a tick), and the levels it was made of."""

    row: int
    rule: int
    device: int
    change: Change
    onset: int
    levels: tuple[Level, ...]


@dataclass(slots=True)
class Case:
    """One alert on one device, its levels and the standing it has."""

    device: int
    rule: int
    levels: list[Level]
    standing: Standing | None
    verdicts: list[Verdict] = field(default_factory=list)

    def step(self, at: int, row: int, cause: str | None = None) -> None:
        before = self.standing
        self.standing, changes = advance(before, self.levels, at, cause)  # type: ignore[arg-type]
        for change in changes:
            standing = self.standing if change.state in ("pending", "firing") else before
            assert standing is not None
            self.tell(change, standing.onset, row)

    def tell(self, change: Change, onset: int, row: int) -> None:
        self.verdicts.append(Verdict(row, self.rule, self.device, change, onset, tuple(self.levels)))


def cases_of(
    marks: Sequence[Mark],
    device_of: dict[int, int],
    latches: Sequence[Latch],
    standings: dict[tuple[int, int], Standing],
) -> Iterator[tuple[Case, list[Mark]]]:
    """The alerts that the marks, sorted by alert, speak of."""
    for alert, group in groupby(marks, key=lambda mark: mark.alert):
        own = list(group)
        levels = {
            mark.cell: Level(mark.cell, latches[mark.latch], mark.on, mark.up, mark.down)
            for mark in sorted(own, key=lambda mark: mark.cell)
        }
        device, rule = device_of[alert], latches[own[0].latch].rule
        yield Case(device, rule, list(levels.values()), standings.get((device, rule))), own


def read_marks(case: Case, marks: Iterable[Mark], times: Sequence[int]) -> None:
    """Take the alert through its readings, row by row."""
    levels = {level.cell: level for level in case.levels}
    for row, group in groupby(marks, key=lambda mark: mark.row):
        seen: list[Level] = []
        for mark in group:
            level = levels[mark.cell]
            if mark.seen and (level.on or level.latch.key != ABSENT):
                level.read(times[row], is_up=mark.is_up, is_down=mark.is_down)
                seen.append(level)
        if seen:
            settle(case.levels, times[row], seen)
            case.step(times[row], row)


def pass_time(case: Case, now: int, absent_at: int | None, absence: str) -> None:
    """Take the alert through all that time alone brings up to `now`; `absence` is the rule's no_data state."""
    while True:
        due = next_due(case.levels, now)
        if absent_at is not None and (due is None or absent_at < due):
            _miss(case, absent_at, absence)
            absent_at = None
        elif due is not None:
            let_time_pass(case.levels, due)
            case.step(due, NOTHING)
        else:
            return


def _miss(case: Case, at: int, absence: str) -> None:
    for level in case.levels:
        if level.latch.key == ABSENT:
            level.on, level.down = True, 0
            rank = level.latch.rank
        elif absence == "ok":
            level.on, level.up, level.down = False, 0, 0
    if absence == "no_data":
        firing = case.standing is not None and case.standing.firing
        standing = case.standing
        shown = standing.rank if standing is not None and firing else rank
        change = Change(
            "no_data", "firing" if firing else "inactive", shown, shown if firing else NOTHING, at
        )
        case.tell(change, at if standing is None else standing.onset, NOTHING)
    else:
        settle(case.levels, at, case.levels)
        case.step(at, NOTHING, "no_data")


def again(case: Case, now: int, every_ms: int) -> None:
    """Tell of a firing alert again, when `every_ms` have passed since it was last told of."""
    standing = case.standing
    if standing is None or not standing.firing or 0 <= now - standing.told < every_ms:
        return
    # told in what is now the future: the device's clock stepped back
    standing.told = now - (now - standing.told) % every_ms if standing.told <= now else now
    case.tell(
        Change("repeat", "firing", standing.rank, standing.rank, standing.told), standing.onset, NOTHING
    )
