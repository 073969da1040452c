"""The power is cut at every step of what a gateway does with its disk, and the disk loses what was not synced.

A gateway works for some seconds with a fleet, a broker and a database, is killed, and works again. strace records each
write, sync, rename and unlink in its spool, those of SQLite included, and everything it acknowledges and publishes.

Broken, `count` times: a model of a disk repeats the steps up to one of them; from there on unsynced writes are dropped,
reordered, torn or zeroed, and the product's own recovery starts from the result. Some recoveries are recorded in turn,
and the power is cut at each of their steps.

Compared: the recovered state with a reference that folds all records once from the beginning (`reference.py`): state,
tables, alerts, and the points the database has or will get, bit for bit; and the recovered record with the newest one
that anything was acknowledged or published of (`judging.py`).

Failures: recovery raises or reports damage; a record that was promised is missing, or one was invented; any difference
from the reference; an acknowledged message in no record.
"""

from __future__ import annotations

import logging
import multiprocessing
import os
import pickle
import random
import shutil
import tempfile
from collections.abc import Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from dataclasses import dataclass, replace
from pathlib import Path
from typing import NamedTuple

from edge_gateway.configuration.loading import load_config
from tests.proofs.power.disk_model import VARIANTS, Disk
from tests.proofs.power.disk_trace import Step
from tests.proofs.power.judging import SPOOL, Judge, Promises, Verdict, promises_of
from tests.proofs.power.recording import Recording, files_below, record, record_recovery
from tests.proofs.power.reference import Points, Reference, fold_all, records_of
from tests.proofs.proof import Findings, Proof, Setting

SECONDS, FEW_SECONDS = 4.0, 1.5
DEVICES, FEW_DEVICES = 20, 8
QUICK = 200
PIECE = 50
CUTS_PER_RECOVERY, CUTS_OF_A_RECOVERY = 500, 100
"""One recovery is recorded for each so many cuts, and itself cut so often."""
RECOVERED_TWICE = 0.1
"""The share of cuts after which the spool is recovered a second time."""
MEMORY = Path("/dev/shm")
"""Where images of disks are written, if it exists."""


class Cut(NamedTuple):
    """A power cut after `step` steps; `seed` draws which unsynced writes survive."""

    step: int
    variant: str
    seed: int


class Moment(NamedTuple):
    """The newest record promised by a step, and the time of the step in seconds since 1970."""

    promised: int
    time: float


@dataclass(frozen=True, slots=True)
class Recorded:
    """Everything a worker process needs."""

    recording: Recording
    reference: Reference
    promises: Promises
    moments: Sequence[Moment]
    """The moment before each step, and the one after the last."""
    held: Sequence[tuple[str, int, bytes | None]] = ()
    """What the disk holds before the first step, as `files_below` gives it."""


def run(setting: Setting) -> None:
    """Record a gateway once, and cut its power `count` times."""
    few = setting.count <= QUICK
    recording = record(setting, FEW_SECONDS if few else SECONDS, FEW_DEVICES if few else DEVICES)
    steps = len(recording.steps)
    setting.say(f"{steps:,} steps recorded, {sum(len(step.data) for step in recording.steps) / 1e6:.1f} MB")
    with tempfile.TemporaryDirectory(dir=MEMORY if MEMORY.is_dir() else None, prefix="power-") as name:
        work = prepare(recording, Path(name))
        _report_recording(setting, work)
        again = setting.count // CUTS_PER_RECOVERY
        _cut(setting, work, setting.count - again * CUTS_OF_A_RECOVERY, Path(name))
        for number in range(again):
            _cut(
                setting,
                recovery_of(setting, work, Path(name) / f"again-{number}"),
                CUTS_OF_A_RECOVERY,
                Path(name),
            )


def _cut(setting: Setting, work: Recorded, count: int, place: Path) -> None:
    """Make `count` cuts and count their verdicts."""
    for cut, verdict in _judged(work, choose_cuts(len(work.recording.steps), count, setting.rng), place):
        count_verdict(setting.findings, cut, verdict)
        if setting.findings.runs % 1000 == 0:
            setting.say(
                f"{setting.findings.runs:,} cuts, {setting.findings.forbidden.total()} recovered badly"
            )


def recovery_of(setting: Setting, work: Recorded, image: Path) -> Recorded:
    """Record the recovery after one cut, so that it can be cut itself."""
    step = setting.rng.randrange(len(work.recording.steps))
    (_, disk), *_ = disks_at(work, [Cut(step, "", 0)])
    variant = VARIANTS[setting.rng.choice(list(VARIANTS))]
    disk.leave(image, variant(disk.waiting(), setting.rng), setting.rng)
    (image / SPOOL).mkdir(exist_ok=True)
    held = files_below(image)
    steps = record_recovery(work.recording, image)
    shutil.rmtree(image)
    setting.findings.measured["recoveries_cut"] = setting.findings.measured.get("recoveries_cut", 0) + 1
    moments = [work.moments[step]] * (len(steps) + 1)
    return replace(work, held=held, moments=moments, recording=replace(work.recording, steps=steps))


