"""More than a gateway can remember: nothing forgotten may turn into a wrong answer.

Broken, in `count` random lives of a device each: dozens of boots, and messages of the first ones again; hundreds of
gaps, filled afterwards or never; silence until the device is retired, and repeats when it is back; trimmed history, and
readings of the time before; a clock that went back; a flash that was erased; no clock at all. Each life goes through
the real fold, journal and store, split at random, with restarts. Then lives over a real broker and InfluxDB, with a
gateway that is killed meanwhile.

Compared with what was sent, and nothing else: which readings each written point holds, in every tier; what is told
apart; quarantine; receipts; counters.

Failures: a reading in no window of which nothing says so; one that counts twice; a point that lost readings; a coarse
point that is not the sum of its base points; a receipt for what did not arrive; the newest reading not in its window; a
counter that does not agree.
"""

from __future__ import annotations

import random
import shutil

from tests.proofs.forget.field import over_a_broker
from tests.proofs.forget.lives import life
from tests.proofs.forget.trial import EVERY, Trial
from tests.proofs.proof import Proof, Setting

LIVES_A_ROUND = 200
"""Lives in this process for each round end to end."""
REPORT_EVERY = 250
STEPS = 25


def run(setting: Setting) -> None:
    """Judge `count` lives, and end to end a round for every two hundred of them, at least one."""
    for number in range(setting.count):
        _one(setting, setting.rng.getrandbits(32))
        if (number + 1) % REPORT_EVERY == 0:
            setting.say(f"{number + 1:,} lives, {setting.findings.acknowledged:,} messages")
    ends = max(1, setting.count // LIVES_A_ROUND)
    for number in range(ends):
        over_a_broker(setting)
        setting.say(f"{number + 1} of {ends} over a broker")


def _one(setting: Setting, seed: int) -> None:
    chance, place = random.Random(seed), setting.place("life")
    wrong = Trial(place, chance, setting.findings).run(life(chance, "dev-0", window=EVERY[0], steps=STEPS))
    setting.findings.faults["life"] += 1
    for sentence in wrong:
        setting.findings.forbid("differs from what was sent", f"life of seed {seed}: {sentence}")
    shutil.rmtree(place, ignore_errors=True)


PROOF = Proof(
    "forget",
    "more boots, gaps, silence and history than a gateway can remember",
    "lives",
    full=2_000,
    quick=12,
    run=run,
)
