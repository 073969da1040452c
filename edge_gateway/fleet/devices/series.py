"""Metrics and series as numbers, and the series of a whole message at once.

    new pair ─▶ held, live ──(retired; unused for long)──────────────────────────────▶ free, to be given again
                     └─(its kind begins anew; forgotten)─▶ held, the pair has another ─▶ free, once nothing is open

What a number holds, numbers or texts, never changes while anything is open under it. A number is only freed when
nothing is, and then the device's tag versions are renewed, so that (number, version) never means two things.
"""

from collections.abc import Callable, Iterable
from typing import Any

import numpy as np

from edge_gateway.columns.frame import BoolColumn, IntColumn
from edge_gateway.columns.growing import with_room
from edge_gateway.columns.numbering import NONE, Numbering
from edge_gateway.fleet.devices.layouts import NOT_READY, Layouts
from fleet_wire.telemetry import is_metric_name

KIND_OPEN, KIND_NUMBER, KIND_STATE = -1, 0, 1
"""What a series holds: declared, or else fixed by its first good value."""

NO_ROOM = -1
_METRIC_BITS = 32
_FILLS: dict[str, tuple[type[np.generic], float]] = {
    "device": (np.int64, 0),
    "metric": (np.int64, 0),
    "kind": (np.int8, KIND_OPEN),
    "held": (np.bool_, False),
    "live": (np.bool_, False),
    "counted": (np.bool_, False),
    "anew": (np.bool_, False),
    "used": (np.int64, 0),
}

Declared = Callable[[int, str], int]
"""(device, metric name) to the kind that is declared for it; KIND_OPEN where none is."""


