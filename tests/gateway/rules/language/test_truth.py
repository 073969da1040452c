"""Conditions that never or always hold, and clears that hold whenever the condition does."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edge_gateway.rules.language.expression import Node, parse
from edge_gateway.rules.language.truth import MOST_COMBINATIONS, always, implies, never

CLAIMS = [
    ("x > 5 and x < 3", "never"),
    ("5 > x > 7", "never"),
    ("3 < x < 3", "never"),
    ('door == "open" and door == "closed"', "never"),
    ("x > 5 and (y > 2 and not y > 2)", "never"),
    ("avg_over_time(x, 5m) > 5 and avg_over_time(x, 5m) < 5", "never"),
    ("x > 5 or x <= 5", "always"),
    ('door != "open" or door != "closed"', "always"),
    ("x in (1, 2) or x not in (2, 1)", "always"),
    ("x > 5", ""),
    ("3 <= x <= 3", ""),
    ("x > 5 and y < 3", ""),
    ("x > y and y > x", ""),
    ("x > 5 and x + 1 < 3", ""),
    ('door in ("open", "ajar") and door != "open"', ""),
    ("x != 5", ""),
]


@pytest.mark.parametrize(("text", "claim"), CLAIMS)
def test_conditions(text: str, claim: str) -> None:
    tree = parse(text)
    assert (never(tree), always(tree)) == (claim == "never", claim == "always")


@pytest.mark.parametrize(
    ("condition", "clear", "expected"),
    [
        ("b > 1", "b > 0", True),
        ("b > 1", "b > 1", True),
        ("b > 1", "b < 1", False),
        ("b > 1", "b > 2", False),
        ("b > 1 and c > 2", "b > 0", True),
        ("b > 1", "b > 0 and c > 0", False),
        ("b > 1 or c > 1", "b > 0", False),
        ("b > 1", "b > 0 or c > 5", True),
        ('d == "open"', 'd != "closed"', True),
        ('d == "open"', 'd == "closed"', False),
        ("x > y", "x > y", True),
        ("x > y", "x >= y", False),  # true, and more than is claimed
    ],
)
def test_a_clear_that_holds_whenever_the_condition_does(condition: str, clear: str, expected: bool) -> None:
    assert implies(parse(condition), parse(clear)) is expected


def test_what_would_take_too_long_is_not_judged() -> None:
    names = [f"m{number}" for number in range(MOST_COMBINATIONS.bit_length())]
    tree = parse(" and ".join(f"{name} > 1" for name in names) + " and m0 < 1")
    assert not never(tree)


_TERMS = st.builds(
    "{} {} {}".format,
    st.sampled_from(("a", "b")),
    st.sampled_from(("<", "<=", ">", ">=", "==", "!=")),
    st.integers(0, 3),
)
_CONDITIONS = st.recursive(
    _TERMS,
    lambda inner: (
        st.builds("({} and {})".format, inner, inner)
        | st.builds("({} or {})".format, inner, inner)
        | st.builds("not ({})".format, inner)
    ),
    max_leaves=5,
)


def plainly(text: str, a: float, b: float) -> bool:
    return bool(eval(text, {"__builtins__": {}}, {"a": a, "b": b}))


@given(condition=_CONDITIONS, clear=_CONDITIONS)
def test_claims_are_those_of_trying_values(condition: str, clear: str) -> None:
    values = [(a / 2, b / 2) for a in range(-1, 8) for b in range(-1, 8)]
    found = [(plainly(condition, a, b), plainly(clear, a, b)) for a, b in values]
    tree: Node = parse(condition)
    assert never(tree) == (not any(holds for holds, _ in found))
    assert always(tree) == all(holds for holds, _ in found)
    assert implies(tree, parse(clear)) == all(clears for holds, clears in found if holds)
