"""Messages that need the gateway's time while its clock is not trusted: they wait, or are refused for want of room."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from edge_gateway.fleet.decoders.decoded import only
from edge_gateway.fleet.timestamps import needs_stamp
from edge_gateway.records.store_effects import WITHOUT_TIME

if TYPE_CHECKING:
    from edge_gateway.columns.frame import BoolColumn, IntColumn
    from edge_gateway.fleet.decoders.decoded import Decoded
    from edge_gateway.fleet.timestamps import TimeLimits
    from edge_gateway.records.inputs import Batch


class Needy(NamedTuple):
    """Messages that need a time and get none.

    Attributes:
        held: positions of those that wait. They left no trace but that their devices were heard: admit them again.
        heard: devices of those that wait, and of those that are refused; one may occur repeatedly.
    """

    held: list[int]
    heard: IntColumn


def set_aside(
    decoded: Decoded, batch: Batch, limits: TimeLimits, *, refuse: bool = True
) -> tuple[Needy, Decoded]:
    """Set aside messages that need the arrival as time, as many as may wait.

    While the fleet votes on the clock, a time that is too far ahead of it needs the outcome too.

    Args:
        decoded: the messages.
        batch: what they came in.
        limits: which times need the arrival instead.
        refuse: whether further messages without a time are refused; if not, they get the arrival.

    Returns:
        What is set aside, and the other messages.
    """
    timeless = _with_any(decoded, needs_stamp(decoded.samples.ts, limits))
    wait = timeless.copy()
    if batch.moment.trusted:
        latest = batch.moment.wall + limits.max_future_skew
        wait |= _with_any(decoded, decoded.samples.ts > latest)
    heard = decoded.messages.device[wait]
    wait[np.flatnonzero(wait)[batch.may_hold :]] = False
    if refuse:
        too_many = np.flatnonzero(timeless & ~wait).tolist()
        decoded.refused.update(dict.fromkeys(too_many, WITHOUT_TIME))
    return Needy(decoded.messages.index[wait].tolist(), heard), only(decoded, ~wait)


def _with_any(decoded: Decoded, samples: BoolColumn) -> BoolColumn:
    """Return which messages have one of these samples; those that are refused anyway have not."""
    found = np.zeros(len(decoded.messages.index), np.bool_)
    found[decoded.samples.message[samples]] = True
    found[list(decoded.refused)] = False
    return found
