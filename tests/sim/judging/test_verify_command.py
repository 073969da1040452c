"""`fleet-sim verify`: its exit status, and what it says of what it lacks."""

import json
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from fleet_sim.cli import main
from fleet_sim.ledger.writing import LedgerWriter
from tests.sim.judging.small_runs import both_tiers, ledger_of, row_of, steady


@pytest.fixture
def exit_status(capsys: pytest.CaptureFixture[str]) -> Callable[..., tuple[int, str, str]]:
    def run(*arguments: str) -> tuple[int, str, str]:
        with pytest.raises(SystemExit) as ended:
            main(arguments)
        code = ended.value.code
        said = capsys.readouterr()
        return code if isinstance(code, int) else 1, said.out, said.err

    return run


def test_the_command_line_judges_by_its_exit_status(
    tmp_path: Path, exit_status: Callable[..., tuple[int, str, str]]
) -> None:
    rows = steady()
    ledger_of(tmp_path / "run", rows)
    history = tmp_path / "windows.jsonl"
    stored = both_tiers(rows)
    history.write_text("\n".join(json.dumps(row_of(key, facts)) for key, facts in stored.items()))
    reader = f"{sys.executable} -c 'print(open(\"{history}\").read())'"
    for source in (("--history", str(history)), ("--history-cmd", reader)):
        status, out, _ = exit_status("verify", str(tmp_path / "run"), *source, "--json")
        [result] = json.loads(out)["results"]
        assert (status, result["lost"], result["wrong_windows"], result["windows"]) == (0, 0, 0, 14)
    history.write_text(history.read_text().split("\n", 1)[1])
    status, out, _ = exit_status("verify", str(tmp_path / "run"), "--history", str(history))
    assert status == 1
    assert "lost           5" in out
    assert "boot 9 seq 0-4" in out


def test_verify_says_what_it_lacks(tmp_path: Path, exit_status: Callable[..., tuple[int, str, str]]) -> None:
    ledger_of(tmp_path / "run", steady())
    assert exit_status("verify", str(tmp_path / "run"))[0] == 2
    assert exit_status("verify", str(tmp_path / "none"), "--history", "x")[0] == 2
    status, _, err = exit_status("verify", str(tmp_path / "run"), "--history", str(tmp_path / "x"))
    assert (status, "cannot read" in err) == (2, True)
    with LedgerWriter(tmp_path / "deaf") as ledger:
        ledger.header({})
    status, _, err = exit_status("verify", str(tmp_path / "deaf"), "--history", str(tmp_path / "x"))
    assert status == 2
    assert "the run heard no gateway" in err


@pytest.mark.parametrize(
    "given",
    [
        ("nonsense:8086", "t", "'nonsense:8086' is no address"),
        ("http://localhost:99999", "t", "'http://localhost:99999' is no address"),
        ("http://[::1", "t", "'http://[::1' is no address"),
        ("http://", "t", "'http://' is no address"),
        ("http://localhost:8086", "top\nsecret", "INFLUX_TOKEN holds what no token does"),
    ],
)
def test_a_database_that_cannot_be_asked_is_told(
    tmp_path: Path,
    exit_status: Callable[..., tuple[int, str, str]],
    monkeypatch: pytest.MonkeyPatch,
    given: tuple[str, str, str],
) -> None:
    url, token, told = given
    monkeypatch.setenv("COLUMNS", "200")
    monkeypatch.setenv("INFLUX_TOKEN", token)
    ledger_of(tmp_path / "run", steady())
    status, _, err = exit_status("verify", str(tmp_path / "run"), "--influx-url", url)
    assert status == 2
    assert told in err
    assert "secret" not in err
