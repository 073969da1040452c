"""Templates of labels and annotations: `{{ device }} at {{ value | round(1) }}`. Names and filters only, no code."""

from __future__ import annotations

import re
from collections.abc import Mapping
from functools import lru_cache
from typing import Final

from edge_gateway.rules.language.tokens import ExpressionError
from fleet_config.problems import suggest

Value = str | float | None

NAMES: Final = (
    "device", "devices", "subject", "site", "type", "group", "rule", "level", "state", "metric", "value", "limit",
    "unit",
)  # fmt: skip
FILTERS: Final = ("round(n)", "upper", "lower")
NO_VALUE: Final = "no data"

_PLACEHOLDER = re.compile(r"\{\{(.*?)\}\}", re.DOTALL)
_NAME = re.compile(r"\s*([A-Za-z_][A-Za-z0-9_]*)(?:\.([A-Za-z_][A-Za-z0-9_-]*))?\s*")
_FILTER = re.compile(r"\|\s*(?:(round)\(\s*([0-9])\s*\)|(upper|lower))\s*")

Part = tuple[str, str, tuple[tuple[str, int], ...]]
"""A literal ("", text, ()) or a placeholder (source of the value, name, filters)."""


@lru_cache(maxsize=4096)
def parts_of(text: str) -> tuple[Part, ...]:
    """Split a template. ExpressionError with the position of the first error."""
    parts: list[Part] = []
    end = 0
    for found in _PLACEHOLDER.finditer(text):
        _check_literal(text, end, found.start())
        parts += [("", text[end : found.start()], ()), _placeholder(found[1], found.start(1))]
        end = found.end()
    _check_literal(text, end, len(text))
    parts.append(("", text[end:], ()))
    return tuple(part for part in parts if part != ("", "", ()))


def render(text: str, values: Mapping[str, Value], labels: Mapping[str, str], tags: Mapping[str, str]) -> str:
    """Fill in a template. A tag that the device lacks reads `unknown`, a missing value `no data`."""
    return "".join(_filled(part, values, labels, tags) for part in parts_of(text))


def names_in(text: str) -> frozenset[str]:
    """The values that a template names, such as `device`; without labels and tags."""
    return frozenset(name for source, name, _ in parts_of(text) if source == "value")


def _check_literal(text: str, start: int, end: int) -> None:
    for mark in ("{{", "}}"):
        at = text.find(mark, start, end)
        if at >= 0:
            raise ExpressionError(at, f"unpaired '{mark}'; write {{{{ value }}}}")


def _placeholder(inside: str, offset: int) -> Part:
    found = _NAME.match(inside)
    if found is None:
        without = " without '$'" if "$" in inside else ""
        raise ExpressionError(offset, f"expected one of {', '.join(NAMES)}, tags.…, labels.…{without}")
    first, second = found.groups()
    source = _source(first, second, offset + found.start(1))
    return source, second or first, _filters(inside, found.end(), offset)


def _source(first: str, second: str | None, at: int) -> str:
    if second is not None and first in ("tags", "labels"):
        return first
    if second is None and first in NAMES:
        return "value"
    shown = first if second is None else f"{first}.{second}"
    nearest = suggest(first, NAMES)
    offer = f"{nearest} Use" if nearest else "; use"
    raise ExpressionError(at, f"unknown name '{shown}'{offer} one of {', '.join(NAMES)}, tags.…, labels.…")


def _filters(inside: str, start: int, offset: int) -> tuple[tuple[str, int], ...]:
    filters: list[tuple[str, int]] = []
    while start < len(inside):
        found = _FILTER.match(inside, start)
        if found is None:
            raise ExpressionError(offset + start, f"unknown filter; use one of {', '.join(FILTERS)}")
        filters.append((found[1] or found[3], int(found[2] or 0)))
        start = found.end()
    return tuple(filters)


def _filled(
    part: Part, values: Mapping[str, Value], labels: Mapping[str, str], tags: Mapping[str, str]
) -> str:
    source, name, filters = part
    if not source:
        return name
    sources: dict[str, Mapping[str, Value]] = {"value": values, "labels": labels, "tags": tags}
    missing = "unknown" if source == "tags" else None
    value = sources[source].get(name, missing)
    for filter_name, digits in filters:
        value = _apply(filter_name, digits, value)
    return _shown(value)


def _apply(filter_name: str, digits: int, value: Value) -> Value:
    if filter_name == "round":
        return f"{value:.{digits}f}" if isinstance(value, (int, float)) else value
    shown = _shown(value)
    return shown.upper() if filter_name == "upper" else shown.lower()


def _shown(value: Value) -> str:
    if value is None:
        return NO_VALUE
    return value if isinstance(value, str) else f"{value:.12g}"
