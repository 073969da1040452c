"""Counters for what became of everything that arrived.

Two identities hold at every instant, for each device and in total:

    messages: received = new + duplicate + not_known + quarantined
    values of new messages: values = accepted (of which late_merged) + too_late + bad + refused
"""

from collections.abc import Iterator
from typing import Any

import numpy as np

from edge_gateway.columns.frame import IntColumn
from edge_gateway.columns.growing import with_room
from edge_gateway.fleet.decoders.bad_values import NO_METRIC, NO_NUMBER, BadReason, BadValues

MESSAGES = ("received", "new", "duplicate", "not_known", "quarantined")
VALUES = ("values", "accepted", "late_merged", "too_late", "bad", "refused")
ASIDE = ("qos0", "conflicts", "stamped", "values_not_known")
"""Outside both identities: messages of QoS 0, those quarantined as sequence conflicts, samples stamped on arrival, and
the values of messages that are not known."""
COUNTED = MESSAGES + VALUES + ASIDE
NO_DEVICE = -1
"""The device of messages that belong to no known or to a retired device; they count in the fleet's totals only."""


class Accounting:
    """Counters by device, and bad values by (device, metric, reason)."""

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
        """Add to a counter of each listed device; a device may be listed repeatedly, and may be NO_DEVICE.

        Args:
            name: one of COUNTED.
            device: device numbers.
            amount: what to add for each entry of `device`; one if None.
        """
        if not len(device):
            return
        self.make_room(int(device.max()) + 1)
        np.add.at(self._columns[name], device + 1, np.int64(1) if amount is None else amount)

    def bad_values(self, device: IntColumn, bad: BadValues) -> None:
        """Count bad values; `device` is the device of each. Those over their rate count as refused, not as bad."""
        rated = bad.reason == BadReason.RATE
        self.count("bad", device[~rated])
        self.count("refused", device[rated])
        for key in zip(device.tolist(), bad.metric.tolist(), bad.reason.tolist(), strict=True):
            self._bad[key] = self._bad.get(key, 0) + 1

    def too_late(self, device: IntColumn) -> None:
        """Move readings of these devices from accepted to too late: their window is neither open nor stored."""
        self.count("accepted", device, np.full(len(device), -1, np.int64))
        self.count("too_late", device)

    def late_merged(self, device: IntColumn) -> None:
        """Count accepted readings of these devices that the store merges into a closed window."""
        self.count("late_merged", device)

    def forget(self, devices: IntColumn) -> None:
        """Move the counters of retired devices to NO_DEVICE, so that the fleet's totals stay the same."""
        known = devices[devices < self._size] + 1
        for column in self._columns.values():
            column[0] += column[known].sum()
            column[known] = 0
        gone = set(devices.tolist())
        for device, metric, reason in [key for key in self._bad if key[0] in gone]:
            key = (NO_DEVICE, metric, reason)
            self._bad[key] = self._bad.get(key, 0) + self._bad.pop((device, metric, reason))

    def forget_metrics(self, metrics: IntColumn) -> None:
        """Count the bad values of these metrics under NO_NUMBER: their numbers will be reused."""
        gone = set(metrics.tolist())
        for device, metric, reason in [key for key in self._bad if key[1] in gone] if gone else ():
            key = (device, NO_NUMBER, reason)
            self._bad[key] = self._bad.get(key, 0) + self._bad.pop((device, metric, reason))

    def of(self, device: int) -> dict[str, int]:
        """Return all counters of one device."""
        known = device < self._size
        return {name: int(column[device + 1]) if known else 0 for name, column in self._columns.items()}

    def totals(self) -> dict[str, int]:
        """Return all counters of the fleet, NO_DEVICE included."""
        return {name: int(column.sum()) for name, column in self._columns.items()}

    def column(self, name: str) -> IntColumn:
        """Return one counter of every device, by device number."""
        return self._columns[name][1 : self._size + 1]

    def bad(self, device: int | None = None) -> Iterator[tuple[int, int, BadReason, int]]:
        """Yield (device, metric, reason, count) of one device, or of all if it is None.

        The metric is NO_METRIC if its name was invalid, NO_NUMBER if its name has no number.
        """
        for (of, metric, reason), count in self._bad.items():
            if device is None or device == of:
                yield of, metric, BadReason(reason), count

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
    """Return the text that names a kind of bad value to people, such as "temperature: range"."""
    return f"{metric_text(metric, metric_names)}: {reason.text}"


def metric_text(metric: int, metric_names: list[str]) -> str:
    """Return the name of a metric number to show to people."""
    unnamed = {NO_METRIC: "(no metric name)", NO_NUMBER: "(other metrics)"}
    return unnamed[metric] if metric in unnamed else metric_names[metric]
