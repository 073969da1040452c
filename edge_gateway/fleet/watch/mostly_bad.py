"""Devices most of whose values are bad, judged by the last 64 to 128 values of each."""

from typing import Any, NamedTuple

import numpy as np

from edge_gateway.columns.frame import IntColumn
from edge_gateway.columns.growing import with_room
from edge_gateway.fleet.decoders.bad_values import NO_NUMBER, BadReason, BadValues

MOST_COUNTED = 128
"""At this many values both counts are halved, so that older values weigh less."""
LEAST_COUNTED = 32
"""A device with fewer values is not judged."""
_COLUMNS = ("values", "bad", "metric", "reason")


class MostlyBadDevice(NamedTuple):
    """A device more than half of whose values are bad, with metric and reason of its last bad value."""

    device: int
    metric: int
    reason: BadReason


class MostlyBad:
    """Counts a device's values from its first bad one on, until halving brings its bad ones to zero.

    A fleet without bad values costs nothing.
    """

    def __init__(self) -> None:
        self._counts = {name: np.zeros(0, np.int64) for name in _COLUMNS}
        self._watched = 0

    def __bool__(self) -> bool:
        """Whether any device is being counted."""
        return self._watched > 0

    def count(self, device: IntColumn, good: IntColumn, bad_of: IntColumn, bad: BadValues) -> None:
        """Count the values of a batch.

        Args:
            device: device of each row of the frame.
            good: number of good values in each row.
            bad_of: device of each bad value.
            bad: the bad values.
        """
        if not len(device):
            return
        size = int(device.max()) + 1
        self._counts = {name: with_room(column, size, 0) for name, column in self._counts.items()}
        values, bads = self._counts["values"], self._counts["bad"]
        np.add.at(bads, bad_of, np.int64(1))
        np.add.at(values, bad_of, np.int64(1))
        self._counts["metric"][bad_of], self._counts["reason"][bad_of] = bad.metric, bad.reason
        watched = bads[device] > 0
        np.add.at(values, device[watched], good[watched])
        self._halve(np.unique(device[watched]))
        self._watched = int(np.count_nonzero(bads))

    def _halve(self, devices: IntColumn) -> None:
        values, bads = self._counts["values"], self._counts["bad"]
        while len(devices := devices[values[devices] >= MOST_COUNTED]):
            values[devices] //= 2
            bads[devices] //= 2
        values[bads == 0] = 0

    def found(self) -> list[MostlyBadDevice]:
        """Return the devices more than half of whose values are bad, ascending."""
        values, bads = self._counts["values"], self._counts["bad"]
        devices = np.flatnonzero((values >= LEAST_COUNTED) & (2 * bads > values))
        metric, reason = self._counts["metric"], self._counts["reason"]
        return [
            MostlyBadDevice(one, int(metric[one]), BadReason(int(reason[one]))) for one in devices.tolist()
        ]

    def forget(self, devices: IntColumn) -> None:
        """Forget retired devices."""
        known = devices[devices < len(self._counts["bad"])]
        for column in self._counts.values():
            column[known] = 0
        self._watched = int(np.count_nonzero(self._counts["bad"]))

    def forget_metrics(self, metrics: IntColumn) -> None:
        """Replace these metrics by NO_NUMBER: their numbers will be reused."""
        column = self._counts["metric"]
        column[np.isin(column, metrics)] = NO_NUMBER

    def snapshot(self) -> dict[str, Any]:
        devices = np.flatnonzero(self._counts["bad"])
        return {"device": devices, **{name: column[devices] for name, column in self._counts.items()}}

    def restore(self, state: dict[str, Any]) -> None:
        devices = state["device"]
        self._watched = len(devices)
        for name in _COLUMNS:
            column = np.zeros(int(devices.max(initial=-1)) + 1, np.int64)
            column[devices] = state[name]
            self._counts[name] = column
