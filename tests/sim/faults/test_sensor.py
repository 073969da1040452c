# ruff: noqa: E501 - metrics of one line are read as one line
from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest

from fleet_sim.scenario.planning import plan_devices, plan_faults
from tests.sim.metrics_under_test import Run, scenario


class TestSensorFaults:
    BASE = "a: {model: sine, mean: 10, amplitude: 5, period: 1m}"

    def difference(self, fault: str, times: range = range(0, 60_000, 1000)) -> list[Any]:
        clean, faulty = Run(scenario(self.BASE)), Run(scenario(self.BASE, faults=f"- {fault}"))
        pairs = [(clean.at(ms)[0]["a"], faulty.at(ms)[0].get("a")) for ms in times]
        return [None if after is None else after - before for before, after in pairs]

    def test_bias_only_in_its_window(self) -> None:
        off = self.difference("{kind: bias, metric: a, by: 3, after: 10s, for: 5s}")
        assert off == pytest.approx([0] * 10 + [3] * 5 + [0] * 45)

    def test_drift_grows_from_its_beginning(self) -> None:
        off = self.difference("{kind: drift, metric: a, per_hour: 360, after: 10s}")
        assert off[10] == 0
        assert off[40] == pytest.approx(3)

    def test_spikes_are_as_frequent_as_said(self) -> None:
        off = self.difference("{kind: spike, metric: a, by: 50, p: 0.25}", range(0, 2_000_000, 1000))
        assert {round(each) for each in off} == {0, 50}
        assert np.mean(np.array(off) > 1) == pytest.approx(0.25, abs=0.04)

    def test_noise(self) -> None:
        off = self.difference("{kind: noise, metric: a, deviation: 2}", range(0, 2_000_000, 1000))
        assert np.std(off) == pytest.approx(2, rel=0.1)

    @pytest.mark.parametrize(
        ("fault", "value"),
        [("out_of_range, value: 999", 999), ("missing_code", -200), ("missing_code, value: -1", -1)],
    )
    def test_codes(self, fault: str, value: float) -> None:
        run = Run(scenario(self.BASE, faults=f"- {{kind: {fault}, metric: a, after: 5s, for: 1s}}"))
        assert [each == value for each in run.column("a", range(0, 10_000, 1000))] == [
            ms == 5 for ms in range(10)
        ]

    def test_nan_and_dropout(self) -> None:
        run = Run(scenario(self.BASE + "\nb: {model: constant, value: 1, quality: [1, 1]}",
                           faults="- {kind: nan, metric: a, after: 5s, for: 1s}\n- {kind: dropout, metric: b, after: 6s, for: 1s}"))  # fmt: skip
        messages = [run.at(ms)[0] for ms in range(0, 10_000, 1000)]
        assert [math.isnan(message["a"]) for message in messages] == [ms == 5 for ms in range(10)]
        assert ["b" in message for message in messages] == [ms != 6 for ms in range(10)]

    def test_unit_mix_up(self) -> None:
        run = Run(
            scenario("a: {model: constant, value: 20}", faults="- {kind: unit_mix_up, metric: a, after: 5s}")
        )
        assert run.column("a", range(0, 10_000, 5000)) == [20, 68]

    def test_only_those_who_are_meant(self) -> None:
        run = Run(scenario(self.BASE, faults="- {kind: bias, metric: a, by: 100, match: {site: lyon}}"))
        assert [message["a"] > 50 for message in run.at(0)] == [False, True] * 10

    def test_a_fault_of_a_running_fleet(self) -> None:
        made = scenario(self.BASE, faults="- {kind: bias, metric: a, by: 100}")
        run = Run(scenario(self.BASE))
        assert run.at(0)[0]["a"] < 50
        run.signals.add_fault(plan_faults(made, plan_devices(made))[0])
        assert run.at(1000)[0]["a"] > 50
