"""Run a gateway whose wall clock is shifted: `python -m tests.proofs.ground.shifted_clock FILE python -m MODULE …`.

FILE holds the shift in milliseconds and is read at each look at the clock, so that a test can set it while the gateway
runs. The kernel never says that the clock is synchronised.
"""

from __future__ import annotations

import runpy
import sys
import time
from pathlib import Path

from edge_gateway.status import clock


def shift(file: Path) -> None:
    """Shift the gateway's clock by what `file` says, now and later."""

    def wall(_: clock.MachineClock) -> int:
        return time.time_ns() // 1_000_000 + int(file.read_text())

    setattr(clock.MachineClock, "wall", wall)  # noqa: B010 - mypy forbids replacing a method
    clock.synchronised = lambda: False


def set_shift(file: Path, ms: int) -> None:
    """Write a shift, so that no reader sees half of it."""
    fresh = file.with_suffix(".new")
    fresh.write_text(str(ms))
    fresh.replace(file)


def main() -> None:
    file, command = Path(sys.argv[1]), sys.argv[2:]
    shift(file)
    module, *arguments = command[command.index("-m") + 1 :]
    sys.argv = [module, *arguments]
    runpy.run_module(module, run_name="__main__", alter_sys=True)


if __name__ == "__main__":
    main()
