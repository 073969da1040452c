"""Which rules a device has, and with which override: whatever is indexed or cached, as if each was tried."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edge_gateway.rules.language import matching
from edge_gateway.rules.language.matching import RuleMatcher, Variant
from edge_gateway.rules.language.ruleset import Override, Rule
from fleet_config.match import Match

NAMES = ("d1", "d2", "e1")
SITES = ("berlin", "lyon")
TYPES = ("freezer", "oven")
LINES = ("L1", "L2")


def rule(*match: dict[str, list[str]], overrides: tuple[dict[str, list[str]], ...] = ()) -> Rule:
    return Rule(name="R", group="g", match=match, overrides=tuple(Override(each, ()) for each in overrides))


def test_a_rule_without_match_is_everyones() -> None:
    assert RuleMatcher([rule(), rule({})]).variants("s", "d", "t", {}) == ((0, -1), (1, -1))


def test_every_match_of_group_and_rule_must_fit() -> None:
    matcher = RuleMatcher([rule({"site": ["berlin"]}, {"type": ["freezer"]})])
    assert matcher.variants("berlin", "d", "freezer", {}) == ((0, -1),)
    assert matcher.variants("berlin", "d", "oven", {}) == ()
    assert matcher.variants("lyon", "d", "freezer", {}) == ()


def test_globs_and_lists() -> None:
    matcher = RuleMatcher([rule({"device": ["d*", "x"]}), rule({"site": ["b*"]})])
    assert matcher.variants("berlin", "d1", "t", {}) == ((0, -1), (1, -1))
    assert matcher.variants("lyon", "x", "t", {}) == ((0, -1),)
    assert matcher.variants("lyon", "y", "t", {}) == ()


def test_a_device_without_a_tag_fits_the_word_unknown_and_no_glob() -> None:
    matcher = RuleMatcher([rule({"line": [glob]}) for glob in ("unknown", "L*", "*", "unk*")])
    assert matcher.variants("s", "d", "t", {}) == ((0, -1),)
    assert matcher.variants("s", "d", "t", {"line": "L1"}) == ((1, -1), (2, -1))
    assert matcher.variants("s", "d", "t", {"line": "unknown"}) == ((0, -1), (2, -1), (3, -1))


def test_the_first_override_that_fits() -> None:
    matcher = RuleMatcher([rule(overrides=({"device": ["d1"]}, {"site": ["berlin"]}))])
    assert matcher.variants("berlin", "d1", "t", {}) == ((0, 0),)
    assert matcher.variants("berlin", "d2", "t", {}) == ((0, 1),)
    assert matcher.variants("lyon", "d2", "t", {}) == ((0, -1),)


def test_tags_that_keep_changing_take_no_more_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(matching, "_MAX_CACHED", 5)
    matcher = RuleMatcher(
        [rule({"line": ["L1"]}), *(rule({"device": [f"d{number}"]}) for number in range(20))]
    )
    for number in range(20):
        expected = ((0, -1),) if number == 1 else ()
        assert matcher.variants("s", "x", "t", {"line": f"L{number}"}) == expected
        assert (number + 1, -1) in matcher.variants("s", f"d{number}", "t", {})
    assert len(matcher._fitting) <= 5
    assert len(matcher._variants) <= 5


def _match() -> st.SearchStrategy[dict[str, list[str]]]:
    def some(values: tuple[str, ...]) -> st.SearchStrategy[list[str]]:
        return st.lists(st.sampled_from((*values, values[0][0] + "*", "unknown")), min_size=1, max_size=2)

    return st.fixed_dictionaries(
        {}, optional={"device": some(NAMES), "site": some(SITES), "type": some(TYPES), "line": some(LINES)}
    )


def plainly(
    rules: list[Rule], site: str, device: str, kind: str, tags: dict[str, str]
) -> tuple[Variant, ...]:
    def fits(match: dict[str, list[str]]) -> bool:
        return Match.of(match).matches(site, device, kind, tags)

    return tuple(
        (number, next((n for n, each in enumerate(one.overrides) if fits(each.match)), -1))
        for number, one in enumerate(rules)
        if all(fits(match) for match in one.match)
    )


@given(
    rules=st.lists(
        st.builds(
            lambda match, overrides: rule(*match, overrides=tuple(overrides)),
            st.lists(_match(), max_size=2),
            st.lists(_match(), max_size=2),
        ),
        max_size=6,
    ),
    devices=st.lists(
        st.tuples(
            st.sampled_from(SITES),
            st.sampled_from(NAMES),
            st.sampled_from(TYPES),
            st.sampled_from(({}, {"line": "L1"}, {"line": "L2"})),
        ),
        min_size=1,
        max_size=6,
    ),
)
def test_the_index_agrees_with_trying_every_rule(
    rules: list[Rule], devices: list[tuple[str, str, str, dict[str, str]]]
) -> None:
    matcher = RuleMatcher(rules)
    for site, device, kind, tags in devices:
        assert matcher.variants(site, device, kind, tags) == plainly(rules, site, device, kind, tags)