class SeriesTable:
    """Numbers of metrics and of (device, metric) pairs.

    At most `limit` numbers are held for what devices send, `share` of them for one device. What rules derive is beside
    that: it is bounded by the rule files.
    """

    def __init__(
        self, limit: int, share: int | None = None, declared: Declared = lambda *_: KIND_OPEN
    ) -> None:
        self.limit = limit
        self.share = limit if share is None else share
        self.layouts = Layouts()
        self.epoch = 0
        """Grows when a number of a series or metric is given again: what was looked up by it before is void."""
        self.now = 0
        """The listening clock in ms: when numbers are noted as used."""
        self.counted = 0
        """Numbers held for what devices send."""
        self._declared = declared
        self._given = 0
        self._free: list[int] = []
        self._of = Numbering()
        self._metric_of: dict[str, int] = {}
        self.metric_names: list[str] = []
        """By number; empty where the number is free."""
        self._free_metrics: list[int] = []
        self._pinned: set[int] = set()
        """Metrics that rules and configuration name."""
        self._columns = {name: np.empty(0, dtype) for name, (dtype, _) in _FILLS.items()}
        self._share_held = np.empty(0, np.int64)
        self._waiting = 0
        """Numbers held that are no pair's any more."""
        self._anew = 0
        self._tight = 0
        """Devices that hold four fifths of their share or more."""

    # --- metrics

    def metric(self, name: str) -> int:
        """Return the number of a metric for good, giving it one when it is new. ValueError: no metric name."""
        if not is_metric_name(name):
            raise ValueError(f"{name!r} is no metric name")
        number = self._metric(name)
        self._pinned.add(number)
        return number

    def _metric(self, name: str) -> int:
        known = self._metric_of.get(name)
        if known is not None:
            return known
        if self._free_metrics:
            number = self._free_metrics.pop()
            self.metric_names[number] = name
            self.epoch += 1
        else:
            number = len(self.metric_names)
            self.metric_names.append(name)
        self._metric_of[name] = number
        return number

    def known_metric(self, name: str) -> int | None:
        return self._metric_of.get(name)

    # --- series

    def __len__(self) -> int:
        return self._given

    @property
    def device(self) -> IntColumn:
        return self._columns["device"][: self._given]

    @property
    def metric_of(self) -> IntColumn:
        return self._columns["metric"][: self._given]

    @property
    def kind(self) -> np.ndarray[Any, np.dtype[np.int8]]:
        """What each series holds, by series; writable."""
        return self._columns["kind"][: self._given]

    @property
    def anew(self) -> BoolColumn:
        """Series whose next good value says anew what they hold; writable by `settle`."""
        return self._columns["anew"][: self._given]

    @property
    def any_anew(self) -> bool:
        return self._anew > 0

    def held_by(self, device: int) -> int:
        """Return how many numbers are held for what a device sends."""
        return int(self._share_held[device]) if device < len(self._share_held) else 0

    @property
    def held_by_device(self) -> IntColumn:
        """How many numbers are held for what each device sends, by device number."""
        return self._share_held

    def crowded_devices(self) -> IntColumn:
        """Return the devices that hold four fifths of their share or more."""
        return np.flatnonzero(5 * self._share_held >= 4 * self.share)

    def find(self, device: int, name: str) -> int:
        """Return the number of a pair; NONE where it has none."""
        metric = self._metric_of.get(name)
        return NONE if metric is None else self._of.get(_key(device, metric))

    def series(self, device: int, metric: int) -> int:
        """Return the number of a series, giving it one when it is new, whatever the limit."""
        number = self._of.get(_key(device, metric))
        return self._add(device, metric, counted=False) if number == NONE else number

    def derived(self, device: int, metric: int) -> int:
        """Return the number of a series of numbers that a rule derives; what the device sends by that name must fit."""
        number = self.series(device, metric)
        if self.kind[number] == KIND_STATE:
            number = self.replace(number)
        if self._columns["counted"][number]:
            self._columns["counted"][number] = False
            self._count(device, -1)
        self._settle_one(number)
        self.kind[number] = KIND_NUMBER
        return number

    def _add(self, device: int, metric: int, *, counted: bool) -> int:
        number = self._number()
        kind = self._declared(device, self.metric_names[metric])
        facts = (device, metric, kind, True, True, counted, False, self.now)
        for column, fact in zip(self._columns.values(), facts, strict=True):
            column[number] = fact
        self._of.put(_key(device, metric), number)
        self._count(device, counted)
        return number

    def _number(self) -> int:
        if self._free:
            self.epoch += 1
            return self._free.pop()
        number, self._given = self._given, self._given + 1
        for name, (_, fill) in _FILLS.items():
            self._columns[name] = with_room(self._columns[name], self._given, fill)
        return number

    def _count(self, device: int, more: int) -> None:
        self.counted += more
        self._share_held = with_room(self._share_held, device + 1, 0)
        before = self._is_tight(device)
        self._share_held[device] += more
        self._tight += self._is_tight(device) - before

    def _is_tight(self, device: int) -> bool:
        return bool(5 * self._share_held[device] >= 4 * self.share)

    # --- kinds

    def replace(self, number: int) -> int:
        """Give the pair of a series another number, of open kind; what is open stays under the old one."""
        device, metric = int(self.device[number]), int(self.metric_of[number])
        counted = bool(self._columns["counted"][number])
        self.release(number)
        return self._add(device, metric, counted=counted)

    def release(self, number: int) -> None:
        """Take the number from its pair, which begins anew with the next value; it is free once nothing is open."""
        self._of.remove(_key(int(self.device[number]), int(self.metric_of[number])))
        self._columns["live"][number] = False
        self._waiting += 1
        self._settle_one(number)
        self.layouts.forget(self.device[[number]])

    def release_metrics(self, device: int, name: str | None) -> None:
        """Let go of what a device sends under a name, or of all it sends; what rules derive from it stays."""
        series = self.of_device(device) if name is None else np.array([self.find(device, name)], np.int64)
        for number in series[series != NONE].tolist():
            if self._columns["counted"][number]:
                self.release(number)

    def of_device(self, device: int) -> IntColumn:
        return np.flatnonzero((self.device == device) & self._columns["live"][: self._given])

    def devices_of(self, metric: int) -> IntColumn:
        found: IntColumn = self.device[(self.metric_of == metric) & self._columns["live"][: self._given]]
        return found

    def reopen(self, series: IntColumn) -> None:
        """Let the next good value of these series say what they hold; not of those that rules derive."""
        sent = self._columns["counted"][series] & (self.kind[series] != KIND_OPEN)
        fresh = series[~self.anew[series] & sent]
        self.anew[fresh] = True
        self._anew += len(fresh)

    def settle(self, series: IntColumn) -> None:
        """Take in that these series had a good value."""
        for number in np.unique(series[self.anew[series]]).tolist():
            self._settle_one(number)

    def _settle_one(self, number: int) -> None:
        self._anew -= int(self.anew[number])
        self.anew[number] = False

    def may_replace(self, number: int) -> bool:
        """Whether there is room for another number for the pair of a series."""
        device = int(self.device[number])
        return not self._columns["counted"][number] or self._room(device) > 0

    def declare(self, device: int, name: str, kind: int, *, ignore_limits: bool = False) -> None:
        """Take in what a series must hold from now on; one that holds the other needs room for another number."""
        number = self.find(device, name)
        if number == NONE or not self._columns["counted"][number]:
            return
        if self.kind[number] in {kind, KIND_OPEN}:
            self.kind[number] = kind
            self._settle_one(number)
        elif ignore_limits or self.may_replace(number):
            self.replace(number)

    # --- use and room

    def use(self, series: IntColumn) -> None:
        """Note that values of these series count now."""
        self._columns["used"][series] = self.now

    def _room(self, device: int) -> int:
        """How many more numbers a device may have."""
        return min(self.share - self.held_by(device), self.limit - self.counted)

    def starts(self, device: IntColumn, layout: IntColumn) -> IntColumn:
        """Return where in `layouts.slots` the series of each (device, layout) begin.

        NO_ROOM: not for all of its metrics is there room.
        """
        found, unusual = self.layouts.usual(device, layout)
        for row in unusual.tolist():
            found[row] = self._start(int(device[row]), int(layout[row]))
        return found

    def _start(self, device: int, layout: int) -> int:
        known = self.layouts.start(device, layout)
        if known != NOT_READY:
            return known
        names = self.layouts.names[layout]
        if sum(self.find(device, name) == NONE for name in names) > max(self._room(device), 0):
            return NO_ROOM
        return self.layouts.put(device, layout, [self._take(device, name) for name in names])

    def _take(self, device: int, name: str) -> int:
        metric = self._metric(name)
        number = self._of.get(_key(device, metric))
        return self._add(device, metric, counted=True) if number == NONE else number

    def number_as_many(self, device: int, names: Iterable[str]) -> set[str]:
        """Give as many of these metrics a number as there is room for, in order; returns all that have one."""
        found = set()
        for name in names:
            if self.find(device, name) != NONE or self._room(device) > 0:
                self._take(device, name)
                found.add(name)
        return found

    # --- freeing

    def retire(self, devices: IntColumn) -> IntColumn:
        """Free the numbers of devices that have nothing open; returns them."""
        series = np.flatnonzero(self._columns["held"][: self._given] & np.isin(self.device, devices))
        self.free(series)
        return series

    def reclaimable(self, unused_since: int, pressed_since: int) -> IntColumn:
        """Return the numbers nobody needs, ascending: without a pair, or unused since then by the listening clock.

        The later time holds where four fifths of the limit, or of the device's share, are taken.
        """
        columns = {name: column[: self._given] for name, column in self._columns.items()}
        since = np.full(self._given, unused_since)
        if 5 * self.counted >= 4 * self.limit:
            since[:] = pressed_since
        elif self._tight:
            since[np.isin(columns["device"], self.crowded_devices())] = pressed_since
        idle = columns["counted"] & (columns["used"] < since)
        return np.flatnonzero(columns["held"] & (~columns["live"] | idle))

    def may_reclaim(self, unused_since: int) -> bool:
        """Whether `reclaimable` may find something."""
        if self._waiting or self._tight or 5 * self.counted >= 4 * self.limit:
            return True
        live = self._columns["live"][: self._given] & self._columns["counted"][: self._given]
        return bool((live & (self._columns["used"][: self._given] < unused_since)).any())

    def free(self, series: IntColumn) -> None:
        """Let these numbers be given again; nothing may be open of them."""
        if not len(series):
            return
        columns = self._columns
        for number in series.tolist():
            device = int(columns["device"][number])
            if columns["live"][number]:
                self._of.remove(_key(device, int(columns["metric"][number])))
            else:
                self._waiting -= 1
            self._settle_one(number)
            self._count(device, -int(columns["counted"][number]))
        for name in ("held", "live", "counted"):
            columns[name][series] = False
        columns["kind"][series] = KIND_OPEN
        self.layouts.forget(np.unique(columns["device"][series]))
        self._free += series[::-1].tolist()

    def free_metrics(self) -> IntColumn:
        """Let the numbers of metrics be given again that no series has and nothing names; returns them."""
        used = np.zeros(len(self.metric_names), np.bool_)
        used[self.metric_of[self._columns["held"][: self._given]]] = True
        used[list(self._pinned)] = True
        gone = [number for number in np.flatnonzero(~used).tolist() if self.metric_names[number]]
        for number in gone:
            del self._metric_of[self.metric_names[number]]
            self.metric_names[number] = ""
        self._free_metrics += gone
        return np.array(gone, np.int64)

    # --- state

    def snapshot(self) -> dict[str, Any]:
        return {
            "metrics": list(self.metric_names),
            "free_metrics": list(self._free_metrics),
            "pinned": sorted(self._pinned),
            "free": np.array(self._free, np.int64),
            **{name: column[: self._given].copy() for name, column in self._columns.items()},
        }

    def restore(self, state: dict[str, Any]) -> None:
        self.metric_names = list(state["metrics"])
        self._metric_of = {name: number for number, name in enumerate(self.metric_names) if name}
        self._free_metrics, self._pinned = list(state["free_metrics"]), set(state["pinned"])
        self._free = state["free"].tolist()
        self._columns = {name: state[name].copy() for name in _FILLS}
        self._given = len(state["device"])
        held, live, counted = (self._columns[name] for name in ("held", "live", "counted"))
        self.counted = int(np.count_nonzero(counted))
        self._waiting = int(np.count_nonzero(held & ~live))
        self._anew = int(np.count_nonzero(self.anew))
        self._share_held = np.bincount(self.device[counted]).astype(np.int64)
        self._tight = len(self.crowded_devices())
        pairs = np.flatnonzero(live)
        self._of = Numbering.of((self.device[pairs] << _METRIC_BITS) | self.metric_of[pairs], pairs)
        self.layouts.forget_all()
        self.epoch += 1


def _key(device: int, metric: int) -> int:
    return device << _METRIC_BITS | metric
