"""The words of an expression, each with its place in the text."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final, Literal, NamedTuple

from fleet_config.durations import parse_duration

if TYPE_CHECKING:
    from collections.abc import Iterator

MAX_LENGTH: Final = 4096
MAX_OPERATORS: Final = 150
"""Bounds the depth of the tree that `1 + 1 + 1 …` grows, which no parenthesis shows."""

TokenKind = Literal["number", "duration", "text", "name", "operator", "end"]


class ExpressionError(ValueError):
    """What is wrong with an expression, and at which character of it (from 0)."""

    def __init__(self, at: int, message: str) -> None:
        super().__init__(message)
        self.at = at
        self.message = message


class Token(NamedTuple):
    """`at` is the place in the text, from 0."""

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
  | (?P<operator>==|!=|<=|>=|[-+*/()<>,.])
    """,
    re.VERBOSE,
)

_WRITE_INSTEAD: Final = {
    "&&": "write 'and'",
    "||": "write 'or'",
    "=~": "compare with ==, or choose devices with 'match:'",
    "**": "powers are not supported; multiply",
    "!": "write 'not'",
    "=": "write '==' to compare",
    "&": "write 'and'",
    "|": "write 'or'",
    "{": "labels are chosen with 'match:', not in the expression",
    "[": "write a range as an argument, as in avg_over_time(temperature, 5m)",
    "%": "remainders are not supported",
    "^": "powers are not supported; multiply",
}


def tokens(text: str) -> list[Token]:
    """All tokens and an end token. ExpressionError at the first character that begins none."""
    if len(text) > MAX_LENGTH:
        raise ExpressionError(MAX_LENGTH, f"an expression has at most {MAX_LENGTH} characters")
    found = [*_scan(text), Token("end", "", len(text))]
    operators = [token for token in found if _is_operator(token)]
    if len(operators) > MAX_OPERATORS:
        raise ExpressionError(
            operators[MAX_OPERATORS].at,
            f"at most {MAX_OPERATORS} operators are allowed; split it with 'record:'",
        )
    return found


def _is_operator(token: Token) -> bool:
    if token.kind == "name":
        return token.text in ("and", "or", "not")
    return token.kind == "operator" and token.text not in "(),"


def _scan(text: str) -> Iterator[Token]:
    at = 0
    while at < len(text):
        found = _TOKEN.match(text, at)
        if found is None:
            raise ExpressionError(at, _unknown(text, at))
        kind = found.lastgroup
        if kind != "space":
            yield Token(kind, found[0], at)  # type: ignore[arg-type]  # the groups are named after the kinds
        at = found.end()


def _unknown(text: str, at: int) -> str:
    for wrong, advice in _WRITE_INSTEAD.items():
        if text.startswith(wrong, at):
            return f"'{wrong}' is not an operator here; {advice}"
    if text[at] in "\"'":
        return "this text has no closing quote"
    if text[at].isdigit() or text[at] == ".":
        word = re.match(r"[A-Za-z0-9_.]+", text[at:])
        return f"'{word[0] if word else text[at]}' is neither a number nor a duration; write 1.5, 1e3, 30s or 1h30m"
    return f"'{text[at]}' does not belong in an expression"


def duration_ms(token: Token) -> int:
    """Milliseconds of a duration token."""
    try:
        milliseconds = parse_duration(token.text)
    except ValueError as error:
        raise ExpressionError(token.at, str(error)) from None
    if not milliseconds:
        raise ExpressionError(token.at, "a duration here must be longer than 0s")
    return milliseconds


def constant(token: Token) -> str:
    """The text between the quotes."""
    return re.sub(r"\\(.)", r"\1", token.text[1:-1])
