"""Families of classes that files name by a key, found by their definitions instead of a list."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, TypeVar, get_args

T = TypeVar("T", bound=Any)


def kinds_of(base: type[T], key: str) -> dict[str, type[T]]:
    """Return the classes below `base` whose field `key` is a literal, by that word, in alphabetical order."""
    words = ((get_args(kind.model_fields[key].annotation), kind) for kind in _below(base))
    return dict(sorted(((word[0], kind) for word, kind in words if word), key=lambda entry: entry[0]))


def _below(base: type[T]) -> Iterator[type[T]]:
    for each in base.__subclasses__():
        yield each
        yield from _below(each)
