"""The power goes at every step of what a gateway does with its disk, and the disk forgets what was not synced.

A gateway works for seconds with a fleet, a broker and a database, is killed, and works again; each write, sync,
rename and unlink below its spool is recorded with strace, SQLite's with the others, and so is what it acknowledges
and publishes. A model of a disk is then led to each step in turn and left there: what waits for a sync is dropped,
reordered, torn or zeroed, and the product's own recovery starts from what is left. It must succeed, find nothing
damaged, come at least to the newest record that anything was promised of, and be in the very state that a fold of
all records from the beginning is in after the same record: fold, tables, alerts, and what the database has taken or
will be sent, each to the last bit. Some of the recoveries are recorded in turn, and the power goes at each of their
steps.
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
from tests.proofs.power.recording import Recording, held_below, record, record_recovery
from tests.proofs.power.reference import Points, Reference, follow, records_of
from tests.proofs.proof import Proof, Setting, Tally

SECONDS, FEW_SECONDS = 4.0, 1.5
DEVICES, FEW_DEVICES = 20, 8
QUICK = 200
PIECE = 50
AGAIN, AGAIN_EACH = 500, 100
"""For each so many cuts one recovery is recorded, and cut so often."""
TWICE = 0.1
"""Of so many cuts what recovery left is recovered once more."""
MEMORY = Path("/dev/shm")
"""Where images of disks are made, if it is there."""


class Cut(NamedTuple):
    """The power goes when `step` steps are done; a seed draws what else is chance."""

    step: int
    variant: str
    seed: int


class Moment(NamedTuple):
    """The newest record promised by then, and when it was, in seconds since 1970."""

    promised: int
    time: float


@dataclass(frozen=True, slots=True)
class Work:
    """Everything a worker process needs."""

    recording: Recording
    reference: Reference
    promises: Promises
    moments: Sequence[Moment]
    """What was true just before each step, and after the last."""
    held: Sequence[tuple[str, int, bytes | None]] = ()
    """What the disk holds before the first step, as `held_below` gives it."""


def run(setting: Setting) -> None:
    """Record once, and cut `count` times."""
    few = setting.count <= QUICK
    recording = record(setting, FEW_SECONDS if few else SECONDS, FEW_DEVICES if few else DEVICES)
    steps = len(recording.steps)
    setting.say(f"{steps:,} steps recorded, {sum(len(step.data) for step in recording.steps) / 1e6:.1f} MB")
    with tempfile.TemporaryDirectory(dir=MEMORY if MEMORY.is_dir() else None, prefix="power-") as name:
        work = worked(recording, Path(name))
        _tell_recorded(setting, work)
        again = setting.count // AGAIN
        _cut(setting, work, setting.count - again * AGAIN_EACH, Path(name))
        for number in range(again):
            _cut(setting, recovering(setting, work, Path(name) / f"again-{number}"), AGAIN_EACH, Path(name))


def _cut(setting: Setting, work: Work, count: int, place: Path) -> None:
    """Make that many cuts."""
    for cut, verdict in _judged(work, cuts_of(len(work.recording.steps), count, setting.rng), place):
        count_verdict(setting.tally, cut, verdict)
        if setting.tally.runs % 1000 == 0:
            setting.say(f"{setting.tally.runs:,} cuts, {setting.tally.forbidden.total()} recovered badly")


def recovering(setting: Setting, work: Work, image: Path) -> Work:
    """The recovery of what one cut left, to be cut itself."""
    step = setting.rng.randrange(len(work.recording.steps))
    (_, disk), *_ = led(work, [Cut(step, "", 0)])
    variant = VARIANTS[setting.rng.choice(list(VARIANTS))]
    disk.leave(image, variant(disk.waiting(), setting.rng), setting.rng)
    (image / SPOOL).mkdir(exist_ok=True)
    held = held_below(image)
    steps = record_recovery(work.recording, image)
    shutil.rmtree(image)
    setting.tally.measured["recoveries_cut"] = setting.tally.measured.get("recoveries_cut", 0) + 1
    moments = [work.moments[step]] * (len(steps) + 1)
    return replace(work, held=held, moments=moments, recording=replace(work.recording, steps=steps))


def worked(recording: Recording, place: Path) -> Work:
    config = load_config(recording.config, environment={}).config
    reference = follow(config, recording.gateway, records_of(recording.steps), place / "reference")
    promises = promises_of(recording.wires, reference, recording.broker)
    return Work(recording, reference, promises, moments_of(recording.steps, promises))


def _tell_recorded(setting: Setting, work: Work) -> None:
    tally, newest = setting.tally, work.reference.known[max(work.reference.known)].stored
    tally.acknowledged, tally.windows = newest.readings, newest.windows
    tally.alerts = len({step.partition(" ")[0] for step in newest.alert_steps})
    tally.measured |= {
        "steps": len(work.recording.steps),
        "records": len(work.reference.known) - 1,
        "acknowledgements": work.promises.acknowledged,
        "publications": work.promises.published,
        "lines_taken": len(work.recording.taken),
    }
    for topic, _ in work.promises.unrecorded:
        tally.forbid("acknowledged and in no record", topic)


def cuts_of(steps: int, count: int, chance: random.Random) -> list[Cut]:
    """`count` cuts: each step once before any twice, and then with another variant; few are spread evenly."""
    variants = list(VARIANTS)
    places = [number * steps // count for number in range(count)] if count <= steps else range(steps + 1)
    cuts: list[Cut] = []
    turn = chance.randrange(len(variants))
    while len(cuts) < count:
        for place, step in enumerate(places):
            cuts.append(Cut(step, variants[(place + turn) % len(variants)], chance.getrandbits(48)))
        turn += 1
    return sorted(cuts[:count])


def _judged(work: Work, cuts: list[Cut], place: Path) -> Iterator[tuple[Cut, Verdict]]:
    """Judge on all cores; as they come."""
    file = place / "work"
    file.write_bytes(pickle.dumps(work))
    pieces = [cuts[start : start + PIECE] for start in range(0, len(cuts), PIECE)]
    workers = min(len(pieces), len(os.sched_getaffinity(0)))
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(workers, context, initializer=_begin, initargs=(file,)) as pool:
        for done in as_completed([pool.submit(_judge, piece) for piece in pieces]):
            yield from done.result()


_worker: list[tuple[Work, Judge, Path]] = []
"""What this worker process was given."""


def _begin(file: Path) -> None:
    logging.disable(logging.CRITICAL)
    work: Work = pickle.loads(file.read_bytes())
    config = load_config(work.recording.config, environment={}).config
    judge = Judge(config, work.recording.gateway, work.reference)
    _worker.append((work, judge, file.parent))


def _judge(cuts: list[Cut]) -> list[tuple[Cut, Verdict]]:
    """Lead a disk from step to step and cut; the cuts are in the order of their steps."""
    work, judge, place = _worker[0]
    image = place / f"image-{os.getpid()}"
    return [(cut, judge_cut(work, judge, cut, disk, image)) for cut, disk in led(work, cuts)]


def led(work: Work, cuts: list[Cut]) -> Iterator[tuple[Cut, Disk]]:
    disk, done = Disk(), 0
    for path, file, content in work.held:
        disk.hold(path, file, content or b"")
    for cut in cuts:
        for step in work.recording.steps[done : cut.step]:
            disk.apply(step)
        done = cut.step
        yield cut, disk


def judge_cut(work: Work, judge: Judge, cut: Cut, disk: Disk, image: Path) -> Verdict:
    """Recover one image and judge it."""
    chance = random.Random(cut.seed)
    waiting = disk.waiting()
    disk.leave(image, VARIANTS[cut.variant](waiting, chance), chance)
    try:
        moment = work.moments[cut.step]
        taken = _taken(work.recording, moment.time)
        return judge.judge(image, moment.promised, taken, twice=chance.random() < TWICE)
    finally:
        shutil.rmtree(image)


def moments_of(steps: Sequence[Step], promises: Promises) -> list[Moment]:
    """By the step that is not done any more."""
    moments, now = [], 0.0
    for step in steps:
        now = max(now, step.time)
        moments.append(Moment(promises.before(step.line), now))
    return [*moments, Moment(promises.before(1 << 62), now)]


def _taken(recording: Recording, now: float) -> Points:
    """What the database had by then."""
    points = Points()
    for line in recording.taken:
        if line.time <= now:
            points.take(line.bucket, [line.text])
    return points


def count_verdict(tally: Tally, cut: Cut, verdict: Verdict) -> None:
    """Add the result of one cut."""
    tally.runs += 1
    tally.faults[cut.variant] += 1
    tally.recoveries.append(verdict.seconds)
    tally.lost += verdict.lost
    tally.double += verdict.double
    tally.alerts_lost += verdict.alerts_lost
    tally.alerts_repeated += verdict.alerts_repeated
    for what, sentence in verdict.broken:
        tally.forbid(what, f"{sentence} (step {cut.step}, {cut.variant})")


PROOF = Proof(
    "power",
    "power cuts of journal, checkpoint and store, at every step of a recorded trace",
    "cuts",
    full=15_000,
    quick=QUICK,
    run=run,
)
