"""Rule files that nobody means well with: each is told in bounded time and words, by `rules check` and on a reload."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from edge_gateway.cli import main
from edge_gateway.rules.files.load import MOST_FILES, load_rules, rule_files
from fleet_config.problems import MOST_PROBLEMS, ProblemsFound
from tests.hostile_files import NO_FILES, RULE, TEXTS, refusal_of

LONGEST = 64 << 10


def refusal(path: Path) -> ProblemsFound:
    return refusal_of(lambda: load_rules(path))


@pytest.mark.parametrize("kind", NO_FILES)
def test_one_that_is_no_file_does_not_hide_the_faults_of_another(tmp_path: Path, kind: str) -> None:
    make, fault = NO_FILES[kind]
    make(tmp_path / "x.yaml")
    (tmp_path / "y.yaml").write_text(RULE % ", abov: 2")
    first, second = refusal(tmp_path).problems
    assert first.message == fault
    assert second.message.startswith("unknown key 'abov'")


@pytest.mark.parametrize("kind", TEXTS)
def test_a_text_that_is_dear_to_read(tmp_path: Path, kind: str) -> None:
    text, fault = TEXTS[kind]
    (tmp_path / "x.yaml").write_text(text)
    found = refusal(tmp_path)
    assert fault in str(found)
    assert len(str(found)) < LONGEST
    assert len(found.problems) <= 2 * MOST_PROBLEMS


@pytest.mark.parametrize("kind", ["fifo", "loop", "zero", "directory", "huge"])
def test_rules_check_tells_it_and_exits_2(
    tmp_path: Path, kind: str, capsys: pytest.CaptureFixture[str]
) -> None:
    make, fault = NO_FILES[kind]
    make(tmp_path / "x.yaml")
    with pytest.raises(SystemExit) as ended:
        main(["rules", "check", str(tmp_path)])
    assert ended.value.code == 2
    assert capsys.readouterr().err == f"{tmp_path / 'x.yaml'}: {fault}\n"
    with pytest.raises(SystemExit):
        main(["rules", "check", "--json", str(tmp_path)])
    assert [one["message"] for one in json.loads(capsys.readouterr().out)["problems"]] == [fault]


@pytest.mark.parametrize("kind", ["fifo", "loop", "zero", "directory", "huge"])
def test_the_same_for_gateway_yaml(tmp_path: Path, kind: str, capsys: pytest.CaptureFixture[str]) -> None:
    make, fault = NO_FILES[kind]
    make(tmp_path / "gateway.yaml")
    with pytest.raises(SystemExit) as ended:
        main(["check", "--config", str(tmp_path / "gateway.yaml")])
    assert ended.value.code == 2
    assert capsys.readouterr().err == f"{tmp_path / 'gateway.yaml'}: {fault}\n"


def test_more_files_than_are_read(tmp_path: Path) -> None:
    for number in range(MOST_FILES + 1):
        (tmp_path / f"{number}.yaml").write_text("")
    assert refusal(tmp_path).problems[0].message == f"more than {MOST_FILES} rule files"
    (tmp_path / "0.yaml").unlink()
    assert len(rule_files(tmp_path)) == MOST_FILES


def test_a_directory_that_cannot_be_read_is_not_one_without_rules(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def forbidden(path: Path) -> None:
        raise PermissionError(13, "Permission denied", str(path))

    monkeypatch.setattr("edge_gateway.rules.files.load.os.scandir", forbidden)
    assert refusal(tmp_path).problems[0].message == "cannot be read: Permission denied"
