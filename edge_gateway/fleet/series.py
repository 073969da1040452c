"""Metrics and series as numbers, and the series of a whole message at once.

A layout is the tuple of metric names of a message. A device sends few of them, so the series of a
(device, layout) stand ready as a run of slots. Layouts and slots are caches: dropping them changes no number
ever given.
"""

from typing import Any

import numpy as np

from edge_gateway.fleet.columns import with_room
from edge_gateway.frame import IntColumn
from fleet_wire.telemetry import is_metric_name

KIND_OPEN, KIND_NUMBER, KIND_STATE = -1, 0, 1
"""What a series holds; fixed by its first good value."""

BAD_LAYOUT = -1
NO_ROOM = -1
LAYOUTS_CACHED = 4_096
SLOTS_CACHED = 1 << 20


class SeriesTable:
    """Numbers of metrics and of (device, metric) pairs, counted up from 0 and never given twice."""

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._given = 0
        self._of: dict[tuple[int, int], int] = {}
        self._metric_of: dict[str, int] = {}
        self.metric_names: list[str] = []
        self._device = np.empty(0, np.int64)
        self._metric = np.empty(0, np.int64)
        self._kind = np.empty(0, np.int8)
        self._forget_layouts()

    def _forget_layouts(self) -> None:
        self.layouts: dict[tuple[str, ...], int] = {}
        self._names: list[tuple[str, ...]] = []
        self._lengths = np.empty(0, np.int64)
        self.forget_slots()

    def forget_slots(self) -> None:
        """Drop the cached series of layouts, as when a device was retired."""
        self._starts: dict[tuple[int, int], int] = {}
        self._usual_layout = np.empty(0, np.int64)
        self._usual_start = np.empty(0, np.int64)
        self._slots = np.empty(0, np.int64)
        self._used = 0

    # --- metrics and series

    def metric(self, name: str) -> int:
        """Return the number of a metric, giving it one when it is new. ValueError: no metric name."""
        known = self._metric_of.get(name)
        if known is not None:
            return known
        if not is_metric_name(name):
            raise ValueError(f"{name!r} is no metric name")
        self._metric_of[name] = len(self.metric_names)
        self.metric_names.append(name)
        return len(self.metric_names) - 1

    def __len__(self) -> int:
        return self._given

    @property
    def device(self) -> IntColumn:
        return self._device[: self._given]

    @property
    def metric_of(self) -> IntColumn:
        return self._metric[: self._given]

    @property
    def kind(self) -> np.ndarray[Any, np.dtype[np.int8]]:
        """What each series holds, by series; writable."""
        return self._kind[: self._given]

    def find(self, device: int, metric: int) -> int | None:
        return self._of.get((device, metric))

    def series(self, device: int, metric: int) -> int:
        """Return the number of a series, giving it one when it is new, whatever the limit."""
        known = self._of.get((device, metric))
        if known is not None:
            return known
        number, self._given = self._given, self._given + 1
        self._of[device, metric] = number
        self._device = with_room(self._device, self._given, 0)
        self._metric = with_room(self._metric, self._given, 0)
        self._kind = with_room(self._kind, self._given, KIND_OPEN)
        self._device[number], self._metric[number] = device, metric
        return number

    def retire(self, device: int) -> None:
        """Free the pairs of a device; their numbers are not given again."""
        for series in np.flatnonzero(self.device == device).tolist():
            self._of.pop((device, int(self._metric[series])), None)
        self.forget_slots()

    # --- layouts

    def trim(self) -> None:
        """Keep the caches within their caps. Layout numbers from before are void."""
        if len(self._names) > LAYOUTS_CACHED:
            self._forget_layouts()
        elif self._used > SLOTS_CACHED:
            self.forget_slots()

    def layout(self, names: tuple[str, ...]) -> int:
        """Return the number of a layout, giving it one when it is new.

        BAD_LAYOUT: one of the names is no metric name.
        """
        known = self.layouts.get(names)
        if known is not None:
            return known
        if not all(map(is_metric_name, names)):
            return BAD_LAYOUT
        number = len(self._names)
        self.layouts[names] = number
        self._names.append(names)
        self._lengths = with_room(self._lengths, number + 1, 0)
        self._lengths[number] = len(names)
        return number

    @property
    def lengths(self) -> IntColumn:
        """Number of metrics of each layout."""
        return self._lengths

    @property
    def slots(self) -> IntColumn:
        """Series numbers; the run that `starts` points at is one message's."""
        return self._slots

    def starts(self, device: IntColumn, layout: IntColumn) -> IntColumn:
        """Return where in `slots` the series of each (device, layout) begin.

        NO_ROOM: the limit forbids them.
        """
        highest = int(device.max(initial=-1)) + 1
        self._usual_layout = with_room(self._usual_layout, highest, -1)
        self._usual_start = with_room(self._usual_start, highest, 0)
        found = self._usual_start[device]
        for row in np.flatnonzero(self._usual_layout[device] != layout).tolist():
            found[row] = self._start(int(device[row]), int(layout[row]))
        return found

    def _start(self, device: int, layout: int) -> int:
        known = self._starts.get((device, layout))
        if known is not None:
            return known
        metrics = [self.metric(name) for name in self._names[layout]] if self._fits(device, layout) else None
        if metrics is None:
            return NO_ROOM
        start, self._used = self._used, self._used + len(metrics)
        self._slots = with_room(self._slots, self._used, 0)
        self._slots[start : self._used] = [self.series(device, metric) for metric in metrics]
        self._starts[device, layout] = start
        if self._usual_layout[device] < 0:
            self._usual_layout[device], self._usual_start[device] = layout, start
        return start

    def _fits(self, device: int, layout: int) -> bool:
        """Whether a message's series are within the limit; a message is taken in whole or not at all."""
        known = self._metric_of.get
        new = sum((device, known(name, -1)) not in self._of for name in self._names[layout])
        return not new or len(self._of) + new <= self._limit

    # --- state

    def snapshot(self) -> dict[str, Any]:
        return {
            "metrics": list(self.metric_names),
            "device": self.device.copy(),
            "metric": self.metric_of.copy(),
            "kind": self.kind.copy(),
            "live": self._live(),
        }

    def _live(self) -> np.ndarray[Any, np.dtype[np.bool_]]:
        live = np.zeros(self._given, np.bool_)
        live[list(self._of.values())] = True
        return live

    def restore(self, state: dict[str, Any]) -> None:
        self.metric_names = list(state["metrics"])
        self._metric_of = {name: number for number, name in enumerate(self.metric_names)}
        self._device, self._metric = state["device"].copy(), state["metric"].copy()
        self._kind, self._given = state["kind"].copy(), len(state["device"])
        pairs = zip(self._device.tolist(), self._metric.tolist(), state["live"].tolist(), strict=True)
        self._of = {(device, metric): number for number, (device, metric, live) in enumerate(pairs) if live}
        self._forget_layouts()
