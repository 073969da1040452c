"""From files to rules: what the keys mean, and every error at its line and column."""

from __future__ import annotations

from pathlib import Path

import pytest

from edge_gateway.rules.files.load import load_rules
from edge_gateway.rules.language.ruleset import Command, Level, LevelChange, NoData, Override, Rule
from tests.gateway.rules.files.rule_files import HEAD, problem_of_rule

TWO_LEVELS = "{alert: A, expr: x, levels: {info: {above: 1}, warning: {above: 2}}, overrides: [%s]}"


def loaded(tmp_path: Path, text: str) -> Rule:
    (tmp_path / "a.yaml").write_text(f"{HEAD}  - {text}\n")
    (rule,) = load_rules(tmp_path).rules
    return rule


def test_an_alert_with_levels(tmp_path: Path) -> None:
    rule = loaded(
        tmp_path,
        """alert: A
    expr: x+y
    match: {site: berlin, type: [a, "b*"]}
    levels: {critical: {below: -2, for: 1m}, info: {below: 5, clear: 6}}
    keep_firing_for: 30s
    no_data: {after: 2m, metric: x}
    warmup: 10m
    repeat: 4h
    notify_device: false
    unit: V
    labels: {team: cold}
    annotations: {s: "{{ value }}"}""",
    )
    assert rule == Rule(
        name="A",
        group="g",
        match=({"site": ["berlin"], "type": ["a", "b*"]},),
        expr="x + y",
        levels=(Level("info", False, 5.0, 6.0), Level("critical", False, -2.0, None, 60_000)),
        keep_ms=30_000,
        no_data=NoData(120_000, "x", "alerting", "info"),
        labels={"team": "cold"},
        annotations={"s": "{{ value }}"},
        warmup_ms=600_000,
        repeat_ms=14_400_000,
        notify_device=False,
        unit="V",
    )


@pytest.mark.parametrize(
    ("text", "levels"),
    [
        (
            "{alert: A, expr: x, above: 1, clear: 0.5, for: 5s}",
            (Level("warning", True, 1.0, 0.5, 5000),),
        ),
        ("{alert: A, expr: x, below: 1, severity: info}", (Level("info", False, 1.0),)),
        ("{alert: A, expr: x > 1, for: 5s}", (Level("warning", for_ms=5000),)),
        ("{alert: A, expr: x > 1, clear: x<0, severity: critical}", (Level("critical", clear_expr="x < 0"),)),
        ("{alert: A, no_data: {after: 5s, metric: x}}", ()),
    ],
)
def test_one_level(tmp_path: Path, text: str, levels: tuple[Level, ...]) -> None:
    rule = loaded(tmp_path, text)
    assert rule.levels == levels


@pytest.mark.parametrize(
    ("text", "no_data"),
    [
        ("{alert: A, expr: x, above: 1, no_data: {after: 5s}}", NoData(5000, "x", "alerting", "warning")),
        (
            "{alert: A, expr: x > 1, severity: info, no_data: {after: 5s}}",
            NoData(5000, "x", "alerting", "info"),
        ),
        (
            "{alert: A, no_data: {after: 5s, metric: x, severity: critical, state: ok}}",
            NoData(5000, "x", "ok", "critical"),
        ),
    ],
)
def test_missing_data(tmp_path: Path, text: str, no_data: NoData) -> None:
    assert loaded(tmp_path, text).no_data == no_data


def test_overrides(tmp_path: Path) -> None:
    rule = loaded(
        tmp_path,
        """alert: A
    expr: x
    levels: {warning: {above: 1}}
    overrides:
    - {match: {site: a}, above: 2, clear: 1.5, for: 5s}
    - {match: {site: b}, levels: {warning: {above: 3}}, keep_firing_for: 1m}""",
    )
    assert rule.overrides == (
        Override({"site": ["a"]}, (LevelChange("warning", 2.0, 1.5, 5000, 0),)),
        Override({"site": ["b"]}, (LevelChange("warning", 3.0),), 60_000),
    )


def test_a_rule_of_missing_data_alone_may_override_keep_firing_for(tmp_path: Path) -> None:
    text = "{alert: A, no_data: {after: 1m, metric: x}, overrides: [{match: {}, keep_firing_for: 1m}]}"
    assert loaded(tmp_path, text).overrides == (Override({}, (), 60_000),)


