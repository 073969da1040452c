"""Split a rule of groups in two: the aggregates, each over what single devices have, and what is computed of these."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Final, NamedTuple

from edge_gateway.rules.language.analysis import is_aggregate
from edge_gateway.rules.language.expression import (
    Binary,
    Call,
    Compare,
    MetricRef,
    Node,
    OneOf,
    Unary,
    parse,
)
from edge_gateway.rules.language.printing import text_of

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from edge_gateway.rules.language.ruleset import Level, Rule

_NAME: Final = "aggregate_{}"
"""What stands for an aggregate: to the rule of a group it is a metric of the group."""


class SplitRules(NamedTuple):
    """The rules with a name in the place of each aggregate, and the aggregates by these names."""

    rules: tuple[Rule, ...]
    aggregates: dict[str, Call]


def split(rules: Iterable[Rule]) -> SplitRules:
    """Split rules; equal aggregates of several rules are one."""
    found: dict[Call, int] = {}

    def named(node: Node) -> Node | None:
        if isinstance(node, Call) and is_aggregate(node):
            return MetricRef(_NAME.format(found.setdefault(node, len(found))), node.at)
        return None

    outer = tuple(_of_group(rule, named) for rule in rules)
    return SplitRules(outer, {_NAME.format(number): call for call, number in found.items()})


def _of_group(rule: Rule, named: Callable[[Node], Node | None]) -> Rule:
    def text(expr: str | None) -> str | None:
        return None if expr is None else text_of(replaced(parse(expr), named))

    def level(each: Level) -> Level:
        return replace(each, expr=text(each.expr), clear_expr=text(each.clear_expr))

    return replace(
        rule, expr=text(rule.expr), levels=tuple(map(level, rule.levels)), shown="", value_expr="", unit=None
    )


def replaced(tree: Node, by: Callable[[Node], Node | None]) -> Node:
    """A tree with other nodes in the place of those for which `by` has one."""
    other = by(tree)
    if other is not None:
        return other

    def inner(node: Node) -> Node:
        return replaced(node, by)

    match tree:
        case Unary(_, operand) | OneOf(operand):
            return replace(tree, operand=inner(operand))
        case Binary(_, left, right):
            return replace(tree, left=inner(left), right=inner(right))
        case Compare(first, rest):
            return replace(tree, first=inner(first), rest=tuple((op, inner(side)) for op, side in rest))
        case Call(_, args):
            return replace(tree, args=tuple(map(inner, args)))
    return tree
