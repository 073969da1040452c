"""The language of conditions: what it reads, what it refuses, and exactly where."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edge_gateway.rules.language.analysis import Range, analyse
from edge_gateway.rules.language.expression import MAX_DEPTH, normal_text, parse
from edge_gateway.rules.language.functions import UNSUPPORTED
from edge_gateway.rules.language.tokens import MAX_OPERATORS, ExpressionError


@pytest.mark.parametrize(
    ("text", "same_as"),
    [
        ("a + b * c", "a + (b * c)"),
        ("a - b - c", "(a - b) - c"),
        ("a / b / c", "(a / b) / c"),
        ("-a * b", "(-a) * b"),
        ("a < 1 or b < 2 and c < 3", "a < 1 or (b < 2 and c < 3)"),
        ("not a < 1 and b < 2", "(not (a < 1)) and b < 2"),
        ("a + 1 < b * 2", "(a + 1) < (b * 2)"),
        ('door == "open"', "door=='open'"),
        ("a   <\n 1", "a<1"),
    ],
)
def test_precedence(text: str, same_as: str) -> None:
    assert parse(text) == parse(same_as)


@pytest.mark.parametrize(
    ("text", "condition", "numbers", "states", "tags"),
    [
        ("temperature", False, ("temperature",), (), ()),
        ("1 < a <= 5", True, ("a",), (), ()),
        ('flow < 0.2 and pump == "on"', True, ("flow",), ("pump",), ()),
        ("mode not in ('off', \"idle\") and tag.zone != 'x'", True, (), ("mode",), ("zone",)),
        ("a in (1, 2, -3.5)", True, ("a",), (), ()),
        ("leak == true", True, (), ("leak",), ()),
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
        ("x = 3", 2, "write '=='"),
        ("x > 3 && y", 6, "write 'and'"),
        ("x >", 3, "expected a value, found the end of the expression"),
        ("(x > 3", 6, "expected ')' to close the parenthesis, found the end"),
        ("x > 3)", 5, "has no matching '('"),
        ("x y", 2, "expected an operator or the end, found 'y'"),
        ("avrg_over_time(x, 5m)", 0, "did you mean 'avg_over_time'?"),
        ("1 + rate", 4, "'rate' is a function, not a metric; write rate(metric, 5m)"),
        ("rate(x)", 0, "takes 2 arguments"),
        ("rate(x, 5)", 8, "expected a duration; write rate(metric, 5m)"),
        ("rate(x + 1, 5m)", 7, "name the expression with a 'record:' rule first"),
        ("Temp > 1", 0, "is not a metric name"),
        ("a AND b", 2, "expected an operator"),
        ("x > 5 and y", 10, 'write y == "true" or y > 0'),
        ("x + (y > 2)", 7, "expected a number, found a condition"),
        ('door > "open"', 5, "texts have no order"),
        ("door == 'a' and door > 3", 16, "as a number and as a text"),
        ("'a' == 'b'", 4, "both sides are constants"),
        ("x in (1, 'a')", 9, "the choices mix numbers and texts"),
        ("x in (y)", 6, "expected a number or a quoted text"),
        ("'never closed", 0, "the closing quote is missing"),
        ("3x > 1", 0, "neither a number nor a duration"),
        ("1h2h > x", 0, "out of order or twice"),
        ("rate(x, 0s)", 8, "longer than 0s"),
        ("30s", 0, "expected a number or a condition, found a duration"),
        ("tag.zone", 0, "expected a number or a condition, found a text"),
        ("x{site='a'}", 1, "select devices by label with 'match:'"),
        ("1e999 > x", 0, "too large"),
        ("", 0, "expected a value, found the end"),
    ],
)
def test_faults_have_their_place(text: str, at: int, message: str) -> None:
    with pytest.raises(ExpressionError) as caught:
        analyse(text)
    assert message in caught.value.message
    assert caught.value.at == at


@pytest.mark.parametrize("name", sorted(UNSUPPORTED))
def test_what_is_not_built_is_refused_by_name(name: str) -> None:
    with pytest.raises(ExpressionError, match=f"`{name}` is not supported in this version"):
        analyse(f"1 + {name}(temperature, 5m)")


@pytest.mark.parametrize("opening", ["(", "-", "not ", "abs("])
def test_nesting_is_limited(opening: str) -> None:
    inner = "x > 1" if opening == "not " else "x"
    closing = ")" * opening.count("(")
    parse(opening * MAX_DEPTH + inner + closing * MAX_DEPTH)
    with pytest.raises(ExpressionError, match="nested deeper"):
        parse(opening * (MAX_DEPTH + 1) + inner)


def test_long_chains_are_limited() -> None:
    analyse(" + ".join(["x"] * MAX_OPERATORS))
    with pytest.raises(ExpressionError, match="at most 150 operators"):
        analyse(" + ".join(["x"] * 1000))
    with pytest.raises(ExpressionError, match="at most 4096 characters"):
        analyse("x" * 5000)


WORDS = 'x y 1 2.5 30s "a" and or not in ( ) , + - * / < == tag.z abs( avg_over_time( true != && " [ é 5x .'


def refusal(text: str) -> ExpressionError | None:
    try:
        analyse(text)
    except ExpressionError as error:
        return error
    return None


@given(words=st.lists(st.sampled_from(WORDS.split()), max_size=14))
def test_any_text_is_read_or_refused_with_a_place(words: list[str]) -> None:
    text = " ".join(words)
    refused = refusal(text)
    if refused is None:
        assert parse(normal_text(text)) == parse(text)
    else:
        assert 0 <= refused.at <= len(text)
        assert refused.message


@given(text=st.text(max_size=60))
def test_no_text_breaks_the_parser(text: str) -> None:
    refused = refusal(text)
    assert refused is None or 0 <= refused.at <= len(text)
