"""Messages arrive twice, late, out of order or with a wrong time; the result must be that of an oracle in plain Python.

Broken, in `count` random histories of a few devices each: duplicates on both hops; reordering; readings that are late
before their window closes, after it, and after its stored row is gone; clocks that are ahead, behind, stepping or
absent; reboots, moves to another site, tags that change within a window. Each
history goes through the real fold, journal and store, split at random into batches and commits, with crashes and
restarts. Then end to end: histories over a real broker to a gateway that is killed meanwhile; the simulator's own
duplicates, reordering and late batches; and a gateway that starts in 1970.

Compared: windows of every tier, counters, gaps, alerts and receipts with what the oracle computes from the arrivals
alone; end to end also the corrected points in InfluxDB.

Failures: any difference; a window of a time that never was; no disorder to judge.
"""

from __future__ import annotations

import random
import shutil
from collections.abc import Callable

from tests.proofs.ground.inside import rules_of
from tests.proofs.order.field import over_a_broker, simulated, start_in_1970
from tests.proofs.order.histories import history
from tests.proofs.order.trial import RULES, Trial
from tests.proofs.proof import Proof, Setting

HISTORIES_A_ROUND = 100
"""Histories in this process for each round end to end."""
REPORT_EVERY = 250
END_TO_END = (over_a_broker, simulated, start_in_1970)
"""A sample runs one of these, chosen at random."""


def run(setting: Setting) -> None:
    """Judge `count` histories, then end to end a round for every hundred of them, a fleet, and a start in 1970."""
    rules = rules_of(setting.place("rules"), RULES)
    for number in range(setting.count):
        _one(setting, rules, setting.rng.getrandbits(32))
        if (number + 1) % REPORT_EVERY == 0:
            setting.say(f"{number + 1:,} histories, {setting.findings.windows:,} windows")
    ends: list[Callable[[Setting], None]] = [over_a_broker] * (setting.count // HISTORIES_A_ROUND)
    ends = [*ends, simulated, start_in_1970] if ends else [setting.rng.choice(END_TO_END)]
    for number, end_to_end in enumerate(ends, start=1):
        end_to_end(setting)
        setting.say(f"{number} of {len(ends)} end to end: {end_to_end.__name__}")


def _one(setting: Setting, rules: dict[str, object], seed: int) -> None:
    chance, findings, place = random.Random(seed), setting.findings, setting.place("history")
    given = history(chance)
    wrong = Trial(place, rules, chance, findings).run(given)
    findings.faults["history"] += 1
    findings.faults.update(given.faults)
    for sentence in wrong:
        findings.forbid("differs from the oracle", f"history of seed {seed}: {sentence}")
    shutil.rmtree(place, ignore_errors=True)


PROOF = Proof(
    "order",
    "messages arrive twice, late, out of order, with wrong clocks",
    "histories",
    full=2_000,
    quick=25,
    run=run,
)
