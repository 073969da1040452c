"""Names in a file: the pattern for editors, the words for people, and both of the same names."""

from __future__ import annotations

from typing import Annotated

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import Field, TypeAdapter

from fleet_config import spelling
from fleet_config.problems import ProblemsFound
from fleet_config.spelling import Spelling
from fleet_config.validation import Strict, validate
from fleet_config.yaml_source import parse_yaml
from fleet_wire.telemetry import is_metric_name
from fleet_wire.topics import is_level


class Named(Strict):
    name: Annotated[str, Spelling(r"^[a-z]+$", "small letters")]
    tags: dict[Annotated[str, spelling.TAG], int] = Field(default_factory=dict)


@pytest.mark.parametrize(
    ("text", "fault"),
    [
        ("name: Abc", "1:7: name: 'Abc' is not allowed; write small letters"),
        ('name: "abc\\n"', "1:7: name: 'abc\\n' is not allowed; write small letters"),
        ("name: 5", "1:7: name: must be text, not the number 5; write '5' in quotes for text"),
        (
            "{name: a, tags: {1a: 2}}",
            "1:18: 1a: '1a' is not allowed; write up to 64 letters, digits, _ and -, beginning with a letter or _",
        ),
    ],
)
def test_a_name_is_refused_in_words(text: str, fault: str) -> None:
    with pytest.raises(ProblemsFound) as found:
        validate(Named, parse_yaml(text, "f"))
    assert str(found.value) == f"f:{fault}"


def test_an_editor_gets_the_pattern() -> None:
    schema = TypeAdapter(Named).json_schema()["properties"]
    assert schema["name"]["pattern"] == "^[a-z]+$"
    assert list(schema["tags"]["patternProperties"]) == [spelling.TAG.pattern]


def fits(name: Spelling, text: str) -> bool:
    try:
        return name.checked(text) == text
    except ValueError:
        return False


@given(st.text("aZ_-0.é\n", max_size=66))
def test_levels_and_metrics_are_those_of_the_wire(text: str) -> None:
    assert fits(spelling.LEVEL, text) == is_level(text)
    assert fits(spelling.METRIC, text) == is_metric_name(text)
