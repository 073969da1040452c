"""Whatever is asked of `edge-gateway`, the answer is one clear text and an exit status."""

import os
import socket
import subprocess
import sys
from pathlib import Path

import pytest
import typer

from edge_gateway.cli import main
from edge_gateway.cli.inspect import instant_of
from tests.other_users import AS_ROOT, NOBODY, acting_as, open_to_all

ROOT = Path(__file__).parents[3]
NOW = 1_790_000_000_000


@pytest.fixture
def file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("COLUMNS", "200")
    path = tmp_path / "gateway.yaml"
    path.write_text("mqtt: {url: mqtt://localhost}\nspool: {path: spool}\n")
    return path


@pytest.mark.parametrize(
    ("arguments", "status", "told"),
    [
        (["query", "windows", "--limit", "-1"], 2, "greater than or equal to 0"),
        (["query", "windows", "--limit", "99999999999999999999"], 2, "less than or equal to"),
        (["query", "windows", "--since", "odd"], 2, "--since: 'odd' is not a time"),
        (["query", "devices", "--until", "1" * 30], 2, "is not a time"),
        (["query", "windows", "--every", "7"], 2, "--every: '7' is not a duration"),
        (["query", "moons"], 2, "is not one of"),
        (["query", "windows"], 2, "there is no history at"),
        (["query", "devices"], 2, "there is no checkpoint at"),
        (["status"], 3, "no gateway runs on the spool"),
        (["devices", "[/red]\x1b[2J"], 3, "no gateway runs on the spool"),
        (["spool", "inspect"], 2, "there is no spool at"),
        (
            ["rules", "test", "--junit", "/nonexistent/x.xml"],
            2,
            "--junit: /nonexistent/x.xml cannot be written",
        ),
        (["influx", "status"], 2, "no 'influx:' section"),
        (["[/red]"], 2, "No such command"),
    ],
)
def test_bad_usage_is_told(
    file: Path, capsys: pytest.CaptureFixture[str], arguments: list[str], status: int, told: str
) -> None:
    config = ["--config", str(file)] if arguments != ["[/red]"] else []
    with pytest.raises(SystemExit) as ended:
        main([*arguments, *config])
    said = capsys.readouterr().err
    assert ended.value.code == status
    assert told in said
    assert "Traceback" not in said
    assert "unexpected" not in said


@AS_ROOT
@pytest.mark.parametrize(
    "command", [["status"], ["query", "windows"], ["query", "devices"], ["spool", "inspect"]]
)
@pytest.mark.parametrize("closed", ["spool", "inside"])
def test_what_a_user_may_not_use_is_told(
    file: Path, capsys: pytest.CaptureFixture[str], command: list[str], closed: str
) -> None:
    """A spool of root's, and nobody asks."""
    open_to_all(file.parent)
    spool, rules = file.parent / "spool", file.parent / "rules"
    spool.mkdir()
    rules.mkdir()
    (spool / "checkpoints").mkdir(mode=0o700)
    (spool / "store.sqlite").touch()
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(spool / "control.sock"))
        for path in (spool / "store.sqlite", spool / "control.sock"):
            path.chmod(0o600)
        if closed == "spool":
            spool.chmod(0o700)
        with acting_as(NOBODY), pytest.raises(SystemExit) as ended:
            main([*command, "--config", str(file)])
    said = capsys.readouterr()
    assert ended.value.code in {1, 2, 3}
    told = said.err + said.out
    assert any(words in told for words in ("ermission denied", "by this user", "belongs to the user"))
    assert "unexpected" not in said.err


@pytest.mark.parametrize("subject", ["windows", "last", "alerts", "quarantine"])
def test_a_history_that_is_damaged_is_told(
    file: Path, capsys: pytest.CaptureFixture[str], subject: str
) -> None:
    (file.parent / "spool").mkdir()
    (file.parent / "spool" / "store.sqlite").write_bytes(b"SQLite format 3\0" + b"\xa5" * 9000)
    with pytest.raises(SystemExit) as ended:
        main(["query", subject, "--config", str(file)])
    said = capsys.readouterr().err
    assert ended.value.code == 2
    assert "cannot be read" in said
    assert "unexpected" not in said


def test_a_text_of_a_file_is_safe_in_an_error(file: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file.write_text('mqtt: {url: "\\e[2J[/red]", "\\e]8;;\\u202e": 1}\nlog: {level: "\\r\\n"}\n')
    with pytest.raises(SystemExit) as ended:
        main(["check", "--config", str(file)])
    lines = capsys.readouterr().err.removesuffix("\n").split("\n")
    assert ended.value.code == 2
    assert len(lines) == 3
    assert all(line.isprintable() and line.startswith(str(file)) for line in lines)


def test_a_time_is_a_duration_ago_a_date_or_milliseconds() -> None:
    assert instant_of("1h", NOW, "--since") == NOW - 3_600_000
    assert instant_of("1970-01-02", NOW, "--since") == 86_400_000
    assert instant_of("1970-01-01T01:00+01:00", NOW, "--since") == 0
    assert instant_of("1234", NOW, "--since") == 1234
    assert instant_of("-5", NOW, "--since") == -5
    assert instant_of(None, NOW, "--since") is None
    for odd in ("", "odd", "1.5", "9" * 40, "9999-12-31T23:59:59-23:59", "nan", "-1h"):
        with pytest.raises(typer.BadParameter, match="is not a time"):
            instant_of(odd, NOW, "--since")


@pytest.mark.parametrize(
    ("module", "name"), [("edge_gateway", "edge-gateway"), ("fleet_sim.cli", "fleet-sim")]
)
def test_both_programs_know_their_version(module: str, name: str) -> None:
    done = subprocess.run(
        [sys.executable, "-m", module, "--version"], capture_output=True, text=True, cwd=ROOT, check=True
    )
    assert done.stdout.startswith(f"{name} ")
    assert len(done.stdout.split()) == 2


@pytest.mark.parametrize("encoding", ["ascii", "utf-8", "iso8859-1"])
def test_any_encoding_of_the_output_will_do(file: Path, encoding: str) -> None:
    file.write_text('mqtt: {url: mqtt://localhost}\nmetrics: {t: {unit: "°C日\\u2028"}}\n')
    told = {}
    for form in ([], ["--json"]):
        done = subprocess.run(
            [sys.executable, "-m", "edge_gateway", "config", "show", *form, "--config", str(file)],
            capture_output=True, cwd=ROOT, check=False, env={**os.environ, "PYTHONIOENCODING": encoding},
        )  # fmt: skip
        assert (done.returncode, done.stderr) == (0, b"")
        told[len(form)] = done.stdout.decode(encoding)
    assert all(line.isprintable() for text in told.values() for line in text.removesuffix("\n").split("\n"))
