"""What a running gateway answers about its rules."""

from edge_gateway.rules.inspection.in_force import describe_in_force
from edge_gateway.service.rule_questions import RuleQuestions
from tests.gateway.status.fed_gateway import Gateway


def test_the_rules_in_force_are_those_of_the_fold() -> None:
    pipeline = Gateway().pipeline
    assert RuleQuestions(pipeline).in_force() == describe_in_force(pipeline.rules) == []