def test_commands(tmp_path: Path) -> None:
    rule = loaded(
        tmp_path,
        """alert: A
    expr: x
    above: 1
    commands:
    - {name: fan}
    - {id: stop, name: off, args: {v: 1}, on: [resolved, no_data], cooldown: 5m, expires: 30s,
       confirm: {within: 10s, retries: 2}}""",
    )
    assert rule.commands == (
        Command("fan", "fan", {}, ("firing",), 0, 60_000),
        Command("stop", "off", {"v": 1}, ("resolved", "no_data"), 300_000, 30_000, 10_000, 2),
    )


def test_an_expression_that_is_too_long_with_its_spaces_is_told(tmp_path: Path) -> None:
    """A rule keeps its expression with one space between tokens."""
    choices = ",".join(["1"] * 255)
    expr = " and ".join([f"x in({choices})"] * 7)
    assert len(expr) < 4096
    found = problem_of_rule(tmp_path, f"{{alert: A, expr: '{expr}'}}")
    assert "expr: an expression may have at most 4096 characters, with a space between all its parts" in found


def test_a_record(tmp_path: Path) -> None:
    rule = loaded(tmp_path, "{record: r, expr: x*2, match: {site: a}, unit: V}")
    assert rule == Rule(name="r", group="g", record=True, match=({"site": ["a"]},), expr="x * 2", unit="V")


def test_both_matches_of_group_and_rule(tmp_path: Path) -> None:
    (tmp_path / "a.yaml").write_text(
        "version: 1\ngroups:\n- name: g\n  match: {site: a}\n  rules:\n"
        "  - {alert: A, expr: x, above: 1, match: {type: t}}\n"
    )
    assert load_rules(tmp_path).rules[0].match == ({"site": ["a"]}, {"type": ["t"]})


