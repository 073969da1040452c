"""`doctor`: its table, its JSON and its exit status."""

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from edge_gateway import doctor as checks
from edge_gateway.cli import main
from edge_gateway.configuration.model import GatewayConfig
from edge_gateway.doctor import CheckResult
from edge_gateway.journal import spool
from edge_gateway.journal.segments import Journal
from edge_gateway.recovery.startup import recover_spool
from edge_gateway.status.clock import MachineClock
from edge_gateway.status.problem import Gravity


def doctor(file: Path, *more: str) -> object:
    with pytest.raises(SystemExit) as ended:
        main(["doctor", "--embedded", "--config", str(file), *more])
    return ended.value.code


@pytest.fixture
def file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "rules").mkdir()
    (tmp_path / "rules" / "none.yaml").write_text("version: 1\ngroups: []\n")
    path = tmp_path / "gateway.yaml"
    path.write_text("spool: {path: spool}\n")
    return path


def test_each_check_is_a_row_and_a_broken_rule_fails_the_command(
    file: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (file.parent / "rules" / "bad.yaml").write_text("version: 2\n")
    assert doctor(file, "--json") == 1
    findings = {row["check"]: row for row in json.loads(capsys.readouterr().out)}
    assert list(findings) == ["clock", "spool", "owners", "sync", "secrets", "rules", "influx", "stored"]
    assert not findings["rules"]["ok"]
    assert "bad.yaml:1:" in findings["rules"]["detail"]
    assert findings["influx"] == {
        "check": "influx",
        "ok": True,
        "detail": "not configured: history only",
        "gravity": None,
        "since": None,
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


@pytest.fixture
def output(file: Path, capsys: pytest.CaptureFixture[str]) -> Callable[[], tuple[object, str]]:
    """Runs the command; its exit status, and what it prints."""
    return lambda: (doctor(file), capsys.readouterr().out)


@pytest.fixture
def healthy(monkeypatch: pytest.MonkeyPatch) -> None:
    """A machine that has nothing wrong, checked at once."""
    monkeypatch.setattr("edge_gateway.doctor._checks", lambda *, embedded: ())  # noqa: ARG005 - as the original


@pytest.mark.usefixtures("healthy")
@pytest.mark.parametrize(
    ("gravity", "expected"),
    [(Gravity.FAILURE, (1, "WRONG")), (Gravity.WARNING, (0, "warning")), (Gravity.NOTICE, (0, "notice"))],
)
def test_the_status_follows_the_gravest_problem_of_the_running_gateway(
    output: Callable[[], tuple[object, str]],
    monkeypatch: pytest.MonkeyPatch,
    gravity: Gravity,
    expected: tuple[int, str],
) -> None:
    problem = CheckResult("problem x", gravity is not Gravity.FAILURE, "what", gravity, 1_790_000_000_000)
    monkeypatch.setattr(
        checks, "check_gateway", lambda _: [CheckResult("gateway", ok=True, detail=""), problem]
    )
    status, printed = output()
    (line,) = [line for line in printed.splitlines() if "problem x" in line]
    assert (status, line.split()[0]) == expected
    assert "what (since 2026-09-21 14:13:20Z)" in line


@pytest.mark.usefixtures("healthy")
def test_what_a_stopped_gateway_has_stored_is_checked(file: Path, capsys: pytest.CaptureFixture[str]) -> None:
    place = file.parent / "spool"
    assert doctor(file) == 0
    said = capsys.readouterr().out
    assert "no gateway has run here yet" in said
    assert "none runs" not in said
    assert not place.exists()
    with spool.held(place):
        Journal.open(place / spool.JOURNAL)
    (place / spool.STORE).write_bytes(b"no database" * 1_000)
    assert doctor(file) == 1
    (line,) = [line for line in capsys.readouterr().out.splitlines() if "stored" in line]
    assert "WRONG" in line
    assert "edge-gateway spool verify" in line
    with spool.held(place):
        assert doctor(file) == 1
    said = capsys.readouterr().out
    assert "another gateway is using the spool" in said
    assert "none runs" not in said


@pytest.mark.usefixtures("healthy")
def test_that_no_gateway_runs_on_a_sound_spool_is_a_warning(
    file: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    settings = GatewayConfig.model_validate({"mqtt": {"url": "mqtt://localhost"}})
    with spool.held(file.parent / "spool") as place:
        startup = recover_spool(place, settings, "gw", MachineClock())
        startup.journal.close()
        startup.store.close()
    assert doctor(file) == 0
    rows = [line.split(maxsplit=2) for line in capsys.readouterr().out.splitlines()]
    assert ["warning", "gateway", "none runs on this spool"] in [
        [cell.strip() for cell in row] for row in rows
    ]
