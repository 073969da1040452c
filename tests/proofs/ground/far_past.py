"""Run the gateway with its clock in 1970 while a file exists: `python -m tests.proofs.ground.far_past FILE COMMAND…`.

COMMAND is the command that runs the gateway: `python -m edge_gateway run …`.
"""

from __future__ import annotations

import sys
import time
from pathlib import Path

from edge_gateway.status import clock

SINCE_1970 = 100_000_000
"""Milliseconds since 1970 on the clock of a machine without a battery."""


def send_back(flag: Path) -> None:
    """Keep the gateway's clock in 1970 while `flag` exists; then it is right and synchronised."""
    begun = time.monotonic_ns()

    def wall(_: clock.MachineClock) -> int:
        if flag.exists():
            return SINCE_1970 + (time.monotonic_ns() - begun) // 1_000_000
        return time.time_ns() // 1_000_000

    setattr(clock.MachineClock, "wall", wall)  # noqa: B010 - mypy forbids replacing a method
    clock.synchronised = lambda: not flag.exists()


def main() -> None:
    flag, command = Path(sys.argv[1]), sys.argv[2:]
    send_back(flag)
    sys.argv = ["edge-gateway", *command[command.index("edge_gateway") + 1 :]]
    from edge_gateway.cli import main as run

    run()


if __name__ == "__main__":
    main()
