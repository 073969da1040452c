from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from fleet_sim.scenario.loading import load_scenario, scaled
from fleet_sim.scenario.planning import plan_devices, plan_faults
from fleet_sim.scenario.profiles import profile_names, profiles
from fleet_sim.signals.group import GroupSignals
from fleet_sim.signals.models import States

if TYPE_CHECKING:
    from collections.abc import Iterator

    from fleet_sim.scenario.loading import Scenario

START = 1_767_225_600_000
HOUR = 3_600_000


def sampled(made: Scenario, name: str, times: range, *, faults: bool = False) -> dict[str, Any]:
    """metric -> readings[time, device]."""
    plans = [plan for plan in plan_devices(made) if plan.group == name]
    planned = plan_faults(made, plan_devices(made)) if faults else []
    signals = GroupSignals(made.fleet[name].metrics, plans, seed=made.seed, start_ms=START, faults=planned)
    rows = np.arange(len(plans))
    columns = [
        signals.sample(rows, np.full(len(plans), tick), np.full(len(plans), START + ms)).columns
        for tick, ms in enumerate(times)
    ]
    return {metric: np.array([each[metric] for each in columns]) for metric in columns[0]}


def every_group() -> Iterator[Any]:
    for profile in profile_names():
        for name in load_scenario(profile, env={}).fleet:
            yield pytest.param(profile, name, id=f"{profile}-{name}")


def test_all_that_ship() -> None:
    assert profile_names() == ["air", "cold-chain", "factory", "water", "weather"]


def test_the_list_says_what_the_scenarios_say() -> None:
    loaded = [load_scenario(name, env={}) for name in profile_names()]
    assert profiles() == [(made.name, made.description, list(made.fleet)) for made in loaded]


@pytest.mark.parametrize("profile", profile_names())
def test_a_profile_needs_nothing_but_a_broker(profile: str) -> None:
    made = load_scenario(profile, env={})
    assert made.broker.url == "mqtt://localhost:1883"
    assert load_scenario(profile, env={"MQTT_HOST": "b", "MQTT_PORT": "1"}).broker.url == "mqtt://b:1"
    assert made.name == profile
    plans = plan_devices(scaled(made, sensors=100))
    assert len({plan.id for plan in plans}) == 100
    for fault in plan_faults(made, plan_devices(made)):
        assert fault.devices, fault.kind


