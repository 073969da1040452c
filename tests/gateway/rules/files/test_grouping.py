"""Rules with `by`: what a good one becomes; `broken_rules/group_*` has what is wrong with others."""

from __future__ import annotations

from pathlib import Path

from tests.gateway.rules.groups.grouped import rules_in


def test_a_rule_of_groups_is_no_rule_of_devices(tmp_path: Path) -> None:
    rules = rules_in(
        tmp_path,
        "{alert: A, expr: avg(x), by: [site, room], above: 1}",
        "{alert: B, expr: x, above: 1}",
    )
    assert [(rule.name, rule.by) for rule in rules.group_alerts] == [("A", ("site", "room"))]
    assert [rule.name for rule in rules.alerts] == ["B"]
    assert {"site", "room"} <= rules.tags
    assert type(rules).from_plain(rules.to_plain()) == rules


def test_silence_alone_is_an_expression(tmp_path: Path) -> None:
    (rule,) = rules_in(tmp_path, "{alert: A, expr: 'share(no_data(x, 1m))', by: [site], above: 0.5}").rules
    assert (rule.metrics, rule.silences, rule.metric) == ((), ("x",), "x")


def test_the_formula_of_a_record_stands_in_an_aggregate(tmp_path: Path) -> None:
    rules = rules_in(
        tmp_path,
        "{record: gap, expr: x - y}",
        "{alert: A, expr: 'avg(gap) + share(no_data(gap, 1m))', by: [site], above: 1}",
    )
    (rule,) = rules.group_alerts
    assert rule.expr == "avg ( ( x - y ) ) + share ( no_data ( gap , 1m ) )"
