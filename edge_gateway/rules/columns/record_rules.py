"""Record rules: metrics derived from others, row by row, and added to the frame."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np

from edge_gateway.columns.frame import PERFECT
from edge_gateway.columns.growing import with_room
from edge_gateway.rules.columns.compile import Operation, Symbols, compile_analysis
from edge_gateway.rules.columns.frame_columns import FrameColumns, Histories, RowSubset
from edge_gateway.rules.columns.inputs import Inputs, lookbacks
from edge_gateway.rules.language.matching import RuleMatcher

if TYPE_CHECKING:
    from collections.abc import Iterable

    from edge_gateway.columns.frame import BoolColumn, FloatColumn, Frame, IntColumn
    from edge_gateway.rules.columns.registry_view import RegistryView
    from edge_gateway.rules.language.analysis import Range
    from edge_gateway.rules.language.ruleset import Rule


@dataclass(slots=True)
class CompiledRecord:
    """One record rule. `output` is its own input number; by device: whether it `applies`, and its series (-1: none).

    `evaluated`: whether a reading has evaluated it since it was loaded. `measured`: devices that have since sent a
    metric of its name themselves.
    """

    metric: int
    operation: Operation
    triggers: tuple[int, ...]
    output: int
    rings: tuple[int, ...]
    applies: BoolColumn
    series: IntColumn
    evaluated: bool = False
    measured: set[int] = field(default_factory=set)


Derived: TypeAlias = "list[tuple[IntColumn, IntColumn, FloatColumn]]"
"""(row of the frame, series, value) columns, one entry per record rule."""


class Records:
    """The compiled record rules, each after those it needs."""

    def __init__(self, rules: tuple[Rule, ...], registry: RegistryView, lookback_ms: int) -> None:
        self._rules = rules
        self._registry = registry
        self._symbols = Symbols(registry.strings)
        self._records = [self._compiled(rule) for rule in rules]
        wanted = tuple(self._symbols.inputs)
        self.inputs = Inputs(wanted, registry, lookbacks(wanted, rules, lookback_ms))
        self.histories = Histories(self._symbols)
        self._matcher = RuleMatcher(rules)
        self._tags = {tag for rule in rules if rule.analysis for tag in rule.analysis.tags}
        self._known = 0

    @property
    def symbols(self) -> Symbols:
        return self._symbols

    def compiled(self, name: str) -> CompiledRecord:
        """The record rule of that name, its devices those of the last frame. KeyError: there is none."""
        return dict(zip((rule.name for rule in self._rules), self._records, strict=True))[name]

    def measured(self) -> list[str]:
        """Which devices measure what a record is named like, as `device: reason`; their own values are kept."""
        names = self._registry.device_name
        return [
            f"{names[device]}: it measures {rule.name}, which is a record; rename the record"
            for rule, record in zip(self._rules, self._records, strict=True)
            for device in sorted(record.measured)
            if record.applies[device]
        ]

    def _compiled(self, rule: Rule) -> CompiledRecord:
        analysis = rule.analysis
        assert analysis is not None
        triggers = tuple(self._symbols.input(name, is_text=is_text) for name, is_text in rule.metrics)
        operation = compile_analysis(analysis, self._symbols, triggers)
        output = self._symbols.input(rule.name, is_text=False)
        rings = tuple(self._symbols.ring(each) for each in analysis.ranges)
        metric = self._registry.metric(rule.name)
        return CompiledRecord(
            metric, operation, triggers, output, rings, np.zeros(0, np.bool_), np.full(0, -1, np.int64)
        )

    def extend(self, frame: Frame) -> Frame:
        """Add the derived metrics to a frame; the same frame if there are none.

        A value late for its metric is computed with those of its own row only, and not by rules that read ranges.
        """
        if not self._records or not frame.rows:
            return frame
        self._follow_registry()
        rows = self.inputs.rows_of(frame)
        columns = FrameColumns(rows, self.inputs, self.histories)
        derived = self._derive(columns, self._records)
        columns.settle()
        self.inputs.remember(rows)
        if not rows.in_order or len(rows.source) < frame.rows:
            alone = Inputs(self.inputs.wanted, self._registry, np.zeros_like(self.inputs.lookback))
            alone.make_room(self._registry.devices)
            passed = FrameColumns(self.inputs.passed_rows(frame, rows), alone, self.histories)
            derived += self._derive(passed, [each for each in self._records if not each.rings])
        return _extended(frame, derived) if derived else frame

    def _derive(self, columns: FrameColumns, records: list[CompiledRecord]) -> Derived:
        derived: Derived = []
        rows = columns.rows
        for record in records:
            applies, absent = record.applies[rows.device], np.isnan(rows.column(record.output))
            record.measured.update(np.unique(rows.device[applies & ~absent]).tolist())
            own = np.flatnonzero(applies & absent)
            own = own[rows.has_any(record.triggers, own)]
            if not len(own):
                continue
            record.evaluated = True
            values = record.operation(RowSubset(columns, own, record.triggers))
            known = np.flatnonzero(~np.isnan(values))
            if len(known):
                own, values = own[known], values[known]
                columns.inputs.add(rows, record.output, own, values)
                derived.append((rows.source[own], self._series(record, rows.device[own]), values))
        return derived

    def _series(self, record: CompiledRecord, devices: IntColumn) -> IntColumn:
        for device in np.unique(devices[record.series[devices] < 0]).tolist():
            record.series[device] = self._registry.derived(device, record.metric)
        return record.series[devices]

    def _follow_registry(self) -> None:
        registry = self._registry
        if registry.version == self._known:
            return
        devices = registry.changed_devices(self._known)
        self._known = registry.version
        self.inputs.make_room(registry.devices)
        for record in self._records:
            record.applies = with_room(record.applies, registry.devices, 0)
            record.series = with_room(record.series, registry.devices, -1)
        for device in devices.tolist():
            self._enrol(device)
        for number, record in enumerate(self._records):
            for ring in record.rings:
                self.histories.enrol(ring, devices[self._records[number].applies[devices]])
        self.histories.learn_tags(self._tags, devices.tolist(), registry)

    def _enrol(self, device: int) -> None:
        registry = self._registry
        chosen = self._matcher.variants(
            registry.device_site[device],
            registry.device_name[device],
            registry.type(device),
            registry.tags(device),
        )
        numbers = {number for number, _ in chosen} if registry.is_live(device) else set()
        for number, record in enumerate(self._records):
            record.applies[device] = number in numbers

    def start(self, device: int, boot: int) -> None:
        """Take in the boot of a device's birth; see `Inputs.start`."""
        self.inputs.make_room(self._registry.devices)
        self.inputs.start(device, boot)

    def lose(self, device: int, metrics: Iterable[str] | None = None) -> None:
        """Lose the values of a device that count while it is online, of all metrics or of some."""
        self.inputs.make_room(self._registry.devices)
        named = None if metrics is None else frozenset(metrics)
        wanted = enumerate(self.inputs.wanted)
        self.inputs.lose(device, {n for n, (name, _) in wanted if named is None or name in named})

    def forget(self, devices: IntColumn) -> None:
        """Forget what these devices sent."""
        self.inputs.forget(devices)
        self.histories.forget(devices)
        for record in self._records:
            record.series[devices[devices < len(record.series)]] = -1
            record.measured.difference_update(devices.tolist())

    def rewind(self, devices: IntColumn, by: IntColumn) -> None:
        """Follow clocks that were set by so many ms; ranges start anew."""
        self.inputs.make_room(self._registry.devices)
        self.inputs.shift(devices, by)
        self.histories.forget(devices)

    def texts(self) -> set[int]:
        """Codes of all strings in use by record rules and their state."""
        return self._symbols.constants | self.inputs.texts() | self.histories.texts()

    def take_over(self, old: Records) -> None:
        """Take over the state of another set; histories of changed expressions start empty."""
        same = {rule.name: rule.expr for rule in old._rules}
        keep: set[Range] = set()
        for rule in self._rules:
            if rule.analysis is not None and same.get(rule.name) == rule.expr:
                keep.update(rule.analysis.ranges)
        self.inputs.take_over(old.inputs)
        self.histories.take_over(old.histories, keep)

    def snapshot(self) -> dict[str, Any]:
        devices = self._registry.devices
        self.inputs.make_room(devices)
        return {"inputs": self.inputs.snapshot(devices), "histories": self.histories.snapshot()}

    def restore(self, state: dict[str, Any]) -> None:
        self.inputs.restore(state["inputs"])
        self.histories.restore(state["histories"])


def _extended(frame: Frame, derived: Derived) -> Frame:
    """Append derived values. The quality of each is the worst of the measured values in its row."""
    row, series, value = (np.concatenate(columns) for columns in zip(*derived, strict=True))
    worst = np.full(frame.rows, PERFECT, np.uint16)
    np.minimum.at(worst, frame.row, frame.quality)
    return replace(
        frame,
        row=np.concatenate([frame.row, row]),
        series=np.concatenate([frame.series, series]),
        value=np.concatenate([frame.value, value]),
        quality=np.concatenate([frame.quality, worst[row]]),
    )
