"""Clocks that are wrong must neither lose, misdate nor double a reading, nor raise a false alert, nor miss one.

Broken, in `count` device histories, twelve to a gateway: the gateway's wall clock is ahead, behind, in 1970, steps,
comes back wrong after a power cut, or the machine is suspended; devices have no clock, one that is minutes, an hour or
years off, one that is adjusted by a millisecond, one that is behind after a reboot, or come back with a buffer.

Compared with true time and with what was sent: every reading in exactly one window, that of its device's time where
the device has one, else of the time it was taken; every device that is hot raises one alert, the one that is silent
raises one; while the fleet knows that the gateway's clock is wrong, a problem says so.

Failures: any difference.
"""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

from tests.proofs.clock.machines import MISFORTUNES
from tests.proofs.clock.trial import Trial
from tests.proofs.proof import Proof, Setting

DEVICES = 12
AT_ONCE = 4


def run(setting: Setting) -> None:
    """Judge every misfortune in turn, several at once, until `count` device histories are judged."""
    broker = setting.broker()
    number = setting.rng.randrange(len(MISFORTUNES))
    trials = [
        Trial(setting, broker, MISFORTUNES[(number + place) % len(MISFORTUNES)], setting.rng.getrandbits(32))
        for place in range(max(1, setting.count // DEVICES))
    ]
    with ThreadPoolExecutor(AT_ONCE) as pool:
        for trial, wrong in zip(trials, pool.map(Trial.run, trials), strict=True):
            setting.findings.faults[trial.misfortune.name] += 1
            for sentence in wrong:
                setting.findings.forbid("differs from true time", sentence)
            setting.say(f"{setting.findings.faults.total()} of {len(trials)}: {trial.misfortune.name}")
    broker.kill()


PROOF = Proof(
    "clock",
    "clocks of gateways and devices are ahead, behind, stepping, absent, restored, suspended",
    "device histories",
    full=504,
    quick=36,
    run=run,
)
