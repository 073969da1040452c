# ruff: noqa: E501 - metrics of one line are read as one line
from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import msgspec
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.sim.metrics_under_test import DAY, HOUR, MINUTE, START, Run, scenario

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
def test_a_device_sends_the_same_bytes_alone_in_a_fleet_and_in_a_shard(
    calls: list[list[int]], data: Any
) -> None:
    made = scenario(EVERY_MODEL, count=10, faults=FAULTS)
    fleet = payloads(made, list(range(10)), calls)
    shard = payloads(made, [2, 5, 8], calls)
    for name, sent in shard.items():
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


class TestModels:
    def test_constant(self) -> None:
        run = Run(scenario("a: {model: constant, value: 5}\nb: {model: constant, value: [1, 3]}"))
        values = [message["b"] for message in run.at(0)]
        assert {message["a"] for message in run.at(1)} == {5.0}
        assert all(1 <= value <= 3 for value in values)
        assert len(set(values)) == 20
        assert values == [message["b"] for message in run.at(DAY)]

    def test_sine(self) -> None:
        run = Run(scenario("a: {model: sine, mean: 10, amplitude: 2, period: 1m}"))
        assert run.column("a", range(0, 60_000, 15_000)) == pytest.approx([10, 12, 10, 8], abs=1e-5)

    def test_cycle_peaks_at_its_hour_and_rests_on_weekends(self) -> None:
        run = Run(scenario("a: {model: cycle, mean: 20, daily: 3, peak: 15h, weekend: -5}"))
        thursday = run.column("a", range(0, DAY, HOUR))
        assert thursday[15] == max(thursday) == pytest.approx(23)
        assert thursday[3] == min(thursday) == pytest.approx(17)
        assert run.at(2 * DAY + 15 * HOUR)[0]["a"] == pytest.approx(18)

    def test_random_walk_spreads_with_the_root_of_time_within_its_limits(self) -> None:
        run = Run(scenario("a: {model: random_walk, start: 0, step: 1}", count=2000))
        run.at(0)
        spread = [
            np.std([message["a"] for message in run.at(ms)]) for ms in range(MINUTE, 17 * MINUTE, MINUTE)
        ]
        assert spread[0] == pytest.approx(1, rel=0.1)
        assert spread[15] == pytest.approx(4, rel=0.1)
        fenced = Run(scenario("a: {model: random_walk, start: 5, step: 40, min: 0, max: 10}", count=200))
        for ms in range(0, HOUR, MINUTE):
            assert all(0 <= message["a"] <= 10 for message in fenced.at(ms))

    def test_ou_has_its_mean_deviation_and_memory_whatever_the_step(self) -> None:
        run = Run(scenario("a: {model: ou, mean: 7, deviation: 2, memory: 1m}", count=4000))
        first = np.array([message["a"] for message in run.at(0)])
        later = np.array([message["a"] for message in run.at(MINUTE)])
        assert first.mean() == pytest.approx(7, abs=0.1)
        assert first.std() == pytest.approx(2, rel=0.05)
        assert later.std() == pytest.approx(2, rel=0.05)
        assert np.corrcoef(first, later)[0, 1] == pytest.approx(math.exp(-1), abs=0.05)

    def test_ar1(self) -> None:
        run = Run(scenario("a: {model: ar1, mean: 1, phi: 0.6, deviation: 2}", count=4000))
        first = np.array([message["a"] for message in run.at(0)])
        later = np.array([message["a"] for message in run.at(1000)])
        assert later.std() == pytest.approx(2, rel=0.05)
        assert np.corrcoef(first, later)[0, 1] == pytest.approx(0.6, abs=0.05)

    def test_step_and_ramp(self) -> None:
        run = Run(scenario("a: {model: step, before: 1, after: 2, at: 1m}\nb: {model: ramp, from: 0, to: 10, over: 1m, wait: 1m}\n"
                           "c: {model: ramp, from: 0, to: 10, over: 1m, repeat: true}"))  # fmt: skip
        assert run.column("a", range(0, 2 * MINUTE, 30_000)) == [1, 1, 2, 2]
        assert run.column("b", range(0, 4 * MINUTE, 30_000)) == [0, 0, 0, 5, 10, 10, 10, 10]
        assert run.column("c", range(0, 2 * MINUTE, 30_000)) == [0, 5, 0, 5]

    def test_states_stay_as_long_as_said_and_follow_their_weights(self) -> None:
        run = Run(
            scenario(
                "a: {model: states, stay: {idle: 60s, busy: 20s, broken: 20s}, then: {idle: {busy: 1}, busy: {idle: 3, broken: 1}, broken: {idle: 1}}}",
                count=400,
            )
        )
        codes = np.array([[message["a"] for message in run.at(ms)] for ms in range(0, 900_000, 1000)])
        # stationary visits idle : busy : broken = 4 : 4 : 1, times their stay 60 : 20 : 20
        settled = codes[300:]
        assert (settled == "idle").mean() == pytest.approx(240 / 340, abs=0.03)
        assert (settled == "broken").mean() == pytest.approx(20 / 340, abs=0.02)
        follows = {(a, b) for a, b in zip(codes[:-1].ravel(), codes[1:].ravel(), strict=True) if a != b}
        assert follows == {("idle", "busy"), ("busy", "idle"), ("busy", "broken"), ("broken", "idle")}

    def test_states_begin_as_told(self) -> None:
        run = Run(scenario("a: {model: states, stay: {x: 1h, y: 1h}, initial: y}"))
        assert {message["a"] for message in run.at(0)} == {"y"}

    def test_drain_ends_empty(self) -> None:
        run = Run(scenario("a: {model: drain, from: 100, per_day: 40}"))
        assert run.column("a", range(0, 4 * DAY, DAY)) == pytest.approx([100, 60, 20, 0])

    def test_tank_fills_when_low_and_stops_when_high(self) -> None:
        run = Run(scenario("a: {model: tank, start: 50, inflow: 20, outflow: 10, low: 20, high: 80}"))
        levels = run.column("a", range(0, 30 * MINUTE, 10_000))
        turns = [
            levels[i]
            for i in range(1, len(levels) - 1)
            if (levels[i] - levels[i - 1]) * (levels[i + 1] - levels[i]) < 0
        ]
        assert turns == pytest.approx([20, 80, 20, 80, 20], abs=2)

    def test_pump_on_its_curve(self) -> None:
        metrics = (
            "run: {model: states, stay: {on: 100d, off: 100d}, initial: 'on'}\n"
            "flow: {model: pump, shutoff: 30, curve: 0.02, static: 12, while: {run: 'on'}}\n"
            "head: {model: pump, of: head, shutoff: 30, curve: 0.02, static: 12, while: {run: 'on'}}"
        )
        run = Run(scenario(metrics))
        message = run.at(0)[0]
        assert message["flow"] == pytest.approx(math.sqrt(18 / 0.02))
        assert message["head"] == pytest.approx(12)
        run.signals.apply_command(0, "flow.speed", 0.5)  # 7.5 m cannot overcome 12 m
        assert run.at(1000)[0]["flow"] == 0
        run.signals.apply_command(1, "run.state", "off")
        assert run.at(2000)[1]["flow"] == 0

    def test_wear_grows_fast_at_the_end_and_begins_anew(self) -> None:
        run = Run(scenario("a: {model: wear, from: 1, to: 9, life: 10m}"))
        values = np.array(run.column("a", range(0, 20 * MINUTE, 10_000)))
        assert values.min() == pytest.approx(1, abs=0.01)
        assert values.max() == pytest.approx(9, abs=0.5)
        assert (np.diff(values) < 0).sum() == 2
        assert (values < 2).mean() == pytest.approx(0.5, abs=0.02)  # (1/2)³ of the way at half its life

    def test_weather_is_one_for_a_site_and_another_for_the_next(self) -> None:
        run = Run(scenario("a: {model: weather, of: temperature}\nb: {model: weather, of: humidity}"))
        hours = [run.at(ms) for ms in range(0, 30 * DAY, HOUR)]
        berlin, lyon = ([hour[row]["a"] for hour in hours] for row in (0, 1))
        assert berlin == [hour[18]["a"] for hour in hours]
        assert abs(np.corrcoef(berlin, lyon)[0, 1]) < 0.8
        assert -15 < min(berlin) < max(berlin) < 25
        assert 1 < np.std(berlin) < 6
        assert abs(np.diff(berlin)).max() < 3
        july = [run.at(200 * DAY + ms)[0]["a"] for ms in range(0, DAY, HOUR)]
        assert np.mean(july) > np.mean(berlin) + 5

    @pytest.mark.parametrize(
        ("temperature", "humidity", "dew"), [(20, 50, 9.3), (30, 80, 26.2), (0, 100, 0.0), (-5, 60, -11.5)]
    )
    def test_dew_point(self, temperature: float, humidity: float, dew: float) -> None:
        run = Run(scenario(f"t: {{model: constant, value: {temperature}}}\nh: {{model: constant, value: {humidity}}}\n"
                           "d: {model: dew_point, temperature: t, humidity: h}"))  # fmt: skip
        assert run.at(0)[0]["d"] == pytest.approx(dew, abs=0.15)

    @pytest.mark.parametrize(("temperature", "oxygen"), [(0, 14.6), (10, 11.3), (20, 9.1), (30, 7.5)])
    def test_dissolved_oxygen_falls_with_temperature(self, temperature: float, oxygen: float) -> None:
        run = Run(
            scenario(
                f"t: {{model: constant, value: {temperature}}}\no: {{model: dissolved_oxygen, temperature: t, saturation: 1}}"
            )
        )
        assert run.at(0)[0]["o"] == pytest.approx(oxygen, abs=0.1)

    def test_derived_metrics_may_stand_before_their_sources(self) -> None:
        run = Run(
            scenario(
                "c: {model: linear, of: b, factor: 2}\nb: {model: linear, of: a, offset: 1}\na: {model: constant, value: 3}"
            )
        )
        assert run.at(0)[0] == {"c": 8.0, "b": 4.0, "a": 3.0}


