"""Readings that no open window took, in the form in which the store takes them."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from edge_gateway.columns.point_number import point_numbers
from edge_gateway.records.store_effects import LateStates, LateValues

if TYPE_CHECKING:
    from edge_gateway.columns.frame import Frame, IntColumn
    from edge_gateway.fleet.registry import Registry
    from edge_gateway.windows.late import LateReadings


def late_values(late: LateReadings, versions: IntColumn, frame: Frame) -> LateValues:
    """Return late numbers of a frame; `versions` are the tag versions of their base windows."""
    nth = point_numbers(frame)[late.row]
    return LateValues(late.series, versions, late.ts, late.value, late.quality, late.tiers, nth)


def late_states(late: LateReadings, versions: IntColumn) -> LateStates:
    """Return late texts; `versions` are the tag versions of their base windows."""
    return LateStates(late.series, versions, late.ts, late.code, late.tiers)


def merged_nowhere(frame: Frame, registry: Registry, every_ms: int) -> LateValues:
    """Return the numbers of a frame, of which none is to be merged; `every_ms` is the length of the base windows."""
    ts, nowhere = frame.ts[frame.row], np.zeros(len(frame.row), np.int64)
    versions = registry.tag_versions(frame.device[frame.row], ts - ts % every_ms)
    nth = point_numbers(frame)[frame.row]
    return LateValues(frame.series, versions, ts, frame.value, frame.quality, nowhere, nth)
