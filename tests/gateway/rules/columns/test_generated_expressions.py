"""Generated expressions: each is refused with a place, or computed; none raises anything else, and none runs away.

`python -m tests.gateway.rules.columns.test_generated_expressions 100000` tries many more than the sample here.
"""

from __future__ import annotations

import random
import sys
from collections import Counter

import numpy as np
import pytest

from edge_gateway.columns.frame import FloatColumn
from edge_gateway.columns.strings import StringTable
from edge_gateway.rules.columns.compile import Symbols, compile_tree
from edge_gateway.rules.language.analysis import MAX_NODES, Analysis, analyse
from edge_gateway.rules.language.expression import normal_text, walk
from edge_gateway.rules.language.functions import FUNCTIONS
from edge_gateway.rules.language.tokens import MAX_LENGTH, MAX_OPERATORS, ExpressionError
from edge_gateway.rules.language.truth import always, never

ROWS = 3
NUMBERS = ("0", "1", "-2.5", "1e308", ".5", "3.")
TEXTS = ('"a"', "'b'", "true", "false")
SPANS = ("1ms", "30s", "5m", "1h30m", "1000y")
RANGED = tuple(name for name, signature in FUNCTIONS.items() if signature.ranged and signature.most == 2)
SOUP = (*NUMBERS, *TEXTS, *SPANS, *FUNCTIONS, "x", "y", "tag", ".", "and", "or", "not", "in", "(", ")", ",", "+", "-",
        "*", "/", "<", "<=", "==", "!=", "&&", "≥", "[", '"', "1,5", "30", "s", "\t", "\n", "é", "\0")  # fmt: skip


class Cells:
    """Three rows of each input: a value, a larger one, and a missing one."""

    def value(self, number: int) -> FloatColumn:
        return np.array([number, 1e308, np.nan])

    def tag(self, name: str) -> FloatColumn:
        return np.full(ROWS, float(len(name)))

    def ranged(self, ring: int, function: str) -> FloatColumn:
        return np.array([ring, -1e308 * len(function), np.nan])


def a_number(dice: random.Random, depth: int) -> str:
    if depth <= 0 or dice.random() < 0.3:
        return dice.choice((*NUMBERS, "x", "y", "z"))
    inner = [a_number(dice, depth - 1) for _ in range(8)]
    match dice.randrange(6):
        case 0:
            metric, span, ahead = dice.choice("xyz"), dice.choice(SPANS), dice.choice(SPANS)
            quantile = f"quantile_over_time({dice.choice(NUMBERS)}, {metric}, {span})"
            one = f"{dice.choice(RANGED)}({metric}, {span})"
            return dice.choice((quantile, f"predict_linear({metric}, {span}, {ahead})", one, one, one))
        case 1:
            return f"{dice.choice(('min', 'max'))}({', '.join(inner[: dice.randint(2, 8)])})"
        case 2:
            return f"clamp({', '.join(inner[:3])})"
        case 3:
            return f"{dice.choice(('abs', '-', '+', ''))}({inner[0]})"
    return f"{inner[0]} {dice.choice('+-*/')} {inner[1]}"


def a_condition(dice: random.Random, depth: int) -> str:
    if depth > 0 and dice.random() < 0.6:
        left, right = a_condition(dice, depth - 1), a_condition(dice, depth - 1)
        return dice.choice((f"{left} and {right}", f"({left}) or {right}", f"not ({left})"))
    match dice.randrange(4):
        case 0:
            return f"{dice.choice(('door', 'tag.line'))} {dice.choice(('==', '!='))} {dice.choice(TEXTS)}"
        case 1:
            return f"x {dice.choice(('in', 'not in'))} ({', '.join(dice.choices(NUMBERS, k=dice.randint(1, 300)))})"
        case 2:
            sides = [a_number(dice, 1) for _ in range(dice.randint(2, 5))]
            return f" {dice.choice(('<', '<=', '>', '>=', '=='))} ".join(sides)
    return f"{a_number(dice, depth)} > {a_number(dice, depth)}"


def generated(dice: random.Random) -> str:
    match dice.randrange(4):
        case 0:
            return dice.choice(("", " ")).join(dice.choices(SOUP, k=dice.randint(0, 40)))
        case 1:
            return damaged(dice, a_condition(dice, dice.randint(0, 4)))
        case 2:
            return a_number(dice, dice.randint(0, 5))
    return a_condition(dice, dice.randint(0, 6))


def damaged(dice: random.Random, text: str) -> str:
    at = dice.randrange(len(text) + 1)
    return text[:at] + dice.choice(SOUP) + text[at + dice.randrange(3) :]


def analysed(text: str) -> Analysis | ExpressionError:
    try:
        return analyse(text)
    except ExpressionError as error:
        return error


def tried(text: str) -> str:
    """What became of an expression; AssertionError if it is neither refused nor computed as it should be."""
    shape = analysed(text)
    if isinstance(shape, ExpressionError):
        assert 0 <= shape.at <= len(text), text
        assert shape.message, text
        return "refused"
    assert sum(1 for _ in walk(shape.tree)) <= MAX_NODES
    if shape.aggregates:
        return "of groups"  # what devices have is computed on ticks: rules/groups
    column = compile_tree(shape.tree, Symbols(StringTable(100, 100)))(Cells())
    values = np.broadcast_to(column, (ROWS,))
    assert analyse(normal_text(text)).tree == shape.tree
    if not shape.is_condition:
        return "number"
    assert all(value in (0, 1) or np.isnan(value) for value in values.tolist()), text
    assert not (never(shape.tree) and 1 in values.tolist()), text
    assert not (always(shape.tree) and 0 in values.tolist()), text
    return "condition"


def tally(seed: int, count: int) -> Counter[str]:
    dice = random.Random(seed)
    return Counter(tried(generated(dice)) for _ in range(count))


@pytest.mark.parametrize("seed", range(4))
def test_generated_expressions_are_refused_or_computed(seed: int) -> None:
    found = tally(seed, 250)
    assert min(found[kind] for kind in ("refused", "number", "condition")) > 10


@pytest.mark.parametrize(
    "text",
    [
        "x + " * 10**6,
        "(" * 10**6,
        "not " * 10**6,
        "-" * 10**6 + "x",
        "x == " * 1_000 + "1",
        "min(" * 1_000 + "x, 1" + ")" * 1_000,
        "x in (" + "1, " * 1_300 + "1)",
        "x > 1 and " * (MAX_OPERATORS // 2) + "x",
        '"' * MAX_LENGTH,
        "1" * MAX_LENGTH,
        "9y" * (MAX_LENGTH // 2),
        " " * MAX_LENGTH,
    ],
)
def test_what_is_too_much_is_refused(text: str) -> None:
    assert tried(text) == "refused"


if __name__ == "__main__":
    sys.stdout.write(f"{dict(tally(1, int(sys.argv[1])))}\n")
