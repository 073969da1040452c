"""How a field of the report is declared: with its meaning, its unit, and whether it only grows."""

from __future__ import annotations

from enum import StrEnum
from functools import cache
from typing import Annotated, Any, Final, NamedTuple, get_args, get_origin, get_type_hints

from msgspec import Meta, Struct
from msgspec.structs import fields

MS: Final = "ms"
BYTES: Final = "bytes"
WALL: Final = "ms since 1970 UTC"
_MEASURE: Final = "measure"


class Measure(StrEnum):
    """What Prometheus calls the type of a metric."""

    COUNTER = "counter"
    GAUGE = "gauge"


class Field(NamedTuple):
    """A declared field: its name in Python and on the wire, and what it means.

    `measure` is None for a field that is no number.
    """

    name: str
    wire: str
    meaning: str
    unit: str
    measure: Measure | None
    of: Any
    """The type, without what was annotated."""


def total(meaning: str) -> Meta:
    """Declare a number that only grows."""
    return _number(meaning, "", Measure.COUNTER, 0)


def gauge(meaning: str, unit: str = "", *, least: int | None = 0) -> Meta:
    """Declare a number that goes up and down, never below `least`."""
    return _number(meaning, unit, Measure.GAUGE, least)


def instant(meaning: str) -> Meta:
    """Declare a wall time in ms."""
    return gauge(meaning, WALL, least=None)


def flag(meaning: str) -> Meta:
    """Declare a bool: 0 or 1 as a number."""
    return gauge(meaning, least=None)


def note(meaning: str) -> Meta:
    """Declare anything that is no number."""
    return Meta(description=meaning)


def _number(meaning: str, unit: str, measure: Measure, least: int | None) -> Meta:
    described = f"{meaning}, {unit}" if unit else meaning
    return Meta(ge=least, description=described, extra={_MEASURE: measure, "unit": unit, "meaning": meaning})


@cache
def declared(section: type[Struct]) -> tuple[Field, ...]:
    """Return the fields of a section, in order. TypeError: one of them has no meaning."""
    hints = get_type_hints(section, include_extras=True)
    return tuple(_field(section, one.name, one.encode_name, hints[one.name]) for one in fields(section))


def _field(section: type[Struct], name: str, wire: str, hint: Any) -> Field:
    metas = (
        [meta for meta in get_args(hint)[1:] if isinstance(meta, Meta)]
        if get_origin(hint) is Annotated
        else []
    )
    if not metas or not metas[0].description:
        raise TypeError(f"{section.__name__}.{name} is declared without a meaning")
    extra = metas[0].extra or {}
    meaning = extra.get("meaning", metas[0].description)
    return Field(name, wire, meaning, extra.get("unit", ""), extra.get(_MEASURE), get_args(hint)[0])
