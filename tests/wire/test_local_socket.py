import asyncio
import gc
import json
import os
import pwd
import socket
import stat
from collections.abc import AsyncIterator, Iterator
from contextlib import aclosing, suppress
from pathlib import Path
from typing import Any

import pytest

from fleet_wire import local_socket
from fleet_wire.local_socket import NotRunning, RequestFailed, RequestRefused, call, serve, stream


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "s.sock"


@pytest.fixture
def file(path: Path) -> Path:
    path.write_text("precious")
    return path


async def echo(request: dict[str, Any]) -> Any:
    return {"heard": request}


async def raw(path: Path, data: bytes) -> dict[str, Any]:
    """Send bytes as they are and give the first line of the answer."""
    reader, writer = await asyncio.open_unix_connection(path)
    writer.write(data)
    writer.write_eof()
    line = await reader.readline()
    writer.close()
    answer: dict[str, Any] = json.loads(line)
    return answer


async def test_a_request_is_answered(path: Path) -> None:
    async with serve(path, echo):
        assert await call(path, {"do": "x", "text": "grüße\n"}) == {"heard": {"do": "x", "text": "grüße\n"}}
        assert await call(path, {}) == {"heard": {}}


@pytest.mark.parametrize("result", [None, 0, "text", [1, 2], {"a": [None]}, True])
async def test_a_result_may_be_any_json_value(path: Path, result: Any) -> None:
    async def handler(_request: dict[str, Any]) -> Any:
        return result

    async with serve(path, handler):
        assert await call(path, {}) == result


async def test_only_owner_and_group_may_use_the_socket(path: Path) -> None:
    before = os.umask(0o077)
    try:
        async with serve(path, echo):
            mode = os.lstat(path).st_mode
            assert stat.S_ISSOCK(mode)
            assert stat.S_IMODE(mode) == 0o660
            assert os.listdir(path.parent) == [path.name]  # noqa: PTH208
    finally:
        os.umask(before)
    assert os.listdir(path.parent) == []  # noqa: PTH208


