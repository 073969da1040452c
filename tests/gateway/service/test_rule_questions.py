"""What a running gateway answers about its rules."""

from dataclasses import replace
from typing import Any

import pytest

from edge_gateway.records import codec
from edge_gateway.records.inputs import Batch, Moment, Reload, Tick
from edge_gateway.rules.inspection.in_force import describe_in_force
from edge_gateway.rules.language.inhibits import Inhibit, Selector
from edge_gateway.rules.language.ruleset import Level, Rule, RuleSet
from edge_gateway.service.rule_questions import MOST_TOUCHED, RuleQuestions
from fleet_wire.telemetry import encode_telemetry
from tests.gateway.status.fed_gateway import START, Gateway, topic


def test_the_rules_in_force_are_those_of_the_fold() -> None:
    pipeline = Gateway().pipeline
    assert RuleQuestions(pipeline).in_force() == describe_in_force(pipeline.rules) == []


def running() -> RuleQuestions:
    gateway = Gateway()
    rule = Rule(name="Hot", group="g", expr="t", levels=(Level("warning", limit=10.0),))
    rules = RuleSet((rule, Rule(name="double", group="g", record=True, expr="t * 2")))
    gateway.pipeline.fold(Reload(Moment(START, 0), rules.to_plain()))
    gateway.take((topic("d"), encode_telemetry(1, 0, START, {"t": 20.0})))
    return RuleQuestions(gateway.pipeline)


def test_a_rule_is_explained_on_a_device() -> None:
    (found,) = running().explain({"rule": "Hot", "device": "d"})
    assert (found["state"], found["value"]) == ("firing", 20.0)
    (record,) = running().explain({"rule": "double", "device": "d"})
    assert (record["state"], record["value"]) == ("recorded", 40.0)


@pytest.mark.parametrize(
    ("request_sent", "said"),
    [
        ({"rule": "Hott", "device": "d"}, "no rule 'Hott' is in force; did you mean 'Hot'"),
        ({"rule": None, "device": "d"}, "no rule 'None' is in force"),
        ({"rule": "Hot", "device": "dd"}, "no device 'dd' is known here; did you mean 'd'"),
        ({"rule": "Hot", "device": ["d"]}, "no device '"),
        ({"rule": "Hot"}, "no device 'None' is known here"),
    ],
)
def test_names_that_are_not_known_are_refused(request_sent: dict[str, Any], said: str) -> None:
    with pytest.raises(ValueError, match=said):
        running().explain(request_sent)


def tried(*rules: Rule) -> dict[str, Any]:
    return {row["rule"]: row for row in running().try_rules({"rules": RuleSet(rules).to_brief()})}


def test_other_rules_are_tried_on_the_alerts_that_stand() -> None:
    hot = Rule(name="Hot", group="g", expr="t", levels=(Level("warning", limit=10.0),))
    kept = tried(replace(hot, levels=(Level("warning", limit=11.0),)))
    assert (kept["Hot"]["change"], kept["Hot"]["touched"]) == ("changed", 0)
    assert (kept["double"]["change"], kept["double"]["touched"]) == ("removed", 0)
    gone = tried(replace(hot, name="TooHot"))["Hot"]
    assert (gone["change"], gone["renamed"], gone["touched"]) == ("removed", "TooHot", 1)
    assert gone["alerts"] == [
        {"device": "d", "level": "warning", "previous": "warning", "becomes": "resolved", "cause": "removed"}
    ]


def test_other_inhibits_are_tried_on_the_alerts_that_fire() -> None:
    rules = RuleSet(
        tuple(running().pipeline.rules.rules.rules),
        inhibits=(Inhibit(Selector({"alert": ["Down"]}), Selector({"alert": ["Hot"]})),),
    )
    *_, row = running().try_rules({"rules": rules.to_brief()})
    assert (row["rule"], row["change"]) == ("inhibit: alert Down mutes alert Hot", "added")
    assert row["alerts"] == []


def test_what_is_tried_changes_nothing() -> None:
    questions = running()
    before = codec.encode(questions.pipeline.snapshot())
    questions.try_rules(
        {
            "rules": RuleSet(
                (Rule(name="New", group="g", expr="fresh + 1", levels=(Level("info", limit=1.0),)),)
            ).to_brief()
        }
    )
    assert codec.encode(questions.pipeline.snapshot()) == before


def test_of_many_alerts_some_are_listed_and_all_are_counted() -> None:
    questions = running()
    sent = [
        (topic(f"d{number}"), encode_telemetry(1, 0, START, {"t": 20.0}))
        for number in range(MOST_TOUCHED + 5)
    ]
    questions.pipeline.fold(
        Batch(Moment(START, 0), [name for name, _ in sent], [payload for _, payload in sent])
    )
    (row,) = [each for each in questions.try_rules({"rules": RuleSet().to_plain()}) if each["rule"] == "Hot"]
    assert (row["touched"], len(row["alerts"])) == (MOST_TOUCHED + 6, MOST_TOUCHED)


@pytest.mark.parametrize(
    "rules",
    [
        None,
        [],
        {"format": 1},
        {"format": 1, "rules": [{"name": 5}]},
        {"format": 99, "rules": []},
        {"format": 1, "rules": [{"name": "a", "group": "g", "expr": "1 +"}]},
    ],
)
def test_what_is_no_set_of_rules_is_refused(rules: Any) -> None:
    with pytest.raises(ValueError, match=r"set of rules|format|expected"):
        running().try_rules({"rules": rules})


def test_a_rule_is_explained_for_a_group() -> None:
    gateway = Gateway()
    warm = Rule(
        name="Warm", group="g", expr="avg(t)", levels=(Level("warning", limit=10.0),), by=("site", "room")
    )
    gateway.pipeline.fold(Reload(Moment(START, 0), RuleSet((warm,)).to_plain()))
    gateway.take((topic("d"), encode_telemetry(1, 0, START, {"t": 20.0})))
    gateway.pipeline.fold(Tick(Moment(START, 1_000)))
    questions = RuleQuestions(gateway.pipeline)
    site = gateway.pipeline.registry.device_site[0]
    (found,) = questions.explain({"rule": "Warm", "group": {"room": "unknown", "site": site}})
    assert (found["state"], found["value"], found["group"]) == ("firing", 20.0, f"site={site}, room=unknown")
    with pytest.raises(ValueError, match="the groups of Warm are by site, room"):
        questions.explain({"rule": "Warm", "group": {"site": site}})
