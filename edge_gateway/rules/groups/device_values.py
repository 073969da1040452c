"""What the devices of groups have at a moment, as the context in which the arguments of aggregates are computed."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from edge_gateway.rules.alerts.timers import missing_since

if TYPE_CHECKING:
    from edge_gateway.columns.frame import BoolColumn, FloatColumn, IntColumn
    from edge_gateway.rules.alerts.rule_state import Instant, RuleState


@dataclass(frozen=True, slots=True)
class DeviceValues:
    """The last values of some devices, each at the device's now, where they are not older than their lookback.

    `now`: that of every device of the gateway, ms. Nothing is changed by looking.
    """

    state: RuleState
    devices: IntColumn
    now: IntColumn
    at: Instant

    def value(self, number: int) -> FloatColumn:
        inputs, devices = self.state.inputs, self.devices
        read_at = inputs.last_at[devices, number]
        counts = (read_at > 0) & (self.now[devices] - read_at <= inputs.lookback[number])
        counts &= ~inputs.lost[devices, number]
        return np.where(counts, inputs.last[devices, number], np.nan)

    def tag(self, name: str) -> FloatColumn:
        return self.state.histories.tag(name, self.devices)

    def ranged(self, ring: int, function: str) -> FloatColumn:
        return self.state.histories.at_once(ring, self.devices, self.now[self.devices], function)

    def silent(self, metric: str, ms: int) -> FloatColumn:
        """1 where a metric has not come for so long, 0 where it has, NaN where it is not expected."""
        place = self.state.program.awaited.index(metric)
        since = missing_since(self.state, self.at, self.now, place, ms)[self.devices]
        return np.where(self.expected(metric), since > 0, np.nan)

    def expected(self, metric: str) -> BoolColumn:
        """Whether the devices are to send a metric: they have sent it, their birth names it, or they sent nothing."""
        state = self.state
        number, text = state.program.watched(metric)
        sent = np.maximum(state.inputs.last_at[:, number], state.inputs.last_at[:, text])
        named = state.expected.since(state.program.awaited.index(metric), state.inputs.first_seen)
        found: BoolColumn = ((sent > 0) | (named > 0))[self.devices]
        return found
