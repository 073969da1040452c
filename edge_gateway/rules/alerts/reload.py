"""What a rule keeps of its state across a reload: decided by its content, not by its file."""

from __future__ import annotations

from dataclasses import replace
from enum import Enum
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from edge_gateway.records.alerts import LEVELS
from edge_gateway.rules.alerts.latch_cells import NO_TIME, SavedCells
from edge_gateway.rules.alerts.single_alert import AlertEvent, SingleAlert
from edge_gateway.rules.alerts.state_machine import NOTHING
from edge_gateway.rules.alerts.step import thresholds
from edge_gateway.rules.columns.program import ABSENT
from edge_gateway.rules.language.analysis import Range, analyse

if TYPE_CHECKING:
    from collections.abc import Sequence

    from edge_gateway.columns.frame import IntColumn
    from edge_gateway.rules.alerts.rule_state import AlertState, RuleState
    from edge_gateway.rules.language.ruleset import Level, Rule
    from fleet_wire.control_messages import AlertCause


class Fate(Enum):
    """What happens to a rule's state.

    KEPT: all of it stays, even if limits changed. RESTARTED: the expression changed, so pending waits and value
    history are dropped and firing levels stay until evaluated. DROPPED: the rule was removed, groups devices by other
    keys, or changed with `on_change: reset`.
    """

    KEPT = "kept"
    RESTARTED = "restarted"
    DROPPED = "dropped"


class Successor(NamedTuple):
    """An old rule's number in the new set (-1: removed), and what happens to its state.

    `keys`: (rank of a level, its rank in the new rule) where that is another one.
    `keeps_clear`: its condition to clear is the same.
    """

    number: int
    fate: Fate
    keeps_absence: bool
    keeps_clear: bool = True
    keys: tuple[tuple[int, int], ...] = ()


def successors(old: Sequence[Rule], new: Sequence[Rule]) -> list[Successor]:
    """The successor of each old rule; a rule is the same if its name is."""
    numbers = {rule.name: number for number, rule in enumerate(new)}
    return [_successor(rule, new, numbers.get(rule.name, -1)) for rule in old]


def _successor(rule: Rule, new: Sequence[Rule], number: int) -> Successor:
    if number < 0:
        return Successor(-1, Fate.DROPPED, keeps_absence=False)
    other = new[number]
    reset = other.on_change == "reset" and _content(other) != _content(rule)
    if rule.by != other.by or reset:
        return Successor(number, Fate.DROPPED, keeps_absence=False)
    watched = [each.no_data and (each.no_data.metric, each.no_data.state) for each in (rule, other)]
    fate = Fate.KEPT if _evaluates_as(rule, other) else Fate.RESTARTED
    return Successor(
        number,
        fate,
        keeps_absence=watched[0] == watched[1],
        keeps_clear=_clears_as(rule, other),
        keys=_renamed(rule, other),
    )


def _content(rule: Rule) -> Rule:
    """The rule without the lookbacks of metrics that its group has and it does not name."""
    named = {name for name, _ in rule.metrics} | ({rule.no_data.metric} if rule.no_data else set())
    return replace(rule, lookbacks={name: ms for name, ms in rule.lookbacks.items() if name in named})


def _renamed(rule: Rule, other: Rule) -> tuple[tuple[int, int], ...]:
    """The new rank of each level that has another severity now: lost and new levels are paired from the lowest up."""
    before, after = ([LEVELS.index(level.level) for level in each.levels] for each in (rule, other))
    lost, new = sorted(set(before) - set(after)), sorted(set(after) - set(before))
    return tuple(zip(lost, new, strict=False))


def _evaluates_as(rule: Rule, other: Rule) -> bool:
    """Whether both have the same expression at every level that both have."""
    pairs = _common_levels(rule, other)
    return rule.expr == other.expr and all(one.expr == another.expr for one, another in pairs)


def _clears_as(rule: Rule, other: Rule) -> bool:
    """Whether both have the same clear condition at every level that both have."""
    return all(one.clear_expr == another.clear_expr for one, another in _common_levels(rule, other))


