"""What many rules cost: loading them for a fleet, a reading that many match, a small batch of which few match, memory.

A reading is one value. The reference does what the least program does: it looks up each of 100 rules' metrics in a
dict, compares with the limit, and remembers which are beyond. The targets are on the page of rules' design: 8,000 rules
over 10,000 devices are loaded in less than 2 s, 100 rules that match add at most 1 µs to a reading, and 8,000 of which
1 % match a device cost less than 2 ms for a batch of 10 messages of 5 readings.
"""

import argparse
import gc
import tempfile
import time
import tracemalloc
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from statistics import median

from benchmarks.measure import Comparison, Measured, Quantity, compare
from benchmarks.rules_cost import DEVICES, METRICS, a_reading, fleet, frames, limits, loading, rule_file
from edge_gateway.rules.alerts.evaluator import Evaluator
from edge_gateway.rules.files.load import MOST_RULES, load_rules
from edge_gateway.rules.inspection.cost import range_bytes, ranges_of, state_bytes
from edge_gateway.rules.language.ruleset import RuleSet

REFERENCE = "plain Python"
SMALL, LARGE = 50, 4_000
FEW = 10
"""Messages of 5 readings in the small batch of which 1 % of 8,000 rules match each device."""
MANY = 8_000
MIB = 1 << 20
SPARE = 1.25
"""Columns grow by a quarter, so that this is the most that is allocated for what is counted."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--only", nargs="+", choices=PARTS, default=list(PARTS), help="some of the parts")


def run(arguments: argparse.Namespace) -> Iterator[Comparison]:
    for name in arguments.only:
        yield PARTS[name](arguments.rounds)


# --- readings


def readings(rounds: int) -> Comparison:
    candidates: dict[str, Callable[[], Measured]] = {
        REFERENCE: lambda: {"time": plain_reading()},
        **{
            f"{name}, {size:,} messages a batch": partial(_reading, rules, size)
            for size in (SMALL, LARGE)
            for name, rules in (("no rules", RuleSet()), ("100 rules", limits(100)))
        },
        f"{MANY:,} rules, 1 % match, {FEW} messages a batch": partial(_reading, limits(MANY, sites=100), FEW),
    }
    quantities = {"time": Quantity("µs a reading", 2)}
    return compare("Readings", candidates, reference=REFERENCE, quantities=quantities, rounds=rounds)


def _reading(rules: RuleSet, messages: int) -> Measured:
    rounds = max(20, 3 * DEVICES // messages)
    return {"time": a_reading(rules, messages=messages, warm=rounds)[0]}


def plain_reading() -> float:
    """Return µs a reading of 100 limits on 5 metrics in plain Python."""
    bounds = [(f"m{number % METRICS}", 28.0 + number % 10) for number in range(100)]
    beyond: set[tuple[int, int]] = set()
    spent = []
    for each in frames(20):
        sent = zip(each.device.tolist(), each.value.reshape(-1, METRICS).tolist(), strict=True)
        messages = [
            (device, {f"m{metric}": value for metric, value in enumerate(row)}) for device, row in sent
        ]
        begun = time.process_time()
        for device, values in messages:
            for number, (metric, limit) in enumerate(bounds):
                if values[metric] > limit:
                    beyond.add((device, number))
                else:
                    beyond.discard((device, number))
        spent.append(time.process_time() - begun)
    return median(spent) * 1e6 / len(messages) / METRICS


# --- loading


def loads(rounds: int) -> Comparison:
    registry = fleet()
    candidates: dict[str, Callable[[], Measured]] = {
        "100 rules on all devices": lambda: {"time": loading(limits(100), registry)},
        f"{MANY:,} rules, 1 % match": lambda: {"time": loading(limits(MANY, sites=100), registry)},
        f"files of {MOST_RULES:,} rules read and checked": lambda: {"time": _reading_files()},
    }
    reference, quantities = next(iter(candidates)), {"time": Quantity("s", 3)}
    title = f"Loading for {DEVICES:,} devices"
    return compare(title, candidates, reference=reference, quantities=quantities, rounds=rounds)


def _reading_files() -> float:
    with tempfile.TemporaryDirectory() as name:
        (Path(name) / "rules.yaml").write_text(rule_file(range(MOST_RULES)))
        begun = time.process_time()
        load_rules(Path(name))
        return time.process_time() - begun


# --- memory


def memory(rounds: int) -> Comparison:
    """What rules hold for the whole fleet, beside the most that their state may take."""
    averages = limits(100, expr="avg_over_time(m{metric}, 1m)")
    candidates: dict[str, Callable[[], Measured]] = {
        "100 rules on all devices": partial(held, limits(100), limits(100)),
        f"{MANY:,} rules, 1 % match": partial(held, limits(MANY, sites=100), limits(MANY // 100)),
        "100 rules on 5 averages over 1m": partial(held, averages, averages),
    }
    quantities = {"held": Quantity("MiB"), "at most": Quantity("MiB")}
    reference = next(iter(candidates))
    title = f"Memory for {DEVICES:,} devices"
    return compare(title, candidates, reference=reference, quantities=quantities, rounds=rounds)


def held(rules: RuleSet, of_each: RuleSet) -> Measured:
    """MiB of rules and their state after the fleet was seen three times, and the most that the state may take.

    What is held includes what does not grow with devices: the compiled rules and a few columns by device.

    `of_each`: as many rules as match each device.
    """
    registry, stream = fleet(), frames(3 * DEVICES // LARGE, messages=LARGE)
    tracemalloc.start()
    try:
        evaluator = Evaluator(rules, registry)
        for each in stream:
            evaluator.evaluate(each, 0)
        gc.collect()
        now, _ = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    most = state_bytes(of_each.rules, registry) + sum(map(range_bytes, ranges_of(of_each.rules)))
    return {"held": now / MIB, "at most": SPARE * most * DEVICES / MIB}


PARTS: dict[str, Callable[[int], Comparison]] = {"readings": readings, "loads": loads, "memory": memory}
