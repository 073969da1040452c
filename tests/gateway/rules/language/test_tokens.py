"""Tokens, and the first character that begins none."""

from __future__ import annotations

import pytest

from edge_gateway.rules.language.tokens import (
    MAX_LENGTH,
    MAX_OPERATORS,
    ExpressionError,
    Token,
    constant,
    duration_ms,
    tokens,
)


def test_tokens_have_a_kind_and_a_position() -> None:
    assert tokens("a1 >= 1.5e3  and\tf('x', 1h30m)") == [
        Token("name", "a1", 0),
        Token("operator", ">=", 3),
        Token("number", "1.5e3", 6),
        Token("name", "and", 13),
        Token("name", "f", 17),
        Token("operator", "(", 18),
        Token("text", "'x'", 19),
        Token("operator", ",", 22),
        Token("duration", "1h30m", 24),
        Token("operator", ")", 29),
        Token("end", "", 30),
    ]


@pytest.mark.parametrize(
    ("text", "at", "message"),
    [
        ("a && b", 2, "'&&' is not an operator here; write 'and'"),
        ("a || b", 2, "'||' is not an operator here; write 'or'"),
        ("a ** 2", 2, "'**' is not an operator here; there is no power operator; multiply"),
        (
            "a % 2",
            2,
            (
                "'%' is not an operator here; there is no remainder operator; write a number without its unit, "
                "as in humidity > 80"
            ),
        ),
        ("!a", 0, "'!' is not an operator here; write 'not'"),
        (
            "a[5m]",
            1,
            "'[' is not an operator here; write a range as an argument, as in avg_over_time(temperature, 5m)",
        ),
        ("a =~ b", 2, "'=~' is not an operator here; compare with ==, or select devices with 'match:'"),
        ("'open", 0, "the closing quote is missing"),
        ("5x", 0, "'5x' is neither a number nor a duration; write 1.5, 1e3, 30s or 1h30m"),
        ("a ²", 2, "'²' is neither a number nor a duration; write 1.5, 1e3, 30s or 1h30m"),
        ("a § b", 2, "'§' is not allowed in an expression"),
        ("x" * (MAX_LENGTH + 1), MAX_LENGTH, "an expression may have at most 4096 characters"),
        (
            "1 " + "+ 1 " * (MAX_OPERATORS + 1),
            2 + 4 * MAX_OPERATORS,
            "an expression may have at most 150 operators; move parts of it to 'record:' rules",
        ),
        (
            "not " * (MAX_OPERATORS + 1),
            4 * MAX_OPERATORS,
            "an expression may have at most 150 operators; move parts of it to 'record:' rules",
        ),
    ],
)
def test_errors_have_a_position(text: str, at: int, message: str) -> None:
    with pytest.raises(ExpressionError) as caught:
        tokens(text)
    assert caught.value.message == message
    assert caught.value.at == at


def test_durations() -> None:
    assert duration_ms(Token("duration", "1h30m", 4)) == 5_400_000
    for text, message in (
        ("0s", "this duration must be longer than 0s"),
        ("1h2h", "'1h2h' names its units out of order or twice; write the larger first, as in 1h30m"),
    ):
        with pytest.raises(ExpressionError) as caught:
            duration_ms(Token("duration", text, 4))
        assert caught.value.message == message
        assert caught.value.at == 4


def test_constants_lose_quotes_and_escapes() -> None:
    assert constant(Token("text", r"'it\'s'", 0)) == "it's"
