"""Closed windows as the store takes them: with the tag version of each, and apart by how they may enter it."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

import numpy as np

from edge_gateway.records.store_effects import ClosedStates, ClosedWindows, Kind

if TYPE_CHECKING:
    from edge_gateway.columns.frame import BoolColumn, IntColumn
    from edge_gateway.fleet.registry import Registry
    from edge_gateway.records.store_effects import Array
    from edge_gateway.windows.closed import Closed
    from edge_gateway.windows.ever_closed import EverClosedTiers


def for_store(
    closed: Closed, complete_from: int, registry: Registry, ever: EverClosedTiers
) -> tuple[list[ClosedWindows], list[ClosedStates]]:
    """Return windows of numbers and of texts; those that start before `complete_from` (ms) are partial."""
    numbers, states = [], []

    def kinds(tier: int, rows: Array, again: BoolColumn | None) -> Iterator[tuple[Kind, IntColumn]]:
        gone = None
        if again is not None:
            gone = again & ever.tiers[tier].gone(registry.series_device[rows["series"]], rows["start"])
        return _kinds(rows["start"], again, gone, complete_from)

    for tier, rows in closed.numeric:
        tails = {row: tail.pack() for row, tail in closed.tails_of(tier).items()}
        for kind, places in kinds(tier, rows, closed.numeric_again.get(tier)):
            kept = {new: tails[old] for new, old in enumerate(places.tolist()) if old in tails}
            chosen = rows[places]
            numbers.append(ClosedWindows(tier, chosen, _versions(chosen, registry), kept, kind))
    for tier, rows in closed.states:
        for kind, places in kinds(tier, rows, closed.states_again.get(tier)):
            chosen = rows[places]
            states.append(ClosedStates(tier, chosen, _versions(chosen, registry), kind))
    return numbers, states


def _kinds(
    start: IntColumn, again: BoolColumn | None, gone: BoolColumn | None, complete_from: int
) -> Iterator[tuple[Kind, IntColumn]]:
    """Yield the places of the rows of each kind."""
    kind = np.full(len(start), Kind.FIRST)
    if again is not None:
        kind[again] = Kind.AGAIN
    if gone is not None:
        kind[gone] = Kind.GONE
    kind[start < complete_from] = Kind.PARTIAL
    for one in Kind:
        places = np.flatnonzero(kind == one)
        if len(places):
            yield one, places


def _versions(rows: Array, registry: Registry) -> IntColumn:
    """Return the tag version that was in force when each row's window opened."""
    return registry.tag_versions(registry.series_device[rows["series"]], rows["start"])
