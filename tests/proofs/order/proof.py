"""Everything that may come twice, late, in another order or with a wrong time, against an oracle of plain Python.

Random histories of a few devices each: duplicates on both hops, reordering, readings late before their window closes,
after it, and after its stored row is gone; clocks ahead, behind, stepping, absent; reboots, reflashes with an old boot
number, moves to another site, tags that change within a window. Each goes through the real fold, journal and store, cut
into batches and commits at random, with crashes and restarts; windows of every tier, counters, gaps, alerts and
receipts must be what the oracle says of the arrivals alone. Then end to end: histories over a real broker to a gateway
that is killed on the way, with the corrected points in InfluxDB; the simulator's own duplicates, reordering and late
batches; and a gateway that starts in 1970.
"""

from __future__ import annotations

import random
import shutil
from collections.abc import Callable

from tests.proofs.ground.inside import rules_of
from tests.proofs.order.field import round_of, simulated, start_in_1970
from tests.proofs.order.histories import history
from tests.proofs.order.trial import RULES, Trial
from tests.proofs.proof import Proof, Setting

A_ROUND = 100
"""So many histories in this process for each round end to end."""
TOLD_EVERY = 250
END_TO_END = (round_of, simulated, start_in_1970)
"""A sample has one of these, by chance."""


def run(setting: Setting) -> None:
    """Judge `count` histories, then a round end to end for every hundred of them, a fleet, and the start in 1970."""
    rules = rules_of(setting.place("rules"), RULES)
    for number in range(setting.count):
        _one(setting, rules, setting.rng.getrandbits(32))
        if (number + 1) % TOLD_EVERY == 0:
            setting.say(f"{number + 1:,} histories, {setting.tally.windows:,} windows")
    ends: list[Callable[[Setting], None]] = [round_of] * (setting.count // A_ROUND)
    ends = [*ends, simulated, start_in_1970] if ends else [setting.rng.choice(END_TO_END)]
    for number, end_to_end in enumerate(ends, start=1):
        end_to_end(setting)
        setting.say(f"{number} of {len(ends)} end to end: {end_to_end.__name__}")


def _one(setting: Setting, rules: dict[str, object], seed: int) -> None:
    chance, tally, place = random.Random(seed), setting.tally, setting.place("history")
    given = history(chance)
    wrong = Trial(place, rules, chance, tally).run(given)
    tally.faults["history"] += 1
    tally.faults.update(given.faults)
    for sentence in wrong:
        tally.forbid("not as the oracle says", f"history of seed {seed}: {sentence}")
    shutil.rmtree(place, ignore_errors=True)


PROOF = Proof("order", "twice, late, out of order, wrong clocks", "histories", full=2_000, quick=25, run=run)
