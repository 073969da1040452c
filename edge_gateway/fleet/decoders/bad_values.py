"""Why a value does not count. A bad value is lost alone; its message still counts."""

from enum import IntEnum
from typing import NamedTuple

import numpy as np

from edge_gateway.columns.frame import IntColumn

NO_METRIC = -1
"""Metric of a value whose name is no metric name."""
NO_NUMBER = -2
"""Metric of a value whose name has no number: there was no room for it, or nothing uses it any more."""


class BadReason(IntEnum):
    """Why a value does not count. RATE is not the value's fault and is counted apart."""

    NAME = 0
    TYPE = 1
    MISSING = 2
    NOT_FINITE = 3
    TOO_LONG = 4
    QUALITY = 5
    RANGE = 6
    RATE = 7
    TOO_MANY_SERIES = 8
    TOO_MANY_TEXTS = 9

    @property
    def text(self) -> str:
        return self.name.lower()


class BadValues(NamedTuple):
    """Columns of values that do not count: the sample they came in, their metric, and the reason."""

    row: IntColumn
    metric: IntColumn
    reason: IntColumn


def no_bad_values() -> BadValues:
    none = np.empty(0, np.int64)
    return BadValues(none, none, none)


def joined(parts: list[BadValues]) -> BadValues:
    """Return all parts in one."""
    kept = [part for part in parts if len(part.row)]
    if not kept:
        return no_bad_values()
    return BadValues(*(np.concatenate(columns) for columns in zip(*kept, strict=True)))
