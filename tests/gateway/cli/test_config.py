"""`check` and `config show`."""

import json
from pathlib import Path

import pytest

from edge_gateway.cli import main


@pytest.fixture
def file(tmp_path: Path) -> Path:
    (tmp_path / "rules").mkdir()
    (tmp_path / "rules" / "none.yaml").write_text("version: 1\ngroups: []\n")
    path = tmp_path / "gateway.yaml"
    path.write_text("mqtt: {url: mqtt://localhost, password: 'file:password'}\nspool: {path: spool}\n")
    return path


def run(*arguments: str) -> object:
    with pytest.raises(SystemExit) as ended:
        main(arguments)
    return ended.value.code


def test_check_reads_rules_and_secrets(file: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run("check", "-c", str(file)) == 2
    assert "password: no such file" in capsys.readouterr().err
    (file.parent / "password").write_text("s3cret")
    assert run("check", "-c", str(file)) == 0
    assert capsys.readouterr().out == "good: 0 rules, 3 windows\n"
    assert run("check", "--json", "-c", str(file)) == 0
    assert json.loads(capsys.readouterr().out)["rules"] == 0


def test_check_says_that_the_default_folder_of_rules_is_not_there(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "gateway.yaml"
    path.write_text("version: 1\nmqtt: {url: mqtt://localhost}\n")
    assert run("check", "-c", str(path)) == 0
    good, said = capsys.readouterr().out.splitlines()
    assert good == "good: 0 rules, 3 windows"
    assert said == f"no rules: {tmp_path / 'rules'}, the default of rules.path, does not exist"


def test_show_prints_every_setting_with_its_origin(file: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run("config", "show", "--json", "-c", str(file)) == 0
    rows = {row["key"]: row for row in json.loads(capsys.readouterr().out)}
    assert rows["mqtt.url"] == {"key": "mqtt.url", "value": "mqtt://localhost", "from": f"{file}:1"}
    assert rows["log.level"]["from"] == "default"
    assert rows["mqtt.password"]["value"].startswith("file:")
    assert run("config", "show", "-c", str(file)) == 0
    assert "mqtt.url" in capsys.readouterr().out