class TestThermal:
    def test_it_follows_a_setpoint_with_its_lag(self) -> None:
        run = Run(scenario("t: {model: thermal, setpoint: -18, ambient: 20, lag: 1m}"))
        assert run.at(0)[0]["t"] == -18
        assert run.signals.apply_command(0, "t.setpoint", -28.0) == ()
        moved = run.at(MINUTE)
        assert moved[0]["t"] == pytest.approx(-28 + 10 * math.exp(-1), abs=1e-4)
        assert moved[1]["t"] == -18

    def test_the_step_does_not_matter(self) -> None:
        made = scenario("t: {model: thermal, setpoint: -18, start: 5, lag: 1m}")
        fine, coarse = Run(made), Run(made)
        for ms in range(0, MINUTE + 1, 100):
            one = fine.at(ms)[0]["t"]
        coarse.at(0)
        assert coarse.at(MINUTE)[0]["t"] == pytest.approx(one, abs=1e-4)

    def test_a_leak_holds_it_above_the_setpoint(self) -> None:
        run = Run(scenario("t: {model: thermal, setpoint: -20, ambient: 20, leak: 10%, lag: 1m}"))
        assert run.at(0)[0]["t"] == pytest.approx(-16)

    def test_loss_of_cooling_until_a_command_repairs_it(self) -> None:
        fault = "- {kind: heat_up, metric: t, match: {device: [dev-00003, dev-00004]}, after: 10s, for: 1h}"
        run = Run(scenario("t: {model: thermal, setpoint: -18, ambient: 20, lag: 1m}", faults=fault))
        for ms in range(0, 71_000, 1000):
            message = run.at(ms)
        warm = 20 - 38 * math.exp(-61 / 60)  # cooling is lost from the sample at 10 s on, whose step was 1 s
        assert message[3]["t"] == pytest.approx(warm, abs=1e-3)
        assert message[2]["t"] == -18
        assert run.signals.apply_command(3, "t.setpoint", -22) == (0,)
        assert run.signals.apply_command(3, "t.setpoint", -22) == ()
        assert run.signals.apply_command(2, "t.setpoint", -18) == ()
        for ms in range(71_000, 400_000, 1000):
            message = run.at(ms)
        assert message[3]["t"] == pytest.approx(-22, abs=0.3)
        assert message[4]["t"] > 19

    def test_a_command_before_the_fault_or_for_another_metric_repairs_nothing(self) -> None:
        fault = (
            "- {kind: heat_up, metric: t, after: 10s, for: 20s}\n- {kind: heat_up, metric: u, repair: none}"
        )
        run = Run(
            scenario(
                "t: {model: thermal, setpoint: -18, lag: 1m}\nu: {model: thermal, setpoint: 0, lag: 1m}",
                faults=fault,
            )
        )
        run.at(0)
        assert run.signals.apply_command(0, "t.setpoint", -20, at_ms=START + 9_999) == ()
        assert run.signals.apply_command(0, "u.setpoint", -20, at_ms=START + 15_000) == ()
        assert run.signals.apply_command(0, "t.setpoint", -20, at_ms=START + 30_000) == ()
        assert run.signals.apply_command(0, "t.setpoint", -20, at_ms=START + 10_000) == (0,)


