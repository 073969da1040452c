"""The schema of rule files: which keys there are, and which are refused by name."""

from __future__ import annotations

from pathlib import Path

from edge_gateway.rules.files.model import rules_schema
from tests.gateway.rules.files.rule_files import HEAD, problem_of_rule, problems


def test_the_schema_knows_every_key_and_none_that_is_refused() -> None:
    schema = rules_schema()
    alert = schema["$defs"]["AlertSpec"]["properties"]
    assert {"alert", "expr", "for", "levels", "no_data", "keep_firing_for", "overrides", "commands"} <= set(
        alert
    )
    assert "by" not in alert
    assert "inhibit" not in schema["properties"]
    assert alert["for"]["default"] == "0s"


def test_what_is_refused_by_name_is_not_offered_for_another(tmp_path: Path) -> None:
    found = problem_of_rule(tmp_path, "{alert: A, expr: x, bu: [site]}")
    assert "unknown key 'bu'; allowed here: above, alert, annotations, below, clear," in found


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
