"""Split an expression into tokens, each with its position in the text."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final, Literal, NamedTuple

from edge_gateway.rules.language import advice
from fleet_config.durations import parse_duration

if TYPE_CHECKING:
    from collections.abc import Iterator

MAX_LENGTH: Final = 4096
MAX_OPERATORS: Final = 150
"""Bounds the depth of the tree of `1 + 1 + 1 …`, which the limit on nesting does not."""

TokenKind = Literal["number", "duration", "text", "name", "operator", "end"]


class ExpressionError(ValueError):
    """An error in an expression: its `message`, and `at`, the position of the character (from 0)."""

    def __init__(self, at: int, message: str) -> None:
        super().__init__(message)
        self.at = at
        self.message = message


class Token(NamedTuple):
    """`at` is the position in the text, from 0."""

    kind: TokenKind
    text: str
    at: int


_TOKEN = re.compile(
    r"""
    (?P<space>[ \t\r\n]+)
  | (?P<duration>(?:[0-9]+(?:\.[0-9]+)?(?:ms|[ywdhms]))+(?![A-Za-z0-9_.]))
  | (?P<number>(?:[0-9]+(?:\.[0-9]*)?|\.[0-9]+)(?:[eE][-+]?[0-9]+)?(?![A-Za-z0-9_.]))
  | (?P<name>[A-Za-z_][A-Za-z0-9_]*)
  | (?P<text>"(?:[^"\\\n]|\\.)*"|'(?:[^'\\\n]|\\.)*')
  | (?P<operator>==|!=|<=|>=|\*(?!\*)|[-+/()<>,.])
    """,
    re.VERBOSE,
)


def tokens(text: str) -> list[Token]:
    """Split an expression; the last token is `end`. ExpressionError at the first character that begins no token."""
    if len(text) > MAX_LENGTH:
        raise ExpressionError(MAX_LENGTH, f"an expression may have at most {MAX_LENGTH} characters")
    found = [*_scan(text), Token("end", "", len(text))]
    _check_spaced_length(found)
    operators = [token for token in found if _is_operator(token)]
    if len(operators) > MAX_OPERATORS:
        raise ExpressionError(
            operators[MAX_OPERATORS].at,
            f"an expression may have at most {MAX_OPERATORS} operators; move parts of it to 'record:' rules",
        )
    return found


def _check_spaced_length(found: list[Token]) -> None:
    """Refuse what would be too long in the form in which rules keep it."""
    length = -1
    for token in found[:-1]:
        length += 1 + len(token.text)
        if length > MAX_LENGTH:
            told = (
                f"an expression may have at most {MAX_LENGTH} characters, with a space between all its parts"
            )
            raise ExpressionError(token.at, told)


def _is_operator(token: Token) -> bool:
    if token.kind == "name":
        return token.text in ("and", "or", "not")
    return token.kind == "operator" and token.text not in "(),"


def _scan(text: str) -> Iterator[Token]:
    at = 0
    while at < len(text):
        found = None if advice.is_foreign_pair(text, at) else _TOKEN.match(text, at)
        if found is None:
            raise ExpressionError(at, _unknown_character(text, at))
        kind = found.lastgroup
        if kind != "space":
            yield Token(kind, found[0], at)  # type: ignore[arg-type]  # the groups are named after the kinds
        at = found.end()


def _unknown_character(text: str, at: int) -> str:
    foreign = advice.of_character(text, at)
    if foreign is not None:
        return foreign
    if text[at] in "\"'":
        return "the closing quote is missing"
    if text[at].isdigit() or text[at] == ".":
        word = re.match(r"[A-Za-z0-9_.]+", text[at:])
        return f"'{word[0] if word else text[at]}' is neither a number nor a duration; write 1.5, 1e3, 30s or 1h30m"
    return f"'{text[at]}' is not allowed in an expression"


def duration_ms(token: Token) -> int:
    """The milliseconds of a duration token; at least 1."""
    try:
        milliseconds = parse_duration(token.text)
    except ValueError as error:
        raise ExpressionError(token.at, str(error)) from None
    if not milliseconds:
        raise ExpressionError(token.at, "this duration must be longer than 0s")
    return milliseconds


def constant(token: Token) -> str:
    """The text between the quotes of a text token, unescaped."""
    return re.sub(r"\\(.)", r"\1", token.text[1:-1])
