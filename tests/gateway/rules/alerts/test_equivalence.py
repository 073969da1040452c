"""The columns against the plain statement: the same transitions, whatever the rules, the order and the batches."""

from __future__ import annotations

from dataclasses import dataclass
from random import Random
from typing import Any

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from edge_gateway.records import codec
from edge_gateway.records.alerts import Transition
from edge_gateway.rules.alerts.evaluator import Evaluator
from edge_gateway.rules.language.ruleset import Level, LevelChange, NoData, Override, Rule, RuleSet
from tests.gateway.rules.fleet import T0, Fleet, Row
from tests.gateway.rules.plain_rules import PlainRules

NUMBERS = (
    "a",
    "b",
    "c",
    "a + b",
    "a / b",
    "avg_over_time ( a , 30s )",
    "max_over_time ( a , 30s ) - min_over_time ( b , 20s )",
    "delta ( a , 30s )",
    "count_over_time ( c , 15s )",
)
CONDITIONS = ("a > 5 and b < 3", "a > 7 or not c <= 4", "2 < c < 8")
SITES = {"d0": "berlin", "d1": "berlin", "d2": "lyon", "d3": "oslo"}
LEVELS = ("info", "warning", "critical")


@dataclass
class Tick:
    listening: int


def a_rule(random: Random, number: int) -> Rule:
    kind = random.random()
    expr: str | None = random.choice(NUMBERS) if kind < 0.7 else random.choice(CONDITIONS)
    levels = _levels(random) if kind < 0.7 else (Level(random.choice(LEVELS), for_ms=_time(random)),)
    if kind > 0.95:
        expr, levels = None, ()
    watched = random.choice(("a", "b", "c")) if expr is None or random.random() < 0.4 else None
    return Rule(
        name=f"R{number}",
        group="g",
        match=random.choice(((), (), ({"site": ["berlin", "l*"]},), ({"device": ["d1", "d3"]},))),
        expr=expr,
        levels=levels,
        keep_ms=_time(random),
        no_data=None if watched is None else _no_data(random, watched),
        overrides=_overrides(random, levels),
        warmup_ms=random.choice((0, 0, 0, 25_000)),
    )


def _time(random: Random) -> int:
    return random.choice((0, 0, 5_000, 10_000, 23_000, 60_000))


def _levels(random: Random) -> tuple[Level, ...]:
    names = sorted(random.sample(LEVELS, random.randint(1, 3)), key=LEVELS.index)
    above = random.random() < 0.5
    sign = 1 if above else -1
    limits = sorted((random.randint(1, 9) for _ in names), key=lambda limit: sign * limit)
    return tuple(
        Level(
            name,
            above,
            float(limit),
            random.choice((None, float(limit - sign * random.randint(0, 3)))),
            _time(random),
        )
        for name, limit in zip(names, limits, strict=True)
    )


def _no_data(random: Random, metric: str) -> NoData:
    state = random.choice(("alerting", "alerting", "no_data", "ok", "keep_last"))
    return NoData(random.choice((12_000, 40_000)), metric, state, random.choice(LEVELS))  # type: ignore[arg-type]


def _overrides(random: Random, levels: tuple[Level, ...]) -> tuple[Override, ...]:
    if not levels or levels[0].limit is None or random.random() < 0.6:
        return ()
    change = LevelChange(levels[0].level, for_ms=_time(random))
    return (
        Override({"site": ["lyon"]}, (change,), keep_ms=random.choice((None, 7_000))),
        Override({"device": ["d*"]}, (), keep_ms=11_000),
    )


def a_stream(random: Random, length: int) -> list[Row | Tick]:
    """Readings of a few devices: slow values, gaps, bursts, late ones, equal times; and ticks between."""
    clock = dict.fromkeys(SITES, T0)
    level = {(device, metric): random.randint(0, 10) for device in SITES for metric in "abc"}
    stream: list[Row | Tick] = []
    listening = 0
    while len(stream) < length:
        if random.random() < 0.12:
            listening += random.choice((1_000, 5_000, 30_000))
            stream.append(Tick(listening))
            continue
        device = random.choice(tuple(SITES))
        stream += [_row(random, device, clock, level) for _ in range(random.choice((1, 1, 1, 2, 12)))]
    return stream


def _row(random: Random, device: str, clock: dict[str, int], level: dict[Any, int]) -> Row:
    step = random.choice(
        (0, 1_000, 2_000, 5_000, 10_000, 10_000, 60_000, 400_000 if random.random() < 0.05 else 500)
    )
    late = random.random() < 0.08
    at = clock[device] - 3_000 if late else clock[device] + step
    clock[device] = max(at, clock[device])
    values: dict[str, float | str] = {}
    for metric in "abc":
        if random.random() < 0.75:
            level[device, metric] = min(
                10, max(0, level[device, metric] + random.choice((-2, -1, 0, 0, 0, 1, 2)))
            )
            values[metric] = float(level[device, metric])
    return Row(device, max(at, T0), values, backlog=random.random() < 0.1, site=SITES[device])