@pytest.mark.parametrize(
    ("text", "fault"),
    [
        ("{alert: A, expr: x +, above: 1}", "5:25: expr: expected a value, found the end of the expression"),
        ('{alert: A, expr: "x \\u003E 3 && y"}', "5:34: expr: '&&' is not an operator here; write 'and'"),
        ("{alert: A, expr: 'door == ''open'' or y'}", "5:43: expr: 'or' needs a condition"),
        ("{alert: A, expr: x}", "5:5: the limit is missing"),
        (
            "{alert: A, expr: x, above: 1, below: 0}",
            "5:35: below: 'above' is set, too; an expression that is a number needs one of",
        ),
        (
            "{alert: A, expr: x, above: 5, clear: 6}",
            "5:42: clear: 6 is on the wrong side; with above: 5 it must be at most",
        ),
        (
            "{alert: A, expr: x, below: 5, clear: 4}",
            "5:42: clear: 4 is on the wrong side; with below: 5 it must be at least",
        ),
        (
            "{alert: A, expr: x > 1, above: 5}",
            "5:29: above: a condition has no limit; remove it and set 'severity'",
        ),
        ("{alert: A, expr: x > 1, clear: 5}", "5:36: clear: must be a condition if 'expr' is one"),
        ("{alert: A, expr: x > 1, clear: x}", "5:36: clear: expected a condition, found a number"),
        ("{alert: A, expr: x, above: 5, clear: x < 1}", "5:42: clear: must be a number if there is a limit"),
        (
            "{alert: A, expr: x, levels: {critical: {above: 1}, warning: {above: 2}}}",
            "5:52: above: critical at 1 is reached before warning at 2; it must be at least 2",
        ),
        (
            "{alert: A, expr: x, levels: {critical: {above: 1}, warning: {below: 0}}}",
            "5:52: above: the levels of an alert must all be 'above' or all 'below'; warning is",
        ),
        ("{alert: A, expr: x, levels: {fatal: {above: 1}}}", "5:34: fatal: 'fatal' is not allowed"),
        (
            "{alert: A, expr: x, levels: {info: {above: 1}}, for: 5s}",
            "5:53: for: set it in each of the 'levels'",
        ),
        ("{alert: A, expr: x + y, above: 1, no_data: {after: 1m}}", "5:48: no_data: 'metric' is missing"),
        ("{alert: A, no_data: {after: 1m}}", "5:25: no_data: 'metric' is missing"),
        ("{alert: A, severity: info}", "5:5: the key 'expr' is missing"),
        ("{alert: A, expr: 3, above: 1}", "expr: "),
        ("{alert: A, expr: tag.zone == 'a'}", "5:22: expr: the expression must name a metric"),
        ("{alert: A, expr: x, above: 1, for: 90}", "5:40: for: a duration needs a unit; write 90s"),
        ("{alert: A, expr: x, abov: 1}", "5:25: unknown key 'abov'"),
        ("{alert: A B, expr: x, above: 1}", "5:13: alert: 'A B' is not allowed"),
        (
            "{alert: A, expr: x, above: 1, by: [site]}",
            "5:22: expr: with 'by' each device has its own 'x'; put it into an aggregate, as in avg(x)",
        ),
        ("{alert: A, expr: x, above: 1, annotations: {s: '{{ valu }}'}}", "5:56: s: unknown name 'valu'"),
        (
            "{alert: A, expr: x, above: 1, overrides: [{match: {site: a}, clear: 3}]}",
            "5:73: clear: 3 is on the wrong side; with above: 1 it must be at most 1",
        ),
        (
            "{alert: A, expr: x, above: 5, clear: 4, overrides: [{match: {site: a}, above: 3}]}",
            "5:83: clear: 4 is on the wrong side; with above: 3 it must be at most 3; it is that of the rule: set",
        ),
        (
            "{alert: A, expr: x, above: 1, overrides: [{match: {site: a}, below: 3}]}",
            "5:66: below: the rule has 'above'",
        ),
        (
            "{alert: A, expr: x, above: 1, overrides: [{match: {site: a}}]}",
            "5:47: overrides: this override changes nothing",
        ),
        (
            "{alert: A, expr: x, above: 1, overrides: [{match: {site: a}, levels: {info: {above: 2}}}]}",
            "5:75: levels: the rule has no level 'info', only warning",
        ),
        (
            "{alert: A, expr: x > 1, overrides: [{match: {site: a}, above: 2}]}",
            "5:60: above: a condition has no limit",
        ),
        (
            TWO_LEVELS % "{match: {}, above: 3}",
            "5:98: above: the rule has several levels; write levels: {warning: {above: …}}",
        ),
        (
            TWO_LEVELS % "{match: {}, levels: {info: {above: 3}}}",
            "5:121: above: warning at 2 is reached before info at 3; it must be at least 3",
        ),
        ("{alert: A, above: 1, no_data: {after: 1m, metric: x}}", "5:16: above: requires 'expr'"),
        ("{alert: A, expr: x, above: 1, clear: x <}", "5:42: clear: must be a number if there is a limit"),
        (
            "{alert: A, expr: x > 1, clear: x <}",
            "5:39: clear: expected a value, found the end of the expression",
        ),
        (
            "{alert: A, expr: x, levels: {info: {above: 1}}, severity: info}",
            "5:53: severity: set it in each of the 'levels'",
        ),
        ("{alert: A, expr: x, levels: {warning: {clear: 1}}}", "5:43: the limit is missing"),
        (
            "{alert: A, expr: x +, no_data: {after: 1m}}",
            "5:25: expr: expected a value, found the end of the expression",
        ),
        ("{record: a, expr: '3'}", "5:23: expr: the expression must name a metric"),
        ("{record: a, expr: x +}", "5:26: expr: expected a value"),
        ("{alert: A, expr: x, above: 1, labels: {a: '{{ b }}'}}", "5:51: a: unknown name 'b'"),
        (
            "{alert: A, no_data: {after: 1m, metric: x}, overrides: [{match: {}, above: 3}]}",
            "5:73: above: requires 'expr' in the rule",
        ),
        (
            "{alert: A, expr: x +, overrides: [{match: {}, levels: {info: {above: 1}}}, {match: {}, above: 2}]}",
            "5:25: expr: expected a value",
        ),
        ("{record: rate, expr: x}", "5:14: record: 'rate' is reserved in expressions"),
        ("{record: a, expr: x > 1}", "5:23: expr: a record must be a number, not a condition"),
        ("{record: a, expr: a + 1}", "5:23: circular dependency of records: a"),
    ],
)
def test_errors_of_rules(tmp_path: Path, text: str, fault: str) -> None:
    found = problem_of_rule(tmp_path, text)
    assert fault in found
    assert found.startswith(fault) or fault == "expr: "
