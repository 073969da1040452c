"""Values that count while their devices are online, and what ends with them."""

from __future__ import annotations

from dataclasses import replace

import pytest

from edge_gateway.rules.language.ruleset import ONLINE, Level, NoData, NoDataState, Rule
from tests.gateway.rules.fleet import Stage, happened

OPEN = Rule(
    name="Open",
    group="g",
    expr='door == "open" and t > 1',
    levels=(Level("warning", for_ms=7_200_000),),
    lookbacks={"door": ONLINE},
    no_data=NoData(60_000, "door", "no_data", "info"),
)


def waiting() -> tuple[Stage, int]:
    stage = Stage(OPEN)
    device = stage.fleet.device("d")
    stage.evaluator.birth(device, (), 1, 1500)
    stage.read(0, door="open")
    assert happened(stage.read(1, t=5)) == ["pending reading"]
    return stage, device


def test_a_will_ends_what_waits_with_the_next_reading_or_tick() -> None:
    stage, device = waiting()
    stage.evaluator.gone(device, 1500)
    (ended,) = stage.tick(2)
    assert (ended.cause, ended.state) == ("expired", "inactive")
    assert stage.read(3, t=5) == []
    assert happened(stage.read(4, door="open")) == ["pending reading"]


def test_what_a_will_ended_is_told_after_a_restart() -> None:
    stage, device = waiting()
    stage.evaluator.gone(device, 1500)
    stage.restart()
    assert happened(stage.tick(2)) == ["resolved expired"]


def test_a_birth_of_the_same_boot_changes_nothing_and_one_of_another_loses_values() -> None:
    stage, device = waiting()
    stage.evaluator.birth(device, (), 1, 1500)
    assert stage.tick(2) == []
    stage.evaluator.birth(device, (), 2, 2500)
    assert happened(stage.tick(3)) == ["resolved expired"]


def test_a_first_birth_after_readings_of_its_boot_loses_nothing() -> None:
    stage = Stage(OPEN)
    stage.read(0, door="open")
    stage.read(1, t=5)
    stage.evaluator.birth(stage.fleet.device("d"), (), 1, 1500)
    assert stage.tick(2) == []


def test_a_reading_of_an_earlier_boot_gives_no_value_that_counts_while_online() -> None:
    stage, device = waiting()
    stage.evaluator.birth(device, (), 2, 2500)
    stage.tick(2)
    assert stage.read(3, door="open") == []  # frames of the test fleet are of boot 1
    assert stage.read(4, t=5) == []


def test_a_metric_that_is_missed_is_lost() -> None:
    stage, _ = waiting()
    stage.read(50, t=5)
    assert happened(stage.tick(61)) == ["no_data no_data", "resolved expired"]
    assert stage.read(62, t=5) == []
    assert happened(stage.read(63, door="open")) == ["pending reading"]


EITHER = replace(OPEN, name="Either", expr='door == "open" or t > 5', no_data=None)


@pytest.mark.parametrize("state", ["alerting", "ok"])
def test_a_metric_is_lost_each_time_it_is_missed_whether_or_not_that_changes_an_alert(
    state: NoDataState,
) -> None:
    silent = Rule(name="Silent", group="g", keep_ms=600_000, no_data=NoData(60_000, "door", state, "info"))
    stage = Stage(replace(EITHER, lookbacks={"door": ONLINE}), silent)
    stage.read(0, door="closed")
    stage.tick(61)
    assert happened(stage.read(70, door="open"))[0] == "pending reading"
    assert "resolved expired" in happened(stage.tick(131))


def test_a_wait_on_other_values_goes_on_where_a_metric_is_missed_that_had_none() -> None:
    silent = Rule(name="Silent", group="g", no_data=NoData(60_000, "door", "alerting", "info"))
    stage = Stage(EITHER, silent)
    device = stage.fleet.device("d")
    stage.evaluator.birth(device, ("door",), 1, 0)
    stage.read(0, t=6)
    stage.read(50, t=6)
    assert happened(stage.tick(61)) == ["firing no_data"]
    stage.evaluator.gone(device, 62_000)
    assert stage.tick(63) == []


@pytest.mark.parametrize("device", ["d", "other"])
def test_what_fires_keeps_firing_until_it_is_evaluated(device: str) -> None:
    stage, _ = waiting()
    for second in range(50, 7300, 50):
        stage.read(second, t=5, door="open")
    assert [each.rule for each in stage.evaluator.firing()] == ["Open"]
    stage.evaluator.gone(stage.fleet.device(device), 7_255_000)
    assert stage.tick(7260) == []
    assert [each.rule for each in stage.evaluator.firing()] == ["Open"]
