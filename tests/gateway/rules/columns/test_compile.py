"""Expressions as column operations, against Python on one row at a time."""

from __future__ import annotations

import math
from dataclasses import dataclass, field

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edge_gateway.columns.frame import FloatColumn
from edge_gateway.columns.strings import StringTable
from edge_gateway.rules.columns.compile import Symbols, compile_tree
from edge_gateway.rules.language.analysis import Range, analyse
from edge_gateway.rules.language.expression import parse
from edge_gateway.rules.language.tokens import ExpressionError

NAN = math.nan


@dataclass
class Columns:
    """A context whose columns are given."""

    inputs: list[FloatColumn]
    tags: dict[str, FloatColumn] = field(default_factory=dict)
    ranges: dict[tuple[int, str], FloatColumn] = field(default_factory=dict)

    def value(self, number: int) -> FloatColumn:
        return self.inputs[number]

    def tag(self, name: str) -> FloatColumn:
        return self.tags[name]

    def ranged(self, ring: int, function: str) -> FloatColumn:
        return self.ranges[ring, function]


def symbols() -> Symbols:
    return Symbols(StringTable(100, 100))


def computed(text: str, **columns: list[float]) -> list[float]:
    names = symbols()
    operation = compile_tree(parse(text), names)
    inputs = [np.array(columns[name]) for name, _ in names.inputs]
    rows = len(next(iter(columns.values())))
    return np.broadcast_to(operation(Columns(inputs)), (rows,)).tolist()  # type: ignore[no-any-return]


parts = st.recursive(
    st.sampled_from(["x", "y", "2", "30s", '"a"', "tag.line", "0"]),
    lambda part: st.one_of(
        st.builds(
            "{} {} {}".format,
            part,
            st.sampled_from(["+", "/", "and", "or", "<", "==", "!=", ">="]),
            part,
        ),
        st.builds("({})".format, part),
        st.builds("{} {}".format, st.sampled_from(["-", "not"]), part),
        st.builds("{}({}, {})".format, st.sampled_from(["min", "max", "delta", "avg_over_time"]), part, part),
        st.builds("{} in ({}, {})".format, part, part, part),
    ),
    max_leaves=6,
)


@settings(max_examples=600, deadline=None)
@given(parts)
def test_what_passes_the_check_of_types_can_be_compiled(text: str) -> None:
    """So that no rule file meets the assertions of the compiler."""
    try:
        tree = analyse(text).tree
    except ExpressionError:
        return
    compile_tree(tree, symbols())


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("x + y", [3.0, NAN, -4.0]),
        ("x - y * 2", [-3.0, NAN, -10.0]),
        ("-x / y", [-0.5, NAN, 3.0]),
        ("x / 0", [NAN, NAN, NAN]),
        ("min(x, y)", [1.0, NAN, -6.0]),
        ("max(x, y, 0)", [2.0, NAN, 2.0]),
        ("clamp(x, 0, 0.5)", [0.5, 0.5, 0.0]),
        ("abs(x)", [1.0, 5.0, 6.0]),
        ("x > 1", [0.0, 1.0, 0.0]),
        ("x >= 1 and y < 3", [1.0, NAN, 0.0]),
        ("y == 2", [1.0, NAN, 1.0]),
        ("y != 2", [0.0, NAN, 0.0]),
        ("0 < x <= 1", [1.0, 0.0, 0.0]),
        ("x in (1, 5)", [1.0, 1.0, 0.0]),
        ("y not in (2, 3)", [0.0, NAN, 0.0]),
        ("not y > 1", [0.0, NAN, 0.0]),
        ("7", [7.0, 7.0, 7.0]),
    ],
)
def test_numbers_and_conditions(text: str, expected: list[float]) -> None:
    np.testing.assert_array_equal(computed(text, x=[1.0, 5.0, -6.0], y=[2.0, NAN, 2.0]), expected)


TRUTHS = {"true": 1.0, "false": 0.0, "unknown": NAN}
AND = {
    frozenset(("true",)): "true",
    frozenset(("true", "unknown")): "unknown",
    frozenset(("unknown",)): "unknown",
}


@pytest.mark.parametrize("left", TRUTHS)
@pytest.mark.parametrize("right", TRUTHS)
def test_kleenes_three_valued_logic(left: str, right: str) -> None:
    a, b = TRUTHS[left], TRUTHS[right]
    both = TRUTHS[AND.get(frozenset((left, right)), "false")]
    np.testing.assert_array_equal(computed("a == 1 and b == 1", a=[a], b=[b]), [both])
    neither = computed("not (not a == 1 or not b == 1)", a=[a], b=[b])
    np.testing.assert_array_equal(neither, [both])


def test_texts_and_tags_are_compared_by_code() -> None:
    names = symbols()
    operation = compile_tree(parse('door == "open" and tag.zone in ("a", "b")'), names)
    code = names.strings.code
    door = np.array([code("open"), code("shut"), NAN])
    zone = np.array([code("b"), code("b"), code("a")], np.float64)
    np.testing.assert_array_equal(operation(Columns([door], {"zone": zone})), [1.0, 0.0, NAN])
    assert names.constants == {code("open"), code("a"), code("b")}


def test_a_text_metric_and_a_number_metric_of_one_name_are_two_inputs() -> None:
    names = symbols()
    assert names.input("x", is_text=False) == 0
    assert names.input("x", is_text=True) == 1
    assert names.input("x", is_text=False) == 0


def test_functions_of_one_family_share_a_ring() -> None:
    names = symbols()
    operation = compile_tree(parse("max_over_time(x, 5m) - min_over_time(x, 5m)"), names)
    assert names.rings == {Range("x", 300_000, "extremes"): 0}
    assert list(names.functions[0]) == ["max_over_time", "min_over_time"]
    columns = Columns([], {}, {(0, "max_over_time"): np.array([7.0]), (0, "min_over_time"): np.array([2.0])})
    assert operation(columns).tolist() == [5.0]


@pytest.mark.parametrize("text", ['"open"', "30s", "tag.zone"])
def test_only_checked_trees_are_compiled(text: str) -> None:
    with pytest.raises(AssertionError, match="is neither a number nor a condition"):
        compile_tree(parse(text), symbols())


def test_only_texts_are_compared_with_texts() -> None:
    with pytest.raises(AssertionError, match="is not a text"):
        compile_tree(parse("'a' == 1 + 2"), symbols())
