"""The rules in force: how many devices they run on, where they fire, and whether anything evaluated them."""

from dataclasses import replace
from typing import Any

from edge_gateway.records import codec
from edge_gateway.rules.inspection.in_force import MOST_LISTED, describe, describe_in_force, standings
from edge_gateway.rules.language.ruleset import Level, NoData, Override, Rule, RuleSet
from tests.gateway.rules.fleet import T0, Stage

HOT = Rule(
    name="Hot", group="g", match=({"type": ["freezer"]},), expr="t", levels=(Level("warning", limit=10.0),)
)
SLOW = replace(HOT, name="Slow", levels=(Level("critical", limit=10.0, for_ms=60_000),))
DAMP = replace(HOT, name="Damp", expr="h")
SILENT = Rule(name="Silent", group="g", no_data=NoData(600_000, "t", "alerting", "warning"))
FAHRENHEIT = Rule(name="fahrenheit", group="g", record=True, expr="t * 1.8 + 32", unit="°F")


def by_name(stage: Stage) -> dict[str, Any]:
    return {each["name"]: each for each in describe_in_force(stage.evaluator)}


def test_before_any_device_there_are_rules_without_devices() -> None:
    rows = by_name(Stage(HOT, FAHRENHEIT, SILENT))
    assert [(row["devices"], row["newest"], row["firing"]) for row in rows.values()] == [(0, None, 0)] * 3
    assert [row["evaluated"] for row in rows.values()] == [False, False, True]


def test_devices_are_those_the_rule_runs_on() -> None:
    stage = Stage(
        HOT, replace(HOT, name="Local", overrides=(Override({"site": ["lyon"]}, (), 1),)), FAHRENHEIT
    )
    stage.fleet.born("a")
    stage.fleet.born("b", site="lyon")
    stage.fleet.born("p", kind="pump")
    stage.read(1, "a", t=1)
    rows = by_name(stage)
    assert [rows[name]["some_devices"] for name in ("Hot", "Local")] == [["a", "b"]] * 2
    assert rows["fahrenheit"]["some_devices"] == ["a", "b", "p"]


def test_another_unit_is_counted_apart() -> None:
    stage = Stage(replace(HOT, unit="°C"))
    stage.fleet.born("a", units={"t": "°F"})
    stage.fleet.born("b", units={"t": "°C"})
    stage.tick(1)
    (row,) = describe_in_force(stage.evaluator)
    assert (row["devices"], row["some_devices"], row["other_unit"]) == (1, ["b"], 1)


def test_the_newest_reading_is_one_of_a_metric_of_the_rule() -> None:
    stage = Stage(HOT, DAMP, FAHRENHEIT, replace(SILENT, no_data=NoData(600_000, "h", "ok", "info")))
    stage.fleet.born("a")
    stage.read(1, "a", t=1)
    stage.read(5, "a", h=1)
    rows = by_name(stage)
    assert [rows[name]["newest"] for name in ("Hot", "Damp", "fahrenheit", "Silent")] == [
        T0 + 1_000,
        T0 + 5_000,
        T0 + 1_000,
        T0 + 5_000,
    ]


def test_a_rule_is_evaluated_by_a_reading_of_a_device_it_runs_on_and_by_no_other() -> None:
    stage = Stage(HOT, DAMP, FAHRENHEIT)
    stage.fleet.born("a")
    stage.fleet.born("p", kind="pump")
    stage.read(1, "p", h=1)
    assert [row["evaluated"] for row in by_name(stage).values()] == [False, False, False]
    stage.read(2, "a", t=1)
    assert [row["evaluated"] for row in by_name(stage).values()] == [True, False, True]
    stage.evaluator.reload(RuleSet((HOT, DAMP, replace(SLOW, expr="t + 1"), FAHRENHEIT)))
    assert [row["evaluated"] for row in by_name(stage).values()] == [False] * 4


def test_what_fires_is_told_before_what_waits() -> None:
    stage = Stage(HOT, SLOW)
    for number in range(MOST_LISTED + 5):
        stage.fleet.born(f"d{number}")
        stage.read(number, f"d{number}", t=20)
    stage.tick(62)
    rows = by_name(stage)
    assert (rows["Hot"]["firing"], rows["Hot"]["pending"], len(rows["Hot"]["alerts"])) == (25, 0, MOST_LISTED)
    assert rows["Hot"]["alerts"][0] == {"device": "d0", "state": "firing", "level": "warning", "since": T0}
    slow = rows["Slow"]
    assert (slow["firing"], slow["pending"], len(slow["alerts"])) == (3, 22, MOST_LISTED)
    assert [each["state"] for each in slow["alerts"]] == ["firing"] * 3 + ["pending"] * (MOST_LISTED - 3)
    assert slow["alerts"][3] == {"device": "d3", "state": "pending", "level": "critical", "since": T0 + 3_000}


def test_an_alert_and_a_record_may_have_one_name() -> None:
    stage = Stage(replace(HOT, name="x"), replace(FAHRENHEIT, name="x"))
    stage.fleet.born("a")
    stage.read(1, "a", t=20)
    alert, record = describe_in_force(stage.evaluator)
    assert (alert["kind"], alert["firing"], record["kind"], record["firing"]) == ("alert", 1, "record", 0)


def test_a_rule_without_a_gateway_says_what_it_says() -> None:
    row = describe(replace(HOT, expr="abs ( t )", overrides=(Override({"site": ["lyon"]}, (), 60_000),)))
    assert (row["expr"], row["match"], row["limits"]) == ("abs(t)", "type freezer", "warning above 10")
    assert row["overrides"] == [{"match": "site lyon", "limits": "keep firing for 1m"}]
    assert "devices" not in row


def test_asking_changes_nothing() -> None:
    stage = Stage(HOT, SLOW, DAMP, FAHRENHEIT)
    stage.fleet.born("a")
    stage.read(1, "a", t=20, h=1)
    stage.fleet.born("b")
    before = codec.encode(stage.evaluator.snapshot())
    describe_in_force(stage.evaluator)
    assert [*standings(stage.evaluator, [SLOW, FAHRENHEIT])] == ["alert:Slow", "record:fahrenheit"]
    assert codec.encode(stage.evaluator.snapshot()) == before
