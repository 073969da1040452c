"""`clock confirm`: the running gateway is asked, and says which time it takes for right."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import pytest

from edge_gateway.cli import main
from edge_gateway.journal.spool import SOCKET
from fleet_wire import local_socket


async def test_a_confirmation_is_sent_and_the_answer_printed(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file, asked = tmp_path / "gateway.yaml", list[dict[str, Any]]()
    file.write_text("mqtt: {url: mqtt://localhost}\nspool: {path: spool}\n")
    (tmp_path / "spool").mkdir()

    async def answer(request: dict[str, Any]) -> str:
        asked.append(request)
        return "the gateway takes 2027-01-01 00:00:00Z for the right time"

    def confirm() -> object:
        with pytest.raises(SystemExit) as ended:
            main(["clock", "confirm", "--config", str(file)])
        return ended.value.code

    async with local_socket.serve(tmp_path / "spool" / SOCKET, answer):
        assert await asyncio.to_thread(confirm) == 0
    assert asked == [{"do": "confirm_clock"}]
    assert "2027-01-01 00:00:00Z for the right time" in capsys.readouterr().out
    assert await asyncio.to_thread(confirm) == 3
