"""Step single alerts through readings and time: only those in which the column scan found a change."""

from __future__ import annotations

from dataclasses import dataclass, field
from itertools import groupby
from typing import TYPE_CHECKING, NamedTuple

from edge_gateway.rules.alerts.state_machine import (
    NOTHING,
    ActiveAlert,
    LevelState,
    StateChange,
    advance,
    next_due,
    switch_due,
    switch_off_cleared,
)
from edge_gateway.rules.columns.program import ABSENT

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

    from edge_gateway.rules.columns.program import Latch
    from edge_gateway.rules.language.ruleset import NoDataState
    from fleet_wire.control_messages import AlertCause


class LatchReading(NamedTuple):
    """One reading as one latch sees it, and the latch before the frame.

    `alert` is the first cell of the alert. In ms: `at` is the rule's now; `expired`, when the value before the reading
    was too old, and `closed`, when the latch's times ended (0: it was not, they did not). `seen` is False if the
    reading has no value for the latch.
    """

    alert: int
    row: int
    cell: int
    latch: int
    at: int
    expired: int
    closed: int
    seen: bool
    is_up: bool
    is_down: bool
    on: bool
    up: int
    down: int
    stamps: int
    last_at: int


class Missing(NamedTuple):
    """Since when a rule's metric counts as missing, and since when its value is too old; ms, None if it is not.

    `closed`: (cell, since when) of the levels whose times ended.
    """

    absent_at: int | None = None
    expired: int | None = None
    closed: tuple[tuple[int, int], ...] = ()


class AlertEvent(NamedTuple):
    """A change of an alert, the row that caused it (NOTHING on a tick), and the alert's levels after it."""

    row: int
    rule: int
    device: int
    change: StateChange
    alert: ActiveAlert
    levels: tuple[LevelState, ...]


@dataclass(slots=True)
class SingleAlert:
    """One alert on one device while it is stepped; `events` collects its changes."""

    device: int
    rule: int
    levels: list[LevelState]
    active: ActiveAlert | None
    events: list[AlertEvent] = field(default_factory=list)

    def step(self, at: int, row: int, cause: AlertCause) -> None:
        """Bring the alert in line with its levels."""
        before = self.active
        self.active, changes = advance(before, self.levels, at, cause)
        for change in changes:
            alert = self.active if change.state in ("pending", "firing") else before
            assert alert is not None
            self.add_event(change, alert, row)

    def add_event(self, change: StateChange, alert: ActiveAlert, row: int) -> None:
        self.events.append(AlertEvent(row, self.rule, self.device, change, alert, tuple(self.levels)))


def single_alerts(
    readings: Sequence[LatchReading],
    device_of: dict[int, int],
    latches: Sequence[Latch],
    active: dict[tuple[int, int], ActiveAlert],
) -> Iterator[tuple[SingleAlert, list[LatchReading]]]:
    """Each alert with its readings. The readings are sorted by alert; `active` is keyed by (device, rule)."""
    for alert, group in groupby(readings, key=lambda reading: reading.alert):
        own = list(group)
        levels = {
            reading.cell: LevelState(reading.cell, latches[reading.latch], *reading[-5:])
            for reading in sorted(own, key=lambda reading: reading.cell)
        }
        device, rule = device_of[alert], latches[own[0].latch].rule
        yield SingleAlert(device, rule, list(levels.values()), active.get((device, rule))), own


def apply_readings(alert: SingleAlert, readings: Iterable[LatchReading]) -> None:
    """Step an alert through its readings, sorted by row."""
    levels = {level.cell: level for level in alert.levels}
    for row, group in groupby(readings, key=lambda reading: reading.row):
        seen = [
            (levels[each.cell], each)
            for each in group
            if each.seen and (levels[each.cell].on or levels[each.cell].latch.key != ABSENT)
        ]
        if not seen:
            continue
        _end_before(alert, seen, row)
        at = seen[0][1].at
        for level, reading in seen:
            level.read(at, is_up=reading.is_up, is_down=reading.is_down)
        switch_off_cleared(alert.levels, at, [level for level, _ in seen])
        alert.step(at, row, "reading")


