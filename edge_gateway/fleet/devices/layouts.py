"""A cache from (device, layout) to the series of a whole message.

A layout is the tuple of metric names in a message. A device sends few layouts, so the series numbers of each
(device, layout) are kept as a run of slots. This is only a cache: dropping it changes no number.
"""

from collections.abc import Sequence

import numpy as np

from edge_gateway.columns.frame import IntColumn
from edge_gateway.columns.growing import with_room
from fleet_wire.telemetry import is_metric_name

BAD_LAYOUT = -1
NOT_READY = -1
LAYOUTS_CACHED = 4_096
SLOTS_CACHED = 1 << 20


class Layouts:
    """Layouts by number, and where in `slots` the series of each (device, layout) start."""

    def __init__(self) -> None:
        self.forget_all()

    def forget_all(self) -> None:
        """Empty the cache; existing layout numbers become void."""
        self.known: dict[tuple[str, ...], int] = {}
        self.names: list[tuple[str, ...]] = []
        self._lengths = np.empty(0, np.int64)
        self._forget_slots()

    def _forget_slots(self) -> None:
        self._others: dict[int, dict[int, int]] = {}
        """device -> layout -> start, for layouts other than the device's usual one."""
        self._usual_layout = np.empty(0, np.int64)
        self._usual_start = np.empty(0, np.int64)
        self._slots = np.empty(0, np.int64)
        self._used = 0

    def trim(self) -> None:
        """Keep within the caps; existing layout numbers may become void."""
        if len(self.names) > LAYOUTS_CACHED:
            self._keep_usual()
        if self._used > SLOTS_CACHED:
            self._forget_slots()

    def _keep_usual(self) -> None:
        """Forget all but the usual layouts, so that a device that keeps inventing layouts evicts only its own."""
        kept = np.unique(self._usual_layout[self._usual_layout >= 0])
        if 2 * len(kept) > LAYOUTS_CACHED:
            self.forget_all()
            return
        self.names = [self.names[number] for number in kept.tolist()]
        self.known = {names: number for number, names in enumerate(self.names)}
        self._lengths = self._lengths[kept]
        has = self._usual_layout >= 0
        self._usual_layout[has] = np.searchsorted(kept, self._usual_layout[has])
        self._others.clear()

    def number(self, names: tuple[str, ...]) -> int:
        """Return the number of a layout, giving a new one its number; BAD_LAYOUT if a name is no metric name."""
        known = self.known.get(names)
        if known is not None:
            return known
        if not all(map(is_metric_name, names)):
            return BAD_LAYOUT
        number = len(self.names)
        self.known[names] = number
        self.names.append(names)
        self._lengths = with_room(self._lengths, number + 1, 0)
        self._lengths[number] = len(names)
        return number

    @property
    def lengths(self) -> IntColumn:
        """Number of metrics of each layout."""
        return self._lengths

    @property
    def slots(self) -> IntColumn:
        """Series numbers; from a start on, those of one message's layout."""
        return self._slots

    def usual(self, device: IntColumn, layout: IntColumn) -> tuple[IntColumn, IntColumn]:
        """Return the start of each device's usual layout, and the rows that have another layout."""
        highest = int(device.max(initial=-1)) + 1
        self._usual_layout = with_room(self._usual_layout, highest, -1)
        self._usual_start = with_room(self._usual_start, highest, 0)
        return self._usual_start[device], np.flatnonzero(self._usual_layout[device] != layout)

    def start(self, device: int, layout: int) -> int:
        """Return the start of a (device, layout); NOT_READY if it must be `put` first."""
        if device < len(self._usual_layout) and self._usual_layout[device] == layout:
            return int(self._usual_start[device])
        return self._others.get(device, {}).get(layout, NOT_READY)

    def put(self, device: int, layout: int, series: Sequence[int]) -> int:
        """Store the series of a (device, layout); return their start."""
        start, self._used = self._used, self._used + len(series)
        self._slots = with_room(self._slots, self._used, 0)
        self._slots[start : self._used] = series
        self._usual_layout = with_room(self._usual_layout, device + 1, -1)
        self._usual_start = with_room(self._usual_start, device + 1, 0)
        if self._usual_layout[device] < 0:
            self._usual_layout[device], self._usual_start[device] = layout, start
        else:
            self._others.setdefault(device, {})[layout] = start
        return start

    def forget(self, devices: IntColumn) -> None:
        """Drop the entries of these devices: the number of one of their series changed."""
        self._usual_layout[devices[devices < len(self._usual_layout)]] = -1
        for device in devices.tolist():
            self._others.pop(device, None)