@pytest.mark.parametrize(("profile", "name"), list(every_group()))
def test_readings_stay_where_the_birth_says_and_most_are_normal(profile: str, name: str) -> None:
    made = scaled(load_scenario(profile, env={}), sensors=150)
    readings = sampled(made, name, range(0, 24 * HOUR, HOUR // 4))
    for metric, spec in made.fleet[name].metrics.items():
        values = readings[metric]
        if isinstance(spec, States):
            assert set(np.unique(values)) <= set(spec.stay)
            continue
        assert spec.min is not None and spec.max is not None  # noqa: PT018 - one claim
        assert (values >= spec.min).all()
        assert (values <= spec.max).all()
        assert np.std(values) > 0
        assert spec.label
        assert spec.unit or metric == "ph"
        if spec.excursions is not None and spec.warning is not None:
            assert np.median(values) < spec.warning


FACTORY = {
    # metric: base, warning, critical, interval
    "temperature": (25, 35, 40, 3000),
    "vibration": (2.0, 5.0, 7.0, 4000),
    "energy": (100, 150, 180, 10_000),
    "humidity": (45, 65, 75, 5000),
    "pressure": (6.0, 7.5, 8.5, 5000),
}


@pytest.mark.parametrize("metric", FACTORY)
def test_factory_figures(metric: str) -> None:
    base, warning, critical, every = FACTORY[metric]
    made = load_scenario("factory", env={})
    group, spec = made.fleet[metric], made.fleet[metric].metrics[metric]
    assert (group.interval.every, spec.warning, spec.critical) == (every, warning, critical)
    assert list(group.tags) == ["section", "machine", "zone"]
    values = sampled(made, metric, range(0, 48 * HOUR, HOUR // 6))[metric]
    assert np.median(values) == pytest.approx(base, rel=0.06)
    near = warning - 0.25 * (warning - base)
    upper = (warning + critical) / 2 + 0.1 * (critical - warning)
    assert (values > upper).mean() == pytest.approx(0.05, abs=0.015)
    assert ((values > near) & (values <= upper)).mean() == pytest.approx(0.15, abs=0.03)


def test_factory_has_times_of_day_quality_and_anomalies() -> None:
    made = load_scenario("factory", env={})
    values = sampled(made, "energy", range(0, 24 * HOUR, HOUR))["energy"]
    hours = np.median(values, axis=1)
    assert hours[13] - hours[1] > 15
    spec = made.fleet["temperature"].metrics["temperature"]
    assert spec.quality is not None
    assert 0 <= spec.quality[0] < spec.quality[1] <= 1
    calm = sampled(made, "vibration", range(0, HOUR, 4000))["vibration"]
    odd = sampled(made, "vibration", range(0, HOUR, 4000), faults=True)["vibration"]
    assert 0 < (calm != odd).mean() < 0.001


def test_water_figures() -> None:
    made = load_scenario("water", env={})
    assert {name: group.interval.every for name, group in made.fleet.items()} == {
        "anglian": 1000,
        "southern": 800,
        "south-west": 1200,
        "north-west": 900,
        "midlands": 1500,
    }
    for name, code in zip(made.fleet, ["AN", "SO", "SW", "NW", "MD"], strict=True):
        plan = next(plan for plan in plan_devices(made) if plan.group == name)
        assert (plan.tags["region"], plan.id[:3], plan.site, plan.type) == (
            code,
            f"{code}-",
            name,
            "water-point",
        )
        limits = {metric: spec.critical for metric, spec in made.fleet[name].metrics.items() if spec.critical}
        assert limits == {"bod_atu": 20.0, "ammonia_n": 5.0, "oil": 10.0, "lead": 0.5, "ph": 8.5}
    readings = sampled(made, "southern", range(0, 12 * HOUR, 60_000))
    for metric, limit in limits.items():
        assert 0 < (readings[metric] > limit).mean() < 0.01, metric
    assert np.corrcoef(readings["temperature"].ravel(), readings["dissolved_oxygen"].ravel())[0, 1] < -0.1


def test_air_figures() -> None:
    made = load_scenario("air", env={})
    metrics = made.fleet["station"].metrics
    assert {name: (spec.min, spec.max, spec.unit) for name, spec in metrics.items() if name != "no2_gt"} == {
        "co_gt": (0, 50, "mg/m³"),
        "nox_gt": (0, 1000, "ppb"),
        "c6h6_gt": (0, 100, "µg/m³"),
        "t": (-20, 50, "°C"),
        "rh": (0, 100, "%"),
    }
    readings = sampled(made, "station", range(0, HOUR, 10_000), faults=True)
    assert (readings["co_gt"] == -200).mean() == pytest.approx(0.04, abs=0.01)
    assert (readings["t"] == -200).sum() == 0


def test_the_cold_chain_warms_up_and_a_command_brings_it_back() -> None:
    made = load_scenario("cold-chain", overrides=["fleet.freezer.metrics.temperature.lag=10s"], env={})
    plans = plan_devices(made)
    (fault,) = plan_faults(made, plans)
    assert (fault.kind, fault.devices, fault.from_ms) == ("heat_up", ("frz-00042",), 120_000)
    assert fault.expect_alert is not None
    assert (fault.expect_alert.rule, fault.expect_alert.within) == ("FreezerTooWarm", 360_000)
    signals = GroupSignals(
        made.fleet["freezer"].metrics, plans, seed=made.seed, start_ms=START, faults=[fault]
    )
    rows = np.array([42, 43])

    def temperatures(ms: int) -> list[float]:
        return signals.sample(rows, np.full(2, ms // 2000), np.full(2, START + ms)).columns["temperature"]

    curve = {ms: temperatures(ms) for ms in range(0, 150_000, 2000)}
    assert curve[118_000][0] == pytest.approx(-18, abs=0.5)
    assert next(ms for ms, (warm, _) in curve.items() if warm > -10) <= 124_000
    assert all(abs(cold + 18) < 0.5 for _, cold in curve.values())
    assert signals.apply_command(42, "temperature.setpoint", -22.0) == (fault.number,)
    for ms in range(150_000, 220_000, 2000):
        last = temperatures(ms)
    assert last[0] == pytest.approx(-22, abs=0.5)
