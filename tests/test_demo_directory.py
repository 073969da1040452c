"""One demo at a time has its directory; a second one changes nothing."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from fleet_demo.directory import InUse, held

ROOT = Path(__file__).parents[1]


def demo(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "fleet_demo", *arguments],
        capture_output=True,
        text=True,
        cwd=ROOT,
        env={**os.environ, "COLUMNS": "200"},
        check=False,
        timeout=120,
    )


def test_a_second_demo_is_refused_and_changes_nothing(tmp_path: Path) -> None:
    directory = tmp_path / ".demo"
    with held(directory):
        (directory / "gateway.yaml").write_text("version: 1")
        done = demo("--directory", str(directory))
        assert done.returncode == 2
        assert done.stdout.startswith("another ./demo runs in ")
        assert f"(pid {os.getpid()})" in done.stdout
        assert (directory / "gateway.yaml").exists()


def test_the_next_one_finds_it_empty(tmp_path: Path) -> None:
    directory = tmp_path / ".demo"
    with held(directory):
        (directory / "spool").mkdir()
        (directory / "spool" / "segment").write_text("")
        (directory / "link").symlink_to(tmp_path)
    with held(directory):
        assert [each.name for each in directory.iterdir()] == ["demo.pid"]
        with pytest.raises(InUse, match="pid"), held(directory):
            pass
        (directory / "demo.pid").write_text("")
        with pytest.raises(InUse, match=r"\.demo$"), held(directory):
            pass


def test_a_mistake_is_answered_with_the_name_of_the_command() -> None:
    done = demo("--foo")
    assert done.returncode == 2
    assert "Usage: ./demo [OPTIONS]\n" in done.stderr
