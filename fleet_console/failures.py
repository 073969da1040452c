"""Short texts of errors."""

from __future__ import annotations


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
        return _system_words(one) or text
    return f"{type(one).__name__}: {text}" if text else type(one).__name__


def _system_words(error: OSError) -> str:
    about = f": {error.filename}" if error.filename else ""
    return f"{error.strerror}{about}" if error.strerror else ""