def prepare(recording: Recording, place: Path) -> Recorded:
    config = load_config(recording.config, environment={}).config
    reference = fold_all(config, recording.gateway, records_of(recording.steps), place / "reference")
    promises = promises_of(recording.wires, reference, recording.broker)
    return Recorded(recording, reference, promises, moments_before(recording.steps, promises))


def _report_recording(setting: Setting, work: Recorded) -> None:
    findings, newest = setting.findings, work.reference.known[max(work.reference.known)].stored
    findings.acknowledged, findings.windows = newest.readings, newest.windows
    findings.alerts = len({step.partition(" ")[0] for step in newest.alert_steps})
    findings.measured |= {
        "steps": len(work.recording.steps),
        "records": len(work.reference.known) - 1,
        "acknowledgements": work.promises.acknowledged,
        "publications": work.promises.published,
        "lines_taken": len(work.recording.accepted),
    }
    for topic, _ in work.promises.unrecorded:
        findings.forbid("acknowledged and in no record", topic)


def choose_cuts(steps: int, count: int, chance: random.Random) -> list[Cut]:
    """Return `count` cuts: each step once before any twice, then with another variant; few are spread evenly."""
    variants = list(VARIANTS)
    places = [number * steps // count for number in range(count)] if count <= steps else range(steps + 1)
    cuts: list[Cut] = []
    turn = chance.randrange(len(variants))
    while len(cuts) < count:
        for place, step in enumerate(places):
            cuts.append(Cut(step, variants[(place + turn) % len(variants)], chance.getrandbits(48)))
        turn += 1
    return sorted(cuts[:count])


def _judged(work: Recorded, cuts: list[Cut], place: Path) -> Iterator[tuple[Cut, Verdict]]:
    """Judge the cuts on all cores; yield verdicts as they come."""
    file = place / "work"
    file.write_bytes(pickle.dumps(work))
    pieces = [cuts[start : start + PIECE] for start in range(0, len(cuts), PIECE)]
    workers = min(len(pieces), len(os.sched_getaffinity(0)))
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(workers, context, initializer=_begin, initargs=(file,)) as pool:
        for done in as_completed([pool.submit(_judge, piece) for piece in pieces]):
            yield from done.result()


_worker: list[tuple[Recorded, Judge, Path]] = []
"""The work of this worker process."""


def _begin(file: Path) -> None:
    logging.disable(logging.CRITICAL)
    work: Recorded = pickle.loads(file.read_bytes())
    config = load_config(work.recording.config, environment={}).config
    judge = Judge(config, work.recording.gateway, work.reference)
    _worker.append((work, judge, file.parent))


def _judge(cuts: list[Cut]) -> list[tuple[Cut, Verdict]]:
    """Judge cuts, which are in the order of their steps."""
    work, judge, place = _worker[0]
    image = place / f"image-{os.getpid()}"
    return [(cut, judge_cut(work, judge, cut, disk, image)) for cut, disk in disks_at(work, cuts)]


def disks_at(work: Recorded, cuts: list[Cut]) -> Iterator[tuple[Cut, Disk]]:
    disk, done = Disk(), 0
    for path, file, content in work.held:
        disk.add_file(path, file, content or b"")
    for cut in cuts:
        for step in work.recording.steps[done : cut.step]:
            disk.apply(step)
        done = cut.step
        yield cut, disk


def judge_cut(work: Recorded, judge: Judge, cut: Cut, disk: Disk, image: Path) -> Verdict:
    """Recover one image and judge it."""
    chance = random.Random(cut.seed)
    waiting = disk.waiting()
    disk.leave(image, VARIANTS[cut.variant](waiting, chance), chance)
    try:
        moment = work.moments[cut.step]
        taken = _accepted_by(work.recording, moment.time)
        return judge.judge(image, moment.promised, taken, twice=chance.random() < RECOVERED_TWICE)
    finally:
        shutil.rmtree(image)


def moments_before(steps: Sequence[Step], promises: Promises) -> list[Moment]:
    """Return the moment before each step, and the one after the last."""
    moments, now = [], 0.0
    for step in steps:
        now = max(now, step.time)
        moments.append(Moment(promises.before(step.line), now))
    return [*moments, Moment(promises.before(1 << 62), now)]


def _accepted_by(recording: Recording, now: float) -> Points:
    """Return the points the database had by then."""
    points = Points()
    for line in recording.accepted:
        if line.time <= now:
            points.take(line.bucket, [line.text])
    return points


def count_verdict(findings: Findings, cut: Cut, verdict: Verdict) -> None:
    """Add the result of one cut."""
    findings.runs += 1
    findings.faults[cut.variant] += 1
    findings.recoveries.append(verdict.seconds)
    findings.lost += verdict.lost
    findings.double += verdict.double
    findings.alerts_lost += verdict.alerts_lost
    findings.alerts_repeated += verdict.alerts_repeated
    for what, sentence in verdict.broken:
        findings.forbid(what, f"{sentence} (step {cut.step}, {cut.variant})")


PROOF = Proof(
    "power",
    "the power is cut at every recorded step of journal, checkpoint and store",
    "cuts",
    full=15_000,
    quick=QUICK,
    run=run,
)
