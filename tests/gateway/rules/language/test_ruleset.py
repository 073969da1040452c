"""Rules as data: what they name, how overrides change them, and how a set survives the journal."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edge_gateway.rules.files.load import MOST_RULES, load_rules
from edge_gateway.rules.language.ruleset import (
    Level,
    LevelChange,
    NoData,
    Override,
    Rule,
    RuleSet,
    cycle_of,
    in_order,
    levels_of,
)
from fleet_wire.local_socket import LONGEST_LINE

HOT = Rule(name="Hot", group="g", expr="t + u", levels=(Level("info", limit=1.0, for_ms=5),))


def record(name: str, expr: str) -> Rule:
    return Rule(name=name, group="g", record=True, expr=expr)


@pytest.mark.parametrize(
    ("rule", "metrics", "metric", "is_condition"),
    [
        (HOT, (("t", False), ("u", False)), "t", False),
        (replace(HOT, expr='door == "open" and t > 1'), (("t", False), ("door", True)), "t", True),
        (replace(HOT, expr='door == "open"'), (("door", True),), "door", True),
        (
            replace(HOT, expr="t > 1", levels=(Level("info", clear_expr="u < 1"),)),
            (("t", False), ("u", False)),
            "t",
            True,
        ),
        (replace(HOT, expr=None, no_data=NoData(1, "m", "ok", "info")), (), "m", False),
        (replace(HOT, expr=None), (), "", False),
        (
            replace(
                HOT,
                expr=None,
                levels=(Level("info", expr="mode == 1"), Level("critical", expr='door == "open"')),
            ),
            (("mode", False), ("door", True)),
            "mode",
            True,
        ),
    ],
)
def test_metrics(rule: Rule, metrics: tuple[tuple[str, bool], ...], metric: str, is_condition: bool) -> None:
    assert (rule.metrics, rule.metric, rule.is_condition) == (metrics, metric, is_condition)


def test_an_override_changes_what_it_names() -> None:
    rule = replace(HOT, levels=(Level("info", limit=1.0, for_ms=5), Level("warning", limit=2.0, clear=1.5)))
    override = Override({}, (LevelChange("warning", limit=3.0), LevelChange("info", for_ms=0, clear=0.5)))
    assert levels_of(rule, None) == rule.levels
    assert levels_of(rule, Override({}, ())) == rule.levels
    assert levels_of(rule, override) == (
        Level("info", limit=1.0, clear=0.5, for_ms=0),
        Level("warning", limit=3.0, clear=1.5),
    )


def test_alerts_and_records_are_told_apart() -> None:
    rules = RuleSet((record("b", "a + 1"), HOT, record("a", "t")))
    assert [rule.name for rule in rules.alerts] == ["Hot"]
    assert [rule.name for rule in rules.records] == ["a", "b"]


def test_tags_and_units_that_rules_need() -> None:
    rule = replace(
        HOT,
        expr='t > 1 and tag.zone == "a"',
        match=({"line": ["x"]},),
        overrides=(Override({"hall": ["y"]}, ()),),
        annotations={"s": "{{ tags.rack }} {{ labels.team }}"},
        unit="°C",
    )
    assert RuleSet((rule,)).tags == {"zone", "line", "hall", "rack"}
    assert RuleSet((rule, HOT)).unit_metrics == {"t"}
    assert RuleSet.empty().tags == frozenset()


def test_plain_data_restores_the_set_and_its_hash() -> None:
    rules = RuleSet((replace(HOT, no_data=NoData(1, "t", "ok", "info")), record("r", "t")))
    again = RuleSet.from_plain(rules.to_plain())
    assert (again, again.hash) == (rules, rules.hash)
    assert RuleSet((replace(HOT, keep_ms=1),)).hash != RuleSet((HOT,)).hash


def test_another_format_is_refused() -> None:
    with pytest.raises(ValueError, match="rule set of format 99; this version reads format 3"):
        RuleSet.from_plain({"format": 99, "rules": []})


def test_a_cycle_names_its_records() -> None:
    records = (record("a", "b"), record("b", "a"), record("c", "t"))
    assert cycle_of(records) == ("a", "b")
    assert cycle_of(records[2:]) == ()


def plainly_in_order(needs: list[set[int]]) -> list[int]:
    """Round after round: all that needs nothing of what is left; a cycle comes last."""
    done: list[int] = []
    left = list(range(len(needs)))
    while left:
        ready = [one for one in left if not needs[one] & set(left)]
        done += ready or left
        left = [one for one in left if one not in ready] if ready else []
    return done


@given(
    st.integers(1, 8).flatmap(
        lambda count: st.lists(st.sets(st.integers(0, count - 1), max_size=3), min_size=count, max_size=count)
    )
)
def test_records_come_after_what_they_need(needs: list[set[int]]) -> None:
    texts = [" + ".join(["x", *(f"r{one}" for one in sorted(each))]) for each in needs]
    records = tuple(record(f"r{number}", text) for number, text in enumerate(texts))
    assert [rule.name for rule in in_order(records)] == [f"r{one}" for one in plainly_in_order(needs)]


def test_a_brief_set_says_the_same_and_many_rules_fit_into_a_request() -> None:
    rules = load_rules(Path(__file__).parents[4] / "rules")
    assert RuleSet.from_plain(rules.to_brief()) == rules
    assert RuleSet.from_plain(RuleSet().to_brief()) == RuleSet()
    a_rule = len(json.dumps(rules.to_brief())) / len(rules.rules)
    assert a_rule * MOST_RULES < LONGEST_LINE
