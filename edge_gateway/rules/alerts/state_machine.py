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

    from edge_gateway.rules.columns.program import Latch
    from fleet_wire.control_messages import AlertCause, AlertEvent, AlertState

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

    event: AlertEvent
    cause: AlertCause
    state: AlertState
    rank: int
    previous: int
    at: int


@dataclass(slots=True)
class ActiveAlert:
    """An alert that is pending or firing.

    `change` is its last one, `notified_at` the device time of its last notice in ms. Its `id` is given when its first
    transition is built; `stamp` is the time of the transition of its last change, in ms.
    """

    change: StateChange
    notified_at: int
    id: str = ""
    stamp: int = 0

    @property
    def firing(self) -> bool:
        return self.change.state == "firing"

    @property
    def rank(self) -> int:
        return self.change.rank

    @property
    def at(self) -> int:
        return self.change.at

    def shift(self, by: int) -> None:
        """Follow a clock that was set by so many ms: durations stay."""
        self.change = self.change._replace(at=self.at + by)
        self.notified_at += by


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
    active: ActiveAlert | None, levels: Sequence[LevelState], at: int, cause: AlertCause
) -> tuple[ActiveAlert | None, list[StateChange]]:
    """Bring an alert in line with its levels; return its new state and the changes on the way."""
    rank = max((level.latch.rank for level in levels if level.on and level.latch.raises), default=NOTHING)
    if rank != NOTHING:
        return _firing(active, rank, at, cause)
    waiting = max((level.latch.rank for level in levels if level.up and level.latch.raises), default=NOTHING)
    changes: list[StateChange] = []
    if active is not None and (active.firing or waiting == NOTHING):
        changes.append(_ended(active, at, cause))
        active, at = None, changes[0].at
    if waiting != NOTHING and active is None:
        active = ActiveAlert(StateChange("pending", cause, "pending", waiting, NOTHING, at), at)
        changes.append(active.change)
    return active, changes


def _firing(
    active: ActiveAlert | None, rank: int, at: int, cause: AlertCause
) -> tuple[ActiveAlert, list[StateChange]]:
    if active is None:
        active = ActiveAlert(StateChange("firing", cause, "firing", rank, NOTHING, at), at)
        return active, [active.change]
    if active.firing and active.rank == rank:
        return active, []
    at = max(at, active.at)
    if active.firing:
        event: AlertEvent = "escalated" if rank > active.rank else "deescalated"
        active.change = StateChange(event, cause, "firing", rank, active.rank, at)
    else:
        active.change = StateChange("firing", cause, "firing", rank, NOTHING, at)
    active.notified_at = at
    return active, [active.change]


def _ended(active: ActiveAlert, at: int, cause: AlertCause) -> StateChange:
    """The end of an alert; `inactive` where it only waited."""
    at = max(at, active.at)
    if active.firing:
        return StateChange("resolved", cause, "resolved", active.rank, active.rank, at)
    return StateChange("resolved", cause, "inactive", active.rank, NOTHING, at)


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
