"""Counters of a run, and the snapshot of them that the status line and the end table show."""

from __future__ import annotations

from array import array
from dataclasses import asdict, dataclass, field
from typing import Any

from fleet_sim.devices.pacing import LATE_US, Lateness, Percentiles

__all__ = ["Counters", "Snapshot"]


@dataclass(frozen=True, slots=True)
class Snapshot:
    """The state of a run at one moment. Times in microseconds but `seconds`, rates per second."""

    seconds: float
    devices: int
    up: int
    published: int
    rate: float
    acked: int
    unacked: int
    waiting: int
    lost: int
    resent: int
    reconnects: int
    receipts: int
    commands: int
    notices: int
    alerts: int
    overruns: int
    gave_up: int
    connections_lost: int
    ack: Percentiles
    lag: Percentiles
    lag_now: Percentiles
    ack_now: Percentiles

    def as_dict(self) -> dict[str, Any]:
        return asdict(self)


@dataclass(slots=True)
class Counters:
    """Counters of a run. `made` counts messages numbered, `published` every PUBLISH of them, again or not.

    `missing` counts the messages that receipts named missing. `forgotten` are publishes without a PUBACK to wait for:
    at QoS 0, or of a device that crashed. `refusals` counts those that the broker refused by its reason code.
    `connections_lost` are the `disconnects` that no fault and no end of the run asked for.
    """

    made: int = 0
    published: int = 0
    acked: int = 0
    refused: int = 0
    forgotten: int = 0
    lost: int = 0
    resent: int = 0
    damaged: int = 0
    duplicated: int = 0
    connects: int = 0
    reconnects: int = 0
    disconnects: int = 0
    connections_lost: int = 0
    receipts: int = 0
    missing: int = 0
    commands: int = 0
    executed: int = 0
    notices: int = 0
    alerts: int = 0
    malformed: int = 0
    overruns: int = 0
    refusals: dict[int, int] = field(default_factory=dict)
    ack_us: array[int] = field(default_factory=lambda: array("q"))
    lag_us: array[int] = field(default_factory=lambda: array("q"))
    loop_us: array[int] = field(default_factory=lambda: array("q"))
    command_ack_us: array[int] = field(default_factory=lambda: array("q"))
    ack: Lateness = field(default_factory=Lateness)
    lag: Lateness = field(default_factory=Lateness)
    loop: Lateness = field(default_factory=Lateness)
    ack_now: Percentiles = field(default_factory=lambda: Percentiles.of(()))
    lag_now: Percentiles = field(default_factory=lambda: Percentiles.of(()))

    def gather(self) -> None:
        """Fold the durations since the last call into the distributions; `…_now` are of this interval."""
        self.ack_now, self.lag_now = Percentiles.of(self.ack_us), Percentiles.of(self.lag_us)
        self.overruns += (
            sum(1 for late in self.lag_us if late > LATE_US) if self.lag_now.most > LATE_US else 0
        )
        for total, recent in ((self.ack, self.ack_us), (self.lag, self.lag_us), (self.loop, self.loop_us)):
            total.add(recent)
            del recent[:]

    @property
    def in_flight(self) -> int:
        """Messages that are published and wait for their PUBACK."""
        return self.published - self.acked - self.refused - self.forgotten

    def as_dict(self) -> dict[str, int]:
        """Return every counter by its name."""
        return {name: value for name in self.__slots__ if isinstance(value := getattr(self, name), int)}
