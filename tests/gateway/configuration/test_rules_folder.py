"""A default folder of rules need not exist; one that is named must."""

from __future__ import annotations

from pathlib import Path

import pytest

from edge_gateway.configuration.loading import load_config
from edge_gateway.configuration.model import RulesSection
from edge_gateway.configuration.rules_folder import no_folder, read_rules
from fleet_config.problems import ProblemsFound
from tests.hostile_files import RULE


def section(tmp_path: Path, more: str = "", **environment: str) -> RulesSection:
    """Load the section of a file in `tmp_path`."""
    file = tmp_path / "gateway.yaml"
    file.write_text(f"version: 1\nmqtt: {{url: mqtt://localhost}}\n{more}")
    return load_config(file, environment=environment).config.rules


def test_without_the_default_folder_there_are_no_rules(tmp_path: Path) -> None:
    rules = section(tmp_path)
    assert read_rules(rules).rules == ()
    assert no_folder(rules) == f"no rules: {tmp_path / 'rules'}, the default of rules.path, does not exist"


@pytest.mark.parametrize("more", ["rules: null\n", "rules: {path: null}\n"])
@pytest.mark.parametrize("required", [False, True])
def test_null_means_no_rules_whatever_the_folder_holds(tmp_path: Path, more: str, required: bool) -> None:
    (tmp_path / "rules").mkdir()
    rules = section(tmp_path, more)
    assert read_rules(rules, required=required).rules == ()
    assert no_folder(rules) == "no rules: rules.path is null"
    rules = section(tmp_path, "rules: {path: rules}\n", EDGE_GATEWAY_RULES_PATH="")
    assert read_rules(rules).rules == ()


def test_an_empty_folder_is_an_error(tmp_path: Path) -> None:
    (tmp_path / "rules").mkdir()
    with pytest.raises(ProblemsFound, match="write 'rules: null'"):
        read_rules(section(tmp_path))


def test_other_keys_of_the_section_do_not_name_the_folder(tmp_path: Path) -> None:
    assert read_rules(section(tmp_path, "rules: {on_change: reset}\n")).rules == ()


def test_the_default_folder_is_read_where_it_is(tmp_path: Path) -> None:
    (tmp_path / "rules").mkdir()
    (tmp_path / "rules" / "a.yaml").write_text(RULE % "")
    rules = section(tmp_path)
    assert [rule.name for rule in read_rules(rules).rules] == ["A"]
    assert no_folder(rules) == ""


@pytest.mark.parametrize("by", ["file", "variable", "rules in force"])
def test_a_folder_that_must_exist_is_named_with_what_to_do(tmp_path: Path, by: str) -> None:
    missing = tmp_path / "rules"
    if by == "variable":
        rules = section(tmp_path, EDGE_GATEWAY_RULES_PATH=str(missing))
    else:
        rules = section(tmp_path, "rules: {path: rules}\n" if by == "file" else "")
    with pytest.raises(ProblemsFound) as found:
        read_rules(rules, required=by == "rules in force")
    (problem,) = found.value.problems
    assert (
        str(problem)
        == f"{missing}: no such file or directory: create it, or set rules.path to where the rules are"
    )
    assert no_folder(rules) == "" or by == "rules in force"


def test_a_default_that_is_not_a_folder_is_read_as_it_is(tmp_path: Path) -> None:
    (tmp_path / "rules").write_text("version: 2\n")
    with pytest.raises(ProblemsFound):
        read_rules(section(tmp_path))
