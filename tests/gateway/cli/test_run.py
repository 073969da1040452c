"""`run`: what it sets up before the gateway starts, and how a signal ends it."""

import asyncio
import os
import signal
from pathlib import Path
from typing import Any

import pytest

from edge_gateway.cli import main
from edge_gateway.journal import spool
from edge_gateway.service import app as composition


@pytest.fixture
def file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A configuration; the process keeps its umask, its logs and its allocator."""
    monkeypatch.setattr("edge_gateway.status.logs.set_up_logs", lambda *_: None)
    monkeypatch.setattr("edge_gateway.service.malloc.return_free_memory", lambda: None)
    monkeypatch.setattr("os.umask", lambda _: 0)
    path = tmp_path / "gateway.yaml"
    path.write_text("mqtt: {url: mqtt://localhost}\nspool: {path: spool}\n")
    return path


@pytest.mark.parametrize(("number", "status"), [(signal.SIGTERM, 0), (signal.SIGINT, 130)])
def test_a_signal_stops_the_gateway(
    file: Path, monkeypatch: pytest.MonkeyPatch, number: signal.Signals, status: int
) -> None:
    started: dict[str, Any] = {}

    async def run(_: object, *, stop: asyncio.Event, **places: Any) -> None:
        started.update(places)
        os.kill(os.getpid(), number)
        async with asyncio.timeout(60):
            await stop.wait()

    monkeypatch.setattr(composition, "run", run)
    with pytest.raises(SystemExit) as ended:
        main(["run", "--config", str(file)])
    assert ended.value.code == status
    assert started == {"socket": file.parent / "spool" / "control.sock", "embedded": False}


def test_the_log_begins_with_the_configuration_and_the_spool(
    file: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    async def run(*_: object, **__: object) -> None:
        pass

    monkeypatch.setattr(composition, "run", run)
    with caplog.at_level("INFO"), pytest.raises(SystemExit):
        main(["run", "--config", str(file)])
    assert caplog.messages[0] == f"configuration: {file}; spool: {file.parent / 'spool'}"


def test_a_spool_in_use_is_refused_before_the_program_is_imported(
    file: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def never(*_: object) -> None:
        raise AssertionError("the gateway was started")

    monkeypatch.setattr("asyncio.run", never)
    with spool.held(file.parent / "spool"), pytest.raises(SystemExit) as ended:
        main(["run", "--config", str(file)])
    assert ended.value.code == 2
    assert "another gateway is using the spool" in capsys.readouterr().err


@pytest.mark.parametrize(("arguments", "form"), [([], "text"), (["--json"], "json")])
def test_json_logs_are_asked_for_by_option_or_configuration(
    file: Path, monkeypatch: pytest.MonkeyPatch, arguments: list[str], form: str
) -> None:
    forms: list[tuple[str, str]] = []
    monkeypatch.setattr("edge_gateway.status.logs.set_up_logs", lambda *given: forms.append(given))

    async def run(*_: object, **__: object) -> None:
        return

    monkeypatch.setattr(composition, "run", run)
    file.write_text(file.read_text() + "log: {level: debug, format: text}\n")
    with pytest.raises(SystemExit):
        main(["run", "--config", str(file), *arguments])
    assert forms == [("debug", form)]
