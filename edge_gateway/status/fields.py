"""How a field of the report is declared: its meaning, its unit, its names on the wire and in Prometheus."""

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
    """A declared field.

    Attributes:
        name: in Python.
        wire: in the message.
        metric: in names of Prometheus.
        label: for a dict, the Prometheus label that its keys are values of.
        measure: None for a field that is not a number.
        of: its type, without annotations.
    """

    name: str
    wire: str
    metric: str
    label: str
    meaning: str
    unit: str
    measure: Measure | None
    of: Any


def total(meaning: str) -> Meta:
    """Declare a number that only grows."""
    return _number(meaning, "", Measure.COUNTER, 0)


def gauge(meaning: str, unit: str = "", *, least: int | None = 0, metric: str = "") -> Meta:
    """Declare a number that goes up and down, never below `least`; `metric` replaces its name in Prometheus."""
    return _number(meaning, unit, Measure.GAUGE, least, metric)


def instant(meaning: str) -> Meta:
    """Declare a wall time in ms."""
    return gauge(meaning, WALL, least=None)


def flag(meaning: str) -> Meta:
    """Declare a bool: 0 or 1 as a number."""
    return gauge(meaning, least=None)


def note(meaning: str, *, metric: str = "", label: str = "") -> Meta:
    """Declare anything that is not a number. See `Field` for `metric` and `label`."""
    return Meta(description=meaning, extra={"metric": metric, "label": label})


def _number(meaning: str, unit: str, measure: Measure, least: int | None, metric: str = "") -> Meta:
    described = f"{meaning}, {unit}" if unit else meaning
    extra = {_MEASURE: measure, "unit": unit, "meaning": meaning, "metric": metric}
    return Meta(ge=least, description=described, extra=extra)


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
    return Field(
        name,
        wire,
        metric=extra.get("metric") or wire,
        label=extra.get("label", ""),
        meaning=extra.get("meaning", metas[0].description),
        unit=extra.get("unit", ""),
        measure=extra.get(_MEASURE),
        of=get_args(hint)[0],
    )
