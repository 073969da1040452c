"""What people mistype in YAML, and what they are told: where it is, and what to do."""

import pytest
import yaml

from fleet_config.syntax import explain_syntax

TOLD = {
    "a:\n\tb: 1\n": (2, 1, "a tab; indent with spaces"),
    "a: @x\n": (1, 4, "text cannot begin with '@'; put it in quotes"),
    "a: b: c\n": (1, 5, "a ':' is not allowed here"),
    "a: 1\n b: 2\n": (2, 3, "a ':' is not allowed here"),
    "? \n: :\n: x: y\n": (2, 3, "a ':' without a key before it"),
    "a: [1, 2\nb: 3\n": (2, 2, "a ',' or the closing ']' of a list is missing (it begins on line 1)"),
    "a: {b: 1\nc: 2\n": (2, 2, "a ',' or the closing '}' of a mapping is missing (it begins on line 1)"),
    "a: 'x\n": (1, 4, "the closing quote is missing"),
    'a: "x\n---\nb: 1\n': (2, 1, "the closing quote is missing before '---' (it begins on line 1)"),
    'a: "\\q"\n': (1, 6, "'\\q' means nothing in double quotes; use single quotes"),
    "- a\nb: 1\n": (2, 1, "the indentation does not fit what is above"),
    "x: - y\n": (1, 4, "a '-' is not allowed here; a list begins on a line of its own"),
    "a: |x\n": (1, 5, "'|' and '>' stand alone at the end of a line"),
    "a: *\n": (1, 5, "text that begins with '*', '&' or '%' must be put in quotes"),
    "a: &\n": (1, 5, "text that begins with '*', '&' or '%' must be put in quotes"),
    "%\n": (1, 2, "text that begins with '*', '&' or '%' must be put in quotes"),
}


@pytest.mark.parametrize("text", TOLD)
def test_a_mistake_is_named_where_it_is(text: str) -> None:
    with pytest.raises(yaml.YAMLError) as caught:
        list(yaml.parse(text, Loader=yaml.CSafeLoader))
    line, column, said = explain_syntax(text, caught.value)
    at_line, at_column, due = TOLD[text]
    assert (line, column) == (at_line, at_column)
    assert said.startswith(due)


def test_an_error_without_a_place_stands_at_the_beginning() -> None:
    assert explain_syntax("a: 1\n", yaml.YAMLError("odd")) == (1, 1, "not YAML: odd")
