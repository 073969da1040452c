"""Models computed from other metrics of the same device."""

# ruff: noqa: E501 - metrics of one line are read as one line
import math

import pytest

from tests.sim.metrics_under_test import Run, scenario


def test_pump_on_its_curve() -> None:
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


@pytest.mark.parametrize(
    ("temperature", "humidity", "dew"), [(20, 50, 9.3), (30, 80, 26.2), (0, 100, 0.0), (-5, 60, -11.5)]
)
def test_dew_point(temperature: float, humidity: float, dew: float) -> None:
    run = Run(scenario(f"t: {{model: constant, value: {temperature}}}\nh: {{model: constant, value: {humidity}}}\n"
                       "d: {model: dew_point, temperature: t, humidity: h}"))  # fmt: skip
    assert run.at(0)[0]["d"] == pytest.approx(dew, abs=0.15)


@pytest.mark.parametrize(("temperature", "oxygen"), [(0, 14.6), (10, 11.3), (20, 9.1), (30, 7.5)])
def test_dissolved_oxygen_falls_with_temperature(temperature: float, oxygen: float) -> None:
    run = Run(
        scenario(
            f"t: {{model: constant, value: {temperature}}}\no: {{model: dissolved_oxygen, temperature: t, saturation: 1}}"
        )
    )
    assert run.at(0)[0]["o"] == pytest.approx(oxygen, abs=0.1)


def test_derived_metrics_may_stand_before_their_sources() -> None:
    run = Run(
        scenario(
            "c: {model: linear, of: b, factor: 2}\nb: {model: linear, of: a, offset: 1}\na: {model: constant, value: 3}"
        )
    )
    assert run.at(0)[0] == {"c": 8.0, "b": 4.0, "a": 3.0}
