"""`fleet-sim ctl`: what it asks a running fleet, and how failures read."""

import asyncio
import json
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from fleet_sim.cli import main
from fleet_sim.runtime.requests import socket_of
from fleet_wire import local_socket

ANSWERS: dict[str, Any] = {"status": {"up": 4}, "fault": {"number": 7}, "disconnect": {"number": 8}}


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
    assert ctl("status", run) == 0
    assert ctl("fault", run, "stuck", "-m", "share=0.5", "--set", "metric=t", "--set", "for=30s") == 0
    assert ctl("disconnect", run, "--match", "site=[a, b]", "--for", "3s") == 0
    assert asked == [
        {"do": "status"},
        {"do": "fault", "fault": {"kind": "stuck", "match": {"share": 0.5}, "metric": "t", "for": "30s"}},
        {"do": "disconnect", "match": {"site": ["a", "b"]}, "for": 3000},
    ]
    printed = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert printed == list(ANSWERS.values())


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
    assert "'metric' is no NAME=VALUE" in capsys.readouterr().err
