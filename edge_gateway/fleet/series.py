"""Metrics and series as numbers, and the series of a whole message at once.

A layout is the tuple of metric names of a message. A device sends few of them, so the series of a
(device, layout) stand ready as a run of slots. Layouts and slots are caches: dropping them changes no number
ever given.
"""

from typing import Any

import numpy as np

from edge_gateway.fleet.columns import with_room
from edge_gateway.frame import IntColumn
from edge_gateway.numbering import NONE, Numbering
from fleet_wire.telemetry import is_metric_name

KIND_OPEN, KIND_NUMBER, KIND_STATE = -1, 0, 1
"""What a series holds; fixed by its first good value."""

BAD_LAYOUT = -1
NO_ROOM = -1
LAYOUTS_CACHED = 4_096
SLOTS_CACHED = 1 << 20
_METRIC_BITS = 32


class SeriesTable:
    """Numbers of metrics and of (device, metric) pairs, counted up from 0; a pair keeps its number for good."""

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._given = 0
        self._of = Numbering()
        self._live = np.empty(0, np.bool_)
        self._alive = 0
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
        self._forget_slots()

    def _forget_slots(self) -> None:
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

    @property
    def alive(self) -> int:
        """Series of devices that are not retired."""
        return self._alive

    def series(self, device: int, metric: int) -> int:
        """Return the number of a series, giving it one when it is new, whatever the limit."""
        number = self._of.get(_key(device, metric))
        if number == NONE:
            number = self._add(device, metric)
        if not self._live[number]:
            self._live[number] = True
            self._alive += 1
        return number

    def _add(self, device: int, metric: int) -> int:
        number, self._given = self._given, self._given + 1
        self._of.put(_key(device, metric), number)
        self._device = with_room(self._device, self._given, 0)
        self._metric = with_room(self._metric, self._given, 0)
        self._kind = with_room(self._kind, self._given, KIND_OPEN)
        self._live = with_room(self._live, self._given, fill=False)
        self._device[number], self._metric[number] = device, metric
        return number

    def retire(self, devices: IntColumn) -> IntColumn:
        """Count the series of these devices no longer, until they are asked for again; returns them.

        They begin anew then: of either kind.
        """
        series = np.flatnonzero(self._live[: self._given] & np.isin(self.device, devices))
        self._live[series], self._kind[series] = False, KIND_OPEN
        self._alive -= len(series)
        self._usual_layout[devices[devices < len(self._usual_layout)]] = -1
        gone = set(devices.tolist())
        self._starts = {key: start for key, start in self._starts.items() if key[0] not in gone}
        return series

    # --- layouts

    def trim(self) -> None:
        """Keep the caches within their caps. Layout numbers from before are void."""
        if len(self._names) > LAYOUTS_CACHED:
            self._forget_layouts()
        elif self._used > SLOTS_CACHED:
            self._forget_slots()

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
        if self._usual_layout[device] < 0:
            self._usual_layout[device], self._usual_start[device] = layout, start
        else:
            self._starts[device, layout] = start
        return start

    def _fits(self, device: int, layout: int) -> bool:
        """Whether a message's series are within the limit; a message is taken in whole or not at all."""
        new = sum(not self._is_alive(device, name) for name in self._names[layout])
        return not new or self._alive + new <= self._limit

    def _is_alive(self, device: int, name: str) -> bool:
        metric = self._metric_of.get(name)
        number = NONE if metric is None else self._of.get(_key(device, metric))
        return number != NONE and bool(self._live[number])

    # --- state

    def snapshot(self) -> dict[str, Any]:
        return {
            "metrics": list(self.metric_names),
            "device": self.device.copy(),
            "metric": self.metric_of.copy(),
            "kind": self.kind.copy(),
            "live": self._live[: self._given].copy(),
        }

    def restore(self, state: dict[str, Any]) -> None:
        self.metric_names = list(state["metrics"])
        self._metric_of = {name: number for number, name in enumerate(self.metric_names)}
        self._device, self._metric = state["device"].copy(), state["metric"].copy()
        self._kind, self._given = state["kind"].copy(), len(state["device"])
        self._live = state["live"].copy()
        self._alive = int(np.count_nonzero(self._live))
        keys = (self._device << _METRIC_BITS) | self._metric
        self._of = Numbering.of(keys, np.arange(self._given))
        self._forget_layouts()


def _key(device: int, metric: int) -> int:
    return device << _METRIC_BITS | metric
