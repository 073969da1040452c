"""Rule files that are wrong, and what is said of them."""

from __future__ import annotations

from pathlib import Path

import pytest

from edge_gateway.rules.files.load import load_rules
from fleet_config.problems import ProblemsFound

HEAD = "version: 1\ngroups:\n- name: g\n  rules:\n"


def problems(tmp_path: Path, **files: str) -> list[str]:
    """The errors of files, by name without `.yaml`."""
    for name, text in files.items():
        (tmp_path / f"{name}.yaml").write_text(text)
    with pytest.raises(ProblemsFound) as caught:
        load_rules(tmp_path)
    return [str(problem).removeprefix(f"{tmp_path}/") for problem in caught.value.problems]


def problem_of_rule(tmp_path: Path, text: str) -> str:
    """The one error of a rule written on line 5 from column 5."""
    (found,) = problems(tmp_path, a=f"{HEAD}  - {text}\n")
    return found.removeprefix("a.yaml:")
