"""YAML syntax errors, explained with what to do about them."""

from __future__ import annotations

import re
from typing import Any

import yaml

# The parser says only what it met; these say what is usually wrong.
_MEANINGS: tuple[tuple[str, str], ...] = (
    (r"character '\\t' that cannot start", "a tab; indent with spaces"),
    (
        r"found character '(.)' that cannot start",
        "text cannot begin with '{0}'; put it in quotes",
    ),
    (
        r"mapping values are not allowed",
        "a ':' is not allowed here; check the indentation, or put text that contains ': ' in quotes",
    ),
    (r"expected <block end>, but found ':'", "a ':' without a key before it"),
    (r"could not find expected ':'", "a ':' is missing after this key"),
    (
        r"block sequence entries are not allowed|sequence entries are not allowed",
        "a '-' is not allowed here; a list begins on a line of its own",
    ),
    (
        r"expected <block end>, but found '(?:-|<block sequence start>|<block entry>)'",
        "a list item that does not fit the indentation of what is above it",
    ),
    (
        r"expected <block end>, but found",
        "the indentation does not fit what is above, or text goes on after a closing quote",
    ),
    (r"expected ',' or '\]'", "a ',' or the closing ']' of a list is missing"),
    (r"expected ',' or '\}'", "a ',' or the closing '}' of a mapping is missing"),
    (r"unexpected end of stream", "the closing quote is missing"),
    (r"unexpected document separator", "the closing quote is missing before '---'"),
    (r"unknown escape character '(.)'", "'\\{0}' means nothing in double quotes; use single quotes"),
    (r"invalid Unicode character escape", "half a surrogate pair; write the character itself"),
    (
        r"expected alphabetic or numeric character",
        "text that begins with '*', '&' or '%' must be put in quotes",
    ),
    (r"expected '<document start>'", "text that belongs to nothing; check the indentation"),
    (
        r"expected chomping or indentation",
        "'|' and '>' stand alone at the end of a line; put other text in quotes",
    ),
    (r"expected the node content", "a value is missing or cannot begin like this; put text in quotes"),
)


def explain_syntax(text: str, error: yaml.YAMLError) -> tuple[int, int, str]:
    """Return line, column and message of a syntax error.

    PyYAML's own parser finds the same errors as libyaml and describes them better, so it parses the text again.
    """
    found, opened = _clearer(text)
    clearer = found or error
    problem = str(getattr(clearer, "problem", None) or clearer)
    if opened is not None and "expected the node content" in problem and "stream end" in problem:
        return opened[0] + 1, opened[1] + 1, "the closing bracket is missing"
    mark = getattr(clearer, "problem_mark", None)
    if mark is None or "stream end" in problem or "end of stream" in problem:
        # The place where it opened says more.
        mark = getattr(clearer, "context_mark", None) or mark
    line, column = (mark.line + 1, mark.column + 1) if mark is not None else (1, 1)
    beginning = _opened(clearer, line)
    if not beginning and re.search(r"expected ',' or '[\]}]', but got ':'", problem):
        return line, column, "a ':' is not allowed here; put text that contains ': ' in quotes"
    return line, column, _meaning(problem) + beginning


def _clearer(text: str) -> tuple[yaml.YAMLError | None, tuple[int, int] | None]:
    """The error as PyYAML describes it, and line and column, from 0, of the innermost collection open at it."""
    opened: list[tuple[int, int]] = []
    try:
        for event in yaml.parse(text, Loader=yaml.SafeLoader):
            mark = event.start_mark
            if isinstance(event, yaml.CollectionStartEvent) and mark is not None:
                opened.append((mark.line, mark.column))
            elif isinstance(event, yaml.CollectionEndEvent):
                opened.pop()
    except yaml.YAMLError as error:
        return error, opened[-1] if opened else None
    return None, None


def _meaning(problem: str) -> str:
    for pattern, meaning in _MEANINGS:
        found = re.search(pattern, problem)
        if found is not None:
            return meaning.replace("{0}", found[1]) if found.groups() else meaning
    return f"not YAML: {problem}"


def _opened(error: Any, line: int) -> str:
    """Say where the unfinished part begins, if on another line."""
    mark = getattr(error, "context_mark", None)
    if mark is None or mark.line + 1 == line:
        return ""
    return f" (it begins on line {mark.line + 1})"
