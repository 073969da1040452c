"""Rule files that are wrong in one way each, `tests/cases/broken_rules/NAME.yaml`, and NAME.txt: what is said of them.

`python -m tests.gateway.rules.files.test_broken_rules` writes the texts anew, to be read and committed.
"""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from edge_gateway.cli import main
from edge_gateway.rules.files.load import MOST_FILES, load_rules
from fleet_config.problems import ProblemsFound

CASES = Path(__file__).parents[3] / "cases" / "broken_rules"
FILES = sorted(CASES.glob("*.yaml"))


def said_of(*files: Path) -> list[str]:
    """The errors of files, a line each, with names relative to their directory."""
    try:
        load_rules(files)
    except ProblemsFound as found:
        return [str(problem).replace(f"{files[0].parent}/", "") for problem in found.problems]
    return ["good"]


def expected(file: Path) -> list[str]:
    return file.with_suffix(".txt").read_text(encoding="utf-8").splitlines()


def test_there_is_a_text_for_each_of_many_files() -> None:
    assert len(FILES) >= 220
    assert {file.stem for file in FILES} == {text.stem for text in CASES.glob("*.txt")}


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.stem)
def test_what_is_said_of_a_broken_file(file: Path) -> None:
    assert said_of(file) == expected(file)


def test_an_error_is_one_line_with_a_place_inside_the_file() -> None:
    for file in FILES:
        lines = file.read_bytes().decode("utf-8", "replace").replace("\r\n", "\n").split("\n")
        for text in expected(file):
            name, line, column, message = text.split(":", 3)
            assert name == file.name
            assert 1 <= int(column) <= len(lines[int(line) - 1]) + 1, text
            assert len(message) > 10


@pytest.mark.parametrize("kind", ["file_", "yaml_", "word_", "key_", "value_l"])
def test_all_errors_of_all_files_are_told_at_once(
    kind: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    files = [file for file in FILES if file.name.startswith(kind)]
    assert 3 < len(files) < MOST_FILES
    for file in files:
        shutil.copy(file, tmp_path)
    with pytest.raises(SystemExit) as ended:
        main(["rules", "check", str(tmp_path)])
    assert ended.value.code == 2
    said = capsys.readouterr().err.replace(f"{tmp_path}/", "").splitlines()
    wanted = {text for file in files for text in expected(file)}
    assert wanted <= set(said)
    assert all(": duplicate " in text for text in set(said) - wanted)


if __name__ == "__main__":
    for each in FILES:
        each.with_suffix(".txt").write_text("\n".join(said_of(each)) + "\n", encoding="utf-8")