def _common_levels(rule: Rule, other: Rule) -> list[tuple[Level, Level]]:
    """The levels that both have, as each has them; one with another severity now is the same level."""
    before: dict[str, Level] = {level.level: level for level in rule.levels}
    renamed: dict[str, str] = {LEVELS[now]: LEVELS[was] for was, now in _renamed(rule, other)}
    pairs = ((before.get(renamed.get(level.level, level.level)), level) for level in other.levels)
    return [(one, level) for one, level in pairs if one is not None]


def carried_over(saved: SavedCells, following: Sequence[Successor]) -> SavedCells:
    """The saved cells under the new rules' numbers, without the state that is dropped."""
    if not len(saved.rule):
        return saved
    number = np.array([each.number for each in following], np.int64)[saved.rule]
    fates = np.array([each.fate.value for each in following])[saved.rule]
    keeps = np.array([(each.keeps_absence, each.keeps_clear) for each in following], np.bool_)[saved.rule]
    absent, restarted = saved.key == ABSENT, fates == Fate.RESTARTED.value
    kept = np.flatnonzero((fates != Fate.DROPPED.value) & (keeps[:, 0] | ~absent))
    keys = [dict(each.keys) for each in following]
    pairs = zip(saved.rule.tolist(), saved.key.tolist(), strict=True)
    saved = saved._replace(
        rule=number,
        key=np.array([keys[rule].get(key, key) for rule, key in pairs], np.int64),
        up=np.where(restarted, NO_TIME, saved.up),
        down=np.where(~absent & (restarted | ~keeps[:, 1]), NO_TIME, saved.down),
        value=np.where(restarted, np.nan, saved.value),
        stamps=np.where(restarted, 0, saved.stamps),
    )
    return SavedCells(**{name: column[kept] for name, column in saved._asdict().items()})


def judge_by_limits(state: AlertState, cells: IntColumn, at: int | None = None) -> None:
    """End what does not wait, or is not held, by the limits that these cells (-1: none) have now; by the last values.

    Of limits by time those count that were in force when the value was read, or that are `at` (ms). A condition has no
    limits, and silence none that changes.
    """
    own, table, cells = state.cells, state.program.table, cells[cells >= 0]
    device = own.device_at(cells)
    latch, _ = own.latch_at(cells, device)
    limits_at = own.seen[cells] if at is None else np.full(len(cells), at)
    threshold, clear_threshold = thresholds(state, latch, device, limits_at)
    limited = (table.value_column[latch] == table.column[latch]) & (table.key[latch] != ABSENT)
    beyond = table.sign[latch] * own.value[cells] > threshold
    by_value = limited & (table.clear_column[latch] == table.column[latch])
    clear = table.clear_sign[latch] * own.value[cells] <= clear_threshold
    own.up[cells[limited & ~beyond]] = NO_TIME
    own.down[cells[by_value & ~clear]] = NO_TIME
    own.busy[cells] = own.on[cells] | (own.up[cells] != NO_TIME)


def kept_ranges(old: Sequence[Rule], new: Sequence[Rule]) -> set[Range]:
    """Ranges whose history is kept: those of expressions that a rule had before, too."""
    before = {rule.name: rule.expressions for rule in old}
    same = [text for rule in new for text in rule.expressions if text in before.get(rule.name, ())]
    return {each for text in same for each in analyse(text).ranges}


def ended_by(state: RuleState, following: Sequence[Successor]) -> list[AlertEvent]:
    """End the alerts of rules that were removed or reset."""
    events: list[AlertEvent] = []
    for (device, number), active in sorted(state.active.items()):
        if following[number].fate is Fate.DROPPED:
            alert = SingleAlert(device, number, [], active)
            cause: AlertCause = "removed" if following[number].number < 0 else "reload"
            alert.step(int(state.inputs.cursor[device]), NOTHING, cause)
            state.store_active(alert)
            events += alert.events
    return events
