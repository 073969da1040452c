from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from edge_gateway.rules.alerts.rule_state import Instant
from edge_gateway.rules.groups.device_values import DeviceValues
from tests.gateway.rules.fleet import T0, Stage
from tests.gateway.rules.groups.grouped import stage_of

RULES = (
    "{alert: A, expr: 'share(no_data(x, 1m) and tag.room != \"2\")', by: [site], above: 0.5}",
    "{alert: B, expr: 'avg(avg_over_time(x, 10s))', by: [site], above: 100}",
    "{alert: C, expr: 'share(door == \"open\")', by: [site], above: 0.5}",
)


def seen(stage: Stage, second: int) -> DeviceValues:
    stage.state.make_room()
    devices, at = np.arange(stage.fleet.registry.devices), Instant(second * 1000, T0 + second * 1000)
    return DeviceValues(stage.state, devices, stage.state.now(at.listening), at)


@pytest.fixture
def stage(tmp_path: Path) -> Stage:
    return stage_of(tmp_path, *RULES)


def number(stage: Stage, metric: str, *, is_text: bool = False) -> int:
    return stage.state.program.symbols.inputs[metric, is_text]


def test_a_value_counts_until_its_lookback_is_over(stage: Stage) -> None:
    stage.read(10, "a", x=3.0)
    x = number(stage, "x")
    assert seen(stage, 310).value(x).tolist() == pytest.approx([3, np.nan, np.nan], nan_ok=True)
    assert np.isnan(seen(stage, 311).value(x)).all()


def test_a_range_ends_at_each_devices_now(stage: Stage) -> None:
    stage.tick(0)
    for second in (10, 12, 19):
        stage.read(second, "a", x=float(second))
    ring = stage.state.program.observed_rings[0]
    assert seen(stage, 19).ranged(ring, "avg_over_time")[0] == (10 + 12 + 19) / 3
    assert seen(stage, 20).ranged(ring, "avg_over_time")[0] == (12 + 19) / 2
    assert np.isnan(seen(stage, 29).ranged(ring, "avg_over_time")[0])
    assert seen(stage, 28).ranged(ring, "avg_over_time")[0] == 19
    assert np.isnan(seen(stage, 19).ranged(ring, "avg_over_time")[1:]).all()


def test_silence_of_devices_that_sent_the_metric_others_or_nothing(stage: Stage) -> None:
    stage.read(10, "a", x=3.0)
    stage.read(10, "b", y=3.0, door="open")
    stage.evaluator.birth(2, (), 1, 20_000)
    assert seen(stage, 69).silent("x", 60_000).tolist() == pytest.approx([0, np.nan, 0], nan_ok=True)
    assert seen(stage, 70).silent("x", 60_000).tolist() == pytest.approx([1, np.nan, 0], nan_ok=True)
    assert seen(stage, 80).silent("x", 60_000).tolist() == pytest.approx([1, np.nan, 1], nan_ok=True)
    assert seen(stage, 80).expected("x").tolist() == [True, False, True]
    assert seen(stage, 80).expected("door").tolist() == [False, True, True]


def test_a_birth_that_names_a_metric_makes_it_expected(stage: Stage) -> None:
    stage.read(10, "a", y=1.0)
    assert not seen(stage, 20).expected("x")[0]
    stage.evaluator.birth(0, ("x",), 1, 30_000)
    assert seen(stage, 31).expected("x")[0]
    assert seen(stage, 89).silent("x", 60_000)[0] == 0
    assert seen(stage, 91).silent("x", 60_000)[0] == 1


def test_a_tag_is_that_of_each_device(stage: Stage) -> None:
    stage.tick(0)
    code = stage.fleet.registry.strings.code("unknown")
    assert seen(stage, 0).tag("room").tolist() == [code] * 3
