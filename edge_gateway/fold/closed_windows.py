"""Closed windows as the store takes them: with the tag version of each, and apart by how they may enter it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

import numpy as np

from edge_gateway.records.store_effects import ClosedWindows, Kind

if TYPE_CHECKING:
    from edge_gateway.columns.frame import IntColumn
    from edge_gateway.fleet.registry import Registry
    from edge_gateway.records.store_effects import Array
    from edge_gateway.windows.closed import TierBlock
    from edge_gateway.windows.ever_closed import EverClosedTiers


def for_store(
    closed: Sequence[TierBlock], complete_from: int, registry: Registry, ever: EverClosedTiers
) -> Iterator[ClosedWindows]:
    """Yield the windows of each tier and kind; those that start before `complete_from` (ms) are partial."""
    for one in closed:
        kinds = _kinds(one, complete_from, registry, ever)
        for kind in Kind:
            places = np.flatnonzero(kinds == kind)
            if len(places):
                block = one.block if len(places) == len(kinds) else one.block.take(places)
                yield ClosedWindows(one.tier, block, _versions(block.rows, registry), kind)


def _kinds(one: TierBlock, complete_from: int, registry: Registry, ever: EverClosedTiers) -> IntColumn:
    """Return the kind of each row."""
    rows = one.block.rows
    kinds = np.full(len(rows), Kind.FIRST)
    if one.again is not None:
        kinds[one.again] = Kind.AGAIN
        gone = ever.tiers[one.tier].gone(registry.series_device[rows["series"]], rows["start"])
        kinds[one.again & gone] = Kind.GONE
    kinds[rows["start"] < complete_from] = Kind.PARTIAL
    return kinds


def _versions(rows: Array, registry: Registry) -> IntColumn:
    """Return the tag version that was in force when each row's window opened."""
    return registry.tag_versions(registry.series_device[rows["series"]], rows["start"])
