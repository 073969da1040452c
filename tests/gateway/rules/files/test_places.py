"""Places in a rule file: what is reported there, and whether the file has it."""

from __future__ import annotations

from edge_gateway.rules.files.places import RuleSource
from edge_gateway.rules.language.tokens import ExpressionError
from fleet_config.yaml_source import parse_yaml

SOURCE = RuleSource(parse_yaml("a: {b: [1, 'x + y']}\n", "f.yaml"), [], "keep")


def test_a_place_knows_whether_the_file_has_it() -> None:
    place = SOURCE.at("a")
    assert place.at("b", 1).exists
    assert not any(place.at(*path).exists for path in (("c",), ("b", 2), ("b", 0, "d")))
    assert str(place.at("b")) == "f.yaml:1"


def test_errors_are_at_a_value_at_its_key_or_within_a_text() -> None:
    place = SOURCE.at("a", "b")
    place.report("value")
    place.report("key", key=True)
    place.at(1).report_within(ExpressionError(2, "within"))
    assert sorted(map(str, SOURCE.problems)) == [
        "f.yaml:1:15: text: within",
        "f.yaml:1:5: key",
        "f.yaml:1:8: value",
    ]
