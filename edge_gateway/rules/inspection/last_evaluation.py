"""The last evaluation of a rule on a device, computed once more from what is kept of its readings.

The same compiled operations run as in the gateway, on one row: the rule's newest reading. Nothing is changed by it.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from edge_gateway.rules.columns.compile import compile_tree
from edge_gateway.rules.language.analysis import is_condition
from edge_gateway.rules.language.expression import Binary, Call, Compare, MetricRef, OneOf, Unary
from edge_gateway.rules.language.printing import text_of

if TYPE_CHECKING:
    from collections.abc import Iterator

    from edge_gateway.columns.frame import FloatColumn
    from edge_gateway.rules.alerts.evaluator import Evaluator
    from edge_gateway.rules.columns.compile import Symbols
    from edge_gateway.rules.columns.frame_columns import Histories
    from edge_gateway.rules.columns.inputs import Inputs
    from edge_gateway.rules.columns.registry_view import Strings
    from edge_gateway.rules.language.expression import Node
    from edge_gateway.rules.language.ruleset import Rule

Value = float | bool | str | None
"""A number, a truth, a text, or None where it is unknown."""


class InputReading(NamedTuple):
    """The last value of a metric that a rule reads.

    Attributes:
        at: device time, ms; 0: it never came.
        age: how much older it is than the rule's newest reading, ms.
        lookback: how old it may be to count, ms.
    """

    metric: str
    value: Value
    at: int
    age: int
    lookback: int

    @property
    def counts(self) -> bool:
        """Whether it was known at the last evaluation."""
        return self.at > 0 and self.age <= self.lookback


class EvaluatedPart(NamedTuple):
    """A part of an expression, and its value."""

    text: str
    value: Value


@dataclass(frozen=True, slots=True)
class LastEvaluation:
    """What a rule sees of a device: the rows' context of `compile`, with one row. `reads`: numbers of its inputs."""

    inputs: Inputs
    histories: Histories
    symbols: Symbols
    strings: Strings
    reads: tuple[int, ...]
    device: int

    @classmethod
    def of(cls, evaluator: Evaluator, rule: Rule, device: int) -> LastEvaluation:
        state, records = evaluator.state, evaluator.records
        owner = records if rule.record else state
        symbols = records.symbols if rule.record else state.program.symbols
        reads = tuple(symbols.inputs[metric] for metric in rule.metrics)
        return cls(owner.inputs, owner.histories, symbols, state.registry.strings, reads, device)

    @property
    def at(self) -> int:
        """Device time of the newest reading of a metric of the rule, ms; 0 without one."""
        return max(map(self._at, self.reads), default=0)

    def _at(self, number: int) -> int:
        known = self.device < len(self.inputs.last_at)
        return int(self.inputs.last_at[self.device, number]) if known else 0

    def readings(self) -> list[InputReading]:
        """The inputs in order of mention."""
        now = self.at
        return [
            InputReading(
                self.inputs.wanted[number][0],
                self._last(number),
                self._at(number),
                now - self._at(number) if self._at(number) else 0,
                int(self.inputs.lookback[number]),
            )
            for number in self.reads
        ]

    def _last(self, number: int) -> Value:
        if not self._at(number):
            return None
        value = float(self.inputs.last[self.device, number])
        return self.strings.text(int(value)) if self.inputs.wanted[number][1] else _known(value)

    def parts(self, tree: Node) -> Iterator[EvaluatedPart]:
        """Every operation of an expression with its value, each after its own parts; the last is the whole."""
        for part in _operations(tree):
            yield EvaluatedPart(text_of(part), self.evaluate(part))

    def evaluate(self, tree: Node) -> Value:
        """The value of an expression at the last evaluation; None where it is unknown, or nothing was read."""
        if not self.at:
            return None
        column = compile_tree(tree, self.symbols)(self)
        value = _known(float(np.broadcast_to(column, (1,))[0]))
        return bool(value) if value is not None and is_condition(tree) else value

    # --- the context of compiled operations

    def value(self, number: int) -> FloatColumn:
        at = self._at(number)
        counts = at > 0 and self.at - at <= self.inputs.lookback[number]
        return np.array([self.inputs.last[self.device, number] if counts else np.nan])

    def tag(self, name: str) -> FloatColumn:
        return self.histories.tag(name, np.array([self.device]))

    def ranged(self, ring: int, function: str) -> FloatColumn:
        return np.array([self.histories.at(ring, self.device, self.at, function)])


def _known(value: float) -> float | None:
    return None if np.isnan(value) else value


def _operations(tree: Node) -> Iterator[Node]:
    """The operations of a tree, and a tree that is a bare metric, each after its own parts."""
    match tree:
        case Unary(_, operand):
            yield from _operations_within(operand)
        case OneOf(operand):
            yield from _operations_within(operand)
        case Binary(_, left, right):
            yield from _operations_within(left, right)
        case Compare(first, rest):
            yield from _operations_within(first, *(side for _, side in rest))
        case Call(_, args):
            yield from _operations_within(*args)
    if isinstance(tree, Unary | OneOf | Binary | Compare | Call | MetricRef):
        yield tree


def _operations_within(*parts: Node) -> Iterator[Node]:
    for part in parts:
        if not isinstance(part, MetricRef):
            yield from _operations(part)


def as_plain(reading: InputReading) -> dict[str, Any]:
    """A reading for an answer."""
    return {**reading._asdict(), "at": reading.at or None, "counts": reading.counts}
