"""When a reading was taken: the device's word where it can be believed, else its arrival."""

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from edge_gateway.columns.frame import BoolColumn, IntColumn
from edge_gateway.fleet.arrivals.boot_mark import NO_TIME


@dataclass(frozen=True, slots=True)
class TimeLimits:
    """Between which times a device is believed, in ms: since 1970 UTC, and after arrival."""

    earliest: int = 1_577_836_800_000
    max_future_skew: int = 300_000


class Stamped(NamedTuple):
    """Times in ms, and which of them are the arrival instead of the device's own."""

    ts: IntColumn
    stamped: BoolColumn


def needs_stamp(ts: IntColumn, limits: TimeLimits) -> BoolColumn:
    """Whether each time is absent or before anything a device of this fleet can have measured."""
    early: BoolColumn = (ts == NO_TIME) | (ts < limits.earliest)
    return early


def believed(stamped: Stamped, message: IntColumn) -> IntColumn:
    """Return the newest own time of each message, NO_TIME where none of its samples has one.

    `message` is the message of each time, ascending, every message at least once.
    """
    own = np.where(stamped.stamped, NO_TIME, stamped.ts) if stamped.stamped.any() else stamped.ts
    if not len(message) or message[-1] + 1 == len(message):
        return own
    starts = np.flatnonzero(np.diff(message, prepend=-1))
    newest: IntColumn = np.maximum.reduceat(own, starts)
    return newest


def stamp(ts: IntColumn, arrival: int, limits: TimeLimits, *, trusted: bool) -> Stamped:
    """Replace times that cannot be believed by `arrival` (wall ms).

    While the gateway's own clock is not `trusted` it cannot say what lies in the future, and no time is
    too far ahead.
    """
    unbelieved = needs_stamp(ts, limits)
    if trusted:
        unbelieved |= ts > arrival + limits.max_future_skew
    if not unbelieved.any():
        return Stamped(ts, unbelieved)
    return Stamped(np.where(unbelieved, arrival, ts), unbelieved)
