"""What CI and the commit hooks run is what a developer runs."""

from pathlib import Path

import yaml

ROOT = Path(__file__).parents[1]


def test_ci_runs_the_script_of_the_checkout_and_nothing_else() -> None:
    workflow = yaml.safe_load((ROOT / ".github" / "workflows" / "ci.yml").read_text())
    steps = workflow["jobs"]["test"]["steps"]
    assert [step["run"] for step in steps if "run" in step] == [".ci/run"]
    assert '/../test" --full' in (ROOT / ".ci" / "run").read_text()


def test_the_commit_hooks_are_local_and_run_what_test_installed() -> None:
    hooks = yaml.safe_load((ROOT / ".pre-commit-config.yaml").read_text())
    assert [repository["repo"] for repository in hooks["repos"]] == ["local"]
    commands = [hook["entry"].split()[0] for hook in hooks["repos"][0]["hooks"]]
    assert commands == [".venv/bin/ruff", ".venv/bin/ruff", ".venv/bin/mypy", ".venv/bin/pytest"]
    assert {hook["language"] for hook in hooks["repos"][0]["hooks"]} == {"system"}
