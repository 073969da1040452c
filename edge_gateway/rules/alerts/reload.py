"""What becomes of a rule's state when the rules change: decided by what the rule says, not by its file."""

from __future__ import annotations

from enum import Enum
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from edge_gateway.rules.alerts.cells import NO_TIME, Saved
from edge_gateway.rules.columns.program import ABSENT

if TYPE_CHECKING:
    from collections.abc import Sequence

    from edge_gateway.rules.language.kinds import Range
    from edge_gateway.rules.language.ruleset import Rule


class Fate(Enum):
    """What becomes of a rule's state.

    KEPT: all state stays, also under other limits. MEASURED_ANEW: another expression, so pending and value
    history go, and what fires stays until it is evaluated. DROPPED: the rule is gone, or asks for a reset.
    """

    KEPT = "kept"
    MEASURED_ANEW = "measured anew"
    DROPPED = "dropped"


class Successor(NamedTuple):
    """What follows a rule: its number in the new set (-1: none), and what becomes of its state."""

    number: int
    fate: Fate
    keeps_absence: bool


def successors(old: Sequence[Rule], new: Sequence[Rule]) -> list[Successor]:
    """For each old rule what follows it; rules are the same by name."""
    numbers = {rule.name: number for number, rule in enumerate(new)}
    return [_successor(rule, new, numbers.get(rule.name, -1)) for rule in old]


def _successor(rule: Rule, new: Sequence[Rule], number: int) -> Successor:
    if number < 0:
        return Successor(-1, Fate.DROPPED, keeps_absence=False)
    other = new[number]
    if other.on_change == "reset" and other != rule:
        return Successor(number, Fate.DROPPED, keeps_absence=False)
    watched = [each.no_data and (each.no_data.metric, each.no_data.state) for each in (rule, other)]
    fate = Fate.KEPT if rule.expr == other.expr else Fate.MEASURED_ANEW
    return Successor(number, fate, keeps_absence=watched[0] == watched[1])


def carried_over(saved: Saved, following: Sequence[Successor]) -> Saved:
    """The state of cells under the new rules' numbers."""
    if not len(saved.rule):
        return saved
    number = np.array([each.number for each in following], np.int64)[saved.rule]
    anew = np.array([each.fate is Fate.MEASURED_ANEW for each in following], np.bool_)[saved.rule]
    dropped = np.array([each.fate is Fate.DROPPED for each in following], np.bool_)[saved.rule]
    lost = np.array([not each.keeps_absence for each in following], np.bool_)[saved.rule] & (
        saved.key == ABSENT
    )
    kept = np.flatnonzero(~dropped & ~lost)
    saved = saved._replace(
        rule=number,
        up=np.where(anew, NO_TIME, saved.up),
        down=np.where(anew, NO_TIME, saved.down),
    )
    return Saved(**{name: column[kept] for name, column in saved._asdict().items()})


def kept_ranges(old: Sequence[Rule], new: Sequence[Rule]) -> set[Range]:
    """Ranges whose history goes on: some rule reads them whose expression is as it was."""
    before = {rule.name: rule.expr for rule in old}
    same = [rule for rule in new if before.get(rule.name) == rule.expr]
    shapes = [shape for rule in same for shape in (rule.shape, rule.clear_shape) if shape is not None]
    return {each for shape in shapes for each in shape.ranges}
