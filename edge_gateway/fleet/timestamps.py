"""When a reading was taken: the device's own time if it is plausible, else its arrival."""

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from edge_gateway.columns.frame import BoolColumn, IntColumn

NO_TIME = -(2**63)
"""Time of a message that carries none."""


@dataclass(frozen=True, slots=True)
class TimeLimits:
    """Plausible device times: from `earliest` (ms since 1970 UTC) to `max_future_skew` ms after arrival.

    A clock that goes back by up to `max_step_back` ms makes a small step.
    """

    earliest: int = 1_577_836_800_000
    max_future_skew: int = 300_000
    max_step_back: int = 5_000


class Stamped(NamedTuple):
    """Times in ms, and which of them are the arrival instead of the device's own time."""

    ts: IntColumn
    stamped: BoolColumn


def needs_stamp(ts: IntColumn, limits: TimeLimits) -> BoolColumn:
    """Return which times are absent or earlier than `limits.earliest`."""
    early: BoolColumn = (ts == NO_TIME) | (ts < limits.earliest)
    return early


def believed(stamped: Stamped, message: IntColumn) -> IntColumn:
    """Return the newest plausible device time of each message; NO_TIME where none of its samples has one.

    `message` is the message of each time, ascending; every message occurs at least once.
    """
    own = np.where(stamped.stamped, NO_TIME, stamped.ts) if stamped.stamped.any() else stamped.ts
    return newest(own, message)


def newest(ts: IntColumn, message: IntColumn) -> IntColumn:
    """Return the newest of the times of each message; `message` as in `believed`."""
    return _of_each(np.maximum, ts, message)


def oldest(ts: IntColumn, message: IntColumn) -> IntColumn:
    """Return the oldest of the times of each message; `message` as in `believed`."""
    return _of_each(np.minimum, ts, message)


def _of_each(which: np.ufunc, ts: IntColumn, message: IntColumn) -> IntColumn:
    if not len(message) or message[-1] + 1 == len(message):
        return ts
    starts = np.flatnonzero(np.diff(message, prepend=-1))
    found: IntColumn = which.reduceat(ts, starts)
    return found


def stamp(ts: IntColumn, arrival: int, limits: TimeLimits, *, trusted: bool) -> Stamped:
    """Replace implausible times by `arrival` (wall ms).

    While the gateway's own clock is not `trusted` it cannot tell what is in the future, so no time counts as too far
    ahead.
    """
    unbelieved = needs_stamp(ts, limits)
    if trusted:
        unbelieved |= ts > arrival + limits.max_future_skew
    if not unbelieved.any():
        return Stamped(ts, unbelieved)
    return Stamped(np.where(unbelieved, arrival, ts), unbelieved)
