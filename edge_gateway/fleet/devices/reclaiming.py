"""When and which unused numbers are reclaimed."""

from typing import NamedTuple

from edge_gateway.columns.frame import IntColumn

RECLAIM_EVERY = 60_000
"""Milliseconds of the listening clock between two searches for unused numbers."""
STRANGER_AFTER = 86_400_000
"""Silence, in ms of the listening clock, after which a device without a birth is retired while space is short."""


class Reclaimed(NamedTuple):
    """Numbers that were freed."""

    series: IntColumn
    metrics: IntColumn
    texts: IntColumn
