"""What a window must hold, from values that are sure and values that are not."""

import math

import numpy as np
import pytest

from fleet_sim.ledger.expected import MOST_UNSURE, Facts, Policy, Readouts, facts_of, possible, windows


def test_sums_are_exact_in_any_order() -> None:
    assert facts_of([0.1, 0.2, 0.3]) == Facts(3, math.fsum([0.3, 0.1, 0.2]), 0.1, 0.3, 0.1, 0.3)
    assert facts_of([1e16, 1.0, -1e16]).sum == 1.0
    assert facts_of([1e308, 1e308, -1e308]).sum == 1e308, "only its parts are beyond all doubles"


@pytest.mark.parametrize("value", [1e308, -1e308])
def test_a_sum_beyond_all_doubles_is_infinite(value: float) -> None:
    assert facts_of([value, value]) == Facts(2, math.inf, value, value, value, value)


def test_every_outcome_has_the_sure_values_with_or_without_each_of_the_others() -> None:
    found = possible([1.0, 2.0, 4.0], [True, False, False])
    assert found is not None
    assert [facts.sum for facts in found] == [7.0, 3.0, 5.0, 1.0]
    assert possible([1.0], [False]) == [facts_of([1.0])], "an empty window has no facts"
    assert possible([1.0] * (MOST_UNSURE + 1), [False] * (MOST_UNSURE + 1)) is None


@pytest.mark.parametrize(
    ("published", "counted"),
    [
        (None, [-50.0, -2.0, 0.0, 90.0]),
        ({"range": [-40, 85]}, [-2.0, 0.0]),
        ({"range": [None, 85], "missing": [-2]}, [-50.0, 0.0]),
    ],
)
def test_a_policy_leaves_out_values_the_gateway_refuses(published: object, counted: list[float]) -> None:
    values = np.array([-50.0, -2.0, 0.0, 90.0, math.nan, math.inf])
    policy = Policy.of(published)  # type: ignore[arg-type]
    assert values[policy.counts(values)].tolist() == counted
    assert not policy.rated
    assert Policy.of({"rate": "1/s"}).rated


def test_windows_are_cut_by_device_and_time() -> None:
    device, ts = np.array([0, 0, 0, 1]), np.array([0, 999, 1000, 1000])
    readings = Readouts(device, ts, ts * 1.0, ts > -1, ts, ts, ts)
    assert windows(readings, 1000) == [(0, 0, slice(0, 2)), (0, 1000, slice(2, 3)), (1, 1000, slice(3, 4))]
    assert windows(readings.rows(slice(0, 0)), 1000) == []
