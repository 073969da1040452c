"""The evaluator: readings and the passing of time in, transitions of alerts out.

    Frame ─▶ Inputs: rows by device, late rows apart
               └▶ segments: what lies beyond the lowest threshold of each (column, sign)
                    └▶ latches beyond ─▶ busy cells ─▶ one segmented scan for all rules
                                                        └▶ where a latch switched: judge ─▶ Notices ─▶ Transition

A cell at rest and below its threshold costs nothing; Python sees an alert only where it changes. Several readings
of a device in one frame give the same transitions as one by one. No clock is read: ticks bring the listening
clock, and a device's now is its newest accepted time plus what the gateway has listened since.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, NamedTuple

import numpy as np

from edge_gateway.fleet.columns import with_room
from edge_gateway.rules.cells import Cells, Saved
from edge_gateway.rules.columns import Batch, Histories, Table, table_of
from edge_gateway.rules.alert_state import NOTHING, Change, Level, Standing
from edge_gateway.rules.inputs import Inputs
from edge_gateway.rules.judge import Case, Mark, Verdict, again, cases_of, pass_time, read_marks
from edge_gateway.rules.notices import NO_READING, Notices, Reading
from edge_gateway.rules.program import ABSENT, NO_COLUMN, Program
from edge_gateway.rules.records import Records
from edge_gateway.rules.reload import Fate, carried_over, kept_ranges, successors
from edge_gateway.rules.ruleset import RuleSet
from edge_gateway.rules.scan import Carry, Readings, run_latches
from edge_gateway.rules.selection import Selection
from edge_gateway.rules.transition import Transition

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from edge_gateway.frame import BoolColumn, Frame, IntColumn
    from edge_gateway.rules.reload import Successor
    from edge_gateway.rules.selection import Choice
    from edge_gateway.rules.transition import Cause
    from edge_gateway.rules.inputs import Rows
    from edge_gateway.rules.registry_view import RegistryView

DEFAULT_LOOKBACK_MS: Final = 300_000
"""How old a metric's last value may be to be joined with a newer one of another metric."""


class Pairs(NamedTuple):
    """Busy cells and the rows that may say something to them, sorted by cell and then by arrival."""

    row: IntColumn
    cell: IntColumn
    latch: IntColumn
    alert: IntColumn


@dataclass(slots=True)
class Newest:
    """By device: the newest reading (boot, seq, backlog) and the listening clock when it came."""

    boot: IntColumn
    seq: IntColumn
    backlog: BoolColumn
    heard: IntColumn

    @classmethod
    def empty(cls) -> Newest:
        none = np.zeros(0, np.int64)
        return cls(none, none, np.zeros(0, np.bool_), none)

    def make_room(self, devices: int) -> None:
        self.boot = with_room(self.boot, devices, NO_READING)
        self.seq = with_room(self.seq, devices, NO_READING)
        self.backlog = with_room(self.backlog, devices, 0)
        self.heard = with_room(self.heard, devices, 0)

    def take(self, rows: Rows, frame: Frame, listening_ms: int) -> None:
        self.boot[rows.device] = frame.boot[rows.source]
        self.seq[rows.device] = frame.seq[rows.source]
        self.backlog[rows.device] = frame.backlog[rows.source]
        self.heard[rows.device] = listening_ms

    def reading(self, device: int) -> Reading:
        return Reading(int(self.boot[device]), int(self.seq[device]), bool(self.backlog[device]))