def _end_before(alert: SingleAlert, seen: Sequence[tuple[LevelState, LatchReading]], row: int) -> None:
    """End what had ended before a reading, in order of time: waits on a value too old, levels whose times ended."""
    waits = [(level, each.expired) for level, each in seen if each.expired and level.up and not level.on]
    expired = max((at for _, at in waits), default=0)
    closed = {level.cell: reading.closed for level, reading in seen if reading.closed}
    close(alert, {cell: at for cell, at in closed.items() if at <= expired}, row)
    left = [level for level, _ in waits if level.up]
    if left:
        end_waits(alert, left, expired, row)
    close(alert, {cell: at for cell, at in closed.items() if at > expired}, row)


def close(alert: SingleAlert, closed: Mapping[int, int], row: int) -> None:
    """End the levels whose times ended, by cell: since when (ms)."""
    for at in sorted(set(closed.values())):
        for level in alert.levels:
            if closed.get(level.cell) == at:
                level.on, level.up, level.down = False, 0, 0
        alert.step(at, row, "schedule")


def end_waits(alert: SingleAlert, waits: Iterable[LevelState], at: int, row: int) -> None:
    """End the waits of these levels: the value they wait on has become too old."""
    for level in waits:
        level.up = 0
    alert.step(at, row, "expired")


def pass_time(
    alert: SingleAlert, now: int, missing: Missing, absence: NoDataState | None, *, commands: bool = False
) -> None:
    """Step an alert through everything that falls due up to `now`, in order of time.

    `absence` is the rule's no_data state; `commands`: the rule commands when its metric is missing.
    """
    absent_at, expired, closes = missing
    while True:
        due, closed = next_due(alert.levels, now), min((at for _, at in closes), default=None)
        first = min((at for at in (due, expired, absent_at, closed) if at is not None), default=None)
        if first is None:
            return
        if first == closed:
            close(alert, {cell: at for cell, at in closes if at == closed}, NOTHING)
            closes = tuple(each for each in closes if each[1] != closed)
        elif first == due:
            switch_due(alert.levels, due)
            alert.step(due, NOTHING, "time")
        elif first == expired:
            end_waits(alert, [level for level in alert.levels if level.up and not level.on], expired, NOTHING)
            expired = None
        elif absent_at is not None:
            _miss(alert, absent_at, absence, commands=commands)
            absent_at = None


def _miss(alert: SingleAlert, at: int, absence: NoDataState | None, *, commands: bool) -> None:
    """Let the metric be missing from `at` on; a change of the alert tells it, or a report where there is none."""
    for level in alert.levels:
        if level.latch.key == ABSENT:
            level.on, level.down = True, 0
        elif absence == "ok":
            level.on, level.up, level.down = False, 0, 0
    before = len(alert.events)
    if absence in ("alerting", "ok"):
        switch_off_cleared(alert.levels, at, alert.levels)
        alert.step(at, NOTHING, "no_data")
    told = any(event.change.cause == "no_data" for event in alert.events[before:])
    if absence == "no_data" or (commands and not told):
        _report_missing(alert, at)


def _report_missing(alert: SingleAlert, at: int) -> None:
    """Report that the metric is missing, which leaves the alert as it is."""
    rank = next(level.latch.rank for level in alert.levels if level.latch.key == ABSENT)
    active = alert.active
    if active is not None and active.firing:
        change = StateChange("no_data", "no_data", "firing", active.rank, active.rank, at)
    else:
        change = StateChange("no_data", "no_data", "inactive", rank, NOTHING, at)
    alert.add_event(change, active or ActiveAlert(change, at), NOTHING)


def repeat_notice(alert: SingleAlert, now: int, every_ms: int) -> None:
    """Add a `repeat` event if the alert fires and its last notice is `every_ms` old."""
    active = alert.active
    if active is None or not active.firing or now - active.notified_at < every_ms:
        return
    active.notified_at = now - (now - active.notified_at) % every_ms
    change = StateChange("repeat", "time", "firing", active.rank, active.rank, active.notified_at)
    alert.add_event(change, active, NOTHING)
