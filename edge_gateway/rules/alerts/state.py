"""One alert on one device, step by step: its levels as latches, and what becomes of it when they switch.

    inactive ─▶ pending (`for`) ─▶ firing ─▶ (`keep_firing_for`) ─▶ resolved

Each level runs its own `for` and `clear`; the alert's level is the highest that is on; only the last level
that is on waits for `keep_firing_for`. The columns find where something changes; here is what.
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
"""Rank of an alert that does not fire."""


@dataclass(slots=True)
class Level:
    """A latch on one device: on, and since when it is beyond its threshold or clear (0: it is not)."""

    cell: int
    latch: Latch
    on: bool
    up: int
    down: int

    def read(self, at: int, *, is_up: bool, is_down: bool) -> None:
        self.up = (self.up or at) if is_up else 0
        self.down = (self.down or at) if is_down else 0
        if is_up and at - self.up >= self.latch.for_ms:
            self.on = True


class Change(NamedTuple):
    """One transition to be: ranks are places in LEVELS, NOTHING where none fires."""

    cause: Cause
    state: AlertState
    rank: int
    previous: int
    at: int


@dataclass(slots=True)
class Standing:
    """An alert that is pending or firing. `onset`: when it left inactive; `told`: its last notice."""

    onset: int
    firing: bool
    rank: int
    at: int
    told: int


def settle(levels: Sequence[Level], at: int, seen: Sequence[Level]) -> None:
    """Switch off what of `seen` is clear, the highest first; the last that is on only once clear for `keep`."""
    for level in sorted(seen, key=_from_highest):
        if level.on and level.down and at >= _off_at(level, levels):
            level.on = False


def _off_at(level: Level, levels: Sequence[Level]) -> int:
    """When a level that is on and clear goes off: at once, but the last one only after `keep_firing_for`."""
    others = any(other.on and other.latch.raises for other in levels if other is not level)
    return level.down if others or not level.latch.raises else level.down + level.latch.keep_ms


def _from_highest(level: Level) -> tuple[int, int]:
    return -level.latch.rank, -level.latch.key


def advance(
    standing: Standing | None, levels: Sequence[Level], at: int, cause: Cause | None = None
) -> tuple[Standing | None, list[Change]]:
    """What the alert is now that its levels stand as they do, and the changes that led there.

    `cause` is given where it was no reading beyond a limit.
    """
    rank = max((level.latch.rank for level in levels if level.on and level.latch.raises), default=NOTHING)
    if rank != NOTHING:
        return _firing(standing, rank, at, cause)
    waiting = max((level.latch.rank for level in levels if level.up and level.latch.raises), default=NOTHING)
    changes: list[Change] = []
    if standing is not None and (standing.firing or waiting == NOTHING):
        changes.append(_ended(standing, at, cause))
        standing = None
    if waiting != NOTHING and standing is None:
        standing = Standing(at, firing=False, rank=waiting, at=at, told=at)
        changes.append(Change("pending", "pending", waiting, NOTHING, at))
    return standing, changes


def _firing(
    standing: Standing | None, rank: int, at: int, cause: Cause | None
) -> tuple[Standing, list[Change]]:
    if standing is None:
        standing = Standing(at, firing=False, rank=NOTHING, at=at, told=at)
    if standing.firing and standing.rank == rank:
        return standing, []
    at = max(at, standing.at)
    if not standing.firing:
        change = Change(cause or "firing", "firing", rank, NOTHING, at)
    elif rank > standing.rank:
        change = Change(cause or "escalated", "firing", rank, standing.rank, at)
    else:
        change = Change("deescalated", "firing", rank, standing.rank, at)
    standing.firing, standing.rank, standing.at, standing.told = True, rank, at, at
    return standing, [change]


def _ended(standing: Standing, at: int, cause: Cause | None) -> Change:
    at = max(at, standing.at)
    if standing.firing:
        return Change(cause or "resolved", "resolved", standing.rank, standing.rank, at)
    return Change(cause or "inactive", "inactive", standing.rank, NOTHING, at)


def next_due(levels: Sequence[Level], now: int) -> int | None:
    """The earliest moment up to `now` at which time alone switches a level."""
    due = [at for level in levels if (at := _due(level, levels)) is not None and at <= now]
    return min(due, default=None)


def _due(level: Level, levels: Sequence[Level]) -> int | None:
    if not level.on:
        return level.up + level.latch.for_ms if level.up else None
    return _off_at(level, levels) if level.down else None


def let_time_pass(levels: Sequence[Level], at: int) -> None:
    """Switch what is due at `at`."""
    for level in levels:
        if not level.on and level.up and level.up + level.latch.for_ms <= at:
            level.on = True
    settle(levels, at, levels)
