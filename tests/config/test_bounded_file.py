"""No file that stands where one is wanted stops or exhausts the program."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from fleet_config.bounded_file import UnreadableFile, read_file
from fleet_config.yaml_source import load_yaml
from tests.hostile_files import NO_FILES, refusal_of


def refusal(path: Path) -> str:
    return str(refusal_of(lambda: load_yaml(path, name="x")))


@pytest.mark.parametrize("kind", NO_FILES)
def test_anything_but_a_regular_file_is_refused_at_once(tmp_path: Path, kind: str) -> None:
    make, fault = NO_FILES[kind]
    make(tmp_path / "x.yaml")
    assert refusal(tmp_path / "x.yaml") == f"x: {fault}"


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read everything")
def test_an_unreadable_file_is_refused(tmp_path: Path) -> None:
    (tmp_path / "x.yaml").write_text("a: 1\n")
    (tmp_path / "x.yaml").chmod(0)
    assert refusal(tmp_path / "x.yaml") == "x: cannot be read: Permission denied"


def test_an_impossible_path_is_refused() -> None:
    with pytest.raises(UnreadableFile, match="NUL"):
        read_file(Path("a\0b"), 10)


def test_a_file_of_the_largest_size_is_read_and_a_larger_one_is_not(tmp_path: Path) -> None:
    path = tmp_path / "x"
    path.write_bytes(b"1" * 1024)
    assert read_file(path, 1024) == b"1" * 1024
    with pytest.raises(UnreadableFile, match="larger than"):
        read_file(path, 1023)


def test_a_file_without_a_size_of_its_own_is_bounded_too() -> None:
    """Those of /proc say that they are empty."""
    assert read_file(Path("/proc/self/stat"), 1 << 16)
    with pytest.raises(UnreadableFile, match="larger than"):
        read_file(Path("/proc/self/stat"), 5)
