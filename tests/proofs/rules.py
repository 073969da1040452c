"""Rules on random streams; alerts, notices and commands must be those of a plain interpreter.

Broken, in `count` random trials of up to five rules on four devices each: late, repeated and reordered readings; clocks
that step, far and near, on days when daylight saving begins or ends, too; births, reboots and wills; silence; edits of
rules while they wait or fire; restarts between inputs. Each goes through the real fold in batches of random size, and
through the interpreter, one reading at a time. It is written from the pages of rules and shares nothing with the
gateway.

Compared: every transition with its event, cause, level, time and id, whether a notice went out, and the commands. With
one message in a batch their order, too; else the order for each device.

Failures: any difference; a trial that ends with an error.
"""

from __future__ import annotations

import multiprocessing
import os
import traceback
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor
from typing import NamedTuple

from tests.gateway.rules.reference.telling import Deeds
from tests.gateway.rules.reference.trial import trial
from tests.proofs.proof import Proof, Setting

TOGETHER = 50
"""Trials that a process runs before it tells what they found."""
REPORT_EVERY = 1_000
LONGEST = 600
"""Characters of a finding that are shown."""


class Judged(NamedTuple):
    """How often each event happened in some trials, and what differed."""

    trials: int
    happened: Counter[str]
    commands: int
    wrong: list[str]


def run(setting: Setting) -> None:
    """Judge `count` trials, in a process for each processor if there are many."""
    first = setting.rng.getrandbits(40)
    parts = [
        (first + start, min(TOGETHER, setting.count - start)) for start in range(0, setting.count, TOGETHER)
    ]
    for judged in map(judge, parts) if setting.count <= REPORT_EVERY else _in_processes(parts):
        _note(setting, judged)


def _in_processes(parts: list[tuple[int, int]]) -> Iterator[Judged]:
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(os.cpu_count(), mp_context=context) as pool:
        yield from pool.map(judge, parts)


def _note(setting: Setting, judged: Judged) -> None:
    findings = setting.findings
    findings.runs += judged.trials
    findings.faults["trial"] += judged.trials
    findings.alerts += judged.happened.total()
    findings.commands += judged.commands
    events = Counter(findings.measured.get("events", {})) + judged.happened
    findings.measured["events"] = dict(sorted(events.items()))
    for sentence in judged.wrong:
        findings.forbid("differs from the interpreter", sentence)
    if findings.runs % REPORT_EVERY < judged.trials:
        setting.say(
            f"{findings.runs:,} trials, {findings.alerts:,} transitions, {len(findings.examples)} differ"
        )


def judge(part: tuple[int, int], run_trial: Callable[[int], list[Deeds]] = trial) -> Judged:
    """Judge the trials of so many seeds from the first one on."""
    first, count = part
    happened, commands, wrong = Counter[str](), 0, []
    for seed in range(first, first + count):
        try:
            found = run_trial(seed)
        except AssertionError as error:
            wrong.append(str(error)[:LONGEST])
        except Exception:  # the gateway's or the interpreter's; the other trials go on
            wrong.append(f"seed {seed}: {traceback.format_exc()[-LONGEST:]}")
        else:
            happened.update(deed.event for deed in found)
            commands += sum(len(deed.commands) for deed in found)
    return Judged(count, happened, commands, wrong)


PROOF = Proof(
    "rules",
    "rules under disorder, edits, restarts, and clocks that change",
    "trials",
    full=100_000,
    quick=100,
    run=run,
)
