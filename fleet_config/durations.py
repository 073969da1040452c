"""Durations, rates, sizes and percentages as people write them.

Each pydantic type turns the text of a file into a plain value: `Duration` and `Offset` milliseconds, `Rate` a count
per time, `Size` bytes, `Percent` a share from 0 to 1. Numbers without a unit are refused.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from fractions import Fraction
from typing import Annotated, Any, Final

from pydantic import BeforeValidator, PlainSerializer, WithJsonSchema

from fleet_config.problems import quoted

_UNIT_MS: Final = {
    "y": 365 * 86_400_000,
    "w": 7 * 86_400_000,
    "d": 86_400_000,
    "h": 3_600_000,
    "m": 60_000,
    "s": 1000,
    "ms": 1,
}
_SIZES: Final = {
    "B": 1,
    "kB": 1000,
    "KB": 1000,
    "MB": 1000**2,
    "GB": 1000**3,
    "TB": 1000**4,
    "KiB": 1 << 10,
    "MiB": 1 << 20,
    "GiB": 1 << 30,
    "TiB": 1 << 40,
}
_NUMBER = r"[0-9]{1,15}(?:\.[0-9]{1,9})?"
_PART = re.compile(rf"({_NUMBER})(ms|[ywdhms])")
_WHOLE = re.compile(rf"(?:{_NUMBER}(?:ms|[ywdhms]))+")
_RATE = re.compile(rf"({_NUMBER})/([1-9][0-9]{{0,8}})?(ms|[ywdhms])")
_SIZE = re.compile(rf"({_NUMBER}) ?([A-Za-z]+)")
_PERCENT = re.compile(rf"({_NUMBER}) ?%")
_CLOCK = re.compile(r"[0-9]{1,4}(?::[0-5]?[0-9]){1,2}")
_UNIT_WORDS = re.compile(
    r"(?<=[0-9])([smhdw])(?:ecs?|econds?|ins?|inutes?|rs?|ours?|ays?|eeks?)(?![a-z])", re.IGNORECASE
)
_KINDS: Final = {list: "a list", dict: "a mapping", bool: "true or false", type(None): "nothing"}
_LONGEST_MS = 1000 * _UNIT_MS["y"]

DURATION_PATTERN = r"^([0-9]+(\.[0-9]+)?(ms|[ywdhms]))+$"


def parse_duration(value: Any) -> int:
    """Return the milliseconds of `90s`, `1m30s`, `1.5h`, `250ms`; units y w d h m s ms, larger first, each once.

    ValueError with a text for the user: no unit, an unknown unit, a fraction of a millisecond, too long.
    """
    if isinstance(value, (int, float)) and not isinstance(value, bool):
        raise ValueError(f"a duration needs a unit; write {value}s, {value}m or {value}ms")  # noqa: TRY004
    if not isinstance(value, str):
        raise ValueError(f"must be a duration such as 90s or 1h30m, not {_KINDS.get(type(value), 'this')}")  # noqa: TRY004
    if not _WHOLE.fullmatch(value):
        told = f"{quoted(value)} is not a duration"
        raise ValueError(f"{told}; write {_meant(value) or 'one like 90s, 1m30s, 250ms, 2h or 7d'}")
    parts = _PART.findall(value)
    units = [unit for _, unit in parts]
    if units != [unit for unit in _UNIT_MS if unit in units]:
        raise ValueError(
            f"{quoted(value)} names its units out of order or twice; write the larger first, as in 1h30m"
        )
    total = sum(Fraction(number) * _UNIT_MS[unit] for number, unit in parts)
    if total.denominator != 1:
        raise ValueError(f"{quoted(value)} is not a whole number of milliseconds")
    if total > _LONGEST_MS:
        raise ValueError(f"{quoted(value)} is longer than 1000 years")
    return int(total)


def _meant(text: str) -> str:
    """The duration that a text with colons, spaces or words for units is meant as, or nothing."""
    if _CLOCK.fullmatch(text):
        return format_duration(
            1000 * sum(int(part) * 60**n for n, part in enumerate(reversed(text.split(":"))))
        )
    short = _UNIT_WORDS.sub(lambda found: found[1].lower(), text.replace(" ", ""))
    return short if _WHOLE.fullmatch(short) else ""


def parse_offset(value: Any) -> int:
    """As parse_duration, with an optional sign: `-90s`."""
    if isinstance(value, str) and value[:1] in "+-" and value:
        sign = -1 if value[0] == "-" else 1
        return sign * parse_duration(value[1:])
    return parse_duration(value)


def format_duration(milliseconds: int) -> str:
    """Return the shortest text that parse_duration reads back: 90000 -> `1m30s`, 0 -> `0s`."""
    if milliseconds < 0:
        return "-" + format_duration(-milliseconds)
    text, rest = "", milliseconds
    for unit, size in _UNIT_MS.items():
        if unit in ("y", "w") and rest % size:  # 8d reads better than 1w1d
            continue
        count, rest = divmod(rest, size)
        text += f"{count}{unit}" if count else ""
    return text or "0s"


def rounded_duration(milliseconds: int) -> str:
    """As format_duration, to the minute from an hour on, to the second below: 259199992 -> `3d`."""
    unit = _UNIT_MS["m" if abs(milliseconds) >= _UNIT_MS["h"] else "s"]
    return format_duration(round(milliseconds / unit) * unit)


@dataclass(frozen=True, slots=True)
class RateSpec:
    """A count per time: `6/m` is a count of 6 per 60,000 ms."""

    count: float
    per_ms: int

    @property
    def per_second(self) -> float:
        """The same as a count per second."""
        return 1000.0 * self.count / self.per_ms

    def __str__(self) -> str:
        unit, size = next((unit, size) for unit, size in _UNIT_MS.items() if self.per_ms % size == 0)
        count, amount = f"{self.count:.9f}".rstrip("0").rstrip("."), self.per_ms // size
        return f"{count}/{amount if amount > 1 else ''}{unit}"


def parse_rate(value: Any) -> RateSpec:
    """Return the rate of `6/m`, `50/s`, `1/10s`; ValueError with a text for the user."""
    found = _RATE.fullmatch(value) if isinstance(value, str) else None
    if found is None:
        raise ValueError(f"{quoted(value)} is not a rate; write one like 50/s, 6/m or 1/10s")
    count, amount, unit = found.groups()
    return RateSpec(float(count), parse_duration((amount or "1") + unit))


def parse_size(value: Any) -> int:
    """Return the bytes of `4GiB`, `100MiB`, `64kB`; ValueError with a text for the user."""
    if isinstance(value, (int, float)) and not isinstance(value, bool) and value > 0:
        raise ValueError(f"a size needs a unit; write {value}MiB, {value}GiB or {value}B")
    found = _SIZE.fullmatch(value) if isinstance(value, str) else None
    if found is None or found[2] not in _SIZES:
        raise ValueError(f"{quoted(value)} is not a size; write one like 512KiB, 100MiB, 4GiB or 2GB")
    return int(Fraction(found[1]) * _SIZES[found[2]])


def format_size(count: int) -> str:
    """Return the shortest text that parse_size reads back: 2147483648 -> `2GiB`, 1500 -> `1500B`."""
    unit = min(
        (unit for unit, size in _SIZES.items() if count % size == 0), key=lambda unit: count // _SIZES[unit]
    )
    return f"{count // _SIZES[unit]}{unit}"


def rounded_size(count: int) -> str:
    """Return a size to a tenth of the largest unit of 1024 that fits: 1500 -> `1.5 KiB`, 12 -> `12 B`."""
    for unit in ("TiB", "GiB", "MiB", "KiB"):
        if count >= _SIZES[unit]:
            return f"{count / _SIZES[unit]:,.1f} {unit}"
    return f"{count} B"


def parse_percent(value: Any) -> float:
    """Return the share, 0 to 1, of `10%` or 0.1; ValueError with a text for the user."""
    if isinstance(value, (int, float)) and not isinstance(value, bool):
        share = float(value)
    else:
        found = _PERCENT.fullmatch(value) if isinstance(value, str) else None
        if found is None:
            raise ValueError(f"{quoted(value)} is not a share; write it like 10% or 0.1")
        share = float(Fraction(found[1]) / 100)
    if not 0 <= share <= 1:
        raise ValueError(f"{quoted(value)} is not between 0% and 100%; write 10% or 0.1")
    return share


def _schema(pattern: str, example: str) -> WithJsonSchema:
    return WithJsonSchema({"type": "string", "pattern": pattern, "examples": [example]})


Duration = Annotated[
    int,
    BeforeValidator(parse_duration),
    PlainSerializer(format_duration, return_type=str),
    _schema(DURATION_PATTERN, "90s"),
]
Offset = Annotated[
    int,
    BeforeValidator(parse_offset),
    PlainSerializer(format_duration, return_type=str),
    _schema(r"^[-+]?([0-9]+(\.[0-9]+)?(ms|[ywdhms]))+$", "-90s"),
]
Rate = Annotated[
    RateSpec,
    BeforeValidator(parse_rate),
    PlainSerializer(str, return_type=str),
    _schema(r"^[0-9]+(\.[0-9]+)?/([1-9][0-9]*)?(ms|[ywdhms])$", "50/s"),
]
SIZE_PATTERN: Final = r"^[0-9]+(\.[0-9]+)? ?[kKMGT]?i?B$"
Size = Annotated[
    int,
    BeforeValidator(parse_size),
    PlainSerializer(format_size, return_type=str),
    _schema(SIZE_PATTERN, "4GiB"),
]
Percent = Annotated[
    float,
    BeforeValidator(parse_percent),
    WithJsonSchema(
        {
            "anyOf": [
                {"type": "number", "minimum": 0, "maximum": 1},
                {"type": "string", "pattern": r"^[0-9]+(\.[0-9]+)? ?%$", "examples": ["10%"]},
            ]
        }
    ),
]
