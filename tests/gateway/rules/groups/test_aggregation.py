"""Aggregates against a plain account of them, over drawn fleets."""

from __future__ import annotations

from math import isnan, nan
from random import Random
from statistics import fmean
from typing import Any, cast

import numpy as np
import pytest

from edge_gateway.rules.columns.observed import Observation
from edge_gateway.rules.groups.aggregation import Aggregate, Observed
from edge_gateway.rules.groups.device_values import DeviceValues
from edge_gateway.rules.language.expression import Call, Compare, MetricRef, Number

X = MetricRef("x", 0)
HOLDS = Compare(X, ((">", Number(0, 0)),), 0)


def aggregate(name: str, argument: Any = X) -> Aggregate:
    return Aggregate(Call(name, (argument,), 0), Observation(lambda _: np.zeros(0), (), (), ()))


def plain(name: str, values: list[float]) -> float:
    known = [value for value in values if not isnan(value)]
    if name == "count":
        return len(known)
    functions = {"avg": fmean, "sum": sum, "min": min, "max": max}
    return functions[name](known) if known else nan  # type: ignore[operator]


@pytest.mark.parametrize("name", ["avg", "sum", "min", "max", "count"])
def test_of_numbers(name: str) -> None:
    random = Random(name)
    for _ in range(100):
        groups = [
            [random.choice([nan, random.uniform(-1e12, 1e12), 0.0]) for _ in range(random.randint(1, 6))]
            for _ in range(random.randint(1, 5))
        ]
        value = np.array([each for group in groups for each in group])
        start = np.cumsum([0, *map(len, groups)])[:-1]
        found = aggregate(name).over(Observed(value, ~np.isnan(value)), start)
        assert found.tolist() == pytest.approx(
            [plain(name, group) for group in groups], rel=1e-12, nan_ok=True
        )


def test_of_conditions_what_is_unknown_does_not_hold_but_counts_in_the_share() -> None:
    value = np.array([1.0, 0.0, nan, 1.0, 1.0, nan])
    counted = np.array([True, True, True, True, False, False])
    observed, start = Observed(value, counted), np.array([0, 4, 5])
    assert aggregate("count", HOLDS).over(observed, start).tolist() == [2, 0, 0]
    share = aggregate("share", HOLDS).over(observed, start).tolist()
    assert share[0] == 0.5
    assert isnan(share[1])
    assert isnan(share[2])


def test_a_share_is_over_the_devices_that_are_to_send_all_that_it_names() -> None:
    class Three:
        devices = np.arange(3)

        def expected(self, metric: str) -> Any:
            return np.array([True, metric == "x", True])

    observation = Observation(lambda _: np.float64(1.0), (), ("x", "y"), ())  # type: ignore[arg-type, return-value]
    share = Aggregate(Call("share", (HOLDS,), 0), observation)
    found = share.observe(cast("DeviceValues", Three()))
    assert found.value.tolist() == [1, 1, 1]
    assert found.counted.tolist() == [True, False, True]
