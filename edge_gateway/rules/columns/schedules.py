"""The schedules of rules on devices, each in the time zone of its site."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import numpy as np

from edge_gateway.columns.growing import with_room
from edge_gateway.rules.columns.calendar import Calendar
from edge_gateway.rules.language.schedule import parse_span

if TYPE_CHECKING:
    from collections.abc import Sequence

    from edge_gateway.columns.frame import IntColumn
    from edge_gateway.rules.columns.registry_view import Subjects
    from edge_gateway.rules.language.zones import Zones

ALWAYS: Final = -1
"""The number of no schedule."""
FOREVER: Final = 1 << 62


class Schedules:
    """`texts`: the spans of each schedule. `zone_of`: the number of each device's zone."""

    def __init__(self, texts: Sequence[tuple[str, ...]], zones: Zones) -> None:
        self._spans = [tuple(map(parse_span, each)) for each in texts]
        self._zones = zones
        self._names: dict[str, int] = {}
        self._calendars: dict[tuple[int, int], Calendar] = {}
        self.zone_of = np.zeros(0, np.int64)

    def learn_zones(self, devices: list[int], registry: Subjects) -> None:
        """Store the zones of these devices' sites."""
        self.zone_of = with_room(self.zone_of, registry.devices, 0)
        for device in devices:
            name = self._zones.name(registry.device_site[device])
            self.zone_of[device] = self._names.setdefault(name, len(self._names))

    def spans_at(self, schedule: IntColumn, device: IntColumn, at: IntColumn) -> tuple[IntColumn, IntColumn]:
        """(begin, end) of the span of each schedule that holds at a moment on a device, ms; both 0 if none does."""
        begin, end = np.ones_like(at), np.full_like(at, FOREVER)
        bound = np.flatnonzero(schedule != ALWAYS)
        if not len(bound):
            return begin, end
        kinds = np.stack([schedule[bound], self.zone_of[device[bound]]])
        for pair in dict.fromkeys(zip(*kinds.tolist(), strict=True)):
            own = bound[(kinds[0] == pair[0]) & (kinds[1] == pair[1])]
            begin[own], end[own] = self._calendar(*pair).spans_at(at[own])
        return begin, end

    def _calendar(self, schedule: int, zone: int) -> Calendar:
        found = self._calendars.get((schedule, zone))
        if found is None:
            name = list(self._names)[zone]
            found = Calendar(self._spans[schedule], self._zones.zone(name))
            self._calendars[schedule, zone] = found
        return found
