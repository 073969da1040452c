"""What became of everything that arrived.

Two identities hold at every instant, for each device and in total:

    messages: received = new + duplicate + quarantined
    values of new messages: values = accepted (of which late_merged) + too_late + bad + refused
"""

from collections.abc import Iterator
from typing import Any

import numpy as np

from edge_gateway.columns.frame import BoolColumn, IntColumn
from edge_gateway.columns.growing import with_room
from edge_gateway.fleet.decoders.bad_values import NO_METRIC, NO_NUMBER, BadReason, BadValues

MESSAGES = ("received", "new", "duplicate", "quarantined")
VALUES = ("values", "accepted", "late_merged", "too_late", "bad", "refused")
ASIDE = ("qos0", "conflicts", "stamped")
"""Counted beside: messages of QoS 0, those quarantined as sequence conflicts, samples stamped."""
COUNTED = MESSAGES + VALUES + ASIDE
NO_DEVICE = -1
"""Messages whose device is not known, or not any more, are counted for the whole fleet only."""


class Accounting:
    """Counters by device, and the bad values by (device, metric, reason)."""

    def __init__(self) -> None:
        self._size = 0
        self._columns = {name: np.zeros(1, np.int64) for name in COUNTED}
        self._bad: dict[tuple[int, int, int], int] = {}

    def make_room(self, devices: int) -> None:
        """Hold counters for device numbers below `devices`."""
        if devices > self._size:
            self._size = devices
            for name, column in self._columns.items():
                self._columns[name] = with_room(column, devices + 1, 0)

    def count(self, name: str, device: IntColumn, amount: IntColumn | None = None) -> None:
        """Add `amount` (one where it is None) to a counter of each device; NO_DEVICE is allowed."""
        if not len(device):
            return
        self.make_room(int(device.max()) + 1)
        np.add.at(self._columns[name], device + 1, np.int64(1) if amount is None else amount)

    def bad_values(self, device: IntColumn, bad: BadValues) -> None:
        """Count values that do not count; `device` is the device of each."""
        rated = bad.reason == BadReason.RATE
        self.count("bad", device[~rated])
        self.count("refused", device[rated])
        for key in zip(device.tolist(), bad.metric.tolist(), bad.reason.tolist(), strict=True):
            self._bad[key] = self._bad.get(key, 0) + 1

    def too_late(self, device: IntColumn) -> None:
        """Move readings from accepted to too late: their window is neither held nor stored."""
        self.count("accepted", device, np.full(len(device), -1, np.int64))
        self.count("too_late", device)

    def late_merged(self, device: IntColumn) -> None:
        """Count accepted readings that are merged into a window stored before."""
        self.count("late_merged", device)

    def forget(self, devices: IntColumn) -> None:
        """Count what these devices counted for the whole fleet only; nobody loses a message by being forgotten."""
        known = devices[devices < self._size] + 1
        for column in self._columns.values():
            column[0] += column[known].sum()
            column[known] = 0
        gone = set(devices.tolist())
        for device, metric, reason in [key for key in self._bad if key[0] in gone]:
            key = (NO_DEVICE, metric, reason)
            self._bad[key] = self._bad.get(key, 0) + self._bad.pop((device, metric, reason))

    def forget_metrics(self, metrics: IntColumn) -> None:
        """Count the bad values of these metrics without a name: their numbers are given to others."""
        gone = set(metrics.tolist())
        for device, metric, reason in [key for key in self._bad if key[1] in gone] if gone else ():
            key = (device, NO_NUMBER, reason)
            self._bad[key] = self._bad.get(key, 0) + self._bad.pop((device, metric, reason))

    def of(self, device: int) -> dict[str, int]:
        """Return all counters of one device."""
        known = device < self._size
        return {name: int(column[device + 1]) if known else 0 for name, column in self._columns.items()}

    def totals(self) -> dict[str, int]:
        """Return all counters of the fleet, messages of no known device included."""
        return {name: int(column.sum()) for name, column in self._columns.items()}

    def column(self, name: str) -> IntColumn:
        """Return one counter of all devices, by device number."""
        return self._columns[name][1 : self._size + 1]

    def bad(self, device: int | None = None) -> Iterator[tuple[int, int, BadReason, int]]:
        """Yield (device, metric, reason, count), of one device or of all.

        The metric is NO_METRIC where the name is none, NO_NUMBER where it has no number.
        """
        for (of, metric, reason), count in self._bad.items():
            if device is None or device == of:
                yield of, metric, BadReason(reason), count

    def imbalance(self) -> list[int]:
        """Return the devices for which an identity does not hold; always empty, and NO_DEVICE among them."""
        has = self._columns
        messages: BoolColumn = has["received"] != has["new"] + has["duplicate"] + has["quarantined"]
        values: BoolColumn = has["values"] != has["accepted"] + has["too_late"] + has["bad"] + has["refused"]
        return [int(row) - 1 for row in np.flatnonzero(messages | values)]

    def snapshot(self) -> dict[str, Any]:
        columns = {name: column[: self._size + 1].copy() for name, column in self._columns.items()}
        bad = np.array([(*key, count) for key, count in sorted(self._bad.items())], np.int64).reshape(-1, 4)
        return {"columns": columns, "bad": bad}

    def restore(self, state: dict[str, Any]) -> None:
        self._columns = {name: state["columns"][name].copy() for name in COUNTED}
        self._size = len(self._columns["received"]) - 1
        rows = state["bad"].tolist()
        self._bad = {(device, metric, reason): count for device, metric, reason, count in rows}


def bad_text(metric: int, reason: BadReason, metric_names: list[str]) -> str:
    """Return how a bad value is named to people, such as "temperature: range"."""
    return f"{metric_text(metric, metric_names)}: {reason.text}"


def metric_text(metric: int, metric_names: list[str]) -> str:
    """Return what people call a metric."""
    unnamed = {NO_METRIC: "(no metric name)", NO_NUMBER: "(other metrics)"}
    return unnamed[metric] if metric in unnamed else metric_names[metric]
