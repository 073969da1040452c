"""When a gateway closes the windows of a run, as docs/delivery.md promises.

The time of a device closes its windows, not the wall clock: a run may simulate another time than now, or a faster one.
Silence closes base windows at once, and a coarser window when the device's time, which goes on from its last
reading, has passed the end. The run is over, so both are counted from the last message that the broker acknowledged.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final, Self

from fleet_sim.judging.stored import WindowKey
from fleet_sim.judging.terms import Terms, TimeLimits
from fleet_sim.ledger.expected import acked_rows
from fleet_sim.ledger.reading import Ledger

__all__ = ["CLOSING_TAKES_MS", "Closing"]

CLOSING_TAKES_MS: Final = 2_000
"""From the time at which a window is due to close until it is stored, at most."""


@dataclass(frozen=True, slots=True)
class Closing:
    """When windows close that are open at the end of a run; wall times in ms since 1970.

    The gateway takes the devices for silent from `silent_from` on. `reached` is the time that the clock of each device
    showed at its last acknowledged reading, in ms; `base_ms` the length of a base window.
    """

    limits: TimeLimits
    base_ms: int
    silent_from: float
    reached: Mapping[str, int]

    @classmethod
    def of(cls, ledger: Ledger, terms: Terms) -> Self:
        """Read from a ledger when its devices fell silent."""
        arrivals = ledger.tables["acks"]["at"]
        last = float(arrivals.max()) / 1000 if arrivals.size else -math.inf
        return cls(
            terms.time, terms.tiers[0].every_ms, last + terms.time.idle_close_ms, _reached(ledger, terms.time)
        )

    def earliest_ms(self, key: WindowKey) -> float:
        """Return before which time a window that is open does not close."""
        end = key.start + key.every
        left = 0 if key.every == self.base_ms else max(0, end - self.reached.get(key.device, end))
        return self.silent_from + left

    def latest_ms(self, key: WindowKey) -> float:
        """Return when a window must be stored, if the gateway listens all the time."""
        return self.earliest_ms(key) + self.limits.allowed_lateness_ms + CLOSING_TAKES_MS


def _reached(ledger: Ledger, limits: TimeLimits) -> dict[str, int]:
    reached: dict[str, int] = {}
    for group in ledger.groups:
        table = group.table
        counted = acked_rows(ledger, group) & group.intact() & limits.believe(table["ts"], table["sent"])
        # The rows are in the order they were made, and a later row of a device replaces an earlier one.
        rows = zip(table["device"][counted].tolist(), table["ts"][counted].tolist(), strict=True)
        reached |= {ledger.devices[device].id: ts for device, ts in dict(rows).items()}
    return reached
