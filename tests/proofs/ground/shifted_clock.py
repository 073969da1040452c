"""Run a gateway with a wall clock of its own: `python -m tests.proofs.ground.shifted_clock FILE python -m MODULE …`.

FILE says, as JSON, how many milliseconds the wall clock is `ahead` and whether it is `synchronised`. It is read at each
look at the clock, so that a test can change it while the gateway runs.
"""

from __future__ import annotations

import json
import runpy
import sys
import time
from dataclasses import asdict, dataclass
from pathlib import Path

from edge_gateway.status import clock


@dataclass(frozen=True, slots=True)
class WallClock:
    """A wall clock: how many milliseconds it is ahead, and whether the kernel calls it synchronised."""

    ahead: int = 0
    synchronised: bool = True

    def write(self, file: Path) -> None:
        """Make it the clock of the gateways that were started with this file."""
        new = file.with_suffix(".new")
        new.write_text(json.dumps(asdict(self)))
        new.replace(file)

    @classmethod
    def read(cls, file: Path) -> WallClock:
        return cls(**json.loads(file.read_text()))


def shift(file: Path) -> None:
    """Give this process the wall clock that the file describes."""

    def wall(_: clock.MachineClock) -> int:
        return time.time_ns() // 1_000_000 + WallClock.read(file).ahead

    setattr(clock.MachineClock, "wall", wall)  # noqa: B010 - mypy forbids replacing a method
    clock.synchronised = lambda: WallClock.read(file).synchronised


def main() -> None:
    file, command = Path(sys.argv[1]), sys.argv[2:]
    shift(file)
    module, *arguments = command[command.index("-m") + 1 :]
    sys.argv = [module, *arguments]
    runpy.run_module(module, run_name="__main__", alter_sys=True)


if __name__ == "__main__":
    main()
