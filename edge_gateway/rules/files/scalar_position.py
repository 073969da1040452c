"""Find the position in the file of a character of a YAML scalar: plain, quoted or block.

A YAML parser reports where a scalar begins; the parsed text no longer has its escapes, folds and indentation.
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
    """Line and column (from 1) of character `offset` (from 0) of the scalar that begins at `line` and `column`.

    `text` is the file. An offset past the end gives the position after the last character.
    """
    lines = text.split("\n")
    start = sum(len(each) + 1 for each in lines[: line - 1]) + column - 1
    positions = list(islice(_positions(text, start), offset + 1))
    position = positions[-1] if positions else start
    before = text[:position]
    return before.count("\n") + 1, position - (before.rfind("\n") + 1) + 1


def _positions(text: str, start: int) -> Iterator[int]:
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
    yield at


def _past(text: str, at: int) -> int:
    """The next character; a line break and the spaces around it are one parsed space."""
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
    yield min(at, len(text))
