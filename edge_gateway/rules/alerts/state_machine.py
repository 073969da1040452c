"""The state machine of one alert on one device.

    inactive ─▶ pending (`for`) ─▶ firing ─▶ (`keep_firing_for`) ─▶ resolved

Each level is a latch with its own `for` and `clear`. The alert's level is the highest one that is on. Only the
last level that is on waits for `keep_firing_for`; the others switch off as soon as they are clear.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Sequence

    from edge_gateway.records.alerts import Cause
    from edge_gateway.rules.columns.program import Latch
    from fleet_wire.control_messages import AlertState

NOTHING = -1
"""Rank where no level is on, and row where no reading caused a change."""


@dataclass(slots=True)
class LevelState:
    """A latch on one device. `up`, `down`: since when it is beyond its threshold or clear (ms; 0: it is not).

    `stamps`: at how many time stamps in a row it is beyond; `last_at`: the time of its last reading, ms.
    """

    cell: int
    latch: Latch
    on: bool
    up: int
    down: int
    stamps: int
    last_at: int

    def read(self, at: int, *, is_up: bool, is_down: bool) -> None:
        goes_on = self.up > 0
        self.up = (self.up or at) if is_up else 0
        self.stamps = (self.stamps + (at != self.last_at) if goes_on else 1) if is_up else 0
        self.down = (self.down or at) if is_down else 0
        self.last_at = at
        if is_up and (at - self.up >= self.latch.for_ms or self.stamps >= self.latch.for_count):
            self.on = True


class StateChange(NamedTuple):
    """One change of an alert. Ranks index LEVELS, `previous` is NOTHING if no level was firing. `at` in ms."""

    cause: Cause
    state: AlertState
    rank: int
    previous: int
    at: int


@dataclass(slots=True)
class ActiveAlert:
    """An alert that is pending or firing.

    Device times in ms: `onset`, when it left inactive; `at`, its last change; `notified_at`, its last notice.
    """

    onset: int
    firing: bool
    rank: int
    at: int
    notified_at: int


def switch_off_cleared(levels: Sequence[LevelState], at: int, seen: Sequence[LevelState]) -> None:
    """Switch off the levels of `seen` that are clear, highest first; the last one only after `keep_ms`."""
    for level in sorted(seen, key=_from_highest):
        if level.on and level.down and at >= _off_at(level, levels):
            level.on = False


def _off_at(level: LevelState, levels: Sequence[LevelState]) -> int:
    """When a level that is on and clear switches off."""
    others = any(other.on and other.latch.raises for other in levels if other is not level)
    return level.down if others or not level.latch.raises else level.down + level.latch.keep_ms


def _from_highest(level: LevelState) -> tuple[int, int]:
    return -level.latch.rank, -level.latch.key


def advance(
    active: ActiveAlert | None, levels: Sequence[LevelState], at: int, cause: Cause | None = None
) -> tuple[ActiveAlert | None, list[StateChange]]:
    """Bring an alert in line with its levels; return its new state and the changes on the way.

    `cause` replaces the ordinary cause (firing, escalated, resolved, inactive) if something else was behind it.
    """
    rank = max((level.latch.rank for level in levels if level.on and level.latch.raises), default=NOTHING)
    if rank != NOTHING:
        return _firing(active, rank, at, cause)
    waiting = max((level.latch.rank for level in levels if level.up and level.latch.raises), default=NOTHING)
    changes: list[StateChange] = []
    if active is not None and (active.firing or waiting == NOTHING):
        changes.append(_ended(active, at, cause))
        active = None
    if waiting != NOTHING and active is None:
        active = ActiveAlert(at, firing=False, rank=waiting, at=at, notified_at=at)
        changes.append(StateChange("pending", "pending", waiting, NOTHING, at))
    return active, changes


def _firing(
    active: ActiveAlert | None, rank: int, at: int, cause: Cause | None
) -> tuple[ActiveAlert, list[StateChange]]:
    if active is None:
        active = ActiveAlert(at, firing=False, rank=NOTHING, at=at, notified_at=at)
    if active.firing and active.rank == rank:
        return active, []
    at = max(at, active.at)
    if not active.firing:
        change = StateChange(cause or "firing", "firing", rank, NOTHING, at)
    elif rank > active.rank:
        change = StateChange(cause or "escalated", "firing", rank, active.rank, at)
    else:
        change = StateChange("deescalated", "firing", rank, active.rank, at)
    active.firing, active.rank, active.at, active.notified_at = True, rank, at, at
    return active, [change]


def _ended(active: ActiveAlert, at: int, cause: Cause | None) -> StateChange:
    at = max(at, active.at)
    if active.firing:
        return StateChange(cause or "resolved", "resolved", active.rank, active.rank, at)
    return StateChange(cause or "inactive", "inactive", active.rank, NOTHING, at)


def next_due(levels: Sequence[LevelState], now: int) -> int | None:
    """The earliest time up to `now` at which a level switches without a reading; None if there is none."""
    due = [at for level in levels if (at := _due(level, levels)) is not None and at <= now]
    return min(due, default=None)


def _due(level: LevelState, levels: Sequence[LevelState]) -> int | None:
    if not level.on:
        return level.up + level.latch.for_ms if level.up else None
    return _off_at(level, levels) if level.down else None


def switch_due(levels: Sequence[LevelState], at: int) -> None:
    """Switch every level whose `for` or `keep_firing_for` is over at `at`."""
    for level in levels:
        if not level.on and level.up and level.up + level.latch.for_ms <= at:
            level.on = True
    switch_off_cleared(levels, at, levels)
