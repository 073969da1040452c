"""The meaning of plain scalars: the JSON-like core of YAML 1.2, without meanings that surprise people.

`on`, `off`, `yes`, `no`, `y`, `n`, dates, `0x1F` and `1_000` are text. `1:30` (90 in YAML 1.1) and `010` (8 in
YAML 1.1) are refused, because people expect different things of them.
"""

from __future__ import annotations

import math
import re
from typing import TYPE_CHECKING, Final

from fleet_config.problems import quoted

if TYPE_CHECKING:
    from collections.abc import Mapping

Scalar = str | int | float | bool | None

_WORDS: Final[Mapping[str, Scalar]] = {
    **dict.fromkeys(("", "~", "null", "Null", "NULL")),
    **dict.fromkeys(("true", "True", "TRUE"), True),
    **dict.fromkeys(("false", "False", "FALSE"), False),
    **dict.fromkeys((".inf", ".Inf", ".INF", "+.inf", "+.Inf", "+.INF"), math.inf),
    **dict.fromkeys(("-.inf", "-.Inf", "-.INF"), -math.inf),
    **dict.fromkeys((".nan", ".NaN", ".NAN"), math.nan),
}
_INTEGER = re.compile(r"[-+]?(?:0|[1-9][0-9]*)")
_FLOAT = re.compile(r"[-+]?(?:\.[0-9]+|(?:0|[1-9][0-9]*)(?:\.[0-9]*)?)(?:[eE][-+]?[0-9]+)?")
_LEADING_ZERO = re.compile(r"[-+]?0[0-9]+(?:\.[0-9]*)?(?:[eE][-+]?[0-9]+)?")
_SEXAGESIMAL = re.compile(r"[-+]?(?:[1-9][0-9_]*(?::[0-5]?[0-9])+|[0-9][0-9_]*(?::[0-5]?[0-9])+\.[0-9_]*)")
_MOST_DIGITS = 30
_LONGEST_NUMBER = 1_000
"""Characters; a longer text is not searched for a number, which would take too long."""
_NUMERIC_START = frozenset("+-.0123456789")


class AmbiguousScalarError(ValueError):
    """A plain scalar that people and YAML read differently; the text says what to write."""


def read_plain(text: str) -> Scalar:
    """Return the value of an unquoted scalar; AmbiguousScalarError if it must be written differently."""
    if text in _WORDS:
        return _WORDS[text]
    if text[0] not in _NUMERIC_START:
        return text
    if _INTEGER.fullmatch(text):
        return _integer(text)
    if len(text) > _LONGEST_NUMBER:
        return text
    if _FLOAT.fullmatch(text):
        return _float(text)
    if _LEADING_ZERO.fullmatch(text):
        plain = text.lstrip("+-0") or "0"
        raise AmbiguousScalarError(
            f"{quoted(text)} is a number with a leading zero; write {quoted(text)} in quotes for text, or {plain}"
        )
    if _SEXAGESIMAL.fullmatch(text):
        raise AmbiguousScalarError(
            f"{quoted(text)} would be read as a number to the base 60; write {_as_duration(text)}, "
            f"or {quoted(text)} in quotes for text"
        )
    return text


def _integer(text: str) -> int:
    if len(text) > _MOST_DIGITS:
        raise AmbiguousScalarError(
            f"a number of {len(text)} digits; at most {_MOST_DIGITS} are allowed, or put it in quotes for text"
        )
    return int(text)


def _float(text: str) -> float:
    value = float(text)
    if math.isinf(value):
        raise AmbiguousScalarError(f"{quoted(text)} is too large for a number; write .inf if that is meant")
    return value


def _as_duration(text: str) -> str:
    from fleet_config.durations import format_duration  # noqa: PLC0415 - imports pydantic, only for this hint

    seconds = 0.0
    for part in text.lstrip("+-").replace("_", "").split(":"):
        seconds = seconds * 60 + float(part)
    whole_minutes = seconds % 60 == 0 and seconds >= 60 * 60
    return format_duration(round(seconds * 1000)) if whole_minutes else f"{seconds:g}s"
