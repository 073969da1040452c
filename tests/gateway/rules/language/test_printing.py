"""An expression that is written again means the same, and reads as a person would write it."""

import random

import pytest

from edge_gateway.rules.language.analysis import Analysis
from edge_gateway.rules.language.expression import parse
from edge_gateway.rules.language.printing import number_text, readable, text_of
from tests.gateway.rules.columns.test_generated_expressions import analysed, generated


@pytest.mark.parametrize(
    "text",
    [
        "avg_over_time(temperature, 1m)",
        "deriv(temperature, 5m) * 60",
        "a - (b - c) - d",
        "(a + b) * c / (d / e)",
        "-(a + b) * -c",
        'flow < 0.2 and (pump == "on" or not tag.line != "b")',
        "not 4.5 <= pressure <= 8.5",
        "not (a > 1 and b > 2)",
        'door not in ("open", "it\'s \\"half\\" \\\\ open")',
        "a in (-1, 2.5)",
        "1e+300 < a",
        "max(a, clamp(b, 0, 1)) - 1 > 2",
    ],
)
def test_what_is_written_well_stays_as_it_is(text: str) -> None:
    assert readable(text) == text


def test_the_form_in_which_rules_keep_an_expression_becomes_readable() -> None:
    assert readable("avg_over_time ( t , 90s ) > ( 1.0 + 2 )") == "avg_over_time(t, 1m30s) > 1 + 2"
    assert readable("door == true") == 'door == "true"'


@pytest.mark.parametrize("seed", range(4))
def test_generated_expressions_mean_the_same_when_they_are_written_again(seed: int) -> None:
    dice = random.Random(seed)
    shapes = (analysed(generated(dice)) for _ in range(400))
    trees = [shape.tree for shape in shapes if isinstance(shape, Analysis)]
    assert len(trees) > 50
    for tree in trees:
        assert parse(text_of(tree)) == tree


@pytest.mark.parametrize(
    ("value", "text"), [(14.0, "14"), (-0.5, "-0.5"), (1e22, "1e+22"), (0.1 + 0.2, repr(0.1 + 0.2))]
)
def test_a_number_is_as_short_as_it_can_be(value: float, text: str) -> None:
    assert number_text(value) == text
