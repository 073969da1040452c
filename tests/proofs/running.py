"""Run proofs one after the other, or several at once, each in its own process."""

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

from tests.proofs.proof import Proof, Servers, Setting, Tally, Unavailable
from tests.proofs.report import Outcome

PAGE = 144
"""At least so many columns: the table has many, and wraps better than it is cut."""
PREFIX = 11


@dataclass(frozen=True, slots=True)
class Order:
    """One proof to run: its count, seed and directory."""

    proof: Proof
    count: int
    seed: int
    place: Path
    quick: bool


def page() -> Console:
    """A console wide enough for the table."""
    console = Console(highlight=False, markup=False)
    console.width = max(console.width, PAGE)
    return console


def run_all(orders: Sequence[Order], place: Path, at_once: int) -> Iterator[Outcome]:
    """Run proofs, `at_once` at a time; `place` holds what proofs that run in turn share."""
    lanes = min(len(orders), at_once)
    return run_in_turn(orders, place) if lanes == 1 else run_beside(orders, lanes)


def run_in_turn(orders: Sequence[Order], place: Path) -> Iterator[Outcome]:
    """Run proofs one after the other; they share an InfluxDB."""
    console = page()
    with Servers(place) as servers:
        for order in orders:
            told = f"{order.proof.name}: {order.proof.says} — {_extent(order)}"
            console.rule(told, align="left")
            yield run_one(order, servers, _teller(console, ""))


def run_beside(orders: Sequence[Order], at_once: int) -> Iterator[Outcome]:
    """Run `at_once` proofs at a time, each with its own servers; return outcomes in the order given."""
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(at_once, mp_context=context, max_tasks_per_child=1) as pool:
        running = [pool.submit(_alone, order) for order in orders]
        try:
            yield from map(_outcome, orders, running)
        finally:
            for future in running:
                future.cancel()


def _alone(order: Order) -> Outcome:
    say = _teller(page(), f"{order.proof.name:<{PREFIX}}")
    say(f"{order.proof.says} — {_extent(order)}")
    with Servers(order.place / "servers") as servers:
        return run_one(order, servers, say)


def _outcome(order: Order, running: Future[Outcome]) -> Outcome:
    try:
        return running.result()
    except BrokenProcessPool:
        told = "the process of this proof, or of one beside it, was killed"
        return Outcome(order.proof.name, order.proof.unit, order.count, order.seed, 0.0, Tally(), told)


def _extent(order: Order) -> str:
    return f"{order.count:,} {order.proof.unit}, seed {order.seed}"


def _teller(console: Console, prefix: str) -> Callable[[str], None]:
    started = time.monotonic()

    def say(text: str) -> None:
        took = time.monotonic() - started
        console.print(f"{prefix}{took:6.0f} s  {text}", markup=False, soft_wrap=True)

    return say


def _place(error: Exception) -> str:
    """Where an error was raised."""
    frame = traceback.extract_tb(error.__traceback__)[-1]
    return f"{Path(frame.filename).name}:{frame.lineno}"


def run_one(order: Order, servers: Servers, say: Callable[[str], None]) -> Outcome:
    """Run a proof; its outcome says what stopped it."""
    proof, started, why, ran = order.proof, time.monotonic(), "", True
    with Setting(
        order.place, count=order.count, seed=order.seed, servers=servers, say=say, quick=order.quick
    ) as setting:
        try:
            proof.run(setting)
        except Unavailable as error:
            why, ran = str(error), False
        except Exception as error:  # the other proofs go on, and this one has not held
            why = f"{type(error).__name__} at {_place(error)}: {error}"
        if ran and not why and not setting.tally.faults:
            why = "it did nothing"
    took = time.monotonic() - started
    return Outcome(proof.name, proof.unit, order.count, order.seed, took, setting.tally, why, ran)
