"""Tables of rules: at 80 columns and into a pipe, with everything that a rule can say."""

import re
from dataclasses import replace
from typing import Any

from edge_gateway.cli.rule_tables import changes_view, explanation_view, rule_view, rules_table
from edge_gateway.rules.inspection.changes import as_row, compare
from edge_gateway.rules.inspection.explanation import explain
from edge_gateway.rules.inspection.in_force import describe, describe_in_force
from edge_gateway.rules.inspection.inhibit_changes import InhibitChange, inhibit_row
from edge_gateway.rules.language.inhibits import Inhibit, Selector
from edge_gateway.rules.language.ruleset import (
    Command,
    Level,
    LevelChange,
    NoData,
    Override,
    Rule,
    RuleSet,
)
from edge_gateway.rules.muting.subject import AlertSubject
from tests.gateway.cli.test_tables import HOSTILE, looked_at
from tests.gateway.rules.fleet import Stage

FULL = Rule(
    name="Hot",
    group="cold chain",
    match=({"type": ["freezer"]},),
    expr="avg_over_time ( t , 1m )",
    levels=(Level("warning", limit=-14.0, clear=-15.0, for_ms=120_000), Level("critical", limit=-10.0)),
    keep_ms=60_000,
    no_data=NoData(120_000, "t", "alerting", "warning"),
    overrides=(Override({"site": ["lyon"]}, (LevelChange("warning", limit=-16.0, clear=-17.0),)),),
    labels={"team": "cold"},
    annotations={"summary": "{{ device }} is warm"},
    commands=(Command("compressor", "compressor", {"value": -22}, ("firing",), 300_000, 60_000),),
    warmup_ms=600_000,
    repeat_ms=14_400_000,
    lookbacks={"t": 900_000},
)
RECORD = Rule(name="dew", group="g", record=True, expr="t - 1", unit="°C")
ODD = replace(FULL, name="Odd", match=({"type": HOSTILE},), labels=dict.fromkeys("ab", HOSTILE[3]))


def live() -> list[dict[str, Any]]:
    hot = replace(FULL, warmup_ms=0)
    stage = Stage(
        hot,
        RECORD,
        replace(hot, name="Other", match=({"type": ["pump"]},)),
        replace(hot, name="Idle", expr="u"),
    )
    for number in range(30):
        stage.fleet.born(f"d{number}")
        stage.read(number, f"d{number}", t=20)
    return describe_in_force(stage.evaluator)


def test_rules_of_files_have_no_counts() -> None:
    lines = looked_at(rules_table([describe(rule) for rule in (FULL, RECORD)]))
    assert lines[0].split() == ["rule", "limits"]
    assert lines[1].endswith("no t for 2m raises warning")
    assert lines[2] == "dew   record: t - 1, in °C"


def test_rules_of_a_gateway_are_counted_and_those_that_do_nothing_are_named() -> None:
    lines = looked_at(rules_table(live()))
    assert lines[1].split()[:4] == ["Hot", "30", "30", "0"]
    assert lines[2].split()[:4] == ["dew", "30", "–", "–"]
    assert lines[-2:] == [
        "no device matches: Other",
        "no reading has evaluated since the rules were loaded: Idle",
    ]


def test_one_rule_is_shown_whole() -> None:
    told = "\n".join(looked_at(rule_view(describe(FULL))))
    for words in (
        "alert Hot",
        "cold chain",
        "avg_over_time(t, 1m)",
        "but site lyon",
        "warning above -16, clear at -17, for 2m",
        "keep firing for     1m",
        "warm-up             10m",
        "repeated every      4h",
        "lookback of t       15m",
        'on firing: {"value": -22}, at most every 5m',
        "label team",
        "{{ device }} is warm",
    ):
        assert words in told
    assert "runs on" not in told


def test_one_rule_in_force_is_shown_with_its_devices_and_alerts() -> None:
    rules = {rule["name"]: rule for rule in live()}
    told = "\n".join(looked_at(rule_view(rules["Hot"])))
    assert "30 devices: d0, d1, " in told
    assert "and 10 more" in told
    assert "2026-01-01 00:00:00Z  firing  critical  d0" in told
    assert "not since the rules were loaded" in "\n".join(looked_at(rule_view(rules["Idle"])))
    assert "record dew" in looked_at(rule_view(rules["dew"]))[0]


def test_texts_of_files_are_made_safe() -> None:
    looked_at(rule_view(describe(ODD)))
    looked_at(rules_table([describe(ODD)]))


