"""When numbers that nobody uses any more are given again."""

from typing import NamedTuple

from edge_gateway.columns.frame import IntColumn

RECLAIM_EVERY = 60_000
"""Milliseconds of the listening clock between two looks for what nobody uses."""
STRANGER_AFTER = 86_400_000
"""Silence, in ms of the listening clock, after which a device that never sent a birth makes room if room is short."""


class Reclaimed(NamedTuple):
    """Numbers that stand for nothing any more."""

    series: IntColumn
    metrics: IntColumn
    texts: IntColumn
