"""Requests over HTTP: which connections are used again, which failure is which, and that none leaves a thread.

test_sink_server and test_server talk to a whole server.
"""

import asyncio
import subprocess
import sys
import threading
from contextlib import closing, suppress

import pytest

from edge_gateway.sinks import http_connection
from edge_gateway.sinks.http_client import HttpClient, NoAnswer
from tests.gateway.sinks.raw_server import (
    CHUNKED,
    EMPTY,
    FULL,
    MOST,
    RawServer,
    answering,
    request_from,
    silent,
)
from tests.servers.process import free_port


async def test_a_request_is_sent_as_rfc_9112_wants_it() -> None:
    received: list[tuple[list[str], bytes]] = []

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        received.append(await request_from(reader))
        writer.write(EMPTY)

    server = RawServer(serve)
    async with server.running() as url:
        with closing(HttpClient(f"{url}/at/ä b/", {"Content-Type": "text/plain"}, timeout=60)) as client:
            await client.request("POST", "/write?x=1", {"Authorization": "Token ä"}, b"lines", most=MOST)
    first, *fields = received[0][0]
    assert first == "POST /at/%C3%A4%20b/write?x=1 HTTP/1.1"
    assert received[0][1] == b"lines"
    assert sorted(fields) == [
        "Accept-Encoding: identity",
        "Authorization: Token ä",
        "Content-Length: 5",
        "Content-Type: text/plain",
        f"Host: 127.0.0.1:{server.port}",
    ]


async def test_a_server_that_says_nothing_is_given_up_in_time() -> None:
    async with RawServer(silent).running() as url:
        with closing(HttpClient(url, {}, timeout=0.2)) as client, pytest.raises(NoAnswer) as none:
            await client.request("GET", "/", {}, most=MOST)
    assert isinstance(none.value.cause, TimeoutError)


@pytest.mark.parametrize("host", ["127.0.0.1", "x" * 64])
async def test_without_a_connection_nothing_was_sent(host: str) -> None:
    client = HttpClient(f"http://{host}:{free_port()}", {}, timeout=60)
    with pytest.raises(NoAnswer) as none:
        await client.request("GET", "/", {}, most=MOST)
    assert not none.value.connected


async def several(url: str, count: int) -> list[int]:
    with closing(HttpClient(url, {}, timeout=60)) as client:
        return [(await client.request("POST", "/", {}, b"x", most=MOST)).status for _ in range(count)]


@pytest.mark.parametrize("answer", [EMPTY, FULL, CHUNKED + b"0\r\n\r\n"])
async def test_a_connection_is_used_again(answer: bytes) -> None:
    server = RawServer(answering(*[answer] * 3))
    async with server.running() as url:
        assert len(await several(url, 3)) == 3
    assert server.connections == 1


@pytest.mark.parametrize(
    "answer",
    [
        b"HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 0\r\n\r\n",
        b"HTTP/1.0 200 OK\r\nContent-Length: 0\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\npart",
        b"HTTP/1.1 200 OK\r\n\r\nall",
    ],
)
async def test_a_connection_that_may_not_be_used_again_is_closed(answer: bytes) -> None:
    server = RawServer(answering(answer))
    async with server.running() as url:
        assert await several(url, 3) == [200] * 3
    assert server.connections == 3


async def test_a_connection_that_the_server_closed_meanwhile_is_replaced() -> None:
    closed = asyncio.Event()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await answering(FULL)(reader, writer)
        writer.close()
        await writer.wait_closed()
        closed.set()

    server = RawServer(serve)
    async with server.running() as url:
        with closing(HttpClient(url, {}, timeout=60)) as client:
            for _ in range(2):
                assert (await client.request("GET", "/", {}, most=MOST)).whole
                await closed.wait()
                closed.clear()
    assert server.connections == 2


async def test_a_connection_on_which_something_came_unasked_is_replaced() -> None:
    said = asyncio.Event()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await answering(FULL)(reader, writer)
        await asked_again.wait()
        writer.write(EMPTY)
        await writer.drain()
        said.set()
        await reader.read()

    asked_again = asyncio.Event()
    server = RawServer(serve, answering(FULL))
    async with server.running() as url:
        with closing(HttpClient(url, {}, timeout=60)) as client:
            assert (await client.request("GET", "/", {}, most=MOST)).status == 200
            asked_again.set()
            await said.wait()
            assert (await client.request("GET", "/", {}, most=MOST)).status == 200
    assert server.connections == 2


