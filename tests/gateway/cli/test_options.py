"""How a command reaches the running gateway, and which gateway it means."""

import asyncio
import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from edge_gateway.cli import main, options
from edge_gateway.cli.options import ask, find_config, socket_path
from edge_gateway.configuration.model import GatewayConfig
from edge_gateway.errors import BadInput, CannotReach
from fleet_wire import local_socket


@pytest.fixture
def config(tmp_path: Path) -> GatewayConfig:
    return GatewayConfig.model_validate(
        {"version": 1, "mqtt": {"url": "mqtt://localhost"}, "spool": {"path": tmp_path}}
    )


@contextmanager
def answering(path: Path) -> Iterator[None]:
    """A process that answers with what it was asked, in a thread; a request to fail is an error."""
    started, stop = threading.Event(), threading.Event()

    async def answer(request: dict[str, Any]) -> Any:
        if request["do"] == "fail":
            raise local_socket.RequestFailed("it is starting: ask again")
        if request["do"] == "refuse":
            raise ValueError("no such thing")
        return request

    async def serve() -> None:
        async with local_socket.serve(path, answer):
            started.set()
            await asyncio.to_thread(stop.wait)

    thread = threading.Thread(target=asyncio.run, args=(serve(),))
    thread.start()
    assert started.wait(60)
    try:
        yield
    finally:
        stop.set()
        thread.join(60)


def test_the_answer_is_returned_and_an_error_says_whose_fault_it_is(config: GatewayConfig) -> None:
    with answering(socket_path(config)):
        assert ask(config, {"do": "status"}) == {"do": "status"}
        with pytest.raises(BadInput, match="no such thing"):
            ask(config, {"do": "refuse"})
        with pytest.raises(CannotReach, match="it is starting: ask again"):
            ask(config, {"do": "fail"})


def test_nobody_answers(config: GatewayConfig) -> None:
    with pytest.raises(
        CannotReach, match=r"^no gateway runs on the spool .*; start one with: edge-gateway run "
    ):
        ask(config, {"do": "status"})


def test_the_advice_to_start_one_names_the_file(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = tmp_path / "gateway.yaml"
    file.write_text("mqtt: {url: mqtt://localhost}\nspool: {path: spool}\n")
    with pytest.raises(SystemExit):
        main(["status", "-c", str(file)])
    start = f"edge-gateway run -c {file} (and --embedded if there is no broker at mqtt://localhost)"
    told = f"no gateway runs on the spool {tmp_path / 'spool'}; start one with: {start}\n"
    assert capsys.readouterr().err == told


@pytest.mark.parametrize(
    ("url", "path", "start"),
    [
        ("mqtt://broker.example", "spool", "edge-gateway run"),
        ("mqtts://localhost", "spool", "edge-gateway run"),
        ("mqtt://localhost:1884", ".edge-gateway", "edge-gateway run --embedded"),
    ],
)
def test_a_broker_of_its_own_is_advised_only_where_there_may_be_one(url: str, path: str, start: str) -> None:
    mqtt = {"url": url, "allow_plain": True}
    config = GatewayConfig.model_validate({"version": 1, "mqtt": mqtt, "spool": {"path": path}})
    assert options._run(config, None) == start


def test_without_a_file_the_embedded_gateway_that_ran_here_is_meant(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("edge_gateway.configuration.loading.DEFAULT_FILES", (Path("gateway.yaml"),))
    (tmp_path / ".edge-gateway").mkdir()
    (tmp_path / ".edge-gateway" / "lock").touch()
    assert find_config(None).gateway.id == "embedded"
    (tmp_path / "gateway.yaml").write_text(json.dumps({"version": 1, "mqtt": {"url": "mqtt://localhost"}}))
    assert find_config(None).gateway.id == "auto"
