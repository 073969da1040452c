"""Makes text from outside safe to show: on a terminal, in a log line, an error, a table cell, JSON."""

from __future__ import annotations

import json
import math
import unicodedata
from typing import Any

LONGEST = 200
_UNSEEN = frozenset({"Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp"})
"""Unicode categories that a terminal acts on instead of showing: controls, directions, surrogates, line ends."""


def printable(text: object, longest: int | None = LONGEST) -> str:
    r"""Return `text` as one line without control characters, of at most `longest` characters; None: all of it.

    Invisible characters become escapes (`\x1b`, `\n`, `\u202e`); a text that is cut ends in `…`. Markup is not
    escaped: with Rich use `Text(printable(text))`.
    """
    whole = str(text)
    shown = _escaped(whole if longest is None else whole[: longest + 1])
    if longest is None or (len(whole) <= longest and len(shown) <= longest):
        return shown
    return shown[: longest - 1] + "…"


def printable_lines(text: object) -> str:
    """As `printable`, uncut, for a text of the program's own that has several lines: its line feeds stay."""
    return "\n".join(_escaped(line) for line in str(text).split("\n"))


def json_line(value: Any, *, encoding: str | None = "utf-8") -> str:
    r"""Return `value` as one line of JSON that reads back exactly and holds no control characters.

    JSON has no number that is infinite or NaN: null stands for it.
    JSON itself escapes only the first 32 characters; this also escapes C1 controls, U+2028, directions, lone surrogates
    and what `encoding` cannot write: `json_line(value, encoding=sys.stdout.encoding)`.
    """
    try:
        line = _strict_json(value, encoding)
    except ValueError:
        line = _strict_json(_with_finite_numbers(value), encoding)
    return line if line.isprintable() else "".join(map(_escape_in_json, line))


def _strict_json(value: Any, encoding: str | None) -> str:
    return json.dumps(value, ensure_ascii=not _is_unicode(encoding), default=str, allow_nan=False)


def _with_finite_numbers(value: Any) -> Any:
    match value:
        case float():
            return value if math.isfinite(value) else None
        case dict():
            return {key: _with_finite_numbers(one) for key, one in value.items()}
        case list() | tuple():
            return [_with_finite_numbers(one) for one in value]
    return value


def _escaped(text: str) -> str:
    return text if text.isprintable() else "".join(map(_escape, text))


def _escape(character: str) -> str:
    if character.isprintable() or character == " " or unicodedata.category(character) not in _UNSEEN:
        return character
    return character.encode("unicode_escape").decode("ascii")


def _escape_in_json(character: str) -> str:
    """Escape a character; outside its strings JSON has none that need it, so each can be escaped on its own."""
    if character.isprintable():
        return character
    units = character.encode("utf-16-be", "surrogatepass")
    return "".join(f"\\u{int.from_bytes(units[at : at + 2]):04x}" for at in range(0, len(units), 2))


def _is_unicode(encoding: str | None) -> bool:
    return (encoding or "").lower().replace("-", "").replace("_", "").startswith("utf")
