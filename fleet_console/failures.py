"""Short texts of errors."""

from __future__ import annotations

from fleet_wire.errors import system_text


def leaf(error: BaseException) -> BaseException:
    """Return the first single error in nested groups."""
    while isinstance(error, BaseExceptionGroup):
        error = error.exceptions[0]
    return error


def in_words(error: BaseException) -> str:
    """Return an error's kind and text; of an OSError the system's words, and the file they are about."""
    one = leaf(error)
    text = str(one)
    if isinstance(one, OSError) and text:
        return f"{system_text(one)}: {one.filename}" if one.filename else system_text(one)
    return f"{type(one).__name__}: {text}" if text else type(one).__name__
