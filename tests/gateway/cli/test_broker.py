"""`guard-broker`: what it says, and with which status it lets the broker start."""

from pathlib import Path

import pytest

from edge_gateway.cli import main


def guard(path: Path, capsys: pytest.CaptureFixture[str]) -> tuple[object, str]:
    with pytest.raises(SystemExit) as ended:
        main(["guard-broker", str(path)])
    return ended.value.code, capsys.readouterr().err


def test_a_missing_database_is_fine(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert guard(tmp_path / "mosquitto.db", capsys) == (0, "")


def test_a_truncated_database_is_moved_aside_and_named(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    database = tmp_path / "mosquitto.db"
    database.write_bytes(b"\0" * 100)
    status, text = guard(database, capsys)
    assert status == 0
    assert str(database) in text.replace("\n", "")
    (kept,) = tmp_path.iterdir()
    assert kept.name.startswith("mosquitto.db.")
    assert kept.read_bytes() == b"\0" * 100, "moved, not deleted"


def test_a_database_that_cannot_be_read_is_an_error_with_a_remedy(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    status, text = guard(tmp_path, capsys)
    assert status == 2
    assert "run this as the broker's user" in " ".join(text.split())
