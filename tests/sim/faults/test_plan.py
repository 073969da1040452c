"""Which devices have a fault, and what is refused."""

import re
from dataclasses import replace
from typing import Any

import pytest

from fleet_sim.faults.plan import plan_now
from fleet_sim.scenario.loading import load_scenario
from fleet_sim.scenario.planning import plan_devices
from tests.sim.faults.field import SCENARIO, Field

KEYS = "site, device, type, share, line"
NEAREST = "; did you mean 'temperature'?"


async def test_a_fault_nobody_can_have_is_refused() -> None:
    plans = plan_devices(SCENARIO)
    with pytest.raises(ValueError, match="kind"):
        plan_now(0, {"kind": "haunted"}, plans, 1, 0)


@pytest.mark.parametrize(
    ("settings", "why"),
    [
        (
            {"kind": "stuck", "metric": "temprature"},
            "metric: no device has a metric 'temprature'; one of temperature, door, battery" + NEAREST,
        ),
        ({"kind": "reboot", "match": {"site": "lyno"}}, "match: no device has site=lyno"),
        (
            {"kind": "reboot", "match": {"devise": "*", "share": 0.5}},
            f"match: 'devise' is no key of these devices; one of {KEYS}; did you mean 'device'?",
        ),
        ({"kind": "reboot", "match": {"line": ["a", "b"]}}, "match: no device has line=a,b"),
        (
            {"kind": "reboot", "match": {"device": "frz-00000", "site": "lyon"}},
            "match: no device has device=frz-00000 and site=lyon",
        ),
        (
            {"kind": "reboot", "match": {"device": "frz-00000", "share": 0.0001}},
            "match: a share of 0.0001 of 1 device selects none; give a larger share",
        ),
    ],
)
def test_a_fault_that_no_device_would_have_names_the_key_at_fault(settings: dict[str, Any], why: str) -> None:
    with pytest.raises(ValueError, match="^" + re.escape(why) + "$"):
        plan_now(0, settings, plan_devices(SCENARIO), 1, 0)


def test_all_mistakes_are_told_at_once() -> None:
    settings = {"kind": "bias", "metric": "temprature", "match": {"sight": "lyon"}, "for": "soon", "bye": 1}
    with pytest.raises(ValueError, match="no key of these devices") as refused:
        plan_now(0, settings, plan_devices(SCENARIO), 1, 0)
    told = str(refused.value)
    for part in (
        "by: the key 'by' is missing",
        "'bye'",
        "for: 'soon'",
        "match: 'sight'",
        "'temprature'",
    ):
        assert part in told, told


def test_devices_that_lack_the_metric_of_a_fault_are_said_to() -> None:
    one = plan_devices(SCENARIO)[:2]
    other = [replace(plan, metrics={}, site="lyon", id=f"x-{plan.id}") for plan in one]
    fault = {"kind": "stuck", "metric": "door", "match": {"device": "x-*"}}
    with pytest.raises(ValueError, match=r"^match: 2 devices selected, none with the metric 'door'$"):
        plan_now(0, fault, [*one, *other], 1, 0)


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
        ({"kind": "bias", "metric": "temperature"}, "by: the key 'by' is missing"),
        ({"kind": "flap", "every": "1s", "down": "2s"}, "'down' must be shorter than 'every'"),
        ({"kind": "clock_skew", "drift": "5ms"}, "'5ms' is no drift of a clock; write one like 5ms/m"),
        ({"kind": "bais"}, "kind: 'bais' is none; one of .*; did you mean 'bias'"),
        ({}, "kind: '' is none"),
    ],
)
def test_settings_that_are_no_fault_are_refused_with_the_reason(settings: dict[str, Any], why: str) -> None:
    with pytest.raises(ValueError, match=why):
        plan_now(0, settings, plan_devices(SCENARIO), 1, 0)
