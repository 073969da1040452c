"""The machine's clocks, and whether its wall clock may be believed."""

from __future__ import annotations

import ctypes
import time
from dataclasses import dataclass

BUILT = 1_767_225_600_000
"""No machine runs this program before 2026: an earlier wall clock was never set."""
TIME_ERROR = 5
TIMEX_BYTES = 512


@dataclass(slots=True)
class MachineClock:
    """Wall and monotonic milliseconds. `floor` is the last wall time known to be past: the newest journaled one."""

    floor: int = BUILT

    def wall(self) -> int:
        return time.time_ns() // 1_000_000

    def monotonic(self) -> int:
        return time.monotonic_ns() // 1_000_000

    def trusted(self) -> bool:
        """Whether the wall clock is synchronised, or at least not before what is known to be past."""
        return self.wall() >= self.floor or synchronised()


def synchronised() -> bool:
    """What the kernel's clock discipline says (adjtimex(2)); False where it cannot be asked."""
    buffer = ctypes.create_string_buffer(TIMEX_BYTES)
    try:
        state = ctypes.CDLL(None).adjtimex(buffer)
    except (OSError, AttributeError):
        return False
    return state not in {-1, TIME_ERROR}
