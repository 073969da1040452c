"""What a running gateway answers about its rules."""

from typing import Any

import pytest

from edge_gateway.records.inputs import Moment, Reload
from edge_gateway.rules.inspection.in_force import describe_in_force
from edge_gateway.rules.language.ruleset import Level, Rule, RuleSet
from edge_gateway.service.rule_questions import RuleQuestions
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
