"""Judge what a gateway at work kept of a ledger: each window is right, wrong, or absent, reported or in silence.

ledger ─▶ windows with acknowledged readings ─┐
                                              ├─▶ one verdict for each ─▶ findings
history or InfluxDB ─▶ windows stored ────────┤
log ─▶ losses that were reported, and when ───┘

The coverage floor that the gateway publishes excuses nothing here: a window before it is right or absent, too.
"""

from __future__ import annotations

import re
from collections import Counter, defaultdict
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from enum import Enum
from typing import Final, NamedTuple

from edge_gateway.status.catalogue import Problem
from fleet_sim.judging.stored import WindowKey
from fleet_sim.judging.terms import Terms
from fleet_sim.ledger.expected import Facts, Policy, possible, readouts, windows
from fleet_sim.ledger.reading import Ledger
from tests.proofs.proof import Findings

OF_THE_STORE: Final = {
    problem.code for problem in (Problem.STORE_CORRUPT, Problem.STORE_LOST, Problem.STORE_BEHIND)
}
OF_THE_STATE: Final = {
    problem.code
    for problem in (Problem.STATE_LOST, Problem.RECORDS_LOST, Problem.REPLAY_DIFFERS, Problem.SPOOL_LOST)
}
UNSTORED_MS: Final = 10_000
"""From the end of a window until it is stored, at most, on a slow machine: lateness, idle closing and the commits."""
_REPORT: Final = re.compile(r"^(\S+) ERROR +edge_gateway\.status: (\w+): ", re.MULTILINE)


class Verdict(Enum):
    """What is found of one window."""

    RIGHT = "right"
    WRONG = "wrong"
    REPORTED = "absent, and a loss was reported that explains it"
    SILENT = "absent in silence"
    UNDECIDED = "stored, with too many readings without a PUBACK to say what is right"


class Loss(NamedTuple):
    """A loss that the gateway reported, of windows that end after `after` and start before `until` (ms)."""

    after: int
    until: int

    def explains(self, key: WindowKey) -> bool:
        return key.start + key.every > self.after and key.start < self.until


class _Expected(NamedTuple):
    """What a window may hold (None: too many combinations), and of how many readings; `must` are acknowledged."""

    allowed: Collection[Facts] | None
    must: int
    most: int


_NOTHING: Final = _Expected((), 0, 0)


@dataclass(slots=True)
class JudgedWindows:
    """The verdicts. `readings` are the acknowledged values of base windows; `double` those stored beyond all sent."""

    verdicts: Counter[Verdict] = field(default_factory=Counter)
    readings: int = 0
    double: int = 0
    examples: defaultdict[Verdict, list[str]] = field(default_factory=lambda: defaultdict(list))
    """Of every verdict but right."""

    @property
    def stored(self) -> int:
        return sum(self.verdicts[verdict] for verdict in (Verdict.RIGHT, Verdict.WRONG, Verdict.UNDECIDED))


def reported_losses(log: str, kills: Sequence[int]) -> Iterator[Loss]:
    """Yield what the log of a gateway reports as lost.

    A store that is lost or was salvaged explains any window that began before. A lost state explains those that were
    not stored yet when the gateway was killed before.

    Args:
        log: its lines begin with the time.
        kills: the times (ms) of all kills.
    """
    for stamp, code in _REPORT.findall(log):
        at = int(datetime.fromisoformat(stamp).timestamp() * 1000)
        if code in OF_THE_STORE:
            yield Loss(0, at)
        elif code in OF_THE_STATE:
            yield Loss(max((kill for kill in kills if kill <= at), default=0) - UNSTORED_MS, at)


def judge_windows(
    ledger: Ledger, terms: Terms, stored: Mapping[WindowKey, Facts], losses: Collection[Loss]
) -> JudgedWindows:
    """Judge every window that must be stored, and every one that is.

    The fleet has ended and the gateway has settled: all windows are closed, and only the run's are stored.
    """
    expected = {key: window for key, window in _expected(ledger, terms) if window.must or key in stored}
    judged = JudgedWindows()
    keys = expected.keys() | stored.keys()
    for key in sorted(keys):
        window, found = expected.get(key, _NOTHING), stored.get(key)
        verdict = _verdict(key, window, found, losses)
        judged.verdicts[verdict] += 1
        if key.every == terms.tiers[0].every_ms:
            judged.readings += window.must
            judged.double += max(0, found.count - window.most) if found else 0
        if verdict is not Verdict.RIGHT:
            judged.examples[verdict].append(f"{key}: {found}, {window.must} to {window.most} readings sent")
    assert judged.verdicts.total() == len(keys)
    assert judged.stored == len(stored)
    return judged


def _expected(ledger: Ledger, terms: Terms) -> Iterator[tuple[WindowKey, _Expected]]:
    for metric in dict.fromkeys(metric for group in ledger.groups for metric in group.numbers):
        readings = readouts(ledger, metric, terms.policies.get(metric, Policy()))
        values, sure = readings.value.tolist(), readings.sure.tolist()
        for tier in terms.tiers:
            for device, start, rows in windows(readings, tier.every_ms):
                allowed = possible(values[rows], sure[rows])
                key = WindowKey(ledger.devices[device].id, metric, tier.every_ms, start)
                yield key, _Expected(allowed, sum(sure[rows]), len(sure[rows]))


def _verdict(key: WindowKey, window: _Expected, found: Facts | None, losses: Collection[Loss]) -> Verdict:
    if found is None:
        return Verdict.REPORTED if any(loss.explains(key) for loss in losses) else Verdict.SILENT
    if window.allowed is None:
        return Verdict.UNDECIDED
    return Verdict.RIGHT if found in window.allowed else Verdict.WRONG


def take_judged(findings: Findings, judged: JudgedWindows, label: str) -> None:
    """Add the verdicts to the findings; to have found nothing stored is a failure too."""
    of = judged.verdicts
    findings.windows += of.total()
    findings.acknowledged += judged.readings
    findings.double += judged.double
    findings.wrong += of[Verdict.WRONG]
    findings.measured["absent windows"] = findings.measured.get("absent windows", 0) + of[Verdict.REPORTED]
    for example in judged.examples[Verdict.WRONG]:
        findings.show(f"{label}: wrong: {example}")
    for verdict, what in ((Verdict.SILENT, "loss not reported"), (Verdict.UNDECIDED, "windows not judged")):
        if of[verdict]:
            findings.forbid(what, f"{label}: {judged.examples[verdict][0]}", of[verdict])
    if not judged.stored:
        findings.forbid("nothing judged", label)
