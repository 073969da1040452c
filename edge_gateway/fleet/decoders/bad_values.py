"""Values that do not count, and why. A bad value is dropped alone; the rest of its message counts."""

from enum import IntEnum
from typing import NamedTuple

import numpy as np

from edge_gateway.columns.frame import IntColumn

NO_METRIC = -1
"""Metric of a value with an invalid metric name."""
NO_NUMBER = -2
"""Metric of a value whose metric has no number: the limits allowed none, or it has been freed."""


class BadReason(IntEnum):
    """Why a value does not count. RATE is not the value's fault, and counts as refused instead of bad."""

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
    """Columns of bad values: their sample, metric and reason."""

    row: IntColumn
    metric: IntColumn
    reason: IntColumn


def no_bad_values() -> BadValues:
    none = np.empty(0, np.int64)
    return BadValues(none, none, none)


def joined(parts: list[BadValues]) -> BadValues:
    """Concatenate bad values."""
    kept = [part for part in parts if len(part.row)]
    if not kept:
        return no_bad_values()
    return BadValues(*(np.concatenate(columns) for columns in zip(*kept, strict=True)))
