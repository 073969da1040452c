"""`inhibit:` of rule files as the gateway runs it; what is wrong in one is in tests/cases/broken_rules."""

from pathlib import Path

from edge_gateway.rules.files.load import load_rules
from edge_gateway.rules.language.inhibits import Inhibit, Selector
from edge_gateway.rules.language.ruleset import RuleSet

TEXT = """
version: 1
groups:
- name: g
  rules:
  - {alert: SiteDown, expr: x, above: 1, labels: {team: net}}
inhibit:
- source: {alert: SiteDown, labels: {team: n*}}
  target: {level: [warning, info], match: {type: door}}
  equal: [site, room]
  wait: 1m
  commands: true
"""


def test_an_inhibit_is_read_whole_and_survives_the_journal(tmp_path: Path) -> None:
    (tmp_path / "a.yaml").write_text(TEXT)
    rules = load_rules(tmp_path)
    assert rules.inhibits == (
        Inhibit(
            Selector({"alert": ["SiteDown"]}, {"team": ["n*"]}),
            Selector({"type": ["door"], "level": ["warning", "info"]}),
            ("site", "room"),
            60_000,
            commands=True,
        ),
    )
    assert RuleSet.from_plain(rules.to_plain()) == rules
    assert rules.tags >= {"room", "type"}


def test_another_inhibit_is_another_rule_set(tmp_path: Path) -> None:
    (tmp_path / "a.yaml").write_text(TEXT)
    before = load_rules(tmp_path).hash
    (tmp_path / "a.yaml").write_text(TEXT.replace("1m", "2m"))
    assert load_rules(tmp_path).hash != before
