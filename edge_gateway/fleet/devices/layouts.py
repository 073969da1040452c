"""The series of whole messages, ready to be looked up: caches, and nothing but caches.

A layout is the tuple of metric names of a message. A device sends few of them, so the series of a
(device, layout) stand ready as a run of slots. Dropping them changes no number ever given.
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
    """Layouts by number, and where in `slots` the series of each (device, layout) begin."""

    def __init__(self) -> None:
        self.forget_all()

    def forget_all(self) -> None:
        """Layout numbers from before are void."""
        self.known: dict[tuple[str, ...], int] = {}
        self.names: list[tuple[str, ...]] = []
        self._lengths = np.empty(0, np.int64)
        self._forget_slots()

    def _forget_slots(self) -> None:
        self._others: dict[int, dict[int, int]] = {}
        """By device: where the layouts begin that are not its usual one."""
        self._usual_layout = np.empty(0, np.int64)
        self._usual_start = np.empty(0, np.int64)
        self._slots = np.empty(0, np.int64)
        self._used = 0

    def trim(self) -> None:
        """Keep within the caps. Layout numbers from before are void."""
        if len(self.names) > LAYOUTS_CACHED:
            self._keep_usual()
        if self._used > SLOTS_CACHED:
            self._forget_slots()

    def _keep_usual(self) -> None:
        """Forget all layouts but the usual ones: a device that sends ever others must not cost the rest theirs."""
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
        """Return the number of a layout, giving it one when it is new.

        BAD_LAYOUT: one of the names is no metric name.
        """
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
        """Series numbers; the run that a start points at is one message's."""
        return self._slots

    def usual(self, device: IntColumn, layout: IntColumn) -> tuple[IntColumn, IntColumn]:
        """Return where each device's usual layout begins, and the rows whose layout is another."""
        highest = int(device.max(initial=-1)) + 1
        self._usual_layout = with_room(self._usual_layout, highest, -1)
        self._usual_start = with_room(self._usual_start, highest, 0)
        return self._usual_start[device], np.flatnonzero(self._usual_layout[device] != layout)

    def start(self, device: int, layout: int) -> int:
        """Return where a (device, layout) begins; NOT_READY where `put` must say it first."""
        if device < len(self._usual_layout) and self._usual_layout[device] == layout:
            return int(self._usual_start[device])
        return self._others.get(device, {}).get(layout, NOT_READY)

    def put(self, device: int, layout: int, series: Sequence[int]) -> int:
        """Note the series of a (device, layout); returns where they begin."""
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
        """Look up anew what these devices send: a series of theirs has another number."""
        self._usual_layout[devices[devices < len(self._usual_layout)]] = -1
        for device in devices.tolist():
            self._others.pop(device, None)
