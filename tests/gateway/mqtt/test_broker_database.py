"""`edge-gateway guard-broker`, as a unit of the service manager runs it before Mosquitto."""

from pathlib import Path

import pytest

from edge_gateway.cli import main


def guarded(database: Path) -> None:
    main(["guard-broker", str(database)])


def test_a_zeroed_database_is_moved_aside_and_reported(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    database = tmp_path / "mosquitto.db"
    database.write_bytes(bytes(4096))
    with pytest.raises(SystemExit) as ended:
        guarded(database)
    assert ended.value.code == 0
    assert not database.exists()
    (aside,) = tmp_path.iterdir()
    assert aside.read_bytes() == bytes(4096)
    told = "".join(capsys.readouterr().err.split("\n"))
    assert "not a Mosquitto database" in told
    assert aside.name in told


def test_a_missing_database_is_left_alone(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        guarded(tmp_path / "mosquitto.db")
    assert ended.value.code == 0
    assert capsys.readouterr().err == ""


def test_an_unreadable_database_is_an_error(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        guarded(tmp_path)
    assert ended.value.code == 2
    assert "cannot read" in capsys.readouterr().err