async def test_errors_are_answers_and_the_next_request_is_served(
    path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    async def handler(request: dict[str, Any]) -> Any:
        if request["do"] == "refuse":
            raise ValueError("no such rule: hot")
        raise LookupError("mistake")

    async with serve(path, handler):
        with pytest.raises(RequestRefused, match="no such rule: hot"):
            await call(path, {"do": "refuse"})
        assert caplog.text == ""
        with pytest.raises(RequestFailed, match=r"^LookupError: mistake$") as failed:
            await call(path, {"do": "fail"})
        assert not isinstance(failed.value, RequestRefused)
        assert [record.getMessage() for record in caplog.records] == [
            "a local request failed: LookupError: mistake"
        ]
        assert not caplog.records[0].exc_info


async def test_a_result_that_is_not_json_is_an_error(path: Path) -> None:
    async def handler(_request: dict[str, Any]) -> Any:
        return {1, 2}.copy

    async with serve(path, handler):
        with pytest.raises(RequestFailed, match="not JSON serializable"):
            await call(path, {})


@pytest.mark.parametrize(
    ("data", "text"),
    [
        (b"no json\n", "not JSON"),
        (b"[" * 100_000 + b"\n", "not JSON"),
        (b"[1]\n", "a request must be a JSON object"),
        (b'{"do": 1}', "a request is one line"),
        (b"x" * (local_socket.LONGEST_LINE + 1) + b"\n", "a request is one line"),
        (b"\xff\n", "not JSON"),
        (b'{"do": NaN}\n', "not JSON"),
        (b'{"do": -Infinity}\n', "not JSON"),
        (b'{"do": ' + b"9" * 5_000 + b"}\n", "not JSON"),
        (b'{"do": ' + b"[" * 100_000 + b"]" * 100_000 + b"}\n", "not JSON"),
    ],
)
async def test_malformed_requests_are_refused(path: Path, data: bytes, text: str) -> None:
    async with serve(path, echo):
        answer = await raw(path, data)
        assert answer["ok"] is False
        assert text in answer["error"]
        assert await call(path, {}) == {"heard": {}}


class TestStreams:
    async def test_items_arrive_one_by_one(self, path: Path) -> None:
        gate = asyncio.Event()

        async def items() -> AsyncIterator[int]:
            yield 1
            await gate.wait()
            yield 2

        async def handler(_request: dict[str, Any]) -> Any:
            return items()

        async with serve(path, handler):
            got = []
            async for item in stream(path, {}):
                got.append(item)
                gate.set()
            assert got == [1, 2]
            assert await call(path, {}) == [1, 2]

    async def test_a_plain_generator_is_a_stream_too_and_may_be_empty(self, path: Path) -> None:
        async def handler(request: dict[str, Any]) -> Any:
            def items() -> Iterator[dict[str, int]]:
                yield from ({"n": number} for number in range(request["count"]))

            return items()

        async with serve(path, handler):
            assert await call(path, {"count": 2}) == [{"n": 0}, {"n": 1}]
            assert await call(path, {"count": 0}) == []

    async def test_an_error_in_the_middle_ends_the_stream(self, path: Path) -> None:
        async def items() -> AsyncIterator[int]:
            yield 1
            raise ValueError("broke off")

        async def handler(_request: dict[str, Any]) -> Any:
            return items()

        async with serve(path, handler), aclosing(stream(path, {})) as lines:
            assert await anext(lines) == 1
            with pytest.raises(RequestFailed, match="broke off"):
                await anext(lines)

    async def test_a_client_that_leaves_ends_the_source(self, path: Path) -> None:
        ended = asyncio.Event()

        async def items() -> AsyncIterator[str]:
            try:
                while True:
                    yield "x" * 10_000
                    await asyncio.sleep(0)
            finally:
                ended.set()

        async def handler(_request: dict[str, Any]) -> Any:
            return items()

        async with serve(path, handler):
            async with aclosing(stream(path, {})) as lines:
                await anext(lines)
            async with asyncio.timeout(60):
                await ended.wait()

    async def test_a_slow_client_slows_the_source(self, path: Path) -> None:
        made = 0

        async def items() -> AsyncIterator[str]:
            nonlocal made
            while made < 1_000:
                made += 1
                yield "x" * 100_000

        async def handler(_request: dict[str, Any]) -> Any:
            return items()

        async with serve(path, handler), aclosing(stream(path, {})) as lines:
            await anext(lines)
            for _ in range(100):  # turns of the loop in which a source without brakes would finish
                await asyncio.sleep(0)
            assert made < 50


class TestWhoListens:
    async def test_a_socket_that_does_not_exist(self, path: Path) -> None:
        with pytest.raises(NotRunning, match=r"nothing listens on .*: is it running"):
            await call(path, {})

    async def test_a_socket_left_by_a_dead_process_is_replaced(self, path: Path) -> None:
        with socket.socket(socket.AF_UNIX) as dead:
            dead.bind(str(path))
        with pytest.raises(NotRunning):
            await call(path, {})
        async with serve(path, echo):
            assert await call(path, {}) == {"heard": {}}

    async def test_a_second_server_is_refused_and_the_first_keeps_running(self, path: Path) -> None:
        async with serve(path, echo):
            with pytest.raises(FileExistsError, match="in use: another one is running"):
                async with serve(path, echo):
                    pass
            assert await call(path, {}) == {"heard": {}}

    async def test_a_file_in_the_way_is_left_alone(self, file: Path) -> None:
        with pytest.raises(FileExistsError, match="it is not a socket"):
            async with serve(file, echo):
                pass
        assert await asyncio.to_thread(file.read_text) == "precious"

    async def test_a_path_longer_than_an_address_holds_is_served_and_reached(self, tmp_path: Path) -> None:
        directory = tmp_path / ("d" * 100)
        await asyncio.to_thread(directory.mkdir)
        path = directory / "control.sock"
        async with serve(path, echo):
            assert await call(path, {}) == {"heard": {}}
            with pytest.raises(FileExistsError, match="in use"):
                async with serve(path, echo):
                    pass
            assert await call(path, {}) == {"heard": {}}
        with pytest.raises(NotRunning):
            await call(path, {})

    async def test_a_missing_directory_is_an_error(self, tmp_path: Path) -> None:
        with pytest.raises(FileNotFoundError):
            async with serve(tmp_path / "none" / "s.sock", echo):
                pass


class TestTime:
    async def test_a_late_answer_is_a_timeout(self, path: Path) -> None:
        async def handler(_request: dict[str, Any]) -> Any:
            await asyncio.Event().wait()

        async with serve(path, handler):
            with pytest.raises(TimeoutError, match=r"no answer from .*s\.sock within 0\.05 s"):
                await call(path, {}, timeout=0.05)

    async def test_a_server_that_stops_ends_what_it_was_answering(self, path: Path) -> None:
        started = asyncio.Event()

        async def handler(_request: dict[str, Any]) -> Any:
            started.set()
            await asyncio.Event().wait()

        async with serve(path, handler):
            request = asyncio.create_task(call(path, {}))
            await started.wait()
        with pytest.raises(RequestFailed, match="ended before its answer was complete"):
            await request

    async def test_a_client_that_sends_nothing_is_disconnected(
        self, path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(local_socket, "_REQUEST_WITHIN", 0.05)
        async with serve(path, echo):
            reader, writer = await asyncio.open_unix_connection(path)
            assert b"no request within" in await reader.readline()
            writer.close()

    async def test_clients_beyond_the_limit_are_told_to_try_again(
        self, path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(local_socket, "MOST_CLIENTS", 1)
        started, gate = asyncio.Event(), asyncio.Event()

        async def handler(_request: dict[str, Any]) -> Any:
            started.set()
            await gate.wait()

        async with serve(path, handler):
            first = asyncio.create_task(call(path, {}))
            await started.wait()
            with pytest.raises(RequestFailed, match="busy with 1 requests"):
                await call(path, {})
            gate.set()
            await first


@pytest.mark.parametrize("turns", range(6))
def test_a_client_that_connects_at_the_moment_of_the_stop_leaves_nothing_open(path: Path, turns: int) -> None:
    """However far its connection has come; a transport that is left open warns, and a warning is an error."""

    async def stop_at_once(client: socket.socket) -> None:
        async with serve(path, echo):
            client.connect(str(path))
            for _ in range(turns):
                await asyncio.sleep(0)

    with socket.socket(socket.AF_UNIX) as client:
        asyncio.run(stop_at_once(client))
        gc.collect()
        client.settimeout(60)
        with suppress(ConnectionResetError):
            assert client.recv(1) == b""


async def test_who_asks_is_known_from_the_kernel_and_only_while_it_is_answered(tmp_path: Path) -> None:
    async def who(_: dict[str, Any]) -> str:
        return local_socket.asking_user()

    async with local_socket.serve(tmp_path / "s", who):
        assert await local_socket.call(tmp_path / "s", {"do": "who"}) == pwd.getpwuid(os.getuid()).pw_name
    assert local_socket.asking_user() == ""
