"""From a scenario to devices, groups and the labels in the ledger."""

import asyncio
from pathlib import Path

from fleet_sim.devices.world import World
from fleet_sim.ledger.reading import read_ledger
from fleet_sim.ledger.writing import LedgerWriter
from fleet_sim.runtime.building import build, describe_fault, kinds_of
from fleet_sim.scenario.loading import load_scenario
from fleet_sim.scenario.planning import plan_devices, plan_faults

SCENARIO = load_scenario("cold-chain", overrides=("fleet.freezer.count=50",), env={})


async def test_every_planned_device_is_built_and_written_to_the_ledger(tmp_path: Path) -> None:
    plans = plan_devices(SCENARIO)
    with LedgerWriter(tmp_path) as ledger:
        ledger.header({"name": "t"})
        world = World.of(ledger, asyncio.get_running_loop(), lambda: 0, lambda: 0)
        fleet = build(SCENARIO, plans, [], world, start_ms=0, boot=3, qos=1, apply=lambda *_: None)
    assert [device.identity.id for device in fleet.devices] == [plan.id for plan in plans]
    assert [device.index for device in fleet.devices] == list(range(len(plans)))
    assert {device.outbox.boot for device in fleet.devices} == {3}
    assert fleet.firsts == {"freezer": 0}
    assert [entry.id for entry in read_ledger(tmp_path).devices] == [plan.id for plan in plans]


async def test_a_group_without_devices_is_left_out(tmp_path: Path) -> None:
    freezers = SCENARIO.fleet["freezer"].model_copy(update={"count": 0})
    scenario = SCENARIO.model_copy(update={"fleet": {"freezer": freezers}})
    with LedgerWriter(tmp_path) as ledger:
        world = World.of(ledger, asyncio.get_running_loop(), lambda: 0, lambda: 0)
        fleet = build(scenario, [], [], world, start_ms=0, boot=3, qos=1, apply=lambda *_: None)
    assert (fleet.devices, fleet.flows, fleet.signals, fleet.firsts) == ([], [], {}, {})


def test_metrics_are_numbers_or_words() -> None:
    numbers, words = kinds_of(SCENARIO.fleet["freezer"].metrics)
    assert (numbers, words) == (["temperature", "battery"], ["door"])


def test_a_fault_is_recorded_with_its_times_and_what_it_must_raise() -> None:
    [fault, *_] = plan_faults(SCENARIO, plan_devices(SCENARIO))
    told = describe_fault(fault, 1_000_000.0)
    assert (told["kind"], told["where"], told["metric"]) == ("heat_up", "sensor", "temperature")
    assert told["devices"] == ["frz-00042"]
    assert told["from"] == 1_000_000 + fault.from_ms
    assert told["until"] <= 2**62
    assert set(told["expect"]) == {"rule", "within", "level"}
    assert told["spec"]["kind"] == "heat_up"
