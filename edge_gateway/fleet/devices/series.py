"""Numbers for metrics and series, and the series of a whole message at once.

    new pair ─▶ held, live ──(device retired, or unused for long)──────────▶ free, to be reused
                     └─(kind changed, or forgotten)─▶ held, no longer live ─▶ free, once nothing is open

A pair is a (device, metric). The kind of a number never changes while anything is open under it. A number is freed
only when nothing is open, and then the device's tag versions are renumbered, so that (number, version) is unique.
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
"""What a series holds: not known yet, numbers, or texts. Declared, or fixed by the first good value."""

NO_ROOM = -1
_METRIC_BITS = 32
_FILLS: dict[str, tuple[type[np.generic], float]] = {
    "device": (np.int64, 0),
    "metric": (np.int64, 0),
    "kind": (np.int8, KIND_OPEN),
    "held": (np.bool_, False),  # the number is in use
    "live": (np.bool_, False),  # it is its pair's number; if not, it is held until nothing is open under it
    "counted": (np.bool_, False),  # it counts towards the limits
    "anew": (np.bool_, False),  # the next good value decides the kind again
    "used": (np.int64, 0),  # when it last had a good value, ms of the listening clock
}
"""Columns by series number."""

Declared = Callable[[int, str], int]
"""(device, metric name) -> declared kind; KIND_OPEN if nothing declares it."""


class SeriesTable:
    """Numbers of metrics and of (device, metric) pairs.

    Args:
        limit: most numbers held for what devices send. Series that rules derive are not counted: rule files bound them.
        share: most numbers held for one device; `limit` if None.
        declared: the declared kind of a pair.
    """

    def __init__(
        self, limit: int, share: int | None = None, declared: Declared = lambda *_: KIND_OPEN
    ) -> None:
        self.limit = limit
        self.share = limit if share is None else share
        self.layouts = Layouts()
        self.epoch = 0
        """Grows when the number of a series or metric is reused: anything cached by number is then void."""
        self.now = 0
        """The listening clock, ms; series are noted as used at this time."""
        self.counted = 0
        """Numbers that count towards `limit`."""
        self._declared = declared
        self._given = 0
        self._free: list[int] = []
        self._of = Numbering()
        self._metric_of: dict[str, int] = {}
        self.metric_names: list[str] = []
        """By number; "" if the number is free."""
        self._free_metrics: list[int] = []
        self._pinned: set[int] = set()
        """Metrics that rules or the configuration name: never freed."""
        self._columns = {name: np.empty(0, dtype) for name, (dtype, _) in _FILLS.items()}
        self._share_held = np.empty(0, np.int64)
        self._waiting = 0
        """Numbers held that are no longer live."""
        self._anew = 0
        self._tight = 0
        """Number of devices that hold at least four fifths of their share."""

    # --- metrics

    def metric(self, name: str) -> int:
        """Return the number of a metric, which is never freed. ValueError: it is no metric name."""
        if not is_metric_name(name):
            raise ValueError(f"{name!r} is no metric name")
        number = self._metric(name)
        self._pinned.add(number)
        return number

    def _metric(self, name: str) -> int:
        if (known := self._metric_of.get(name)) is not None:
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

    def numbered(self) -> tuple[int, int, int]:
        """Return how many numbers of series and of metrics were ever given, and how many of series are free."""
        return self._given, len(self.metric_names), len(self._free)

    @property
    def device(self) -> IntColumn:
        return self._columns["device"][: self._given]

    @property
    def metric_of(self) -> IntColumn:
        return self._columns["metric"][: self._given]

    @property
    def kind(self) -> np.ndarray[Any, np.dtype[np.int8]]:
        """The kind of each series; writable."""
        return self._columns["kind"][: self._given]

    @property
    def anew(self) -> BoolColumn:
        """Whether each series' next good value decides its kind again."""
        return self._columns["anew"][: self._given]

    @property
    def any_anew(self) -> bool:
        return self._anew > 0

    def held_by(self, device: int) -> int:
        """Return how many numbers a device has used of its share."""
        return int(self._share_held[device]) if device < len(self._share_held) else 0

    @property
    def held_by_device(self) -> IntColumn:
        """How many numbers each device has used of its share, by device number."""
        return self._share_held

    def crowded_devices(self) -> IntColumn:
        """Return the devices that have used at least four fifths of their share."""
        return np.flatnonzero(5 * self._share_held >= 4 * self.share)

    def find(self, device: int, name: str) -> int:
        """Return the number of a pair; NONE if it has none."""
        metric = self._metric_of.get(name)
        return NONE if metric is None else self._of.get(_key(device, metric))

    def series(self, device: int, metric: int) -> int:
        """Return the number of a pair, giving a new one its number regardless of the limits."""
        number = self._of.get(_key(device, metric))
        return self._add(device, metric, counted=False) if number == NONE else number

    def derived(self, device: int, metric: int) -> int:
        """Return the number of a series that a rule derives. It holds numbers: texts sent by that name are bad."""
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
        """Give the pair of a series another number, of its declared kind; what is open stays under the old one."""
        device, metric = int(self.device[number]), int(self.metric_of[number])
        counted = bool(self._columns["counted"][number])
        self.release(number)
        return self._add(device, metric, counted=counted)

    def release(self, number: int) -> None:
        """Separate a number from its pair, which gets another with its next value; free it once nothing is open."""
        self._of.remove(_key(int(self.device[number]), int(self.metric_of[number])))
        self._columns["live"][number] = False
        self._waiting += 1
        self._settle_one(number)
        self.layouts.forget(self.device[[number]])

    def release_metrics(self, device: int, name: str | None) -> None:
        """Release the number of a metric a device sends, or all of them if None; derived series stay."""
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
        """Let the next good value of these series decide their kind again; derived series are left alone."""
        sent = self._columns["counted"][series] & (self.kind[series] != KIND_OPEN)
        fresh = series[~self.anew[series] & sent]
        self.anew[fresh] = True
        self._anew += len(fresh)

    def settle(self, series: IntColumn) -> None:
        """Note that these series had a good value of their kind."""
        for number in np.unique(series[self.anew[series]]).tolist():
            self._settle_one(number)

    def _settle_one(self, number: int) -> None:
        self._anew -= int(self.anew[number])
        self.anew[number] = False

    def may_replace(self, number: int) -> bool:
        """Whether the limits allow another number for the pair of a series."""
        device = int(self.device[number])
        return not self._columns["counted"][number] or self._room(device) > 0

    def declare(self, device: int, name: str, kind: int, *, ignore_limits: bool = False) -> None:
        """Set the kind of a device's metric; a series of the other kind is replaced, if the limits allow."""
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
        """Note that these series have good values now."""
        self._columns["used"][series] = self.now

    def _room(self, device: int) -> int:
        """Return how many more numbers a device may have; negative if limits were lowered."""
        return min(self.share - self.held_by(device), self.limit - self.counted)

    def starts(self, device: IntColumn, layout: IntColumn) -> IntColumn:
        """Return where in `layouts.slots` the series of each (device, layout) start.

        NO_ROOM if the limits do not allow a number for each of its metrics.
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
        """Give these metrics a number, in order, as far as the limits allow; return all that have one."""
        found = set()
        for name in names:
            if self.find(device, name) != NONE or self._room(device) > 0:
                self._take(device, name)
                found.add(name)
        return found

    # --- freeing

    def retire(self, devices: IntColumn) -> IntColumn:
        """Free and return all numbers of devices that have nothing open."""
        series = np.flatnonzero(self._columns["held"][: self._given] & np.isin(self.device, devices))
        self.free(series)
        return series

    def reclaimable(self, unused_since: int, pressed_since: int) -> IntColumn:
        """Return the numbers to reclaim, ascending: no longer live, or unused since a time (ms of the listening clock).

        While four fifths of the limit or of the device's share are used, that time is `pressed_since`.
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
        """Whether `reclaimable` could find something."""
        if self._waiting or self._tight or 5 * self.counted >= 4 * self.limit:
            return True
        live = self._columns["live"][: self._given] & self._columns["counted"][: self._given]
        return bool((live & (self._columns["used"][: self._given] < unused_since)).any())

    def free(self, series: IntColumn) -> None:
        """Free these numbers for reuse; nothing may be open under them."""
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
        """Free and return the numbers of metrics that no series has and nothing names."""
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
