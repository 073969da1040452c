"""`for` as people write it: a duration, or a number of readings."""

from __future__ import annotations

import re
from typing import Annotated, Any, Final, NamedTuple

from pydantic import BeforeValidator, InstanceOf, PlainSerializer, WithJsonSchema

from fleet_config.durations import DURATION_PATTERN, format_duration, parse_duration
from fleet_config.problems import quoted

MOST_READINGS: Final = 1_000
_READINGS: Final = re.compile(r"([0-9]{1,9}) readings?")
_PATTERN: Final = rf"{DURATION_PATTERN}|^[1-9][0-9]{{0,3}} readings$"


class Wait(NamedTuple):
    """How long something must hold: for `ms`, or at so many `readings` in a row if that is not 0."""

    ms: int = 0
    readings: int = 0

    def __str__(self) -> str:
        return f"{self.readings} readings" if self.readings else format_duration(self.ms)


def parse_wait(value: Any) -> Wait:
    """Return the wait of `90s` or `3 readings`; ValueError with a text for the user."""
    if isinstance(value, Wait):
        return value
    found = _READINGS.fullmatch(value) if isinstance(value, str) else None
    if found is None:
        return Wait(_duration(value))
    count = int(found[1])
    if not 2 <= count <= MOST_READINGS:  # noqa: PLR2004 - the first reading is no wait
        raise ValueError(f"{quoted(value)} is not between 2 and {MOST_READINGS} readings")
    return Wait(readings=count)


def _duration(value: Any) -> int:
    if isinstance(value, str) and "reading" in value:
        raise ValueError(f"{quoted(value)} is neither a duration nor readings; write 90s or 3 readings")
    return parse_duration(value)


WaitSpec = Annotated[
    InstanceOf[Wait],
    BeforeValidator(parse_wait),
    PlainSerializer(str, return_type=str),
    WithJsonSchema({"type": "string", "pattern": _PATTERN, "examples": ["90s", "3 readings"]}),
]
