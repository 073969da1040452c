"""Where a character of a YAML scalar stands in the file: plain, quoted and block scalars.

A YAML parser tells where a scalar begins; what comes out of it has lost escapes, folds and indentation.
"""

from __future__ import annotations

import re
from itertools import islice
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

_ESCAPE_LENGTHS = {"x": 4, "u": 6, "U": 10}
_FOLD = re.compile(r"[ \t]*\n\s*")


def position_in_scalar(text: str, line: int, column: int, offset: int) -> tuple[int, int]:
    """Line and column (from 1) of the `offset`-th character of the scalar that begins at line and column.

    `text` is the file. An offset past the end gives the place after the last character.
    """
    lines = text.split("\n")
    start = sum(len(each) + 1 for each in lines[: line - 1]) + column - 1
    places = list(islice(_places(text, start), offset + 1))
    place = places[-1] if places else start
    before = text[:place]
    return before.count("\n") + 1, place - (before.rfind("\n") + 1) + 1


def _places(text: str, start: int) -> Iterator[int]:
    opening = text[start : start + 1]
    if opening == '"':
        return _double_quoted(text, start + 1)
    if opening == "'":
        return _single_quoted(text, start + 1)
    if opening in ("|", ">"):
        return _block(text, start)
    return _plain(text, start)


def _double_quoted(text: str, at: int) -> Iterator[int]:
    while at < len(text) and text[at] != '"':
        yield at
        if text[at] == "\\":
            at += _ESCAPE_LENGTHS.get(text[at + 1 : at + 2], 2)
        else:
            at = _past(text, at)
    yield at


def _single_quoted(text: str, at: int) -> Iterator[int]:
    while at < len(text):
        quote = text[at] == "'"
        if quote and text[at + 1 : at + 2] != "'":
            break
        yield at
        at = at + 2 if quote else _past(text, at)
    yield at


def _plain(text: str, at: int) -> Iterator[int]:
    while at < len(text):
        yield at
        at = _past(text, at)


def _past(text: str, at: int) -> int:
    """The next character; a line break with the spaces around it came out as one space."""
    fold = _FOLD.match(text, at)
    return fold.end() if fold else at + 1


def _block(text: str, at: int) -> Iterator[int]:
    at = text.index("\n", at) + 1 if "\n" in text[at:] else len(text)
    body = re.compile(r"[ ]*").match(text, at)
    indent = len(body[0]) if body else 0
    while at < len(text):
        line_end = text.find("\n", at)
        line_end = len(text) if line_end < 0 else line_end
        yield from range(min(at + indent, line_end), line_end + 1)
        at = line_end + 1
    yield at
