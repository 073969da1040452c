"""The machine's clocks, and whether its wall clock can be trusted."""

from __future__ import annotations

import ctypes
import time
from dataclasses import dataclass
from typing import Final

BUILT: Final = 1_767_225_600_000
"""Wall ms of 2026-01-01: no machine runs this program before, so an earlier wall clock was never set."""
TIME_ERROR: Final = 5
"""What adjtimex(2) returns while the clock is not synchronised (TIME_ERROR in sys/timex.h)."""
TIMEX_BYTES: Final = 512
"""More than the size of struct timex on every platform."""


_SINCE_BOOT: Final = getattr(time, "CLOCK_BOOTTIME", time.CLOCK_MONOTONIC)
"""Linux has a monotonic clock that also counts the time for which the machine sleeps."""


@dataclass(slots=True)
class MachineClock:
    """Wall and monotonic milliseconds.

    Args:
        floor: the newest wall time known to be past, which is that of the newest journal record.
        offset: what is added to the machine's monotonic time, in ms.
    """

    floor: int = BUILT
    offset: int = 0

    def wall(self) -> int:
        return time.time_ns() // 1_000_000

    def monotonic(self) -> int:
        return time.clock_gettime_ns(_SINCE_BOOT) // 1_000_000 + self.offset

    def go_on_from(self, monotonic: int) -> None:
        """Let monotonic time go on from here, the time at which an earlier run would be now."""
        self.offset += monotonic - self.monotonic()

    def trusted(self) -> bool:
        """Return whether the wall clock is synchronised, or at least not behind what is known to be past."""
        return self.wall() >= self.floor or synchronised()


def synchronised() -> bool:
    """Return whether the kernel says the clock is synchronised (adjtimex(2)); False where it cannot be asked."""
    buffer = ctypes.create_string_buffer(TIMEX_BYTES)
    try:
        state = ctypes.CDLL(None).adjtimex(buffer)
    except (OSError, AttributeError):
        return False
    return state not in {-1, TIME_ERROR}
