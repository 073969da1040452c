"""A gateway goes on with what it read at its start: its file may have mistakes by now."""

from pathlib import Path

import pytest

from edge_gateway.cli import main
from edge_gateway.journal.spool import SOCKET
from tests.gateway.cli.test_options import answering

SPOOL = "spool: {path: spool}\n"


@pytest.fixture
def spool(tmp_path: Path) -> Path:
    path = tmp_path / "spool"
    path.mkdir()
    return path


def status(file: Path) -> int:
    with pytest.raises(SystemExit) as ended:
        main(["clock", "confirm", "--config", str(file), "--json"])
    return int(ended.value.code or 0)


@pytest.mark.parametrize(
    ("text", "mistakes"),
    [
        ("mqqt: {url: mqtt://broker}\n" + SPOOL, "2 mistakes"),
        ("mqtt: {url: mqtt://localhost}\ntime: 5\nspool:\n  # there\n  path: spool\n", "1 mistake "),
        ("mqtt: {url: mqtt://broker\nspool:\n  max_bytes: 1GiB\n\n  path: 'spool'   # there\n", "1 mistake "),
        ("mqtt: [\n" + "spool:\n  path: spool\n", "1 mistake "),
    ],
)
def test_a_gateway_answers_whatever_has_become_of_its_file(
    tmp_path: Path, spool: Path, capsys: pytest.CaptureFixture[str], text: str, mistakes: str
) -> None:
    file = tmp_path / "gateway.yaml"
    file.write_text(text)
    with answering(spool / SOCKET):
        assert status(file) == 0
    told = capsys.readouterr()
    assert told.out == '{"do": "confirm_clock"}\n'
    assert mistakes in told.err
    assert f"edge-gateway check -c {file}" in told.err


def test_a_variable_names_the_spool_before_the_file(
    tmp_path: Path, spool: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = tmp_path / "gateway.yaml"
    file.write_text("spool: {path: elsewhere}\n")
    monkeypatch.setenv("EDGE_GATEWAY_SPOOL_PATH", str(spool))
    with answering(spool / SOCKET):
        assert status(file) == 0


@pytest.mark.parametrize("text", [SPOOL, "spool: 5\n", "- 1\n", "mqtt: [\n", "\x00"])
def test_where_no_gateway_runs_the_mistakes_are_what_is_said(
    tmp_path: Path, spool: Path, capsys: pytest.CaptureFixture[str], text: str
) -> None:
    file = tmp_path / "gateway.yaml"
    file.write_text(text)
    assert status(file) == 2
    assert str(file) in capsys.readouterr().err
