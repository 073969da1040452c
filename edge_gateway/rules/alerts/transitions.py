"""Verdicts on alerts as transitions, with the reading and the value behind them."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from edge_gateway.rules.alerts.notices import Notices, Reading, Shown
from edge_gateway.rules.alerts.state import NOTHING, Change
from edge_gateway.rules.columns.program import ABSENT, NO_COLUMN

if TYPE_CHECKING:
    from edge_gateway.columns.frame import Frame
    from edge_gateway.records.alerts import Cause, Transition
    from edge_gateway.rules.alerts.judge import Verdict
    from edge_gateway.rules.alerts.rule_state import RuleState
    from edge_gateway.rules.alerts.state import Standing
    from edge_gateway.rules.alerts.step import Read
    from edge_gateway.rules.columns.table import Table


def told_by_reading(held: RuleState, notices: Notices, read: Read, frame: Frame) -> list[Transition]:
    """The transitions that readings caused."""
    told: list[Transition] = []
    for verdict in read.verdicts:
        source = int(read.rows.source[verdict.row])
        reading = Reading(int(frame.boot[source]), int(frame.seq[source]), bool(frame.backlog[source]))
        told.append(_told(held, notices, verdict, reading, _value_at(read.table, verdict)))
    return told


def told_by_time(held: RuleState, notices: Notices, verdicts: list[Verdict]) -> list[Transition]:
    """The transitions that time, other rules or other tags caused."""
    return [
        _told(held, notices, verdict, held.newest.reading(verdict.device), _last_value(held, verdict))
        for verdict in verdicts
    ]


def _told(
    held: RuleState, notices: Notices, verdict: Verdict, reading: Reading, value: float | None
) -> Transition:
    limit = held.limit(verdict.device, verdict.rule, verdict.change.rank)
    if verdict.change.cause == "no_data":
        # it is known now, by listening, however old the last reading is
        reading, value, limit = reading._replace(backlog=False), None, None
    rule = held.rules[verdict.rule]
    return notices.transition(
        rule,
        verdict.device,
        verdict.change,
        verdict.onset,
        Shown(held.program.about[verdict.rule], reading, value, limit),
    )


def _value_at(table: Table, verdict: Verdict) -> float | None:
    column = verdict.levels[0].latch.value_column
    return None if column == NO_COLUMN else _known(float(table.y[table.place[column], verdict.row]))


def _last_value(held: RuleState, verdict: Verdict) -> float | None:
    read = [level for level in verdict.levels if level.latch.key != ABSENT]
    return _known(float(held.cells.value[read[0].cell])) if read else None


def _known(value: float) -> float | None:
    return None if np.isnan(value) else value


def listed(held: RuleState, notices: Notices, device: int, number: int, standing: Standing) -> Transition:
    """A standing alert as it was last told, without notice and commands."""
    state: Cause = "firing" if standing.firing else "pending"
    change = Change(state, "firing" if standing.firing else "pending", standing.rank, NOTHING, standing.at)
    busy = [
        level for level in held.levels(device, number) if level.latch.key != ABSENT and (level.on or level.up)
    ]
    value = _known(float(held.cells.value[busy[0].cell])) if busy else None
    return notices.standing(
        held.rules[number],
        device,
        change,
        standing.onset,
        Shown(
            held.program.about[number],
            held.newest.reading(device),
            value,
            held.limit(device, number, standing.rank),
        ),
    )
