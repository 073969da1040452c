"""`fleet-sim ctl`: what it asks a running fleet, and how failures read."""

import asyncio
import json
import socket
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from fleet_sim.cli import controlling, main
from fleet_sim.cli.outcome import show_result
from fleet_sim.devices.pacing import Percentiles
from fleet_sim.runtime.requests import socket_of
from fleet_wire import local_socket
from tests.sim.results import result, snapshot

ANSWERS: dict[str, Any] = {
    "status": snapshot(up=4, waiting=3, overruns=1).as_dict(),
    "fault": {
        "number": 7,
        "kind": "stuck",
        "metric": "t",
        "devices": 1,
        "named": ["a"],
        "once": False,
        "until": None,
        "repaired_by": None,
    },
    "disconnect": {
        "number": 8,
        "kind": "offline",
        "metric": None,
        "devices": 7,
        "named": ["a", "b"],
        "once": False,
        "until": 1_767_225_603_000,
        "repaired_by": None,
    },
}


@pytest.fixture
def asked(tmp_path: Path) -> Iterator[list[dict[str, Any]]]:
    """Serve the socket of a run in `tmp_path`; gives the requests that arrived."""
    requests: list[dict[str, Any]] = []
    ready, loop = threading.Event(), asyncio.new_event_loop()
    stop = asyncio.Event()

    async def answer(request: dict[str, Any]) -> Any:
        requests.append(request)
        if request["do"] not in ANSWERS:
            raise ValueError("the run failed; its own output says why")
        return ANSWERS[request["do"]]

    async def serve() -> None:
        async with local_socket.serve(socket_of(tmp_path), answer):
            ready.set()
            await stop.wait()

    thread = threading.Thread(target=lambda: loop.run_until_complete(serve()))
    thread.start()
    assert ready.wait(60)
    yield requests
    loop.call_soon_threadsafe(stop.set)
    thread.join(60)
    loop.close()


def ctl(*arguments: str) -> int:
    with pytest.raises(SystemExit) as ended:
        main(["ctl", *arguments])
    return int(ended.value.code or 0)


def test_requests_carry_match_and_settings_as_yaml_reads_them(
    tmp_path: Path, asked: list[dict[str, Any]], capsys: pytest.CaptureFixture[str]
) -> None:
    run = str(tmp_path)
    assert ctl("status", run, "--json") == 0
    assert (
        ctl("fault", run, "stuck", "-m", "share=0.5", "--set", "metric=t", "--set", "for=30s", "--json") == 0
    )
    assert ctl("disconnect", run, "--match", "site=[a, b]", "--for", "3s", "--json") == 0
    assert asked == [
        {"do": "status"},
        {"do": "fault", "fault": {"kind": "stuck", "match": {"share": 0.5}, "metric": "t", "for": "30s"}},
        {"do": "disconnect", "match": {"site": ["a", "b"]}, "for": 3000},
    ]
    printed = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert printed == list(ANSWERS.values())


def test_answers_are_in_words_unless_json_is_asked_for(
    tmp_path: Path, asked: list[dict[str, Any]], capsys: pytest.CaptureFixture[str]
) -> None:
    run = str(tmp_path)
    assert ctl("fault", run, "stuck", "--set", "metric=t") == 0
    assert ctl("disconnect", run, "--for", "3s") == 0
    assert capsys.readouterr().out.splitlines() == [
        "fault 7: stuck of t on 1 device: a",
        f"it lasts until the run ends (`fleet-sim ctl stop {run}`); `--set for=30s` gives a fault an end of its own",
        "fault 8: offline on 7 devices: a, b and 5 more",
        "it ends by itself at 2026-01-01 00:00:03Z",
    ]
    assert ctl("status", run) == 0
    said = capsys.readouterr().out
    assert said.splitlines()[0] == f"run in {run}"
    assert "4 of 1000 connected, 0 reconnects" in said
    assert "0 without PUBACK, 3 in buffers, 0 lost" in said
    assert "1 overrun\n" in said
    assert len(asked) == 3


@pytest.mark.parametrize(
    ("changed", "said"),
    [
        ({"once": True}, "it happens once and ends by itself"),
        ({"repaired_by": "t.setpoint"}, "(`fleet-sim ctl stop run`), or when a command changes t.setpoint; "),
        ({"until": 0, "repaired_by": "t.setpoint"}, "at 1970-01-01 00:00:00Z, or when a command changes"),
    ],
)
def test_the_end_of_a_fault_is_told(changed: dict[str, Any], said: str) -> None:
    assert said in controlling.started_lines(ANSWERS["fault"] | changed, Path("run"))[1]


def test_what_failed_is_told_after_a_stop(
    tmp_path: Path,
    asked: list[dict[str, Any]],
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setitem(ANSWERS, "stop", result("stopped", unacked=3).summary())
    assert ctl("stop", str(tmp_path)) == 0
    assert "3 messages were not acknowledged: 3 without PUBACK, 0 never sent" in capsys.readouterr().err
    assert asked == [{"do": "stop"}]


def test_the_result_of_a_stop_is_the_table_that_the_run_prints(
    tmp_path: Path,
    asked: list[dict[str, Any]],
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setitem(ANSWERS, "stop", result("stopped").summary())
    assert ctl("stop", str(tmp_path)) == 0
    stopped = capsys.readouterr().out
    show_result(result("stopped"), [], as_json=False)
    assert stopped == capsys.readouterr().out
    assert ctl("stop", str(tmp_path), "--json") == 0
    assert json.loads(capsys.readouterr().out) == ANSWERS["stop"]
    assert asked == [{"do": "stop"}] * 2


@pytest.mark.parametrize(
    ("arguments", "ended"),
    [
        (("status",), (3, "gave no answer within 0.2 s; it may be too busy, try again")),
        (("stop", "--within", "200ms"), (1, "told to stop 200ms ago and is still settling")),
    ],
)
def test_a_fleet_that_does_not_answer_is_said_to_be_busy(
    arguments: tuple[str, ...],
    ended: tuple[int, str],
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(controlling, "ANSWER_WITHIN", 0.2)
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as mute:
        mute.bind(str(socket_of(tmp_path)))
        mute.listen()
        assert ctl(arguments[0], str(tmp_path), *arguments[1:]) == ended[0]
    assert ended[1] in capsys.readouterr().err.replace("\n", " ")


def test_what_the_fleet_refuses_is_a_usage_error(
    tmp_path: Path, asked: list[dict[str, Any]], capsys: pytest.CaptureFixture[str]
) -> None:
    assert ctl("stop", str(tmp_path)) == 2
    assert asked == [{"do": "stop"}]
    assert "its own output says why" in capsys.readouterr().err


def test_without_a_run_it_is_3(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert ctl("status", str(tmp_path)) == 3
    assert f"no fleet runs in {tmp_path}" in capsys.readouterr().err.replace("\n", "")


def test_a_setting_without_a_value_is_a_usage_error(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert ctl("fault", str(tmp_path), "stuck", "--set", "metric") == 2
    assert "'metric' is not of the form NAME=VALUE" in capsys.readouterr().err


def test_what_was_not_measured_in_the_last_second_is_none() -> None:
    nothing = Percentiles(0, 0.0, 0.0, 0.0, 0.0, 0.0)
    rows = dict(controlling.status_rows(snapshot(ack_now=nothing).as_dict()))
    assert rows["ack"] == "p99 none in the last second"
