"""A kind of fault that the simulator does not have: this class is all that it takes."""

from typing import Literal

from fleet_sim.faults.clock import ClockFault


class FrozenClock(ClockFault):
    """The device's clock stands still."""

    in_phase = True
    kind: Literal["frozen_clock"] = "frozen_clock"

    def ahead_ms(self, since_ms: float) -> float:
        return -since_ms
