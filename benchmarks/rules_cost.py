"""What rules cost: a reading under 100 rules, rules of other kinds, and loading 8,000 rules over 10,000 devices."""

from __future__ import annotations

import gc
import tempfile
import time
from pathlib import Path
from statistics import median

import numpy as np

from edge_gateway.columns.frame import Frame
from edge_gateway.fleet.limits import Refusal, RegistryLimits
from edge_gateway.fleet.registry import Registry
from edge_gateway.rules.alerts.evaluator import Evaluator
from edge_gateway.rules.files.load import MOST_RULES, load_rules
from edge_gateway.rules.language.ruleset import Level, LevelChange, Override, Rule, RuleSet
from fleet_wire.control_messages import Birth

DEVICES, METRICS, MESSAGES = 10_000, 5, 500
T0 = 1_767_225_600_000
STEP_MS = 2_000
TIMED = 60
"""Batches that are timed, after those that warm up."""


def fleet() -> Registry:
    """Return the registry of a fleet on 100 sites."""
    registry = Registry(RegistryLimits(devices=DEVICES, series=DEVICES * METRICS))
    for number in range(DEVICES):
        device = registry.device(f"site{number % 100}", f"dev{number}")
        assert not isinstance(device, Refusal)
        registry.birth(device, Birth(type="freezer", boot=1), 0)
        for metric in range(METRICS):
            registry.series(device, registry.metric(f"m{metric}"))
    return registry


