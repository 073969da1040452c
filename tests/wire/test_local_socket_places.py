"""No client of the local socket holds a place for ever, whatever it does or leaves undone."""

from __future__ import annotations

import asyncio
import json
import socket
import threading
from collections.abc import Iterator
from contextlib import ExitStack, suppress
from pathlib import Path
from typing import Any

import pytest

from fleet_wire import local_socket
from fleet_wire.local_socket import MOST_CLIENTS, RequestFailed, call, serve

PATIENCE = 60.0


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "s.sock"


@pytest.fixture(autouse=True)
def hurried(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(local_socket, "_REQUEST_WITHIN", 0.3)
    monkeypatch.setattr(local_socket, "_TAKEN_WITHIN", 0.3)


async def handler(request: dict[str, Any]) -> Any:
    def items() -> Iterator[str]:
        while True:
            yield "x" * 10_000

    return items() if request.get("do") == "stream" else "x" * request.get("size", 1)


def connected(path: Path, stack: ExitStack, said: bytes = b"") -> socket.socket:
    """A client that says something, and nothing after."""
    client = stack.enter_context(socket.socket(socket.AF_UNIX))
    client.settimeout(PATIENCE)
    client.connect(str(path))
    if said:  # one that is refused may be closed by now
        client.sendall(said)
    return client


async def until_answered(path: Path) -> None:
    answer = None
    async with asyncio.timeout(PATIENCE):
        while answer is None:
            with suppress(RequestFailed):  # busy
                answer = await call(path, {})
    assert answer == "x"


@pytest.mark.parametrize(
    "said",
    [b"", b"{", b'{"do": "stream"}\n', b'{"size": 900000}\n'],
    ids=["silent", "cut", "stream", "result"],
)
async def test_clients_that_send_or_read_nothing_are_disconnected(path: Path, said: bytes) -> None:
    with ExitStack() as stack:
        async with serve(path, handler):
            for _ in range(MOST_CLIENTS):
                await asyncio.to_thread(connected, path, stack, said)
            await until_answered(path)


async def test_a_client_beyond_the_limit_is_told_that_the_process_is_busy(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(local_socket, "_REQUEST_WITHIN", PATIENCE)
    with ExitStack() as stack:
        async with serve(path, handler):
            for _ in range(MOST_CLIENTS):
                await asyncio.to_thread(connected, path, stack)
            crowd = [await asyncio.to_thread(connected, path, stack) for _ in range(3 * MOST_CLIENTS)]
            answers = [await asyncio.to_thread(all_of, client) for client in crowd]
            assert all(json.loads(answer)["error"].startswith("busy with 32") for answer in answers)


def all_of(client: socket.socket) -> bytes:
    told = b""
    while some := client.recv(1 << 16):
        told += some
    return told


async def test_a_line_that_is_too_long_or_never_ends_is_refused(path: Path) -> None:
    with ExitStack() as stack:
        async with serve(path, handler):
            client = await asyncio.to_thread(connected, path, stack)
            sender = threading.Thread(target=send_without_end, args=(client,))
            sender.start()
            line = await asyncio.to_thread(first_line, client)
            assert "at most 1048576 bytes" in json.loads(line)["error"]
            await asyncio.to_thread(sender.join, PATIENCE)
            assert not sender.is_alive()
            assert await call(path, {}) == "x"


def send_without_end(client: socket.socket) -> None:
    try:
        while True:
            client.sendall(b"x" * (1 << 20))
    except OSError:
        return


def first_line(client: socket.socket) -> bytes:
    told = b""
    while not told.endswith(b"\n"):
        told += client.recv(1 << 16)
    return told
