"""The type of an expression, and the metrics, tags and ranges it names."""

from __future__ import annotations

import pytest

from edge_gateway.rules.language.analysis import Range, analyse
from edge_gateway.rules.language.tokens import ExpressionError


@pytest.mark.parametrize(
    ("text", "condition", "numbers", "states", "tags"),
    [
        ("temperature", False, ("temperature",), (), ()),
        ("1 < a <= 5", True, ("a",), (), ()),
        ('flow < 0.2 and pump == "on"', True, ("flow",), ("pump",), ()),
        ("mode not in ('off', \"idle\") and tag.zone != 'x'", True, (), ("mode",), ("zone",)),
        ("a in (1, 2, -3.5)", True, ("a",), (), ()),
        ("leak == true", True, (), ("leak",), ()),
        ("-a + b > 0 or not (c > 1)", True, ("a", "b", "c"), (), ()),
        ("tag.a == tag.b and tag.a != 'x'", True, (), (), ("a", "b")),
        ("x == tag.a", True, (), ("x",), ("a",)),
        ("clamp(min(a, b), 0, 1e3) + abs(-a)", False, ("a", "b"), (), ()),
    ],
)
def test_kinds(text: str, condition: bool, numbers: tuple[str], states: tuple[str], tags: tuple[str]) -> None:
    shape = analyse(text)
    assert (shape.is_condition, shape.numbers, shape.states, shape.tags) == (condition, numbers, states, tags)


def test_ranges_are_collected_once_a_family() -> None:
    shape = analyse("max_over_time(a, 5m) - min_over_time(a, 5m) + avg_over_time(a, 1h30m)")
    assert shape.ranges == (Range("a", 300_000, "extremes"), Range("a", 5_400_000, "sums"))


@pytest.mark.parametrize(
    ("text", "at", "message"),
    [
        ("5 > x > 3 > 9", 12, "'3 > 9' never changes: both sides are constants; one must be a metric"),
        ("1 < 2", 4, "'1 < 2' never changes: both sides are constants; one must be a metric"),
        ("not x", 4, "'not' needs a condition, and 'x' is a metric; write x == \"true\" or x > 0"),
        ("(x > 1) and 5", 12, "'and' needs a condition, not a number"),
        ("x == 'a' == 1", 12, "a text cannot be compared with a number"),
        ("x + 1 in ('a', 'b')", 2, "expected a metric or a tag before 'in', found a number"),
        ("tag.zone in (1, 2)", 0, "expected a number, found a text"),
        ("rate(x, y)", 8, "expected a duration; write rate(metric, 5m)"),
        ("rate(x, 5m) > 1 and x == 'a'", 20, "'x' is used as a number and as a text"),
        ("min(x, 5m)", 7, "expected a number, found a duration"),
        ("'a'", 0, "expected a number or a condition, found a text"),
        ("5m", 0, "expected a number or a condition, found a duration"),
        ("x + (y > 2)", 7, "expected a number, found a condition"),
        ("-(x > 1)", 4, "expected a number, found a condition"),
        ("not 5", 4, "'not' needs a condition, not a number"),
        ("not tag.zone", 4, "'not' needs a condition, not a text"),
        ("(x > 1) or y", 11, "'or' needs a condition, and 'y' is a metric; write y == \"true\" or y > 0"),
        ("5 or (x > 1)", 0, "'or' needs a condition, not a number"),
        ("x < 'a'", 2, "texts have no order; compare them with == or !=, not <"),
        ("'a' == 'b'", 4, "both sides are constants; one must be a metric or a tag"),
        ("x in (1, 'a')", 9, "the choices mix numbers and texts"),
        ("x in ('a', 1)", 11, "the choices mix numbers and texts"),
        ("5m in ('a')", 0, "expected a metric or a tag before 'in', found a duration"),
        (
            "rate(x + 1, 5m)",
            7,
            "rate takes a metric, not an expression; name the expression with a 'record:' rule first",
        ),
        ("x == 'a' and x in (1, 2)", 13, "'x' is used as a number and as a text"),
        ("x == 'a' and rate(x, 5m) > 1", 18, "'x' is used as a number and as a text"),
    ],
)
def test_errors_have_a_position(text: str, at: int, message: str) -> None:
    with pytest.raises(ExpressionError) as caught:
        analyse(text)
    assert caught.value.message == message
    assert caught.value.at == at


def test_tags_and_texts_in_choices() -> None:
    analysis = analyse("tag.zone in ('a', true) and door not in ('open', 'ajar')")
    assert (analysis.tags, analysis.states, analysis.metrics) == (("zone",), ("door",), ("door",))


def test_what_one_evaluation_costs_is_limited() -> None:
    """Calls with calls as arguments are few operators, and not deep."""
    inner = f"min({', '.join(['x'] * 8)})"
    middle = f"max({', '.join([inner] * 8)})"
    analyse(f"min({', '.join([middle] * 5)})")
    with pytest.raises(ExpressionError, match="at most 400 values, operators and calls"):
        analyse(f"min({', '.join([middle] * 6)})")
