"""Run proofs one after the other, or several in parallel, each in a process of its own."""

from __future__ import annotations

import multiprocessing
import time
import traceback
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass
from pathlib import Path

from rich.console import Console

from tests.proofs.proof import Findings, Proof, Servers, Setting, Unavailable
from tests.proofs.report import Outcome

WIDTH = 144
"""The least number of columns: it is better to wrap the table than to truncate it."""
PREFIX = 11


@dataclass(frozen=True, slots=True)
class Job:
    """A proof to run, with its count, seed and directory."""

    proof: Proof
    count: int
    seed: int
    place: Path
    quick: bool


def wide_console() -> Console:
    """A console wide enough for the table."""
    console = Console(highlight=False, markup=False)
    console.width = max(console.width, WIDTH)
    return console


def run_all(jobs: Sequence[Job], place: Path, at_once: int) -> Iterator[Outcome]:
    """Run proofs, `at_once` at a time; `place` holds what proofs that run in turn share."""
    parallel = min(len(jobs), at_once)
    return run_in_turn(jobs, place) if parallel == 1 else run_parallel(jobs, parallel)


def run_in_turn(jobs: Sequence[Job], place: Path) -> Iterator[Outcome]:
    """Run proofs one after the other; they share an InfluxDB."""
    console = wide_console()
    with Servers(place) as servers:
        for job in jobs:
            told = f"{job.proof.name}: {job.proof.says} — {_extent(job)}"
            console.rule(told, align="left")
            yield run_one(job, servers, _progress(console, ""))


def run_parallel(jobs: Sequence[Job], at_once: int) -> Iterator[Outcome]:
    """Run `at_once` proofs at a time, each with its own servers; return outcomes in the order given."""
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(at_once, mp_context=context, max_tasks_per_child=1) as pool:
        running = [pool.submit(_alone, job) for job in jobs]
        try:
            yield from map(_outcome, jobs, running)
        finally:
            for future in running:
                future.cancel()


def _alone(job: Job) -> Outcome:
    say = _progress(wide_console(), f"{job.proof.name:<{PREFIX}}")
    say(f"{job.proof.says} — {_extent(job)}")
    with Servers(job.place / "servers") as servers:
        return run_one(job, servers, say)


def _outcome(job: Job, running: Future[Outcome]) -> Outcome:
    try:
        return running.result()
    except BrokenProcessPool:
        told = "the process of this proof, or of one beside it, was killed"
        return Outcome(job.proof.name, job.proof.unit, job.count, job.seed, 0.0, Findings(), told)


def _extent(job: Job) -> str:
    return f"{job.count:,} {job.proof.unit}, seed {job.seed}"


def _progress(console: Console, prefix: str) -> Callable[[str], None]:
    started = time.monotonic()

    def say(text: str) -> None:
        took = time.monotonic() - started
        console.print(f"{prefix}{took:6.0f} s  {text}", markup=False, soft_wrap=True)

    return say


def _place(error: Exception) -> str:
    """Where an error was raised."""
    frame = traceback.extract_tb(error.__traceback__)[-1]
    return f"{Path(frame.filename).name}:{frame.lineno}"


def run_one(job: Job, servers: Servers, say: Callable[[str], None]) -> Outcome:
    """Run a proof; its outcome says what stopped it."""
    proof, started, why, ran = job.proof, time.monotonic(), "", True
    with Setting(
        job.place, count=job.count, seed=job.seed, servers=servers, say=say, quick=job.quick
    ) as setting:
        try:
            proof.run(setting)
        except Unavailable as error:
            why, ran = str(error), False
        except Exception as error:  # the other proofs continue; this one is broken
            why = f"{type(error).__name__} at {_place(error)}: {error}"
        if ran and not why and not setting.findings.faults:
            why = "it injected no fault"
    took = time.monotonic() - started
    return Outcome(proof.name, proof.unit, job.count, job.seed, took, setting.findings, why, ran)