def test_no_rules_are_said() -> None:
    assert looked_at(rules_table([])) == ["no rules"]


def test_another_unit_is_named() -> None:
    stage = Stage(replace(FULL, unit="°C"))
    stage.fleet.born("f", units={"t": "°F"})
    stage.tick(1)
    rules = describe_in_force(stage.evaluator)
    assert looked_at(rules_table(rules))[-1].startswith("not run on every device that matches")
    assert "another unit" in "\n".join(looked_at(rule_view(rules[0])))


def explained(stage: Stage, device: int = 0) -> list[str]:
    return looked_at(explanation_view(explain(stage.evaluator, stage.evaluator.rules.rules[0], device, ())))


def test_an_explanation_shows_inputs_parts_and_levels() -> None:
    stage = Stage(replace(FULL, warmup_ms=0, expr="t * 2 + u"))
    stage.fleet.born("d")
    stage.read(1, "d", t=20, u=1)
    lines = explained(stage)
    assert lines[0] == "Hot on d (site berlin, type freezer): firing since 2026-01-01 00:00:01Z"
    assert re.split(r"  +", lines[lines.index("input  value  read at                   age  lookback") + 1])[
        :2
    ] == ["t", "20"]
    assert lines[lines.index("value  expression") + 1 :][:2] == ["40     t * 2", "41     t * 2 + u"]
    levels = [re.split(r"  +", line)[:4] for line in lines[-3:]]
    assert levels == [
        ["critical", "above -10", "yes", "yes"],
        ["warning", "above -14", "yes", "no"],
        ["warning", "silence", "–", "no"],
    ]


def test_an_explanation_of_a_condition_shows_its_clear() -> None:
    rule = replace(FULL, expr="t > 1", levels=(Level("info", clear_expr="t < 0"),), overrides=(), warmup_ms=0)
    stage = Stage(rule)
    stage.fleet.born("d")
    stage.read(1, "d", t=0.5)
    lines = explained(stage)
    assert "false  clear: t < 0" in lines
    stage.fleet.born("silent")
    stage.tick(2)
    assert "unknown  t > 1" in explained(stage, 1)


def test_an_explanation_of_what_does_not_run_is_short() -> None:
    stage = Stage(FULL)
    stage.fleet.born("p", kind="pump")
    stage.tick(1)
    lines = explained(stage)
    assert lines[0] == "Hot on p (site berlin, type pump): not run"
    assert len(lines) == 3


def test_changes_are_shown_with_what_differs_and_the_alerts_they_touch() -> None:
    old = RuleSet((FULL, RECORD, replace(FULL, name="Gone", expr="u")))
    new = RuleSet((replace(FULL, keep_ms=0), replace(RECORD, expr="t"), replace(FULL, name="New", expr="u")))
    alert = {
        "device": "d1",
        "level": "warning",
        "previous": "warning",
        "becomes": "resolved",
        "cause": "removed",
    }
    rows = [{**as_row(change), "touched": 0, "alerts": []} for change in compare(old, new)]
    rows[-1] |= {"touched": 3, "alerts": [alert]}
    told = "\n".join(looked_at(changes_view(rows)))
    assert "changed  Hot   0       keeps what waits, what fires and the value history" in told
    assert "changed  dew   –       drops the value history" in told
    assert "Hot   keep_firing_for  1m  →  0s" in told
    assert "looks renamed to New, but a rule is the same only under its name" in told
    assert "looks renamed from Gone" in told
    assert "Gone  d1      warning  resolved  removed" in told
    assert told.endswith("Gone: 2 more alerts are touched\n0 rules unchanged")


def test_a_changed_inhibit_is_shown_with_the_alerts_that_it_mutes() -> None:
    subject = AlertSubject("Hot", "d1", "warning", {}, {})
    inhibit = Inhibit(Selector({"alert": ["Down"]}), Selector({"alert": ["Hot"]}))
    change = InhibitChange(inhibit, "removed", ((subject, False),))
    told = "\n".join(looked_at(changes_view([inhibit_row(change, 5)])))
    assert "removed  inhibit: alert Down mutes alert Hot  1       mutes no more" in told
    assert "Hot/d1  warning  not muted  reload" in told


def test_no_change_is_one_line() -> None:
    rows = [
        {**as_row(change), "touched": 0, "alerts": []}
        for change in compare(RuleSet((FULL,)), RuleSet((FULL,)))
    ]
    assert looked_at(changes_view(rows)) == ["1 rule unchanged"]
    assert looked_at(changes_view([])) == ["0 rules unchanged"]
