"""Closed windows as the store gets them: with the tags their devices had when they opened."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import numpy as np

from edge_gateway.records.store_effects import ClosedStates, ClosedWindows

if TYPE_CHECKING:
    from edge_gateway.columns.frame import IntColumn
    from edge_gateway.fleet.registry import Registry
    from edge_gateway.windows.closed import Closed

Rows = np.ndarray[Any, Any]


def stored_windows(closed: Closed, registry: Registry, complete_from: int) -> Iterator[ClosedWindows]:
    """Yield windows of numbers, tier by tier; those that start before `complete_from` (ms) apart, as partial."""
    for tier, rows in closed.numeric:
        tails = {row: tail.pack() for row, tail in closed.tails_of(tier).items()}
        partial = rows["start"] < complete_from
        for is_partial in (False, True) if partial.any() else (False,):
            places = np.flatnonzero(partial == is_partial)
            if len(places):
                kept = {new: tails[old] for new, old in enumerate(places.tolist()) if old in tails}
                chosen = rows[places]
                yield ClosedWindows(tier, chosen, _versions(registry, chosen), kept, is_partial)


def stored_states(closed: Closed, registry: Registry) -> Iterator[ClosedStates]:
    """Yield windows of texts, tier by tier."""
    for tier, rows in closed.states:
        yield ClosedStates(tier, rows, _versions(registry, rows))


def _versions(registry: Registry, rows: Rows) -> IntColumn:
    """Return the tag version that was in force when each row's window opened."""
    return registry.tag_versions(registry.series_device[rows["series"]], rows["start"])
