"""`edge-gateway guard-broker`, as a unit of the service manager runs it before Mosquitto."""

from pathlib import Path

import pytest

from edge_gateway.cli import main


def guarded(database: Path) -> None:
    main(["guard-broker", str(database)])


def test_a_database_full_of_zeros_is_moved_aside_and_told(
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


def test_no_database_is_nothing_to_do(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        guarded(tmp_path / "mosquitto.db")
    assert ended.value.code == 0
    assert capsys.readouterr().err == ""


def test_what_cannot_be_read_is_told(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        guarded(tmp_path)
    assert ended.value.code == 2
    assert "cannot read" in capsys.readouterr().err
