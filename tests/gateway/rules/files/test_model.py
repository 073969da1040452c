"""The schema of rule files: which keys there are, and which are refused by name."""

from __future__ import annotations

from pathlib import Path

import pytest

from edge_gateway.rules.files.model import rules_schema
from tests.gateway.rules.files.rule_files import HEAD, problem_of_rule, problems


def test_the_schema_knows_every_key_and_none_that_is_refused() -> None:
    schema = rules_schema()
    alert = schema["$defs"]["AlertSpec"]["properties"]
    assert {"alert", "expr", "for", "levels", "no_data", "keep_firing_for", "overrides", "commands"} <= set(
        alert
    )
    assert "by" in alert
    assert "by" not in schema["$defs"]["RecordSpec"]["properties"]
    assert "inhibit" in schema["properties"]
    assert alert["for"]["default"] == "0s"


def test_every_key_of_the_schema_is_described() -> None:
    schema = rules_schema()
    models = {"RuleFile": schema, **schema["$defs"]}
    keys = [
        (model, key, about) for model, each in models.items() for key, about in each["properties"].items()
    ]
    assert len(keys) > 50
    assert not [(model, key) for model, key, about in keys if len(about.get("description", "")) < 5]
    assert not [model for model, each in models.items() if "Args:" in each.get("description", "?")]


def test_what_is_refused_by_name_is_not_offered_for_another(tmp_path: Path) -> None:
    found = problem_of_rule(tmp_path, "{alert: A, expr: x, bu: [site]}")
    assert "unknown key 'bu'; allowed here: above, alert, annotations, at, below, by, clear," in found


def test_only_the_invalid_entry_of_a_list_is_an_error(tmp_path: Path) -> None:
    found = problem_of_rule(tmp_path, "{alert: A, expr: x, above: 1, commands: [{name: c, on: [fired]}]}")
    assert found.startswith("5:61: on: 'fired' is not allowed")


def test_an_empty_list_is_one_that_is_too_short(tmp_path: Path) -> None:
    found = problem_of_rule(tmp_path, "{alert: A, expr: x, above: 1, commands: [{name: c, on: []}]}")
    assert found == "5:60: on: must have at least 1 entry, not 0"


def test_group_names(tmp_path: Path) -> None:
    for name in ("' a'", "a/b", "a+b", "''"):
        (found,) = problems(
            tmp_path, a=HEAD.replace("name: g", f"name: {name}").replace("rules:", "rules: []")
        )
        assert found.startswith("a.yaml:3:9: name: ")


@pytest.mark.parametrize(
    ("text", "fault"),
    [
        (
            "{alert: A, no_data: 10m}",
            "5:25: no_data: must be a mapping of keys and values, not the text '10m'; write {after: 10m}",
        ),
        (
            "{alert: A, expr: x, above: 80%}",
            "5:32: above: must be a number, not the text '80%'; write 80, without its unit",
        ),
        (
            "{alert: A, expr: x, above: 5 °C}",
            "5:32: above: must be a number, not the text '5 °C'; write 5, without its unit",
        ),
        ("{alert: A, expr: x, above: '1,5'}", "5:32: above: must be a number, not the text '1,5'; write 1.5"),
        (
            "{alert: A, expr: x, above: 1,5}",
            "5:34: unknown key '5'; write a number with a decimal point, as in 1.5",
        ),
        (
            "{alert: A, expr: x, above: 1, clear: 80%}",
            "5:42: clear: must be a number if there is a limit; write 80, without its unit",
        ),
        (
            "{alert: A, expr: x, levels: [{warning: {above: 5}}]}",
            "5:33: levels: must be a mapping of keys and values, not a list; write its keys without '- ' or [ ]",
        ),
        (
            "{alert: A, expr: x, above: 1, commands: [{name: c, on: firing}]}",
            "5:60: on: must be a list, not the text 'firing'; write [firing]",
        ),
        (
            "{alert: A, expr: x, above: 1, commands: {name: c}}",
            "5:45: commands: must be a list, not a mapping; put it in [ ], or begin each entry with '- '",
        ),
        (
            "{alert: A/B, expr: x, above: 1}",
            "5:13: alert: 'A/B' is not allowed; write 1 to 64 of A-Z a-z 0-9 _ -",
        ),
        (
            "{record: T, expr: x}",
            (
                "5:14: record: 'T' is not allowed; write up to 64 lower-case letters, digits and _, beginning with a "
                "letter"
            ),
        ),
    ],
)
def test_what_to_write_instead_of_a_value(tmp_path: Path, text: str, fault: str) -> None:
    assert problem_of_rule(tmp_path, text) == fault
