"""Explanations: what a rule does on a device, and every reason why it does not fire."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import replace
from random import Random
from typing import Any

import pytest

from edge_gateway.records import codec
from edge_gateway.rules.alerts.rule_state import Instant
from edge_gateway.rules.inspection.explanation import explain
from edge_gateway.rules.language.ruleset import Level, NoData, Override, Rule, RuleSet
from edge_gateway.rules.language.schedule import DAYS
from edge_gateway.rules.muting.acknowledgements import Acknowledgement
from edge_gateway.rules.muting.silences import Silence
from tests.gateway.rules.fleet import T0, Stage

HOT = Rule(
    name="Hot",
    group="g",
    match=({"type": ["freezer"]},),
    expr="t",
    levels=(Level("warning", limit=10.0, clear=8.0, for_ms=60_000), Level("critical", limit=20.0)),
)


def told(stage: Stage, rule: str | Rule, device: str = "d", sent: tuple[str, ...] = ()) -> dict[str, Any]:
    name = rule if isinstance(rule, str) else rule.name
    number = stage.fleet.registry.find(device)
    assert number is not None
    found = next(each for each in stage.evaluator.rules.rules if each.name == name)
    answer = explain(stage.evaluator, found, number, sent)
    return json.loads(json.dumps(answer, allow_nan=False))  # type: ignore[no-any-return]


def stage_of(*rules: Rule) -> Stage:
    stage = Stage(*rules)
    stage.fleet.born("d")
    return stage


def test_what_fires_is_told_with_since_when_and_how_it_ends() -> None:
    stage = stage_of(HOT)
    stage.read(1, t=25)
    stage.tick(31)
    found = told(stage, HOT)
    assert (found["state"], found["since"], found["now"]) == ("firing", T0 + 1_000, T0 + 31_000)
    assert found["why"] == ["it fires at critical, for 30s", "it ends when the value is 20 or less"]
    critical, warning = found["levels"]
    assert critical == {
        "level": "critical",
        "silence": False,
        "expr": None,
        "above": True,
        "limit": 20.0,
        "clear": 20.0,
        "for": 0,
        "for_readings": None,
        "active": True,
        "keep": 0,
        "reached": True,
        "on": True,
        "since": T0 + 1_000,
        "clear_since": None,
    }
    assert (warning["on"], warning["reached"], warning["clear"]) == (False, True, 8.0)


def test_what_waits_is_told_with_how_long_it_still_waits() -> None:
    stage = stage_of(HOT)
    stage.read(1, t=15)
    stage.tick(21)
    found = told(stage, HOT)
    assert (found["state"], found["since"]) == ("pending", T0 + 1_000)
    assert found["why"] == ["it waits at warning for 20s of 1m, then it fires unless a reading ends it"]


def test_what_is_clear_and_kept_firing_says_so() -> None:
    stage = stage_of(replace(HOT, keep_ms=60_000))
    stage.read(1, t=25)
    stage.read(2, t=5)
    stage.tick(22)
    assert "it has been clear for 20s of 1m, then it ends" in told(stage, HOT)["why"]


@pytest.mark.parametrize(
    ("rule", "values", "why"),
    [
        (HOT, {"t": 5}, ["5 is not above 20 (critical)", "5 is not above 10 (warning)"]),
        (replace(HOT, levels=(Level("info", above=False, limit=2.5),)), {"t": 3}, ["3 is not below 2.5 (info)"]),
        (replace(HOT, expr="t > 5", levels=(Level("info"),)), {"t": 3}, ["the condition does not hold"]),
        (replace(HOT, expr="t / u"), {"t": 3, "u": 0},
         ["the expression has no value: a division by 0, or an empty range"]),
        (replace(HOT, expr="t + u"), {"t": 3}, ["no value of u has come from this device"]),
        (replace(HOT, expr="t + temprature"), {"t": 3, "temperature": 1},
         ["no value of temprature has come from this device; did you mean 'temperature'?"]),
        (replace(HOT, warmup_ms=600_000), {"t": 25},
         ["25 is above 20 (critical), but no reading has evaluated that yet",
          "25 is above 10 (warning), but no reading has evaluated that yet",
          "warm-up: the device has been known for 0s of 10m"]),
    ],
)  # fmt: skip
def test_what_rests_is_told_with_the_reason(rule: Rule, values: Mapping[str, Any], why: list[str]) -> None:
    stage = stage_of(rule)
    stage.read(1, **values)
    found = told(stage, rule, sent=tuple(values))
    assert (found["state"], found["since"]) == ("inactive", None)
    assert found["why"] == why


def test_what_is_too_old_beside_a_newer_reading_is_unknown() -> None:
    stage = stage_of(replace(HOT, expr="t + u"))
    stage.read(1, u=9)
    stage.read(601, t=9)
    assert told(stage, HOT)["why"] == [
        "u is unknown: it was 10m older than the rule's newest reading, and it counts for 5m (lookback)"
    ]


def test_a_value_that_has_become_too_old_by_now_is_told() -> None:
    stage = stage_of(HOT)
    stage.read(1, t=5)
    stage.tick(601)
    assert told(stage, HOT)["why"][-1] == "t is too old now: it came 10m ago, and it counts for 5m (lookback)"


def test_a_device_that_has_sent_nothing() -> None:
    stage = stage_of(HOT, replace(HOT, name="double", record=True, levels=()))
    stage.tick(1)
    assert told(stage, HOT)["why"] == ["the device has sent nothing yet"]
    assert told(stage, "double")["why"] == ["the device has sent nothing yet"]
    assert told(stage, HOT)["now"] is None


def test_a_match_that_differs_is_told_key_by_key() -> None:
    rule = replace(
        HOT, match=({"site": ["lyon", "oslo"], "type": ["freezer"]}, {"line": ["L*"], "device": ["x-*"]})
    )
    stage = stage_of(rule)
    stage.tick(1)
    found = told(stage, rule)
    assert found["state"] == "not_run"
    assert found["why"] == [
        "the rule does not match this device",
        "it is for devices with site lyon or oslo; this one has berlin",
        "it is for devices with the tag line L*; this one has no such tag",
        "it is for devices with name x-*; this one has d",
    ]


def test_another_unit_is_told() -> None:
    stage = Stage(replace(HOT, unit="°C"))
    stage.fleet.born("d", units={"t": "°F"})
    stage.tick(1)
    assert told(stage, HOT)["why"] == ["the units differ: Hot wants t in °C, the device sends °F"]


def test_a_device_that_the_rules_do_not_know_yet() -> None:
    stage = Stage(HOT)
    stage.fleet.born("d")
    assert told(stage, HOT)["state"] == "not_run"
    assert "ask again in a second" in told(stage, HOT)["why"][0]


def test_the_override_of_the_device_is_the_one_that_is_told() -> None:
    from edge_gateway.rules.language.ruleset import LevelChange

    rule = replace(HOT, overrides=(Override({"site": ["berlin"]}, (LevelChange("critical", limit=30.0),)),))
    stage = stage_of(rule)
    stage.read(1, t=25)
    assert told(stage, rule)["levels"][0]["limit"] == 30.0


def test_silence_is_told_with_the_time_that_is_left() -> None:
    rule = Rule(name="Silent", group="g", no_data=NoData(600_000, "t", "alerting", "critical"))
    stage = stage_of(rule)
    stage.tick(1)
    assert "t, whose silence it watches (10m), has not come from this device" in told(stage, rule)["why"]
    stage.read(2, t=1)
    stage.tick(122)
    found = told(stage, rule)
    assert found["why"] == ["t, whose silence it watches, came 2m ago; it may stay away for 10m"]
    assert found["levels"][0]["silence"]
    stage.tick(700)
    found = told(stage, rule)
    assert found["why"][:2] == [
        "it fires at critical, for 1m38s",
        "it was raised by silence; a reading ends it",
    ]


def test_a_condition_is_told_with_its_clear() -> None:
    rule = replace(HOT, expr="t > 10", levels=(Level("critical", clear_expr="t < 5"),))
    stage = stage_of(rule)
    stage.read(1, t=15)
    found = told(stage, rule)
    assert found["why"][1] == "it ends when t < 5"
    assert (found["value"], found["clear"], found["cleared"]) == (True, "t < 5", False)
    plain = stage_of(replace(rule, levels=(Level("critical"),)))
    plain.read(1, t=15)
    assert told(plain, rule)["why"][1] == "it ends when the condition does not hold"


def test_a_record_is_told_with_its_value() -> None:
    rule = Rule(name="double", group="g", record=True, expr="t * 2", unit="°C")
    stage = stage_of(rule)
    stage.read(1, t=4)
    found = told(stage, rule)
    assert (found["state"], found["value"], found["why"], found["levels"]) == (
        "recorded",
        8.0,
        ["it has a value"],
        [],
    )


def test_a_firing_alert_whose_expression_was_changed_waits_for_a_reading() -> None:
    stage = stage_of(HOT)
    stage.read(1, t=25)
    stage.evaluator.reload(RuleSet((replace(HOT, expr="u"),)))
    found = told(stage, HOT)
    assert found["state"] == "firing"
    assert "no value of u has come from this device" in found["why"]


def test_what_a_reload_left_unevaluated_is_told() -> None:
    stage = stage_of(HOT)
    stage.read(1, t=15)
    stage.evaluator.reload(RuleSet((HOT, replace(HOT, name="New"))))
    assert told(stage, "New")["why"][1] == "15 is above 10 (warning), but no reading has evaluated that yet"


@pytest.mark.parametrize("seed", range(6))
def test_the_answer_changes_nothing_and_what_follows_does_not_depend_on_it(seed: int) -> None:
    random = Random(seed)
    rules = (
        HOT,
        replace(HOT, name="Mean", expr="avg_over_time ( t , 1m ) - u", keep_ms=30_000),
        replace(HOT, name="Door", expr='door == "open"', levels=(Level("info", for_ms=5_000),)),
        Rule(name="r", group="g", record=True, expr="rate ( t , 1m )"),
        Rule(name="Silent", group="g", no_data=NoData(20_000, "t", "alerting", "critical")),
    )
    asked, left = stage_of(*rules), stage_of(*rules)
    second = 1.0
    for _ in range(150):
        second += random.choice((0.5, 1, 5, 30))
        values = {
            "t": random.uniform(0, 30),
            "u": random.uniform(0, 5),
            "door": random.choice(("open", "shut")),
        }
        row: dict[str, Any] = dict(random.sample(sorted(values.items()), random.randint(0, 3)))
        transitions = [
            [*(stage.read(second, **row) if row else []), *stage.tick(second)] for stage in (asked, left)
        ]
        assert transitions[0] == transitions[1]
        for rule in rules:
            told(asked, rule)
    assert codec.encode(asked.evaluator.snapshot()) == codec.encode(left.evaluator.snapshot())
    assert asked.fleet.registry.numbering == left.fleet.registry.numbering


def test_an_alert_over_a_record_is_told_by_the_record_s_formula() -> None:
    record = Rule(name="sat", group="g", record=True, expr="o * t")
    rule = Rule(name="Low", group="g", expr="sat", levels=(Level("warning", above=False, limit=15.0),))
    stage = Stage(record, rule)
    stage.read(1, o=10, t=5)
    stage.read(2, t=1)
    found = told(stage, rule)
    assert (found["state"], found["expr"], found["value"]) == ("firing", "sat", 10.0)
    assert [each["metric"] for each in found["inputs"]] == ["o", "t"]
    assert [(part["text"], part["value"]) for part in found["parts"]] == [("o * t", 10.0)]


def test_each_level_is_told_by_its_own_condition() -> None:
    levels = (
        Level("warning", expr="t < 5"),
        Level("critical", expr="t < 1 and u > 2", clear_expr="t > 2", for_readings=3),
    )
    rule = Rule(name="Low", group="g", levels=levels)
    stage = Stage(rule)
    stage.read(1, t=0.5, u=3)
    found = told(stage, rule)
    assert (found["state"], found["expr"], found["value"]) == ("firing", None, None)
    assert found["why"] == [
        "it fires at warning, for 0s",
        "it ends when the condition does not hold",
    ]
    assert [
        (each["level"], each["expr"], each["reached"], each["for_readings"]) for each in found["levels"]
    ] == [
        ("critical", "t < 1 and u > 2", True, 3),
        ("warning", "t < 5", True, None),
    ]
    stage.read(2, t=9)
    assert told(stage, rule)["why"] == [
        "the condition of critical does not hold",
        "the condition of warning does not hold",
    ]


def test_a_level_outside_its_times_and_a_limit_of_its_time_are_told() -> None:
    always, never = "mon-sun 00:00-24:00", f"{DAYS[(T0 // 86_400_000 + 5) % 7]} 00:00-24:00"
    levels = (
        Level("warning", limit=10.0, limits=((always, 20.0),), deadband=2.0),
        Level("critical", limit=30.0, at=(never,)),
    )
    rule = Rule(name="Hot", group="g", expr="t", levels=levels)
    stage = Stage(rule)
    stage.read(1, t=15)
    found = told(stage, rule)
    assert found["why"] == [
        "critical is not active now: its times do not hold",
        "15 is not above 20 (warning)",
    ]
    critical, warning = found["levels"]
    assert (critical["active"], warning["active"], warning["limit"], warning["clear"]) == (
        False,
        True,
        20.0,
        18.0,
    )


def test_what_mutes_an_alert_and_who_has_seen_it_is_told() -> None:
    stage = stage_of(HOT)
    muting = stage.evaluator.muting
    muting.silence(Silence(0, {"alert": ["Hot"]}, False, "defrosting", "anna", T0, T0))
    stage.read(1, t=25)
    assert told(stage, HOT)["why"][-1] == "nobody is told: silence 1 (anna: defrosting)"
    alert = stage.evaluator.firing()[0].id
    stage.evaluator.acknowledge(Acknowledgement(alert, "bob", "on my way", T0), Instant(0))
    assert told(stage, HOT)["why"][-1] == "acknowledged by bob: on my way; its notice is not repeated"
    muting.end_silence(1)
    assert not any("nobody" in why for why in told(stage, HOT)["why"])