def frames(count: int, noise: float = 0.02, messages: int = MESSAGES) -> list[Frame]:
    """Return messages of 5 metrics that walk by `noise`; 15 % of devices come near the limits, 5 % exceed some."""
    random = np.random.default_rng(5)
    centre = np.where(
        random.random(DEVICES) < 0.05, 31.0, np.where(random.random(DEVICES) < 0.15, 27.0, 22.0)
    )
    value = centre + random.normal(0, 1, (METRICS, DEVICES))
    clock = np.full(DEVICES, T0)
    whole = DEVICES // messages * messages  # no device twice in a batch
    order = np.concatenate(
        [random.permutation(DEVICES)[:whole] for _ in range(-(-count * messages // whole))]
    )
    found = []
    for number in range(count):
        device = order[number * messages : (number + 1) * messages].astype(np.int64)
        value[:, device] += random.normal(0, noise, (METRICS, messages))
        clock[device] += STEP_MS
        found.append(frame(device, clock[device], value[:, device].T))
    return found


def frame(device: np.ndarray, at: np.ndarray, value: np.ndarray) -> Frame:
    messages = len(device)
    none = np.empty(0, np.int64)
    return Frame(
        arrival=int(at.max()),
        device=device,
        boot=np.ones(messages, np.int64),
        seq=np.arange(messages),
        ts=at.copy(),
        at=at.copy(),
        backlog=np.zeros(messages, np.bool_),
        row=np.repeat(np.arange(messages), METRICS),
        series=(device[:, None] * METRICS + np.arange(METRICS)).ravel(),
        value=value.ravel().copy(),
        quality=np.full(messages * METRICS, 1000, np.uint16),
        state_row=none,
        state_series=none,
        state_code=none,
    )


def limits(count: int, *, expr: str = "m{metric}", sites: int = 0, overrides: int = 0) -> RuleSet:
    """Rules on the metrics in turn, half with `for`, a third with `keep_firing_for`; each on one site, or on all."""
    random = np.random.default_rng(2)
    rules = []
    for number in range(count):
        limit = 28.0 + float(random.random()) * 10
        level = Level(
            "warning", above=True, limit=limit, clear=limit - 2, for_ms=int(random.choice((0, 10_000)))
        )
        change = LevelChange("warning", limit=limit + 1)
        changes = tuple(Override({"device": [f"dev{each}"]}, (change,)) for each in range(overrides))
        rules.append(
            Rule(
                name=f"R{number}",
                group="bench",
                match=({"site": [f"site{number % sites}"]},) if sites else (),
                expr=expr.format(metric=number % METRICS, other=(number + 1) % METRICS),
                levels=(level,),
                keep_ms=int(random.choice((0, 0, 5_000))),
                overrides=changes,
            )
        )
    return RuleSet(tuple(rules))


def a_reading(
    rules: RuleSet, messages: int = MESSAGES, warm: int = 120, noise: float = 0.02
) -> tuple[float, float]:
    """Return (µs a reading, transitions a message) once the fleet has been seen a few times."""
    evaluator = Evaluator(rules, fleet())
    stream = frames(warm + TIMED, noise, messages=messages)
    for each in stream[:warm]:
        evaluator.evaluate(each, 0)
    gc.collect()
    spent, told = [], 0
    for each in stream[warm:]:
        start = time.process_time()
        told += len(evaluator.evaluate(each, 0))
        spent.append(time.process_time() - start)
    return median(spent) * 1e6 / messages / METRICS, told / TIMED / messages


def of_expression(expr: str) -> float:
    return a_reading(limits(100, expr=expr))[0]


def loading(rules: RuleSet, registry: Registry) -> float:
    """Return the seconds from a rule set to an evaluator that knows the whole fleet."""
    start = time.process_time()
    Evaluator(rules, registry).tick(0)
    return time.process_time() - start


def reading_files(count: int) -> float:
    """Return the seconds to read and check so many rules, 1,000 in a file."""
    with tempfile.TemporaryDirectory() as directory:
        for first in range(0, count, 1_000):
            text = rule_file(range(first, min(first + 1_000, count)))
            (Path(directory) / f"{first}.yaml").write_text(text)
        start = time.process_time()
        load_rules(Path(directory))
        return time.process_time() - start


def rule_file(numbers: range) -> str:
    """A file with these rules."""
    lines = ["version: 1", "groups:", f"- name: from {numbers[0]}", "  match: {type: freezer}", "  rules:"]
    for number in numbers:
        limit = f"above: {28 + number % 10}, clear: {27 + number % 10}, for: 10s"
        match = f"match: {{site: site{number % 100}}}"
        lines.append(f"  - {{alert: R{number}, {match}, expr: m{number % METRICS}, {limit}}}")
    return "\n".join(lines)


def a_tick(rules: RuleSet) -> float:
    """Return the milliseconds of a tick over a fleet that was seen twice."""
    evaluator = Evaluator(rules, fleet())
    for each in frames(40):
        evaluator.evaluate(each, 0)
    evaluator.tick(1)
    start = time.process_time()
    for number in range(20):
        evaluator.tick(2 + number)
    return (time.process_time() - start) * 50


def measure() -> dict[str, float]:
    """Every figure by its name."""
    calm, few = a_reading(limits(100))
    restless, many = a_reading(limits(100), noise=0.3)
    figures = {
        "100 rules on all devices, µs a reading": calm,
        "  transitions a message": few,
        "100 rules, values that cross limits all the time, µs a reading": restless,
        "  transitions a message then": many,
        "  a transition, µs": (restless - calm) * METRICS / (many - few),
        "100 rules, batches of 50, µs a reading": a_reading(limits(100), messages=50, warm=1200)[0],
        "1,000 rules on 1 % of devices each, µs a reading": a_reading(limits(1000, sites=100))[0],
        "100 rules on 5 averages over 1m, µs a reading": of_expression("avg_over_time(m{metric}, 1m)"),
        "100 rules on 5 slopes over 1m, µs a reading": of_expression("deriv(m{metric}, 1m)"),
        "100 rules on 5 sums of two metrics, µs a reading": of_expression("(m{metric} + m{other}) / 2"),
        "tick, 100 rules on all devices, ms": a_tick(limits(100)),
        f"read and check {MOST_RULES:,} rules, s": reading_files(MOST_RULES),
    }
    registry = fleet()
    figures["8,000 rules over 10,000 devices by site, s"] = loading(limits(8000, sites=100), registry)
    figures["100 rules, each with 100 overrides by device, s"] = loading(limits(100, overrides=100), registry)
    return figures


def main() -> None:
    for name, figure in measure().items():
        print(f"{figure:10.3f}  {name}")


if __name__ == "__main__":
    main()
