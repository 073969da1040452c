"""Compile expressions to column operations, each of which computes many rows at a time.

A condition is a column of 1 (true), 0 (false) and NaN (unknown). A comparison with a missing value is unknown; `and`,
`or` and `not` follow Kleene's three-valued logic; only 1 satisfies a rule.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from functools import reduce
from typing import TYPE_CHECKING, Protocol, TypeAlias, cast

import numpy as np

from edge_gateway.columns.frame import BoolColumn, FloatColumn
from edge_gateway.rules.language.analysis import Analysis, Range
from edge_gateway.rules.language.expression import (
    Binary,
    Call,
    Compare,
    Duration,
    MetricRef,
    Node,
    Number,
    OneOf,
    TagRef,
    Text,
    Unary,
)
from edge_gateway.rules.language.functions import FAMILY, with_parameter

if TYPE_CHECKING:
    from edge_gateway.rules.columns.inputs import Input
    from edge_gateway.rules.columns.registry_view import Strings


class Context(Protocol):
    """The rows an expression is computed on. Each column has one value per row."""

    def value(self, number: int) -> FloatColumn: ...
    def tag(self, name: str) -> FloatColumn: ...
    def ranged(self, ring: int, function: str) -> FloatColumn: ...


class GroupContext(Context, Protocol):
    """The rows are devices of groups, of which it is also known what they have not sent."""

    def silent(self, metric: str, ms: int) -> FloatColumn: ...


Operation: TypeAlias = Callable[[Context], FloatColumn]


@dataclass(slots=True)
class Symbols:
    """Numbers inputs and range histories in the order in which expressions name them.

    `functions`: the functions that read each range history. `clocks`: the inputs of the rules that read it, by whose
    newest time it ends. `constants`: codes of the strings in expressions.
    """

    strings: Strings
    inputs: dict[Input, int] = field(default_factory=dict)
    rings: dict[Range, int] = field(default_factory=dict)
    functions: dict[int, dict[str, None]] = field(default_factory=dict)
    clocks: dict[int, dict[tuple[int, ...], None]] = field(default_factory=dict)
    constants: set[int] = field(default_factory=set)

    def text(self, text: str) -> int:
        """The code of a string constant."""
        code = self.strings.code(text)
        self.constants.add(code)
        return code

    def input(self, name: str, *, is_text: bool) -> int:
        return self.inputs.setdefault((name, is_text), len(self.inputs))

    def ring(self, wanted: Range) -> int:
        self.input(wanted.metric, is_text=False)
        return self.rings.setdefault(wanted, len(self.rings))


def compile_analysis(analysis: Analysis, symbols: Symbols, clock: tuple[int, ...]) -> Operation:
    """Compile an expression of a rule whose inputs are `clock`."""
    for each in analysis.ranges:
        symbols.clocks.setdefault(symbols.ring(each), {})[clock] = None
    return compile_tree(analysis.tree, symbols)


def compile_tree(tree: Node, symbols: Symbols) -> Operation:
    """Compile a checked tree. A value that cannot be computed is NaN."""
    operation = _compiled(tree, symbols)

    def without_warnings(context: Context) -> FloatColumn:
        with np.errstate(all="ignore"):
            return operation(context)

    return without_warnings


def _compiled(node: Node, symbols: Symbols) -> Operation:  # noqa: PLR0911 - one line per kind of node
    match node:
        case Number(value):
            return _constant(value)
        case MetricRef(name):
            number = symbols.input(name, is_text=False)
            return lambda context: context.value(number)
        case Unary("-", operand):
            inner = _compiled(operand, symbols)
            return lambda context: -inner(context)
        case Unary(_, operand):
            inner = _compiled(operand, symbols)
            return lambda context: 1.0 - inner(context)
        case Binary(op, left, right):
            sides = _compiled(left, symbols), _compiled(right, symbols)
            return _joined(_LOGIC[op] if op in _LOGIC else _arithmetic(_ARITHMETIC[op]), *sides)
        case Compare():
            return _comparison(node, symbols)
        case OneOf():
            return _membership(node, symbols)
        case Call():
            return _call(node, symbols)
        case _:
            raise AssertionError(f"{node} is neither a number nor a condition")


def _call(node: Call, symbols: Symbols) -> Operation:
    match node:
        case Call("no_data", (MetricRef(metric), Duration(ms))):
            return lambda context: cast("GroupContext", context).silent(metric, ms)
        case Call(name, (MetricRef(metric), Duration(ms))):
            return _over_range(name, Range(metric, ms, FAMILY[name]), symbols)
        case Call(name, (Number(part), MetricRef(metric), Duration(ms))):
            return _over_range(with_parameter(name, part), Range(metric, ms, FAMILY[name]), symbols)
        case Call(name, (MetricRef(metric), Duration(ms), Duration(ahead))):
            return _over_range(with_parameter(name, ahead / 1000), Range(metric, ms, FAMILY[name]), symbols)
    operations = [_compiled(arg, symbols) for arg in node.args]
    function = _FUNCTIONS[node.name]
    return lambda context: function(*[operation(context) for operation in operations])


def _constant(value: float) -> Operation:
    column = np.float64(value)
    return lambda _context: column  # type: ignore[return-value]  # numpy spreads it over the rows


_ARITHMETIC: dict[str, np.ufunc] = {"+": np.add, "-": np.subtract, "*": np.multiply, "/": np.divide}


def _arithmetic(ufunc: np.ufunc) -> Callable[[FloatColumn, FloatColumn], FloatColumn]:
    """A result that is not finite, such as 1 / 0, becomes NaN: an infinity would satisfy comparisons."""

    def compute(left: FloatColumn, right: FloatColumn) -> FloatColumn:
        column = ufunc(left, right)
        return np.where(np.isfinite(column), column, np.nan)

    return compute


def _joined(function: Callable[[FloatColumn, FloatColumn], FloatColumn], *sides: Operation) -> Operation:
    left, right = sides
    return lambda context: function(left(context), right(context))


# --- conditions


def _three_valued(truth: BoolColumn, *sides: FloatColumn) -> FloatColumn:
    unknown = reduce(np.logical_or, [np.isnan(side) for side in sides])
    return np.where(unknown, np.nan, truth)


def _and(left: FloatColumn, right: FloatColumn) -> FloatColumn:
    return np.where((left == 0) | (right == 0), 0.0, left * right)


def _or(left: FloatColumn, right: FloatColumn) -> FloatColumn:
    return np.where((left == 1) | (right == 1), 1.0, left + right)


_LOGIC: dict[str, Callable[[FloatColumn, FloatColumn], FloatColumn]] = {"and": _and, "or": _or}
_COMPARE: dict[str, Callable[[FloatColumn, FloatColumn], BoolColumn]] = {
    "==": np.equal,
    "!=": np.not_equal,
    "<": np.less,
    "<=": np.less_equal,
    ">": np.greater,
    ">=": np.greater_equal,
}


def _comparison(node: Compare, symbols: Symbols) -> Operation:
    sides = [node.first, *(side for _, side in node.rest)]
    is_text = any(isinstance(side, (Text, TagRef)) for side in sides)
    operations = [_text(side, symbols) if is_text else _compiled(side, symbols) for side in sides]
    functions = [_COMPARE[op] for op, _ in node.rest]

    def compare(context: Context) -> FloatColumn:
        columns = [operation(context) for operation in operations]
        pairs = zip(functions, columns, columns[1:], strict=False)
        return reduce(
            _and, [_three_valued(function(left, right), left, right) for function, left, right in pairs]
        )

    return compare


def _text(node: Node, symbols: Symbols) -> Operation:
    """A column of string codes."""
    match node:
        case Text(value):
            return _constant(float(symbols.text(value)))
        case TagRef(name):
            return lambda context: context.tag(name)
        case MetricRef(name):
            number = symbols.input(name, is_text=True)
            return lambda context: context.value(number)
        case _:
            raise AssertionError(f"{node} is not a text")


def _membership(node: OneOf, symbols: Symbols) -> Operation:
    is_text = isinstance(node.options[0], Text)
    operand = _text(node.operand, symbols) if is_text else _compiled(node.operand, symbols)
    options = np.array(
        [symbols.text(option.value) if isinstance(option, Text) else option.value for option in node.options],
        np.float64,
    )

    def member(context: Context) -> FloatColumn:
        column = operand(context)
        return _three_valued(np.isin(column, options) != node.negated, column)

    return member


# --- functions


def _clamp(value: FloatColumn, low: FloatColumn, high: FloatColumn) -> FloatColumn:
    return np.minimum(np.maximum(value, low), high)


_FUNCTIONS: dict[str, Callable[..., FloatColumn]] = {
    "abs": np.abs,
    "min": lambda *columns: reduce(np.minimum, columns),
    "max": lambda *columns: reduce(np.maximum, columns),
    "clamp": _clamp,
}


def _over_range(function: str, over: Range, symbols: Symbols) -> Operation:
    ring = symbols.ring(over)
    symbols.functions.setdefault(ring, {})[function] = None
    return lambda context: context.ranged(ring, function)
