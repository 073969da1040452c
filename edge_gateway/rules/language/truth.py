"""What conditions can be: never true, always true, or true whenever another one is.

A condition is tried with every combination of values that its comparisons tell apart: of `a > 5`, a is below 5, 5, and
above. What cannot be told so, such as `a > b`, is tried as true and as false, independent of the rest. So what holds
for all combinations holds for all readings; the reverse is not claimed.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from itertools import pairwise, product
from typing import TYPE_CHECKING, Final

from edge_gateway.rules.language.expression import Binary, Compare, Number, OneOf, Text, Unary

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from edge_gateway.rules.language.expression import Node

MOST_COMBINATIONS: Final = 1_000
"""Conditions that need more are not judged."""

Value = float | str | bool
_OTHER_TEXT: Final = "\0other"

_HOLDS: Final = {
    "==": lambda left, right: left == right,
    "!=": lambda left, right: left != right,
    "<": lambda left, right: left < right,
    "<=": lambda left, right: left <= right,
    ">": lambda left, right: left > right,
    ">=": lambda left, right: left >= right,
}


@dataclass(slots=True)
class _Tried:
    """The constants that each value is compared with, and the parts that are tried as true and as false."""

    constants: dict[Node, set[float | str]] = field(default_factory=dict)
    undecided: set[Node] = field(default_factory=set)

    def collect(self, node: Node) -> None:
        match node:
            case Unary("not", operand):
                self.collect(operand)
            case Binary(op, left, right) if op in ("and", "or"):
                self.collect(left)
                self.collect(right)
            case Compare():
                for pair in _pairs(node):
                    self._compare(pair)
            case OneOf(operand, options):
                self.constants.setdefault(operand, set()).update(option.value for option in options)
            case _:
                self.undecided.add(node)

    def _compare(self, pair: Compare) -> None:
        value, constant = _value_and_constant(pair)
        if value is None or constant is None:
            self.undecided.add(pair)
        else:
            self.constants.setdefault(value, set()).add(constant)

    def combinations(self) -> Iterator[dict[Node, Value]]:
        """Every combination of values; none if there are too many."""
        domains: dict[Node, list[Value]] = {node: _representatives(of) for node, of in self.constants.items()}
        domains |= {node: [False, True] for node in self.undecided}
        count = 1
        for domain in domains.values():
            count *= len(domain)
        if count <= MOST_COMBINATIONS:
            for values in product(*domains.values()):
                yield dict(zip(domains, values, strict=True))


def _representatives(constants: set[float | str]) -> list[Value]:
    """One value of each stretch that the constants tell apart."""
    numbers = sorted(constant for constant in constants if isinstance(constant, (int, float)))
    if not numbers:
        return [*sorted(map(str, constants)), _OTHER_TEXT]
    between = [(low + high) / 2 for low, high in pairwise(numbers)]
    beyond = abs(numbers[0]) + abs(numbers[-1]) + 1
    return [*numbers, *between, -beyond, beyond]


def _pairs(node: Compare) -> Iterator[Compare]:
    left = node.first
    for op, right in node.rest:
        yield Compare(left, ((op, right),), node.at)
        left = right


def _value_and_constant(pair: Compare) -> tuple[Node | None, float | str | None]:
    """The side that varies and the constant it is compared with; None where there is none, or not exactly one."""
    sides = (pair.first, pair.rest[0][1])
    values = [side for side in sides if not isinstance(side, (Number, Text))]
    constants = [side.value for side in sides if isinstance(side, (Number, Text))]
    return (values[0], constants[0]) if len(values) == len(constants) == 1 else (None, None)


def _holds(node: Node, values: dict[Node, Value]) -> bool:
    match node:
        case Unary("not", operand):
            return not _holds(operand, values)
        case Binary("and", left, right):
            return _holds(left, values) and _holds(right, values)
        case Binary("or", left, right):
            return _holds(left, values) or _holds(right, values)
        case Compare():
            return all(_pair_holds(pair, values) for pair in _pairs(node))
        case OneOf(operand, options, negated):
            return any(values[operand] == option.value for option in options) is not negated
    return bool(values[node])


def _pair_holds(pair: Compare, values: dict[Node, Value]) -> bool:
    if pair in values:
        return bool(values[pair])
    op, right = pair.rest[0]
    return bool(_HOLDS[op](_side(pair.first, values), _side(right, values)))


def _side(node: Node, values: dict[Node, Value]) -> Value:
    return node.value if isinstance(node, (Number, Text)) else values[node]


def never(condition: Node) -> bool:
    """Whether no reading can make it true."""
    return _every(condition, lambda values: not _holds(condition, values))


def always(condition: Node) -> bool:
    """Whether every reading makes it true."""
    return _every(condition, lambda values: _holds(condition, values))


def implies(condition: Node, other: Node) -> bool:
    """Whether `other` is true whenever `condition` is."""
    both = Binary("and", condition, other, 0)
    return _every(both, lambda values: not _holds(condition, values) or _holds(other, values))


def _every(condition: Node, test: Callable[[dict[Node, Value]], bool]) -> bool:
    tried = _Tried()
    tried.collect(condition)
    combinations = list(tried.combinations())
    return bool(combinations) and all(map(test, combinations))
