"""Scores by labels, each figure worked out by hand."""

from pathlib import Path

import pytest

from edge_gateway.backtest.run import run_rules
from edge_gateway.backtest.scores import RuleScore, check_labels, patience, reads, score
from fleet_config.problems import ProblemsFound
from fleet_recordings.labels import Label
from tests.gateway.backtest.weighed import MINUTE, START, readings, rules_of, series, settings

RULE = "{alert: Hot, expr: t, above: 10, for: 1m}"
VALUES = [1, 1, 11, 11, 11, 1, 1, 1, 1, 1, 12, 12, 12, 1, 1, 11, 11, 11, 11, 11]
"""Fires from minute 3 to 5, from 11 to 13, and from 16 on."""


def label(first: int, last: int, metric: str = "t", device: str = "d1", rule: str = "") -> Label:
    return Label(START + first * MINUTE, device, metric, "bias", START + last * MINUTE, 10.0, rule)


def scored(folder: Path, *labels: Label, within: int | None = None) -> RuleScore:
    rules, given = rules_of(folder, RULE), readings(*series(VALUES))
    return score(rules.rules[0], labels, run_rules(given, rules, settings()).episodes, given.end, within)


def test_found_missed_false_and_their_delays(tmp_path: Path) -> None:
    found = scored(tmp_path, label(2, 5), label(6, 8), label(10, 13))
    assert (found.found, found.delays) == (2, (MINUTE, MINUTE))
    assert found.missed == (label(6, 8),)
    assert [each.fired for each in found.false] == [START + 16 * MINUTE]
    assert (found.precision, found.recall) == (2 / 3, 2 / 3)
    assert (found.delay(0.5), found.delay(0.9)) == (MINUTE, MINUTE)


def test_a_rule_that_fires_already_does_not_tell_what_it_found(tmp_path: Path) -> None:
    found = scored(tmp_path, label(4, 5))
    assert found.not_judged == (label(4, 5),)
    assert (found.found, found.missed, found.recall) == (0, (), None)
    assert found.precision == 1 / 3


def test_labels_of_other_rules_metrics_and_devices_do_not_count(tmp_path: Path) -> None:
    others = [label(2, 5, metric="h"), label(2, 5, device="d2"), label(2, 5, rule="Cold")]
    found = scored(tmp_path, *others)
    assert [each.device for each in found.missed] == ["d2"]
    assert found.precision == 0.0
    assert scored(tmp_path, label(2, 5, metric="", rule="")).found == 1
    assert scored(tmp_path, label(2, 5, metric="h", rule="Hot")).found == 1


def test_an_alert_may_begin_after_its_label_for_as_long_as_its_rule_takes(tmp_path: Path) -> None:
    assert scored(tmp_path, label(1, 2)).found == 1
    assert scored(tmp_path, label(1, 2), within=MINUTE - 1).found == 0


def test_no_alert_and_no_label_have_no_share(tmp_path: Path) -> None:
    empty = score(rules_of(tmp_path, RULE).rules[0], [], [], START)
    assert (empty.precision, empty.recall, empty.delay(0.5)) == (None, None, None)


def test_how_long_a_rule_takes_and_what_it_reads(tmp_path: Path) -> None:
    rules = rules_of(
        tmp_path,
        "{alert: A, expr: 'avg_over_time(t, 5m) - h', above: 1, for: 2m}",
        "{alert: B, no_data: {after: 9m, metric: p}}",
    ).rules
    assert [patience(rule) for rule in rules] == [7 * MINUTE, 9 * MINUTE]
    assert [[reads(rule, name) for name in "thp"] for rule in rules] == [
        [True, True, False],
        [False, False, True],
    ]


def test_names_that_there_are_not(tmp_path: Path) -> None:
    rules, given = rules_of(tmp_path, RULE).rules, readings(*series([1.0]))
    wrong = [label(1, 2, rule="Hott"), label(1, 2, device="d11"), label(1, 2, metric="tt")]
    with pytest.raises(ProblemsFound) as found:
        check_labels(wrong, rules, given, "labels.csv")
    assert str(found.value).splitlines() == [
        "labels.csv: no rule is called 'Hott'; did you mean 'Hot'?",
        "labels.csv: the readings have no device 'd11'; did you mean 'd1'?",
        "labels.csv: the readings have no metric 'tt'; did you mean 't'?",
    ]
    check_labels([label(1, 2, rule="Hot")], rules, given, "labels.csv")
