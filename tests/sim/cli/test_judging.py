"""`fleet-sim verify`, and what `grade` shares with it: what they compare and print, and how failures read."""

from __future__ import annotations

import json
import re
import shlex
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from fleet_sim.cli.judging import LOOK_AGAIN, compared, influx_of_run, newest_status
from fleet_sim.judging.stored import InfluxPlace, StoredUnreadable, WindowKey
from fleet_sim.judging.terms import gateway_terms
from fleet_sim.ledger.expected import Facts
from fleet_sim.ledger.writing import LedgerWriter
from tests.servers.process import free_port
from tests.sim.cli.recorded_run import BASE, STATUS, Cli, command_line, history, recorded
from tests.sim.judging.answering_server import answering
from tests.sim.judging.small_runs import both_tiers, ledger_of, row_of, steady


@pytest.fixture
def cli(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Cli:
    return command_line(capsys, monkeypatch)


def test_what_is_stored_right_passes_from_a_file_and_from_a_command(cli: Cli, tmp_path: Path) -> None:
    recorded(
        tmp_path / "run", expect={"delivery.lost": ["==", 0.0, "== 0"], "alerts.missed": ["==", 0, "== 0"]}
    )
    file = history(tmp_path / "windows.jsonl")
    command = f"{sys.executable} -c {shlex.quote(f'print(open({str(file)!r}).read())')}"
    status, out, _ = cli("verify", str(tmp_path / "run"), "--history", str(file), "--history-cmd", command)
    assert status == 0
    assert out.count("wrong windows  0 of 1") == 2
    assert f"verify {tmp_path / 'run'} against {file}" in out
    assert out.count("ok  expected == 0, found 0") == 2, "once a source, and only what verify measures"
    status, out, _ = cli("verify", str(tmp_path / "run"), "--history", str(file), "--json")
    found = json.loads(out)
    assert (status, found["gateway"], found["complete"], len(found["results"])) == (0, "gw", True, 1)


def test_what_is_wrong_is_shown_by_an_example_and_ends_in_1(cli: Cli, tmp_path: Path) -> None:
    recorded(tmp_path / "run", killed=True, count=6)
    file = history(tmp_path / "windows.jsonl", count=4)
    code, out, _ = cli("verify", str(tmp_path / "run"), "--history", str(file))
    assert code == 1
    assert "lost           1" in out
    assert "boot 9 seq 0-4" in out
    assert "not judged     1 window: after the end of the killed run's ledger" in out
    assert "the run was killed: its last second is not judged" in out


def test_windows_that_are_open_are_counted_and_their_close_is_said(
    cli: Cli, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    now = BASE / 1000 + 6.0
    monkeypatch.setattr(time, "time", lambda: now)
    expect = {"delivery.lost": ["==", 0.0, "== 0"]}
    slow = STATUS | {"time": {"idle_close": 30_000}}
    recorded(tmp_path / "run", statuses={"gw": slow}, expect=expect)
    (tmp_path / "none.jsonl").write_text("")
    status, out, err = cli("verify", str(tmp_path / "run"), "--history", str(tmp_path / "none.jsonl"))
    assert status == 4
    assert "not judged     1 window: not closed yet" in out
    assert "open  expected == 0; not measured: no window could be judged" in out
    assert "ok  expected" not in out
    assert "no open window closes in the next 28 s" in out
    assert (
        "though 5 numbers are acknowledged: of the windows, 1 not closed yet; verify again later, or with --wait 40s"
        in err
    )


@pytest.mark.parametrize(
    "case",
    [
        (60_000, 6.0, "60s", "1m10s"),
        (3_600_000, 40.0, "60s", "46m40s"),
        (None, 35.0, "0s", "10s"),
    ],
)
def test_the_wait_that_is_advised_is_as_long_as_windows_may_be_open(
    cli: Cli, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, case: tuple[int | None, float, str, str]
) -> None:
    """Not as long as silence takes to close base windows, which may be shorter than the wait that was used."""
    longer, after, wait, hint = case
    naps = [BASE / 1000 + after]
    monkeypatch.setattr(time, "time", lambda: sum(naps))
    monkeypatch.setattr(time, "sleep", naps.append)
    tiers = [*STATUS["windows"], *([{"every": longer, "bucket": "b"}] if longer else [])]
    status = STATUS | {"windows": tiers, "time": {"idle_close": 30_000}}
    recorded(tmp_path / "run", statuses={"gw": status}, taken_over=True)
    file = history(tmp_path / "windows.jsonl", count=7)
    if longer is None:
        file.write_text("")
    code, _, err = cli("verify", str(tmp_path / "run"), "--history", str(file), "--wait", wait)
    assert (code, err.strip().rpartition("; ")[2]) == (4, f"verify again later, or with --wait {hint}")


def test_of_a_gateway_that_is_offline_nothing_is_judged(cli: Cli, tmp_path: Path) -> None:
    status = STATUS | {"state": "offline", "at": BASE - 40_000}
    recorded(tmp_path / "run", statuses={"gw": status})
    (tmp_path / "none.jsonl").write_text("")
    code, out, err = cli("verify", str(tmp_path / "run"), "--history", str(tmp_path / "none.jsonl"))
    assert code == 4
    assert "acknowledged, 0 judged" in out
    assert ": the gateway is offline" in out
    assert "the gateway 'gw' was offline since 2023-11-14 22:12:40Z" in err
    assert "start it, and verify again" in err


def test_what_the_gateway_did_not_count_is_of_this_run_alone(cli: Cli, tmp_path: Path) -> None:
    """Its counters began with its spool; what it took of earlier runs is not this run's."""
    first, last = (
        STATUS | {"values": {"too_late": late}, "messages": {"not_known": odd}}
        for late, odd in ((7, 40), (8, 42))
    )
    file = str(history(tmp_path / "windows.jsonl"))
    recorded(tmp_path / "run", statuses={"gw": first}, at_end=last)
    out = cli("verify", str(tmp_path / "run"), "--history", file)[1]
    assert re.search("too late +1 reading during the run, by the gateway's own count", out)
    assert re.search("not known +2 messages during the run, by the gateway's own count", out)
    found = json.loads(cli("verify", str(tmp_path / "run"), "--history", file, "--json")[1])
    assert (found["too_late"], found["not_known"]) == (1, 2)
    recorded(tmp_path / "same", statuses={"gw": last}, at_end=last)
    out = cli("verify", str(tmp_path / "same"), "--history", file)[1]
    assert "too late" not in out
    assert "not known" not in out


def test_verify_says_which_devices_were_taken_over(cli: Cli, tmp_path: Path) -> None:
    recorded(tmp_path / "run", taken_over=True)
    file = str(history(tmp_path / "windows.jsonl", count=7))
    status, out, _ = cli("verify", str(tmp_path / "run"), "--history", file)
    assert status == 4, "the only window proves nothing"
    assert "taken over     1 device: another client used the id" in out
    assert json.loads(cli("verify", str(tmp_path / "run"), "--history", file, "--json")[1])["taken_over"] == [
        "d"
    ]


def test_wrong_windows_are_named_in_few_lines(cli: Cli, tmp_path: Path) -> None:
    rows = steady()
    ledger_of(tmp_path / "run", rows)
    stored = both_tiers([row._replace(value=row.value + 1) for row in rows])
    missing = min(key for key in stored if key.every == 5000)
    del stored[missing]
    file = tmp_path / "windows.jsonl"
    file.write_text("\n".join(json.dumps(row_of(key, facts)) for key, facts in stored.items()))
    code, out, _ = cli("verify", str(tmp_path / "run"), "--history", str(file))
    assert code == 1
    named = [line for line in out.splitlines() if "d0 temperature" in line]
    assert len(named) == 3
    assert named[0].startswith("  e.g.  ")
    assert (
        "d0 temperature, 5s from 2023-11-14 22:13:20Z: not stored, expected 5 readings; boot 9 seq 0-4"
        in named[0]
    )
    assert re.search(r"5s from 2023-11-14 22:13:25Z: sum -?[\d.]{1,8}, expected -?[\d.]{1,8}, min", named[1])
    assert "and 11 more; --json names up to 10" in out


@pytest.mark.parametrize(
    ("arguments", "status", "said"),
    [
        ((), 2, "nothing to compare with: give --history-cmd, --history or --influx-url"),
        (("--history", "/nonexistent"), 2, "cannot read /nonexistent: No such file or directory"),
        (("--history-cmd", "/nonexistent"), 2, "cannot run `/nonexistent`: No such file or directory"),
        (("--history-cmd", "printf {}"), 2, "`printf {}`: row 1 is not a window row: 'device' is missing"),
        (("--history-cmd", "sh -c 'exit 3'"), 3, "ended with status 3: it said nothing"),
        (("--influx-url", "localhost:8086"), 2, "--influx-url: 'localhost:8086' is no address"),
        (("--gateway", "other", "--history", "x"), 2, "--gateway: the run did not hear 'other'; it heard gw"),
        (("--wait", "soon", "--history", "x"), 2, "--wait: 'soon' is not a duration"),
    ],
)
def test_what_cannot_be_compared_is_said_with_the_reason(
    cli: Cli, tmp_path: Path, arguments: tuple[str, ...], status: int, said: str
) -> None:
    recorded(tmp_path / "run")
    found, out, err = cli("verify", str(tmp_path / "run"), *arguments)
    assert (found, out) == (status, "")
    assert said in err.replace("\n", " ")
    assert "Errno" not in err
    assert "unexpected" not in err


def test_a_database_is_unreachable_or_refuses_or_answers(
    cli: Cli, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    recorded(tmp_path / "run")
    monkeypatch.setenv("INFLUX_TOKEN", "secret")
    status, _, err = cli("verify", str(tmp_path / "run"), "--influx-url", f"http://127.0.0.1:{free_port()}")
    assert (status, "Connection refused" in err) == (3, True)
    with answering(401, b"{}") as url:
        status, _, err = cli("verify", str(tmp_path / "run"), "--influx-url", url)
    assert (status, "INFLUX_TOKEN must hold" in err) == (2, True)
    with answering(200, b"") as url:
        status, out, _ = cli("verify", str(tmp_path / "run"), "--influx-url", url)
    assert (status, "lost           5" in out) == (1, True)


@pytest.mark.parametrize("command", ["verify", "grade"])
def test_a_run_directory_that_cannot_be_read_is_bad_input(cli: Cli, tmp_path: Path, command: str) -> None:
    status, _, err = cli(command, str(tmp_path / "none"))
    assert status == 2
    assert f"{tmp_path / 'none'}: no ledger.frames there; give the directory" in err
    (tmp_path / "bad").mkdir()
    (tmp_path / "bad" / "ledger.frames").write_bytes(b"hello")
    status, _, err = cli(command, str(tmp_path / "bad"))
    assert (status, "not a ledger of format" in err) == (2, True)


def test_a_run_that_heard_no_gateway_or_several_says_so(tmp_path: Path) -> None:
    with pytest.raises(StoredUnreadable, match="the run heard no gateway, so"):
        newest_status(recorded(tmp_path / "none", statuses={}), None)
    both = recorded(
        tmp_path / "both", statuses={"b": STATUS | {"gateway": "b"}, "a": STATUS | {"gateway": "a"}}
    )
    with pytest.raises(Exception, match="the run heard several; choose one of a, b"):
        newest_status(both, None)
    assert newest_status(both, "b")["gateway"] == "b"


@pytest.mark.parametrize("windows", [None, [], [{}], [{"every": 0}], [{"every": "5s"}], 7, [7]])
def test_a_status_without_windows_is_bad_input(cli: Cli, tmp_path: Path, windows: Any) -> None:
    recorded(tmp_path / "run", statuses={"gw": {"gateway": "gw", "windows": windows}})
    status, _, err = cli("verify", str(tmp_path / "run"), "--history", "x")
    assert status == 2
    assert "the status of gateway 'gw' does not say how it computes windows; run the fleet again" in err


def test_a_run_without_readings_has_nothing_in_the_database(tmp_path: Path) -> None:
    ledger = recorded(tmp_path / "run", count=0)
    assert influx_of_run(ledger, gateway_terms(STATUS), InfluxPlace("http://nowhere", "o", "t")) == {}


def test_it_is_compared_again_until_it_is_right(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    naps: list[float] = []
    monkeypatch.setattr(time, "sleep", naps.append)
    facts = Facts(5, 5.0, 1.0, 1.0, 1.0, 1.0)
    answers = [{}, {}, {WindowKey("d", "t", 5000, BASE): facts}]
    ledger = recorded(tmp_path / "run")
    assert compared(ledger, gateway_terms(STATUS), "test", lambda: answers.pop(0), 60.0).ok
    assert naps == [LOOK_AGAIN] * 2
    assert not compared(ledger, gateway_terms(STATUS), "test", dict, 0.0).ok
    assert naps == [LOOK_AGAIN] * 2, "without patience there is one look"


@pytest.mark.parametrize(
    "arguments", [("verify", "--history", "windows.json"), ("verify",), ("grade",), ("grade", "--json")]
)
def test_a_run_that_goes_on_is_not_judged(tmp_path: Path, cli: Cli, arguments: tuple[str, ...]) -> None:
    run = tmp_path / "run"
    with LedgerWriter(run) as ledger:
        ledger.header({"start_ms": BASE, "started_us": BASE * 1000, "speed": 1.0})
        ledger.note("status", gateway="gw", status=STATUS)
        ledger.flush()
        status, out, err = cli(arguments[0], str(run), *arguments[1:])
    assert (status, out) == (4, "")
    assert f"the run in {run} is still running" in err
    assert f"`fleet-sim ctl stop {run}`" in err
