"""`doctor`: its table, its JSON and its exit status."""

import json
from pathlib import Path

import pytest

from edge_gateway.cli import main


def doctor(file: Path, *more: str) -> object:
    with pytest.raises(SystemExit) as ended:
        main(["doctor", "--embedded", "--config", str(file), *more])
    return ended.value.code


@pytest.fixture
def file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "rules").mkdir()
    path = tmp_path / "gateway.yaml"
    path.write_text("spool: {path: spool}\n")
    return path


def test_each_check_is_a_row_and_a_broken_rule_fails_the_command(
    file: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (file.parent / "rules" / "bad.yaml").write_text("version: 2\n")
    assert doctor(file, "--json") == 1
    findings = {row["check"]: row for row in json.loads(capsys.readouterr().out)}
    assert list(findings) == ["clock", "spool", "sync", "secrets", "rules", "influx"]
    assert not findings["rules"]["ok"]
    assert "bad.yaml:1:" in findings["rules"]["detail"]
    assert findings["influx"] == {
        "check": "influx",
        "ok": True,
        "detail": "not configured: history only",
    }


def test_the_table_marks_what_is_wrong(
    file: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("edge_gateway.doctor._clock", lambda _: "synchronised")
    monkeypatch.setattr("edge_gateway.doctor.RESERVE", 1 << 60)
    assert doctor(file) == 1
    lines = capsys.readouterr().out.splitlines()
    assert any("WRONG" in line and "spool" in line for line in lines)
    assert any("ok" in line and "0 rules, good" in line for line in lines)
