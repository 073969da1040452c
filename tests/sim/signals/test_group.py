from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import msgspec
import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.sim.metrics_under_test import DAY, HOUR, START, Run, scenario

if TYPE_CHECKING:
    from fleet_sim.scenario.loading import Scenario

EVERY_MODEL = """
constant: {model: constant, value: [1, 2]}
sine: {model: sine, mean: 10, amplitude: 2, period: 1m, phase: [0, 1], noise: 0.1}
cycle: {model: cycle, mean: [20, 30], daily: 3, weekend: -5, wander: 1, precision: 0.01, noise: 0.2}
walk: {model: random_walk, start: 50, step: 5, min: 0, max: 100}
ou: {model: ou, mean: 7, deviation: 0.5, memory: 1m, quality: [0.5, 1.0]}
ar1: {model: ar1, mean: 0, phi: 0.8, deviation: 2}
step: {model: step, before: 1, after: 2, at: 1m}
ramp: {model: ramp, from: 0, to: 10, over: 1m, repeat: true}
pump: {model: states, stay: {on: 40s, off: 20s, failed: 5s}, then: {failed: {off: 1}}}
battery: {model: drain, from: [50, 100], per_day: 2000}
air: {model: thermal, setpoint: [-20, -16], ambient: {site: weather}, lag: 1m, leak: 5%, noise: 0.1}
level: {model: tank, inflow: 30, outflow: [5, 10], every: 30s}
flow: {model: pump, shutoff: 30, curve: [0.01, 0.02], static: 10, while: {pump: "on"}}
wear: {model: wear, from: 1, to: 9, life: 5m}
outside: {model: weather, of: temperature, offset: [-1, 1]}
wet: {model: weather, of: humidity}
hpa: {model: weather, of: pressure}
wind: {model: weather, of: wind}
dew: {model: dew_point, temperature: outside, humidity: wet}
oxygen: {model: dissolved_oxygen, temperature: outside, noise: 0.05}
twice: {model: linear, of: sine, factor: 2, offset: 1}
load: {model: cycle, mean: 25, warning: 35, critical: 40, excursions: {stay: 20s}}
"""
FAULTS = """
- {kind: spike, metric: sine, by: 50, p: 0.2}
- {kind: stuck, metric: ou, match: {share: 50%}, after: 30s, for: 1m}
- {kind: noise, metric: cycle, deviation: 2, after: 10s}
- {kind: dropout, metric: walk, p: 0.3}
- {kind: heat_up, metric: air, match: {share: 50%}, after: 20s, for: 1m}
- {kind: event, metric: load, to: 99, after: 30s, for: 30s}
- {kind: stuck, metric: pump, after: 1m}
"""


def payloads(made: Scenario, only: list[int], calls: list[list[int]]) -> dict[str, list[bytes]]:
    """The bytes that each device sends; each call names the devices that are sampled together."""
    run = Run(made, only)
    sent: dict[str, list[bytes]] = {name: [] for name in run.ids}
    ticks = dict.fromkeys(only, 0)
    for call in calls:
        here = [i for i in call if i in ticks]
        if not here:
            continue
        rows = np.array([only.index(i) for i in here])
        tick = np.array([ticks[i] for i in here])
        at = START + tick * 1000 + np.array(here) * 7 + tick * tick % 100
        sample = run.signals.sample(rows, tick, at)
        for i, message, quality in zip(here, sample.messages(), sample.qualities(), strict=True):
            sent[run.ids[only.index(i)]].append(msgspec.msgpack.encode([message, quality]))
            ticks[i] += 1
    return sent


@settings(max_examples=25, deadline=None)
@given(st.lists(st.lists(st.integers(0, 9), min_size=1, unique=True), min_size=20, max_size=120), st.data())
def test_a_device_sends_the_same_bytes_alone_in_a_fleet_and_in_a_part_of_it(
    calls: list[list[int]], data: Any
) -> None:
    made = scenario(EVERY_MODEL, count=10, faults=FAULTS)
    fleet = payloads(made, list(range(10)), calls)
    part = payloads(made, [2, 5, 8], calls)
    for name, sent in part.items():
        assert sent == fleet[name]
    one = data.draw(st.integers(0, 9))
    assert payloads(made, [one], calls) == {f"dev-{one:05d}": fleet[f"dev-{one:05d}"]}
    bigger = scenario(EVERY_MODEL, count=40, faults=FAULTS)
    assert payloads(bigger, list(range(40)), calls)[f"dev-{one:05d}"] == fleet[f"dev-{one:05d}"]


def test_runs_repeat_and_seeds_differ() -> None:
    made = scenario(EVERY_MODEL, faults=FAULTS)
    first, again, other = Run(made), Run(made), Run(made, seed=43)
    same = [first.at(ms) == again.at(ms) for ms in range(0, 60_000, 1000)]
    assert all(same)
    assert first.at(60_000) != other.at(60_000)


def test_every_model_gives_finite_values_at_all_times() -> None:
    run = Run(scenario(EVERY_MODEL))
    for ms in (0, 1, 1000, HOUR, DAY, 400 * DAY):
        for message in run.at(ms):
            for name, value in message.items():
                assert isinstance(value, str) or math.isfinite(value), name


def test_a_metric_of_its_own_interval_is_in_the_first_message_of_each_span() -> None:
    run = Run(
        scenario(
            "a: {model: constant, value: 5}\nb: {model: constant, value: 6, every: 10s, quality: [0.7, 0.9]}"
        )
    )
    has = ["b" in run.at(ms)[0] for ms in range(0, 30_000, 1000)]
    assert [second for second, there in enumerate(has) if there] == [0, 10, 20]
    sample = run.signals.sample(np.arange(20), np.zeros(20, dtype=np.int64), np.full(20, START + 31_000))
    assert sample.qualities()[0] is not None
    sample = run.signals.sample(np.arange(20), np.ones(20, dtype=np.int64), np.full(20, START + 32_000))
    assert set(sample.qualities()) == {None}
