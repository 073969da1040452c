"""Parsing and checking expressions: what is read, what is refused, and at which character."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edge_gateway.rules.language.analysis import analyse
from edge_gateway.rules.language.expression import MAX_DEPTH, MAX_OPTIONS, normal_text, parse
from edge_gateway.rules.language.tokens import MAX_OPERATORS, ExpressionError

END = "the end of the expression; within { } quote an expression that contains a comma"


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
    ("text", "at", "message"),
    [
        ("x = 3", 2, "'=' is not an operator here; write '==' to compare"),
        ("x > 3 && y", 6, "'&&' is not an operator here; write 'and'"),
        ("x >", 3, "expected a value, found the end of the expression"),
        (
            "(x > 3",
            6,
            "expected ')' to close the parenthesis, found the end of the expression",
        ),
        ("x > 3)", 5, "this ')' has no matching '('"),
        ("x y", 2, "expected an operator or the end, found 'y'"),
        (
            "avrg_over_time(x, 5m)",
            0,
            (
                "there is no function 'avrg_over_time'; did you mean 'avg_over_time'? One of abs, avg,"
                " avg_over_time, changes, clamp, count, count_over_time, delta, deriv, last_over_time, max,"
                " max_over_time, min, min_over_time, no_data, predict_linear, quantile_over_time, rate, share,"
                " stddev_over_time, sum, sum_over_time"
            ),
        ),
        ("1 + rate", 4, "'rate' is a function, not a metric; write rate(metric, 5m)"),
        ("rate(x)", 0, "rate takes 2 arguments; write rate(metric, 5m)"),
        ("rate(x, 5)", 8, "expected a duration; write rate(metric, 5m)"),
        (
            "rate(x + 1, 5m)",
            7,
            "rate takes a metric, not an expression; name the expression with a 'record:' rule first",
        ),
        (
            "Temp > 1",
            0,
            (
                "'Temp' is not a metric name; use up to 64 lower-case letters, digits and _, beginning with a letter; "
                "did you mean 'temp'?"
            ),
        ),
        ("a AND b", 2, "expected an operator or the end, found 'AND'; write 'and'"),
        ("x > 5 and y", 10, "'and' needs a condition, and 'y' is a metric; write y == \"true\" or y > 0"),
        ("x + (y > 2)", 7, "expected a number, found a condition"),
        ('door > "open"', 5, "texts have no order; compare them with == or !=, not >"),
        ("door == 'a' and door > 3", 16, "'door' is used as a number and as a text"),
        ("'a' == 'b'", 4, "both sides are constants; one must be a metric or a tag"),
        ("x in (1, 'a')", 9, "the choices mix numbers and texts"),
        ("x in (y)", 6, "expected a number or a quoted text, found 'y'"),
        ("'never closed", 0, "the closing quote is missing"),
        ("3x > 1", 0, "'3x' is neither a number nor a duration; write 1.5, 1e3, 30s or 1h30m"),
        ("1h2h > x", 0, "'1h2h' names its units out of order or twice; write the larger first, as in 1h30m"),
        ("rate(x, 0s)", 8, "this duration must be longer than 0s"),
        ("30s", 0, "expected a number or a condition, found a duration"),
        ("tag.zone", 0, "expected a number or a condition, found a text"),
        (
            "x{site='a'}",
            1,
            "'{' is not an operator here; select devices by label with 'match:', not in the expression",
        ),
        ("1e999 > x", 0, "this number is too large"),
        ("", 0, "expected a value, found the end of the expression"),
        (
            "x in (1, 2",
            10,
            "expected ')' after the last choice, found " + END,
        ),
        ("x in 1", 5, "expected '(' after 'in', found '1'"),
        ("x in (-'a')", 7, "expected a number or a quoted text, found ''a''"),
        ("x in (1e999)", 6, "this number is too large"),
        ("tag.", 4, "expected the name of a tag, as in tag.zone, found the end of the expression"),
        (
            "tag",
            3,
            "expected '.' after 'tag', found the end of the expression",
        ),
        (
            "min()",
            0,
            "min takes 1 to 8 arguments; write min(x, y); over time write min_over_time(metric, 5m)",
        ),
        ("abs(x, y)", 0, "abs takes 1 argument; write abs(x)"),
        ("abs()", 0, "abs takes 1 argument; write abs(x)"),
        ("and", 0, "expected a value, found 'and'"),
        (
            "1 + zscore",
            4,
            "'zscore' is kept for a function; a metric cannot have this name",
        ),
        ("1 + AND", 4, "'AND' must be written 'and'"),
        ("(x, y)", 2, "expected ')' to close the parenthesis, found ','"),
    ],
)
def test_faults_have_their_place(text: str, at: int, message: str) -> None:
    with pytest.raises(ExpressionError) as caught:
        analyse(text)
    assert caught.value.message == message
    assert caught.value.at == at


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


def test_choices_are_limited() -> None:
    within = ", ".join(map(str, range(MAX_OPTIONS)))
    parse(f"x in ({within})")
    with pytest.raises(ExpressionError, match="'in' takes at most 256 choices, not 257"):
        parse(f"x in ({within}, 1)")


def test_signs() -> None:
    assert parse("+x") == parse("x")
    assert parse("--2") == parse("2")
    assert parse("-x") != parse("x")
