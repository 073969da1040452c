"""Run the gateway with an injected fault: `python -m tests.proofs.ground.sabotaged --point NAME … -- run --config …`.

--point NAME --nth N [--do kill | block:SECONDS]   at the n-th call of a point of `failpoints`
--set MODULE:NAME=NUMBER                           change a constant

After `--` comes the command line of `edge-gateway`.
"""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Sequence
from dataclasses import dataclass

from tests.proofs.ground.failpoints import Action, Armed, Attribute, NoSuchPoint, action_of, point_of

STDERR = 2


@dataclass(frozen=True, slots=True)
class Sabotage:
    """A fault for a gateway: at the `nth` call of `point`, `do`; and changed constants."""

    point: str = ""
    nth: int = 1
    do: str = "kill"
    constants: tuple[tuple[str, float], ...] = ()

    def command(self) -> list[str]:
        """Return the arguments of this module, up to those of the gateway."""
        armed = ["--point", self.point, "--nth", str(self.nth), "--do", self.do] if self.point else []
        changed = [f"--set={place}={value:g}" for place, value in self.constants]
        return ["-m", "tests.proofs.ground.sabotaged", *armed, *changed, "--"]


def main(arguments: Sequence[str]) -> None:
    """Inject the fault that the options name, and run the gateway."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--point")
    parser.add_argument("--nth", type=int, default=1)
    parser.add_argument("--do", default="kill")
    parser.add_argument("--set", action="append", default=[])
    parser.add_argument("gateway", nargs="+")
    options = parser.parse_args(arguments)
    try:
        for text in options.set:
            change(text)
        if options.point:
            arm(options.point, options.nth, options.do)
    except NoSuchPoint as error:
        parser.error(str(error))
    sys.argv = ["edge-gateway", *options.gateway]
    from edge_gateway.cli import main as run

    run()


def change(text: str) -> None:
    """Change a constant of the gateway; NoSuchPoint if it does not exist."""
    name, _, number = text.rpartition("=")
    place = Attribute.parse(name)
    *_, held = place.resolve()
    if not isinstance(held, int | float):
        raise NoSuchPoint(f"{name} is no number")
    place.put(type(held)(float(number)))


def arm(point: str, nth: int, do: str) -> Armed:
    """Arm one point; its action is announced on standard error."""
    act, seconds = action_of(do, point_of(point).when)
    armed = Armed(point, nth, _told(f"sabotaged: {point}, call {nth}: {do}\n", act), seconds)
    armed.arm()
    return armed


def _told(words: str, act: Action) -> Action:
    def told() -> None:
        os.write(STDERR, words.encode())
        act()

    return told


if __name__ == "__main__":
    main(sys.argv[1:])
