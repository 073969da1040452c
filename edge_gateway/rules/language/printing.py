"""Expressions as text: each part of one as a person would write it, with no more parentheses than it needs."""

from __future__ import annotations

from typing import Final

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
    parse,
)
from fleet_config.durations import format_duration

_BINARY: Final = {"or": 1, "and": 2, "+": 5, "-": 5, "*": 6, "/": 6}
_NOT, _COMPARISON, _SUM, _SIGN, _ATOM = 3, 4, 5, 7, 8
"""How tightly each kind of node binds: the levels of precedence of `expression`, loosest first."""
_WHOLE: Final = 1e15
"""Whole numbers below are written without a point."""


def readable(expression: str) -> str:
    """A normalised expression as a person would write it."""
    return text_of(parse(expression))


def text_of(tree: Node) -> str:
    """The text of a tree, which `parse` reads as the same tree."""
    return _text(tree)[0]


def _text(node: Node) -> tuple[str, int]:  # noqa: PLR0911 - one line per kind of node
    """The text of a node, and how tightly it binds."""
    match node:
        case Number(value):
            return number_text(value), _SIGN if value < 0 else _ATOM
        case Duration(ms):
            return format_duration(ms), _ATOM
        case Text(value):
            return _quoted(value), _ATOM
        case MetricRef(name):
            return name, _ATOM
        case TagRef(name):
            return f"tag.{name}", _ATOM
        case Call(name, args):
            return f"{name}({', '.join(map(text_of, args))})", _ATOM
        case _:
            return _operation(node)


def _operation(node: Unary | Binary | Compare | OneOf) -> tuple[str, int]:
    match node:
        case Unary("-", operand):
            return f"-{_within(operand, _SIGN)}", _SIGN
        case Unary(_, operand):
            return f"not {_within(operand, _NOT)}", _NOT
        case Binary(op, left, right):
            binds = _BINARY[op]
            return f"{_within(left, binds)} {op} {_within(right, binds + 1)}", binds
        case Compare(first, rest):
            sides = [_within(first, _SUM), *(f"{op} {_within(side, _SUM)}" for op, side in rest)]
            return " ".join(sides), _COMPARISON
        case OneOf(operand, options, negated):
            chosen = ", ".join(map(text_of, options))
            return f"{_within(operand, _SUM)} {'not in' if negated else 'in'} ({chosen})", _COMPARISON


def _within(node: Node, least: int) -> str:
    """The text of a part, in parentheses if it binds less tightly than it must."""
    text, binds = _text(node)
    return text if binds >= least else f"({text})"


def number_text(value: float) -> str:
    """The shortest text of a number: 14 rather than 14.0."""
    return f"{value:.0f}" if float(value).is_integer() and abs(value) < _WHOLE else repr(value)


def _quoted(text: str) -> str:
    escaped = text.replace("\\", "\\\\").replace('"', '\\"')
    return f'"{escaped}"'