def batches(stream: list[Row | Tick], size: int) -> list[list[Row] | Tick]:
    found: list[list[Row] | Tick] = []
    for item in stream:
        if isinstance(item, Tick):
            found.append(item)
        elif found and isinstance(found[-1], list) and len(found[-1]) < size:
            found[-1].append(item)
        else:
            found.append([item])
    return found


def in_columns(
    rules: RuleSet, stream: list[Row | Tick], size: int, *, restart_every: int = 0
) -> list[Transition]:
    fleet = Fleet()
    for name, site in SITES.items():
        fleet.device(name, site)
    evaluator = Evaluator(rules, fleet.registry)
    listening, transitions = 0, []
    for number, item in enumerate(batches(stream, size)):
        if isinstance(item, Tick):
            listening = item.listening
            transitions += evaluator.tick(listening)
        else:
            transitions += evaluator.evaluate(fleet.frame(item), listening)
        if restart_every and number % restart_every == 0:
            state = codec.unpack(codec.pack(evaluator.snapshot()))
            evaluator = Evaluator(RuleSet.empty(), fleet.registry)
            evaluator.restore(state)
            assert codec.pack(evaluator.snapshot()) == codec.pack(state)
    return transitions


def plainly(rules: RuleSet, stream: list[Row | Tick]) -> list[Any]:
    plain, listening = PlainRules(rules.rules), 0
    order = {name: number for number, name in enumerate(SITES)}
    names = {rule.name: number for number, rule in enumerate(rules.rules)}
    transitions: list[Any] = []
    for item in stream:
        if isinstance(item, Tick):
            listening = item.listening
            transitions += sorted(
                plain.tick(listening), key=lambda what: (what[0], order[what[2]], names[what[1]])
            )
        else:
            numbers = {metric: float(value) for metric, value in item.values.items()}
            transitions += plain.read(
                item.device, item.site, item.at, numbers, backlog=item.backlog, listening=listening
            )
    return transitions


def bare(transitions: list[Transition]) -> list[Any]:
    return [
        (t.at, t.rule, t.subject, t.cause, t.state, t.level, t.previous_level, t.backlog) for t in transitions
    ]


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(seed=st.integers(0, 2**32), count=st.integers(1, 8), length=st.integers(20, 160))
@example(
    seed=716, count=8, length=59
)  # a level that is clear when another metric turns out to have been missing
def test_columns_say_what_the_plain_rules_say(seed: int, count: int, length: int) -> None:
    random = Random(seed)
    rules = RuleSet(tuple(a_rule(random, number) for number in range(count)))
    stream = a_stream(random, length)
    expected = plainly(rules, stream)
    one_by_one = in_columns(rules, stream, 1)
    assert bare(one_by_one) == expected
    for size in (7, 37, 500):
        assert in_columns(rules, stream, size) == one_by_one


@settings(max_examples=15, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(seed=st.integers(0, 2**32), every=st.integers(1, 5))
def test_a_restart_changes_nothing(seed: int, every: int) -> None:
    random = Random(seed)
    rules = RuleSet(tuple(a_rule(random, number) for number in range(4)))
    stream = a_stream(random, 100)
    assert in_columns(rules, stream, 9, restart_every=every) == in_columns(rules, stream, 9)


def test_the_streams_make_enough_happen() -> None:
    causes: dict[str, int] = {}
    for seed in range(40):
        random = Random(seed)
        rules = RuleSet(tuple(a_rule(random, number) for number in range(6)))
        for transitions in in_columns(rules, a_stream(random, 120), 37):
            causes[transitions.cause] = causes.get(transitions.cause, 0) + 1
    assert all(
        causes.get(cause, 0) > 20 for cause in ("firing", "escalated", "deescalated", "resolved", "no_data")
    )
    assert causes["pending"] > 20
    assert causes["inactive"] > 20


@pytest.mark.parametrize("seed", range(3))
def test_a_long_burst_of_one_device(seed: int) -> None:
    """More rows of one device at once than a ring takes in together."""
    random = Random(seed)
    rules = RuleSet(tuple(a_rule(random, number) for number in range(8)))
    clock, level = dict.fromkeys(SITES, T0), {("d0", metric): 5 for metric in "abc"}
    stream: list[Row | Tick] = [_row(random, "d0", clock, level) for _ in range(400)]
    one_by_one = in_columns(rules, stream, 1)
    assert bare(one_by_one) == plainly(rules, stream)
    assert in_columns(rules, stream, 500) == one_by_one
