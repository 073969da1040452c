"""What rules cost: columns and memory by rule, and the readings on which their time is measured."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any, Final, NamedTuple

import numpy as np

from edge_gateway.columns.frame import PERFECT, Frame
from edge_gateway.fleet.registry import Registry
from edge_gateway.rules.alerts.evaluator import Evaluator
from edge_gateway.rules.columns.panes import MAX_CAPACITY, Panes
from edge_gateway.rules.columns.program import Program
from edge_gateway.rules.columns.record_rules import Records
from edge_gateway.rules.groups.aggregates import split
from edge_gateway.rules.language.analysis import MAX_NODES
from edge_gateway.rules.language.expression import walk
from edge_gateway.rules.language.ruleset import RuleSet

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from edge_gateway.columns.frame import IntColumn
    from edge_gateway.rules.language.analysis import Range
    from edge_gateway.rules.language.ruleset import Rule

START: Final = 1_767_225_600_000
STEP: Final = 1_000
"""Milliseconds between two readings of a device."""
_SLOT_FIELDS: Final = 4
"""Numbers of 8 bytes that a history keeps beside its panes and totals."""
_LATCH_BYTES: Final = 5 * 8 + 4
"""Of a latch on a device: times, stamps, value and flags."""
_LATCHES: Final = 8
"""A device's latches take room in whole groups of so many."""
_INPUT_BYTES: Final = 3 * 8 + 1
"""Of an input on a device: its last value, time and seq, and whether it was lost."""
_WARM_UP: Final = 5


class RuleCost(NamedTuple):
    """What a rule costs by its content.

    Attributes:
        nodes: values, operators and calls of its expressions.
        columns: expressions that are computed for it.
        range_bytes: memory of its range histories a device, at most.
    """

    nodes: int
    columns: int
    range_bytes: int

    @property
    def share_of_cap(self) -> float:
        """How much of the cap on one expression is used, 0 to 1."""
        return self.nodes / MAX_NODES


def cost_of(rule: Rule, registry: Registry) -> RuleCost:
    """The cost of one rule by itself; ranges that rules share are counted at each."""
    nodes = sum(1 for analysis in rule.analyses for _ in walk(analysis.tree))
    columns = 1 if rule.record else _columns(rule, registry)
    return RuleCost(nodes, columns, sum(map(range_bytes, ranges_of([rule]))))


def _columns(alert: Rule, registry: Registry) -> int:
    """Expressions computed for an alert; of one of groups its aggregates, and what is computed of them."""
    if not alert.by:
        return len(Program((alert,), registry.strings).expressions)
    parts = split([alert])
    return len(parts.aggregates) + len(Program(parts.rules, registry.strings).expressions)


def ranges_of(rules: Sequence[Rule]) -> list[Range]:
    """The ranges that rules read, each once: alerts share them, and so do records, but not with each other."""
    found: dict[tuple[bool, Range], None] = {}
    for rule in rules:
        for analysis in rule.analyses:
            found.update(dict.fromkeys((rule.record, each) for each in analysis.ranges))
    return [each for _, each in found]


def range_bytes(wanted: Range) -> int:
    """Bytes of one device's history of a range once all its panes are in use."""
    panes = Panes(wanted.ms, wanted.family)
    return 8 * (len(panes.cells) * MAX_CAPACITY + len(panes.total) + _SLOT_FIELDS)


def state_bytes(rules: Sequence[Rule], registry: Registry) -> int:
    """Bytes of one device's state beside its ranges, if all rules run on it: latches, and the last values of inputs."""
    records = [rule for rule in rules if rule.record]
    alerts = [rule for rule in rules if not rule.record and not rule.by]
    of_groups = split(rule for rule in rules if rule.by)
    program = Program(tuple(alerts), registry.strings, [*of_groups.aggregates.values()])
    latches = sum(len(program.latches_of((number, -1))) for number in range(len(alerts)))
    inputs = len(program.inputs) + len(Records(tuple(records), registry, 0).inputs.wanted)
    return -(-latches // _LATCHES) * _LATCHES * _LATCH_BYTES + inputs * _INPUT_BYTES


# --- time


class Workload:
    """A fleet whose devices send every metric of some rules at each step.

    Values move little, so that alerts stay as they are, as nearly always in the field: a change costs more than many
    readings that change nothing.
    """

    def __init__(self, rules: Sequence[Rule], devices: int) -> None:
        self.registry = Registry()
        self.device = np.array([self._device(number) for number in range(devices)], np.int64)
        derived = {rule.name for rule in rules if rule.record}
        metrics = {name: is_text for rule in rules for name, is_text in rule.metrics if name not in derived}
        self._numbers = [self._series(name) for name, is_text in metrics.items() if not is_text]
        self._texts = [self._series(name) for name, is_text in metrics.items() if is_text]
        self._codes = np.array([self.registry.strings.code(text) for text in ("on", "off")], np.int64)

    def _device(self, number: int) -> int:
        device = self.registry.device("site", f"d{number}")
        assert isinstance(device, int)
        return device

    def _series(self, name: str) -> IntColumn:
        metric = self.registry.metric(name)
        return np.array([self.registry.series(device, metric) for device in self.device.tolist()], np.int64)

    def frame(self, step: int) -> Frame:
        """The readings of one step, one of each device."""
        count = len(self.device)
        rows, at = np.arange(count), np.full(count, START + step * STEP)
        wave = 1 + np.sin(rows + step) / 100
        numbers, texts = len(self._numbers), len(self._texts)
        codes = self._codes[rows % len(self._codes)]
        return Frame(
            arrival=START + step * STEP,
            device=self.device,
            boot=np.ones(count, np.int64),
            seq=np.full(count, step),
            ts=at,
            at=at,
            backlog=np.zeros(count, np.bool_),
            row=_times(rows, numbers),
            series=_joined(self._numbers),
            value=_times(wave, numbers),
            quality=np.full(numbers * count, PERFECT, np.uint16),
            state_row=_times(rows, texts),
            state_series=_joined(self._texts),
            state_code=_times(codes, texts),
        )


def _times(column: Any, count: int) -> Any:
    """A column so many times over."""
    return np.concatenate([column[:0], *[column] * count])


def _joined(columns: Sequence[IntColumn]) -> IntColumn:
    return np.concatenate([np.zeros(0, np.int64), *columns])


def seconds_of_steps(rules: Sequence[Rule], clock: Callable[[], float], *, devices: int, steps: int) -> float:
    """Seconds that a step of all devices takes through these rules, each on every device: the quickest of `steps`.

    `clock`: seconds. The first steps are not counted, in which everything is made. Rules of groups are looked at once a
    step.
    """
    everywhere = [replace(rule, match=(), overrides=(), unit=None, warmup_ms=0) for rule in rules]
    work = Workload(rules, devices)
    evaluator = Evaluator(RuleSet(tuple(everywhere)), work.registry)
    taken = []
    for step in range(_WARM_UP + steps):
        frame = work.frame(step)
        begin = clock()
        evaluator.evaluate(evaluator.add_records(frame), step * STEP)
        if evaluator.groups.rules:
            evaluator.tick(step * STEP, START + step * STEP)
        taken.append(clock() - begin)
    return min(taken[_WARM_UP:])