class Evaluator:
    """All rules over all devices.

    Call `records` and then `evaluate` for each frame, `tick` as the listening clock goes on, `reload` for other
    rules. The same calls give the same transitions and the same state, bit for bit.
    """

    def __init__(
        self, rules: RuleSet, registry: RegistryView, *, lookback_ms: int = DEFAULT_LOOKBACK_MS
    ) -> None:
        self._registry = registry
        self._lookback_ms = lookback_ms
        self.standings: dict[tuple[int, int], Standing] = {}
        """Alerts that are pending or firing, by (device, rule number)."""
        self._notices = Notices(registry)
        self._newest = Newest.empty()
        self._listening = 0
        self._ticked = 0
        self._owed: list[Transition] = []
        self._build(rules)

    def _build(self, rules: RuleSet) -> None:
        self.rules = rules
        self.alerts = rules.alerts
        self.program = Program(self.alerts, self._registry.strings)
        self.cells = Cells(self.program)
        self.inputs = Inputs(self.program.inputs, self._registry, self._lookback_ms)
        self._histories = Histories(self.program.names)
        self._records = Records(rules.records, self._registry, self._lookback_ms)
        self._selection = Selection(self.alerts)
        self._known = 0
        self.unit_mismatches: dict[tuple[int, int], str] = {}
        """(device, rule number): why the rule does not run there."""

    # --- frames

    def records(self, frame: Frame) -> Frame:
        """The frame with the metrics that record rules derive from it; the same one where there are none."""
        return self._records.extend(frame)

    def evaluate(self, frame: Frame, listening_ms: int | None = None) -> list[Transition]:
        """Take in the readings of a frame; transitions in order of arrival, and of the rules within a row.

        `listening_ms` is the listening clock when the frame came; the last tick's where it is left out.
        """
        moved = self._follow_registry()
        self._listening = self._ticked if listening_ms is None else listening_ms
        if not frame.rows:
            return moved
        rows = self.inputs.rows_of(frame)
        self.inputs.greet(rows)
        batch = Batch(rows, self.inputs, self._histories)
        table = self._beyond(batch)
        pairs = self._pairs(rows)
        verdicts = self._read(rows, table, pairs) if len(pairs.row) else []
        self._settle_busy(rows, pairs)
        self.inputs.remember(rows)
        self._newest.take(rows, frame, self._listening)
        verdicts.sort(key=lambda verdict: (int(rows.source[verdict.row]), verdict.rule))
        return moved + [self._told(verdict, rows, frame, table) for verdict in verdicts]

    def _beyond(self, batch: Batch) -> Table:
        """Mark every latch busy that some reading lies beyond."""
        rows, classes = batch.rows, self.cells.classes
        row, segment = classes.segments_of(self.cells.class_of[rows.device])
        column = classes.segment_column[segment]
        table = table_of(batch, self.program.expressions, column, row)
        value = table.values(column, row) * classes.segment_sign[segment]
        high = np.flatnonzero(value > classes.segment_least[segment])
        if len(high):
            self.cells.wake(rows.device[row[high]], segment[high], value[high])
        return table

    def _pairs(self, rows: Rows) -> Pairs:
        row, cell = self.cells.busy_pairs(rows.device)
        if rows.several:
            order = np.argsort(cell, kind="stable")
            row, cell = row[order], cell[order]
        return Pairs(row, cell, *self.cells.latch_at(cell, rows.device[row]))

    def _read(self, rows: Rows, table: Table, pairs: Pairs) -> list[Verdict]:
        """Take busy latches through the rows that say something to them; judge the alerts that changed."""
        cells, latches = self.cells, self.program.table
        latch = pairs.latch
        seen = table.sees(latches.column[latch], pairs.row) & self._warm(rows, pairs)
        down = latches.clear_sign[latch] * table.values(latches.clear_column[latch], pairs.row)
        is_down = seen & (down <= latches.clear_threshold[latch])
        value = latches.sign[latch] * table.values(latches.column[latch], pairs.row)
        is_up = seen & (value > latches.threshold[latch]) & ~is_down
        carry = Carry(cells.on[pairs.cell], cells.up[pairs.cell], cells.down[pairs.cell])
        kept = np.flatnonzero(seen)
        if not len(kept):
            return []
        readings = Readings(
            pairs.cell[kept],
            rows.at[pairs.row[kept]],
            is_up[kept],
            is_down[kept],
            latches.for_ms[latch[kept]],
            self._keep_ms(latch[kept], pairs.alert[kept], carry.on[kept]),
        )
        course = run_latches(readings, Carry(*(column[kept] for column in carry)))
        last = np.flatnonzero(course.last)
        target = readings.cell[last]
        cells.on[target], cells.up[target] = course.on[last], course.up[last]
        cells.down[target] = course.down[last]
        shown = latches.value_column[latch[kept[last]]]
        cells.value[target] = np.where(
            shown == NO_COLUMN, np.nan, table.values(np.maximum(shown, 0), pairs.row[kept[last]])
        )
        switched = (course.on != course.was_on) | (((course.up > 0) & ~course.on) != course.was_waiting)
        changed = pairs.alert[kept[switched]]
        if not len(changed):
            return []
        marks = self._marks(pairs, changed, seen, is_up, is_down, carry)
        return self._judged_readings(marks, rows)

    def _warm(self, rows: Rows, pairs: Pairs) -> BoolColumn:
        """Whether the device was seen long enough for the rule."""
        warmup = self.program.table.warmup_ms[pairs.latch]
        age = rows.at[pairs.row] - self.inputs.first_seen[rows.device[pairs.row]]
        return age >= warmup

    def _keep_ms(self, latch: IntColumn, alert: IntColumn, on: BoolColumn) -> IntColumn:
        """How long a clear must hold: only the last level that is on waits."""
        latches = self.program.table
        others = self.cells.raised[alert] - (on & latches.raises[latch])
        return np.where(latches.coupled[latch] & (others > 0), 0, latches.keep_ms[latch])

    def _marks(
        self,
        pairs: Pairs,
        changed: IntColumn,
        seen: BoolColumn,
        is_up: BoolColumn,
        is_down: BoolColumn,
        carry: Carry,
    ) -> list[Mark]:
        """All that was read of the changed alerts, by alert and then by arrival."""
        self.cells.marked[changed] = True
        found = np.flatnonzero(self.cells.marked[pairs.alert])
        self.cells.marked[changed] = False
        found = found[np.lexsort((pairs.cell[found], pairs.row[found], pairs.alert[found]))]
        columns = (pairs.alert, pairs.row, pairs.cell, pairs.latch, seen, is_up, is_down, *carry)
        return [Mark(*items) for items in zip(*(column[found].tolist() for column in columns), strict=True)]

    def _judged_readings(self, marks: list[Mark], rows: Rows) -> list[Verdict]:
        times = rows.at.tolist()
        device_of = {mark.alert: int(rows.device[mark.row]) for mark in marks}
        return self._judge(marks, device_of, lambda case, own: read_marks(case, own, times))

    def _judge(
        self,
        marks: list[Mark],
        device_of: dict[int, int],
        decide: Callable[[Case, list[Mark]], None],
    ) -> list[Verdict]:
        verdicts: list[Verdict] = []
        for case, own in cases_of(marks, device_of, self.program.latches, self.standings):
            decide(case, own)
            self._keep(case, own[0].alert)
            verdicts += case.verdicts
        return verdicts

    def _keep(self, case: Case, alert: int) -> None:
        cells = self.cells
        raised = 0
        for level in case.levels:
            cells.on[level.cell], cells.up[level.cell], cells.down[level.cell] = (
                level.on,
                level.up,
                level.down,
            )
            cells.busy[level.cell] = level.on or level.up > 0
            raised += level.on and level.latch.raises
        cells.raised[alert] = raised
        key = (case.device, case.rule)
        if case.standing is None:
            self.standings.pop(key, None)
        else:
            self.standings[key] = case.standing

    def _settle_busy(self, rows: Rows, pairs: Pairs) -> None:
        """Latches that came to rest are no longer busy, nor are devices without a busy latch."""
        cells = self.cells
        cells.busy[pairs.cell] = cells.on[pairs.cell] | (cells.up[pairs.cell] > 0)
        cells.device_busy[rows.device] = False
        cells.device_busy[rows.device[pairs.row[cells.busy[pairs.cell]]]] = True

    # --- time

    def tick(self, listening_ms: int) -> list[Transition]:
        """Let time pass: `for`, `keep_firing_for`, `no_data` and `repeat`, each at the moment it is due."""
        moved = self._follow_registry()
        self._ticked = max(self._ticked, listening_ms)
        now = self.inputs.cursor + np.maximum(self._ticked - self._newest.heard, 0)
        absent = self._absent(now)
        marks, device_of = self._due_marks(now, absent)
        verdicts = self._judge(marks, device_of, lambda case, own: self._pass_time(case, own, now, absent))
        verdicts += self._repeats(now)
        verdicts.sort(key=lambda verdict: (verdict.change.at, verdict.device, verdict.rule))
        if verdicts:
            self._listening = self._ticked
        return moved + [self._told(verdict) for verdict in verdicts]

    def _absent(self, now: IntColumn) -> dict[int, int]:
        """Absence latches to switch on, or to hold on: cell to the moment since when the metric is missing."""
        cells, latches, inputs = self.cells, self.program.table, self.inputs
        least = self.program.least_absence
        if not least:
            return {}
        silent = np.zeros(len(now), np.bool_)
        for number, after in least.items():
            silent |= (inputs.last_at[:, number] > 0) & (now - inputs.last_at[:, number] >= after)
        devices = np.flatnonzero(silent)
        owner, cell = cells.absence_cells(devices)
        device = devices[owner]
        latch, _ = cells.latch_at(cell, device)
        last_at = inputs.last_at[device, latches.column[latch]]
        due = np.maximum(
            last_at + latches.for_ms[latch], inputs.first_seen[device] + latches.warmup_ms[latch]
        )
        found = np.flatnonzero(
            (last_at > 0) & (due <= now[device]) & (~cells.on[cell] | (cells.down[cell] > 0))
        )
        cells.busy[cell[found]] = True
        cells.device_busy[device[found]] = True
        return dict(zip(cell[found].tolist(), due[found].tolist(), strict=True))

    def _due_marks(self, now: IntColumn, absent: dict[int, int]) -> tuple[list[Mark], dict[int, int]]:
        cells, latches = self.cells, self.program.table
        cell = cells.all_busy()
        device = cells.device_at(cell)
        latch, alert = cells.latch_at(cell, device)
        on, up, down = cells.on[cell], cells.up[cell], cells.down[cell]
        fires = ~on & (up > 0) & (up + latches.for_ms[latch] <= now[device])
        clears = on & (down > 0) & (down + latches.keep_ms[latch] <= now[device])
        missing = np.isin(cell, np.fromiter(absent, np.int64, len(absent)))
        changed = alert[fires | clears | missing]
        none = np.zeros(len(cell), np.bool_)
        pairs = Pairs(np.full(len(cell), -1), cell, latch, alert)
        marks = self._marks(pairs, changed, none, none, none, Carry(on, up, down))
        owners = dict(zip(alert.tolist(), device.tolist(), strict=True)) if marks else {}
        return marks, owners

    def _pass_time(self, case: Case, own: list[Mark], now: IntColumn, absent: dict[int, int]) -> None:
        no_data = self.alerts[case.rule].no_data
        missing = next((absent[mark.cell] for mark in own if mark.cell in absent), None)
        pass_time(case, int(now[case.device]), missing, "" if no_data is None else no_data.state)

    def _repeats(self, now: IntColumn) -> list[Verdict]:
        verdicts: list[Verdict] = []
        for (device, number), standing in sorted(self.standings.items()) if self.program.any_repeat else ():
            every = self.alerts[number].repeat_ms
            if every is not None:
                case = Case(device, number, [], standing)
                again(case, int(now[device]), every)
                verdicts += case.verdicts
        return verdicts

    # --- telling

    def _told(
        self,
        verdict: Verdict,
        rows: Rows | None = None,
        frame: Frame | None = None,
        table: Table | None = None,
    ) -> Transition:
        """The transition of a verdict; without rows it was time that caused it."""
        if rows is None or frame is None or table is None or verdict.row < 0:
            reading, value = self._newest.reading(verdict.device), self._last_value(verdict)
        else:
            source = int(rows.source[verdict.row])
            reading = Reading(int(frame.boot[source]), int(frame.seq[source]), bool(frame.backlog[source]))
            value = _value_at(table, verdict)
        limit = self._limit(verdict.device, verdict.rule, verdict.change.rank)
        if verdict.change.cause == "no_data":
            reading, value, limit = reading._replace(backlog=False), None, None
        rule = self.alerts[verdict.rule]
        return self._notices.transition(
            rule, verdict.device, verdict.change, verdict.onset, reading, value, limit
        )

    def _last_value(self, verdict: Verdict) -> float | None:
        busy = [level for level in verdict.levels if level.latch.key != ABSENT]
        value = float(self.cells.value[busy[0].cell]) if busy else np.nan
        return None if np.isnan(value) else value

    def _limit(self, device: int, rule: int, rank: int) -> float | None:
        """The limit of a level of a rule on a device; None where it has none."""
        latch = self.cells.latch_of(device, rule, rank)
        return None if latch < 0 else self.program.latches[latch].limit

    def firing(self) -> list[Transition]:
        """The alerts that fire now, as they were last told, in the order of devices and rules."""
        return [each for each in self.standing_alerts() if each.state == "firing"]

    def standing_alerts(self) -> list[Transition]:
        """The alerts that are pending or firing."""
        return [
            self._listed(device, rule, standing)
            for (device, rule), standing in sorted(self.standings.items())
        ]

    def _listed(self, device: int, number: int, standing: Standing) -> Transition:
        state: Cause = "firing" if standing.firing else "pending"
        change = Change(state, state, standing.rank, NOTHING, standing.at)
        verdict = Verdict(NOTHING, number, device, change, standing.onset, self._levels(device, number))
        return self._notices.standing(
            self.alerts[number],
            device,
            change,
            standing.onset,
            self._newest.reading(device),
            self._last_value(verdict),
            self._limit(device, number, standing.rank),
        )

    def _levels(self, device: int, number: int) -> tuple[Level, ...]:
        cells = self.cells
        return tuple(
            Level(
                cell,
                self.program.latches[latch],
                bool(cells.on[cell]),
                int(cells.up[cell]),
                int(cells.down[cell]),
            )
            for cell, latch in cells.cells_of(device, number)
        )

    # --- devices that come and change

    def _follow_registry(self) -> list[Transition]:
        owed, self._owed = self._owed, []
        if self._registry.version == self._known:
            return owed
        devices = self._registry.changed_devices(self._known)
        self._known = self._registry.version
        self._make_room()
        lost = self._place(devices)
        return owed + self._reconciled(lost)

    def _make_room(self) -> None:
        count = self._registry.devices
        self.cells.make_room(count)
        self.inputs.make_room(count)
        self._newest.make_room(len(self.inputs.cursor))

    def _place(self, devices: IntColumn) -> list[tuple[int, int]]:
        """Give devices the rules that fit them now; returns the (device, rule) whose state was moved."""
        cells = self.cells
        choices = [self._choices(device) for device in devices.tolist()]
        classes = cells.classes.numbers(choices)
        moved = np.flatnonzero(classes != cells.class_of[devices])
        saved = cells.take_out(cells.busy_of(devices[moved]))
        cells.place(devices[moved], classes[moved])
        cells.put_in(saved)
        self._enrol(devices[moved], classes[moved])
        self._histories.learn_tags(self.program.tags, devices.tolist(), self._registry)
        return sorted(set(zip(saved.device.tolist(), saved.rule.tolist(), strict=True)))

    def _choices(self, device: int) -> tuple[Choice, ...]:
        registry = self._registry
        if not registry.is_live(device):
            return ()
        site, name = registry.device_site[device], registry.device_name[device]
        chosen = self._selection.choices(site, name, registry.type(device), registry.tags(device))
        return self._of_fitting_unit(device, chosen) if self.program.any_unit else chosen

    def _of_fitting_unit(self, device: int, chosen: tuple[Choice, ...]) -> tuple[Choice, ...]:
        """Without the rules whose unit the device's birth contradicts; these are noted."""
        units = self._registry.units(device)
        fitting: list[Choice] = []
        for choice in chosen:
            rule = self.alerts[choice[0]]
            told = units[rule.metric].unit if rule.metric in units else None
            if rule.unit is None or not told or told == rule.unit:
                fitting.append(choice)
                self.unit_mismatches.pop((device, choice[0]), None)
            else:
                self.unit_mismatches[device, choice[0]] = (
                    f"{rule.name} wants {rule.metric} in {rule.unit}, the device sends {told}"
                )
        return tuple(fitting)

    def _enrol(self, devices: IntColumn, classes: IntColumn) -> None:
        wanted: dict[int, list[int]] = {}
        for device, of in zip(devices.tolist(), classes.tolist(), strict=True):
            for ring in self.cells.classes.rings(of):
                wanted.setdefault(ring, []).append(device)
        for ring, members in sorted(wanted.items()):
            self._histories.enrol(ring, np.array(members, np.int64))

    def _reconciled(self, keys: Iterable[tuple[int, int]]) -> list[Transition]:
        """Bring alerts in line with levels that were moved or taken from them."""
        verdicts: list[Verdict] = []
        for device, number in keys:
            standing = self.standings.get((device, number))
            if standing is None:
                continue
            case = Case(device, number, list(self._levels(device, number)), standing)
            case.step(int(self.inputs.cursor[device]), NOTHING, "removed")
            if case.standing is None:
                del self.standings[device, number]
            verdicts += case.verdicts
        return [self._told(verdict) for verdict in verdicts]

    def rewind(self, devices: IntColumn) -> None:
        """Begin anew with the clock of devices that stepped back: what fires stays, what waits is dropped."""
        self._make_room()
        self.inputs.forget(devices)
        self._histories.forget(devices)
        self._records.forget(devices)
        cells = self.cells
        busy = cells.busy_of(devices)
        cells.up[busy] = cells.down[busy] = 0
        cells.busy[busy] = cells.on[busy]

    # --- other rules

    def reload(self, rules: RuleSet) -> list[Transition]:
        """Take other rules in; rules are the same by name, and keep their state as `reload.Fate` says."""
        owed = self._follow_registry()
        following = successors(self.alerts, rules.alerts)
        ended = self._ended(following)
        saved = carried_over(self.cells.take_out(self.cells.all_busy()), following)
        self.standings = {
            (device, following[number].number): standing
            for (device, number), standing in self.standings.items()
        }
        old_inputs, old_histories, old_records, old_alerts = (
            self.inputs,
            self._histories,
            self._records,
            self.alerts,
        )
        self._build(rules)
        self.inputs.take_over(old_inputs)
        self._histories.take_over(old_histories, kept_ranges(old_alerts, self.alerts))
        self._records.take_over(old_records)
        names = {rule.name for rule in self.alerts}
        self._notices.forget_rules(lambda name: name not in names)
        self._follow_registry()
        self.cells.put_in(saved)
        return owed + ended + self._reconciled(sorted(self.standings))

    def _ended(self, following: list[Successor]) -> list[Transition]:
        """End the alerts of rules that do not go on."""
        verdicts: list[Verdict] = []
        for (device, number), standing in sorted(self.standings.items()):
            if following[number].fate is Fate.DROPPED:
                case = Case(device, number, [], standing)
                case.step(int(self.inputs.cursor[device]), NOTHING, "removed")
                verdicts += case.verdicts
                del self.standings[device, number]
        return [self._told(verdict) for verdict in verdicts]

    # --- state

    def snapshot(self) -> dict[str, Any]:
        """All state as plain data and arrays, the rules included."""
        self._make_room()
        devices = self._registry.devices
        busy = self.cells.all_busy()
        saved = self.cells.save(busy, self.cells.device_at(busy))
        order = np.lexsort((saved.key, saved.rule, saved.device))
        newest = self._newest
        return {
            "rules": self.rules.to_plain(),
            "known": self._known,
            "listening": self._listening,
            "newest": {name: getattr(newest, name)[:devices].copy() for name in Newest.__dataclass_fields__},
            "inputs": self.inputs.snapshot(devices),
            "histories": self._histories.snapshot(),
            "records": self._records.snapshot(),
            "cells": {name: column[order] for name, column in saved._asdict().items()},
            "standings": [
                [*key, each.onset, each.firing, each.rank, each.at, each.told]
                for key, each in sorted(self.standings.items())
            ],
            "cooldowns": self._notices.snapshot(),
        }

    def restore(self, state: dict[str, Any]) -> None:
        """Take over a snapshot's rules and state; the registry must have been restored to the same moment."""
        self._build(RuleSet.from_plain(state["rules"]))
        self.standings = {
            (device, rule): Standing(onset, firing, rank, at, told)
            for device, rule, onset, firing, rank, at, told in state["standings"]
        }
        self._notices.restore(state["cooldowns"])
        self._listening = self._ticked = state["listening"]
        self._make_room()
        self.inputs.restore(state["inputs"])
        self._histories.restore(state["histories"])
        self._records.restore(state["records"])
        for name, column in state["newest"].items():
            getattr(self._newest, name)[: len(column)] = column
        self._follow_registry()
        saved = Saved(**{name: np.array(column) for name, column in state["cells"].items()})
        self.cells.put_in(saved)
        if state["known"] != self._known:
            self._owed = self._reconciled(sorted(self.standings))


def _value_at(table: Table, verdict: Verdict) -> float | None:
    column = verdict.levels[0].latch.value_column
    if column == NO_COLUMN:
        return None
    value = float(table.y[table.place[column], verdict.row])
    return None if np.isnan(value) else value
