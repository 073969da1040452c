"""A stage with rules over groups, and a plain account of what aggregates are."""

from __future__ import annotations

import textwrap
from pathlib import Path
from typing import Any

from edge_gateway.rules.files.load import load_rules
from edge_gateway.rules.language.ruleset import RuleSet
from tests.gateway.rules.fleet import Stage


def rules_in(path: Path, *rules: str) -> RuleSet:
    """The rules of a file with these lines as rules."""
    lines = "".join(textwrap.indent(f"- {rule}\n", "  ") for rule in rules)
    file = path / "rules.yaml"
    file.write_text(f"version: 1\ngroups:\n- name: g\n  rules:\n{lines}")
    return load_rules(file)


def stage_of(path: Path, *rules: str, devices: dict[str, dict[str, Any]] | None = None) -> Stage:
    """A stage with devices a and b in berlin and c in lyon, and these rules."""
    stage = Stage()
    found = devices or {"a": {}, "b": {}, "c": {"site": "lyon"}}
    for name, about in found.items():
        stage.fleet.born(name, **about)
    stage.evaluator.reload(rules_in(path, *rules))
    return stage