@pytest.mark.parametrize(("setting", "value", "text"), [
    ("nothing.setpoint", 1, "no metric 'nothing'"), ("t.speed", 1, "no setting 'speed'"), ("t", 1, "no setting ''"),
    ("t.setpoint", "cold", "must be a number"), ("t.setpoint", math.nan, "must be a number"), ("t.setpoint", True, "must be a number"),
    ("s.state", "ajar", "one of open, shut"), ("s.state", 1, "one of open, shut"),
])  # fmt: skip
def test_a_command_that_cannot_be_done_says_why(setting: str, value: Any, text: str) -> None:
    run = Run(
        scenario(
            "t: {model: thermal, setpoint: -18, lag: 1m}\ns: {model: states, stay: {open: 1h, shut: 1h}}"
        )
    )
    with pytest.raises(ValueError, match=text):
        run.signals.apply_command(0, setting, value)


class TestCommonOptions:
    @pytest.mark.parametrize(
        ("precision", "decimals"), [(0.01, 2), (0.5, 1), (5, 0), (1, 0), (0.05, 2), (0.001, 3)]
    )
    def test_readings_are_multiples_of_their_precision(self, precision: float, decimals: int) -> None:
        run = Run(scenario(f"a: {{model: ou, mean: 3, deviation: 20, precision: {precision}}}", count=300))
        for message in run.at(0):
            value = message["a"]
            assert value == round(value, decimals)
            assert math.isclose(value / precision, round(value / precision), abs_tol=1e-6)
            assert math.copysign(1, value) == 1 or value < 0

    def test_limits_hold_for_what_is_sent(self) -> None:
        run = Run(scenario("a: {model: ou, mean: 50, deviation: 80, noise: 9, min: 0, max: 100}", count=300))
        values = [message["a"] for message in run.at(0)]
        assert (min(values), max(values)) == (0, 100)

    def test_noise_is_no_part_of_what_follows_from_a_metric(self) -> None:
        run = Run(scenario("a: {model: constant, value: 5, noise: 3}\nb: {model: linear, of: a}"))
        messages = run.at(0)
        assert {message["b"] for message in messages} == {5.0}
        assert np.std([message["a"] for message in messages]) > 1

    def test_a_metric_of_its_own_interval_is_in_the_first_message_of_each_span(self) -> None:
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

    def test_quality_is_between_its_limits(self) -> None:
        run = Run(
            scenario("a: {model: constant, value: 5, quality: [0.7, 0.9]}\nb: {model: constant, value: 5}")
        )
        sample = run.signals.sample(np.arange(20), np.arange(20), np.full(20, START))
        drawn = [quality["a"] for quality in sample.qualities() if quality]
        assert len(drawn) == 20
        assert 0.7 <= min(drawn) < max(drawn) <= 0.9
