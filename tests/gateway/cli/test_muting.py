"""`silence` and `ack`: what is asked of the running gateway, and what is said without one."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import pytest

from edge_gateway.cli import main
from edge_gateway.journal.spool import SOCKET
from fleet_wire import local_socket

ADDED = {"id": 3, "match": "site=berlin", "commands": False, "until": 0, "muted": 0, "warning": "no site"}


class Ran:
    """Commands against a socket that answers."""

    def __init__(self, directory: Path, answer: Any) -> None:
        self.file, self.answer = directory / "gateway.yaml", answer
        self.socket = directory / "spool" / SOCKET
        self.asked: list[dict[str, Any]] = []
        self.file.write_text("mqtt: {url: mqtt://localhost}\nspool: {path: spool}\n")
        (directory / "spool").mkdir()

    async def __call__(self, *arguments: str) -> object:
        async with local_socket.serve(self.socket, self._answer):
            return await asyncio.to_thread(self.run, *arguments)

    def run(self, *arguments: str) -> object:
        with pytest.raises(SystemExit) as ended:
            main([*arguments, "--config", str(self.file)])
        return ended.value.code

    async def _answer(self, request: dict[str, Any]) -> Any:
        self.asked.append(request)
        return self.answer


async def test_a_silence_is_asked_for(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    ran = Ran(tmp_path, ADDED)
    words = ("--match", "site=berlin,lyon", "--match", "site=oslo", "--alert", "Hot/f1", "--commands")
    assert await ran("silence", "add", *words, "--until", "2h", "--why", "defrosting") == 0
    assert ran.asked == [
        {
            "do": "silence",
            "match": {"site": ["berlin", "lyon", "oslo"], "alert": ["Hot"], "subject": ["f1"]},
            "until": "2h",
            "why": "defrosting",
            "commands": True,
        }
    ]
    said = capsys.readouterr().out
    assert "silence 3: no notices of site=berlin until" in said
    assert "edge-gateway silence end 3" in said
    assert "it matches nothing now: no site" in said


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("--match", "berlin"), "'berlin' is no selection; write site=berlin"),
        (("--alert", "Hot/"), "'Hot/' names no alert; write RULE/DEVICE"),
    ],
)
def test_what_is_no_selection_is_refused(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], words: tuple[str, ...], said: str
) -> None:
    assert Ran(tmp_path, None).run("silence", "add", *words, "--until", "2h", "--why", "w") == 2
    assert said in " ".join(capsys.readouterr().err.replace("│", " ").split())


async def test_silences_are_listed_and_ended_and_alerts_acknowledged(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    ran = Ran(tmp_path, "done")
    assert await ran("silence", "end", "3") == 0
    assert await ran("ack", "Hot/f1", "--why", "on my way") == 0
    ran.answer = []
    assert await ran("silence", "ls") == 0
    assert await ran("alerts", "--unacknowledged") == 0
    assert ran.asked == [
        {"do": "end_silence", "silence": 3},
        {"do": "acknowledge", "alert": "Hot/f1", "why": "on my way"},
        {"do": "silences"},
        {"do": "unacknowledged"},
    ]
    assert "nothing is silenced" in capsys.readouterr().out


def test_without_a_running_gateway_it_is_said_how_to_start_one(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert Ran(tmp_path, None).run("silence", "ls") == 3
    assert "no gateway runs on the spool" in capsys.readouterr().err
