"""Rules run over readings."""

from dataclasses import replace
from pathlib import Path

from edge_gateway.backtest.run import run_rules
from tests.gateway.backtest.weighed import MINUTE, START, readings, rules_of, series, settings


def test_episodes_and_what_each_rule_ran_on(tmp_path: Path) -> None:
    rules = rules_of(
        tmp_path,
        "{alert: Hot, expr: t, above: 10}",
        "{alert: Elsewhere, expr: t, above: 0, match: {site: moon}}",
        "{alert: Unread, expr: gone, above: 0}",
        "{alert: Celsius, expr: t, above: 0, unit: '°C'}",
    )
    given = readings(*series([1, 11, 12, 1, 11]), units={"t": "°F"})
    found = run_rules(given, rules, settings())
    assert [(each.rule, each.fired, each.ended) for each in found.episodes] == [
        ("Hot", START + MINUTE, START + 3 * MINUTE),
        ("Hot", START + 4 * MINUTE, None),
    ]
    assert {
        name: (len(each.devices), each.other_unit, each.evaluated) for name, each in found.standings.items()
    } == {
        "Hot": (1, 0, True),
        "Unread": (1, 0, False),
        "Celsius": (0, 1, False),
    }


def test_silence_counts_up_to_the_last_reading(tmp_path: Path) -> None:
    rules = rules_of(
        tmp_path, "{alert: Silent, no_data: {after: 5m, metric: t, state: no_data, severity: info}}"
    )
    given = readings(*series([1.0, *[None] * 9, 1.0]), *series([2.0] * 11, device="d2"))
    found = run_rules(given, rules, settings())
    assert found.silences() == {"Silent": 1}
    assert [(each.subject, each.at) for each in found.transitions] == [("d1", START + 5 * MINUTE)]


def test_times_of_a_rule_are_those_of_the_readings_at_any_age(tmp_path: Path) -> None:
    old = [sample._replace(ts=sample.ts - START + 1_000) for sample in series([1, 11, 1])]
    found = run_rules(
        replace(readings(*old)), rules_of(tmp_path, "{alert: Hot, expr: t, above: 10}"), settings()
    )
    assert [each.fired for each in found.episodes] == [1_000 + MINUTE]