async def test_a_connection_that_was_long_unused_is_replaced(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(http_connection, "KEPT", 0.0)
    server = RawServer(answering(FULL, FULL))
    async with server.running() as url:
        await several(url, 2)
    assert server.connections == 2


async def test_requests_at_the_same_time_have_a_connection_each() -> None:
    both = asyncio.Barrier(2)

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        _, body = await request_from(reader)
        await both.wait()
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\n" + body)

    async with RawServer(serve).running() as url:
        with closing(HttpClient(url, {}, timeout=60)) as client:
            answers = await asyncio.gather(
                *(client.request("POST", "/", {}, body, most=MOST) for body in (b"1", b"2"))
            )
    assert [bytes(answer.body) for answer in answers] == [b"1", b"2"]


async def test_a_refusal_is_read_although_the_request_was_never_taken() -> None:
    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(b"HTTP/1.1 413 Too Large\r\nContent-Length: 0\r\n\r\n")
        await writer.drain()

    server = RawServer(serve)
    async with server.running() as url:
        with closing(HttpClient(url, {}, timeout=60)) as client:
            for _ in range(2):
                answer = await client.request("POST", "/", {}, b"x" * (64 << 20), most=MOST)
                assert (answer.status, answer.whole) == (413, True)
    assert server.connections == 2


@pytest.mark.parametrize("until", ["sent", "head", "body"])
async def test_a_cancelled_request_closes_its_connection(until: str) -> None:
    reached, gone = asyncio.Event(), asyncio.Event()
    said = {
        "sent": b"",
        "head": b"HTTP/1.1 200 OK\r\n",
        "body": b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\npart",
    }

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await request_from(reader)
        writer.write(said[until])
        reached.set()
        assert not await reader.read()
        gone.set()

    async with RawServer(serve).running() as url:
        client = HttpClient(url, {}, timeout=60)
        task = asyncio.create_task(client.request("GET", "/", {}, most=MOST))
        await reached.wait()
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        await gone.wait()
        await until_no_thread_is_left()


async def until_no_thread_is_left() -> None:
    while any(thread.name == "http" for thread in threading.enumerate()):  # noqa: ASYNC110 - nobody tells
        await asyncio.sleep(0.01)


@pytest.mark.parametrize(
    ("head", "status"),
    [
        (b"", None),
        (b"HTTP/1.1 200 OK\r\nX: ", None),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 99999\r\n\r\n", 200),
        (CHUNKED + b"9999\r\n", 500),
    ],
)
async def test_a_server_that_trickles_holds_a_request_no_longer_than_its_timeout(
    head: bytes, status: int | None
) -> None:
    gone = asyncio.Event()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await request_from(reader)
        writer.write(head)
        with suppress(ConnectionError):
            while not reader.at_eof():
                writer.write(b"x")
                await writer.drain()
                await asyncio.sleep(0.01)
        gone.set()

    async with RawServer(serve).running() as url:
        client = HttpClient(url, {}, timeout=0.5)
        if status is None:
            with pytest.raises(NoAnswer) as none:
                await client.request("GET", "/", {}, most=MOST)
            assert isinstance(none.value.cause, TimeoutError)
        else:
            answer = await client.request("GET", "/", {}, most=MOST)
            assert (answer.status, answer.whole) == (status, False)
            assert answer.body.startswith(b"x")
        await gone.wait()
        await until_no_thread_is_left()


HANGING = """
import asyncio, socket, sys, threading
from edge_gateway.sinks import http_connection
from edge_gateway.sinks.http_client import HttpClient

silent = socket.create_server(("127.0.0.1", 0))
looking = threading.Event()

def look(*_: object, **__: object) -> None:
    looking.set()
    threading.Event().wait()

if sys.argv[1] == "name":
    http_connection.getaddrinfo = look

async def main() -> None:
    client = HttpClient(f"http://127.0.0.1:{silent.getsockname()[1]}", {}, timeout=600)
    task = asyncio.create_task(client.request("GET", "/", {}, most=1))
    await asyncio.to_thread(looking.wait if sys.argv[1] == "name" else silent.accept)
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)
    print(task.cancelled())

asyncio.run(main())
"""


@pytest.mark.parametrize("where", ["name", "answer"])
def test_a_request_that_hangs_does_not_keep_the_process_from_ending(where: str) -> None:
    """Neither one that waits for an answer nor one that waits for the resolver, which nothing can stop."""
    command = [sys.executable, "-c", HANGING, where]
    ended = subprocess.run(command, capture_output=True, text=True, timeout=60, check=True)
    assert (ended.stdout, ended.stderr) == ("True\n", "")
