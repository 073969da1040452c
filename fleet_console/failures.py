"""Short texts of errors."""

from __future__ import annotations


def leaf(error: BaseException) -> BaseException:
    """Return the first single error in nested groups."""
    while isinstance(error, BaseExceptionGroup):
        error = error.exceptions[0]
    return error


def in_words(error: BaseException) -> str:
    """An error's kind and text; an OSError's text says enough."""
    one = leaf(error)
    text = str(one)
    if isinstance(one, OSError) and text:
        return text
    return f"{type(one).__name__}: {text}" if text else type(one).__name__
