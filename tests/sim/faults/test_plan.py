"""Which devices have a fault, and what is refused."""

from typing import Any

import pytest

from fleet_sim.faults.plan import plan_now
from fleet_sim.scenario.loading import load_scenario
from fleet_sim.scenario.planning import plan_devices
from tests.sim.faults.field import SCENARIO, Field


async def test_a_fault_nobody_can_have_is_refused() -> None:
    plans = plan_devices(SCENARIO)
    with pytest.raises(ValueError, match="no device is meant"):
        plan_now(0, {"kind": "stuck", "metric": "pressure"}, plans, 1, 0)
    with pytest.raises(ValueError, match="kind"):
        plan_now(0, {"kind": "haunted"}, plans, 1, 0)


async def test_a_share_is_drawn_by_the_seed(ground: Field) -> None:
    plans = plan_devices(
        load_scenario("cold-chain", overrides=("fleet.freezer.count=1000", "faults=[]"), env={})
    )
    chosen = [
        plan_now(5, {"kind": "reboot", "match": {"share": 0.1}}, plans, seed, 0).devices for seed in (1, 1, 2)
    ]
    assert chosen[0] == chosen[1] != chosen[2]
    assert 60 <= len(chosen[0]) <= 140


@pytest.mark.parametrize(
    ("settings", "why"),
    [
        ({"kind": "bias", "metric": "temperature"}, "by: Field required"),
        ({"kind": "flap", "every": "1s", "down": "2s"}, "'down' must be shorter than 'every'"),
        ({"kind": "clock_skew", "drift": "5ms"}, "'5ms' is no drift of a clock; write one like 5ms/m"),
        ({"kind": "bais"}, "kind: 'bais' is none; one of .*; did you mean 'bias'"),
        ({}, "kind: '' is none"),
    ],
)
def test_settings_that_are_no_fault_are_refused_with_the_reason(settings: dict[str, Any], why: str) -> None:
    with pytest.raises(ValueError, match=why):
        plan_now(0, settings, plan_devices(SCENARIO), 1, 0)
