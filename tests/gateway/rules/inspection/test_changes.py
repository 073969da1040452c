"""What is said of an edit: which rules it changes, in what, and what becomes of their state."""

from dataclasses import replace

import pytest

from edge_gateway.rules.inspection.changes import Difference, RuleChange, as_row, compare
from edge_gateway.rules.language.ruleset import (
    Command,
    Level,
    LevelChange,
    NoData,
    Override,
    Rule,
    RuleSet,
)

HOT = Rule(
    name="Hot",
    group="g",
    match=({"type": ["freezer"]},),
    expr="t",
    levels=(Level("warning", limit=10.0, clear=8.0), Level("critical", limit=20.0)),
    no_data=NoData(120_000, "t", "alerting", "warning"),
)
RECORD = Rule(name="double", group="g", record=True, expr="t * 2")


def changes(old: tuple[Rule, ...], new: tuple[Rule, ...]) -> list[RuleChange]:
    return compare(RuleSet(old), RuleSet(new))


def change(new: Rule, old: Rule = HOT) -> RuleChange:
    (found,) = changes((old,), (new,))
    return found


def test_what_is_the_same_is_unchanged_wherever_it_stands() -> None:
    found = changes((HOT, RECORD), (RECORD, HOT))
    assert [(each.rule.name, each.change, each.differences) for each in found] == [
        ("double", "unchanged", ()),
        ("Hot", "unchanged", ()),
    ]


def test_added_and_removed() -> None:
    found = changes((HOT, RECORD), (replace(HOT, name="New", expr="u"),))
    assert [(each.rule.name, each.change, each.effect) for each in found] == [
        ("New", "added", "begins with the next reading"),
        ("Hot", "removed", "its alerts are resolved"),
        ("double", "removed", "is derived no more"),
    ]
    assert not any(each.renamed for each in found)


def test_a_new_name_looks_like_a_rename_on_both_sides() -> None:
    found = changes((HOT,), (replace(HOT, name="TooHot"),))
    assert [(each.rule.name, each.change, each.renamed) for each in found] == [
        ("TooHot", "added", "Hot"),
        ("Hot", "removed", "TooHot"),
    ]


KEEPS = "keeps what waits, what fires and the value history"
DROPS = "drops what waits and the value history; what fires stays until a reading evaluates it"
RESET = "reset: its alerts are resolved, and nothing is kept"
ENDS = "; where devices or levels no longer fit, the alert ends"
OTHER_LEVELS = (Level("warning", limit=11.0), Level("critical", limit=20.0))
OVERRIDE = Override({"site": ["lyon"]}, (LevelChange("warning", limit=12.0),))


@pytest.mark.parametrize(
    ("new", "effect", "key", "before", "after"),
    [
        (replace(HOT, levels=OTHER_LEVELS), KEEPS, "levels",
         "critical above 20; warning above 10, clear at 8", "critical above 20; warning above 11"),
        (replace(HOT, expr="t + 1"), DROPS, "expr", "t", "t + 1"),
        (replace(HOT, match=({"site": ["lyon"]},)), KEEPS + ENDS, "match", "type freezer", "site lyon"),
        (replace(HOT, overrides=(OVERRIDE,)), KEEPS + ENDS, "overrides",
         "none", "site lyon: critical above 20; warning above 12, clear at 8"),
        (replace(HOT, no_data=NoData(60_000, "t", "alerting", "warning")), KEEPS, "no_data",
         "no t for 2m raises warning", "no t for 1m raises warning"),
        (replace(HOT, no_data=None), KEEPS + "; silence is judged anew", "no_data",
         "no t for 2m raises warning", "none"),
        (replace(HOT, on_change="reset"), RESET, "on_change", "keep", "reset"),
        (replace(HOT, keep_ms=60_000), KEEPS, "keep_firing_for", "0s", "1m"),
        (replace(HOT, repeat_ms=60_000), KEEPS, "repeat", "none", "1m"),
        (replace(HOT, lookbacks={"t": 60_000}), KEEPS, "lookback", "default", "t 1m"),
        (replace(HOT, notify_device=False), KEEPS, "notify_device", "true", "false"),
        (replace(HOT, unit="°C"), KEEPS, "unit", "none", "°C"),
        (replace(HOT, group="h"), KEEPS, "group", "g", "h"),
        (replace(HOT, labels={"a": "b"}), KEEPS, "labels", "none", '{"a":"b"}'),
    ],
)  # fmt: skip
def test_a_change_is_told_with_its_effect(new: Rule, effect: str, key: str, before: str, after: str) -> None:
    found = change(new)
    assert (found.change, found.effect) == ("changed", effect)
    assert found.differences == (Difference(key, before, after),)


def test_commands_are_told_as_they_are() -> None:
    found = change(replace(HOT, commands=(Command("stop", "stop", {"value": 1}, ("firing",), 0, 60_000),)))
    assert found.differences[0].before == "none"
    assert '"name":"stop"' in found.differences[0].after


def test_a_clear_condition_is_readable() -> None:
    before, after = ((Level("info", clear_expr=f"t < ( {limit} )"),) for limit in (3, 2))
    condition = replace(HOT, expr="t > 5", levels=before, no_data=None)
    found = change(replace(condition, levels=after), condition)
    said = [f"info when it holds, clear when t < {limit}" for limit in (3, 2)]
    assert Difference("levels", *said) in found.differences


def test_a_record_keeps_its_history_while_its_expression_stays() -> None:
    assert change(replace(RECORD, unit="°C"), RECORD).effect == "keeps the value history"
    assert change(replace(RECORD, expr="t * 3"), RECORD).effect == "drops the value history"


def test_an_alert_and_a_record_of_one_name_are_two_rules() -> None:
    both = (HOT, replace(RECORD, name="Hot"))
    assert [each.change for each in changes(both, (HOT,))] == ["unchanged", "removed"]


def test_a_row_is_plain() -> None:
    row = as_row(change(replace(HOT, keep_ms=1_000)))
    assert row["differences"] == [{"key": "keep_firing_for", "before": "0s", "after": "1s"}]
    assert (row["rule"], row["kind"], row["change"], row["renamed"]) == ("Hot", "alert", "changed", None)
