"""Requests over HTTP: how answers of any form are read, which connections are used again, what failure is which.

The servers here are written out byte by byte; test_sink_server and test_server talk to whole ones.
"""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, closing

import pytest

from edge_gateway.sinks import http_client
from edge_gateway.sinks.http_client import HttpClient, NoAnswer, Response
from tests.servers.process import free_port

EMPTY = b"HTTP/1.1 204 No Content\r\n\r\n"
CHUNKED = b"HTTP/1.1 500 Bad\r\nTransfer-Encoding: chunked\r\n\r\n"
MOST = 1 << 20
Serve = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]


class RawServer:
    """Gives the n-th connection to the n-th function, the last one to all after it; counts them."""

    def __init__(self, *serve: Serve) -> None:
        self.serve = serve
        self.connections = 0
        self.port = 0

    @asynccontextmanager
    async def running(self) -> AsyncIterator[str]:
        """Serve while the block runs; yields the address."""
        server = await asyncio.start_server(self._connected, "127.0.0.1", 0)
        self.port = server.sockets[0].getsockname()[1]
        try:
            async with asyncio.timeout(60):
                yield f"http://127.0.0.1:{self.port}"
        finally:
            server.close()

    async def _connected(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        serve = self.serve[min(self.connections, len(self.serve) - 1)]
        self.connections += 1
        try:
            await serve(reader, writer)
        except (ConnectionError, asyncio.IncompleteReadError):
            pass
        finally:
            writer.close()


async def request_from(reader: asyncio.StreamReader) -> tuple[list[str], bytes]:
    """The lines of a request's head, and its body."""
    head = (await reader.readuntil(b"\r\n\r\n")).decode()
    lines = head.removesuffix("\r\n\r\n").split("\r\n")
    length = next(int(line.split(":")[1]) for line in lines if line.startswith("Content-Length:"))
    return lines, await reader.readexactly(length)


def answering(*answers: bytes) -> Serve:
    """Response one request after the other, then close."""

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        for answer in answers:
            await request_from(reader)
            writer.write(answer)
            await writer.drain()

    return serve


async def asked(*answers: bytes, most: int = MOST) -> Response:
    async with RawServer(answering(*answers)).running() as url:
        with closing(HttpClient(url, {}, timeout=60)) as client:
            return await client.request("GET", "/", {}, most=most)


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


@pytest.mark.parametrize(
    ("url", "host"),
    [
        ("http://influx", "influx"),
        ("https://[::1]:8086", "[::1]:8086"),
        ("http://bücher.example:80", "xn--bcher-kva.example:80"),
    ],
)
def test_the_host_is_named_as_the_address_has_it(url: str, host: str) -> None:
    head = HttpClient(url, {}, timeout=1)._head("GET", "/", {}, 0)
    assert f"\r\nHost: {host}\r\n".encode() in head


@pytest.mark.parametrize(
    ("raw", "answer"),
    [
        (EMPTY, Response(204, whole=True)),
        (b"HTTP/1.1 304\r\nContent-Length: 9\r\n\r\n", Response(304, {"content-length": "9"}, whole=True)),
        (b"HTTP/1.1 200 OK\nX: 1\nx: 2\n\nall", Response(200, {"x": "1"}, bytearray(b"all"), whole=True)),
        (b"HTTP/1.0 200 OK\r\n\r\nall", Response(200, {}, bytearray(b"all"), whole=True)),
        (
            b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early\r\nA: b\r\n\r\n" + EMPTY,
            Response(204, whole=True),
        ),
        (
            b"HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nall and more",
            Response(200, {"content-length": "3"}, bytearray(b"all"), whole=True),
        ),
        (
            CHUNKED + b"3;x=y\r\nall\r\nA \r\n and a bit\r\n0\r\nT: t\r\n\r\n",
            Response(500, {"transfer-encoding": "chunked"}, bytearray(b"all and a bit"), whole=True),
        ),
    ],
)
async def test_an_answer_is_read_to_its_end(raw: bytes, answer: Response) -> None:
    assert await asked(raw) == answer


@pytest.mark.parametrize(
    ("raw", "body"),
    [
        (b"HTTP/1.1 500 Bad\r\nContent-Length: 30\r\n\r\npart", b"part"),
        (b"HTTP/1.1 500 Bad\r\nContent-Length: minus\r\n\r\npart", b""),
        (CHUNKED + b"4\r\npart\r\n9\r\n and", b"part and"),
        (CHUNKED + b"4\r\npart\r\nodd\r\n", b"part"),
        (CHUNKED + b"4\r\nparts\r\n0\r\n\r\n", b"part"),
        (CHUNKED + b"4\r\npart\r\n0\r\n", b"part"),
        (CHUNKED + b"4\r\npart", b"part"),
    ],
)
async def test_a_body_that_is_cut_off_or_malformed_leaves_the_status(raw: bytes, body: bytes) -> None:
    answer = await asked(raw)
    assert (answer.status, bytes(answer.body), answer.whole) == (500, body, False)


@pytest.mark.parametrize(("length", "whole"), [(100, True), (101, False), (200_000, False)])
async def test_of_a_long_body_as_much_is_taken_as_is_wanted(length: int, whole: bool) -> None:
    raw = f"HTTP/1.1 200 OK\r\nContent-Length: {length}\r\n\r\n".encode() + b"x" * length
    answer = await asked(raw, most=100)
    assert (bytes(answer.body), answer.whole) == (b"x" * 100, whole)


@pytest.mark.parametrize(
    ("raw", "kind"),
    [
        (b"", EOFError),
        (b"HTTP/1.1 200 OK\r\n", EOFError),
        (b"SSH-2.0-OpenSSH\r\n", ValueError),
        (b"\x15\x03\x01\x00\x02\x02\x16", ValueError),
        (b"HTTP/2 200\r\n\r\n", ValueError),
        (b"HTTP/1.1 banana\r\n\r\n", ValueError),
        (b"HTTP/1.1 200 OK\r\nno field\r\n\r\n", ValueError),
        (b"HTTP/1.1 200 OK\r\nX: " + b"x" * 100_000, ValueError),
        (b"HTTP/1.1 200 OK\r\n" + b"X: x\r\n" * 300, ValueError),
    ],
)
async def test_what_has_no_head_of_an_answer_is_no_answer(raw: bytes, kind: type[Exception]) -> None:
    with pytest.raises(NoAnswer) as none:
        await asked(raw)
    assert isinstance(none.value.cause, kind)
    assert none.value.connected


async def silent(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    await writer.wait_closed()


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


FULL = b"HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nall"


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
    server = RawServer(answering(FULL))
    async with server.running() as url:
        with closing(HttpClient(url, {}, timeout=60)) as client:
            for _ in range(2):
                assert (await client.request("GET", "/", {}, most=MOST)).whole
                assert client._kept is not None
                assert not await client._kept._reader.read()  # until the server's end is here
    assert server.connections == 2


async def test_a_connection_that_was_long_unused_is_replaced(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(http_client, "KEPT", 0.0)
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
        await silent(reader, writer)

    async with RawServer(serve).running() as url:
        with closing(HttpClient(url, {}, timeout=60)) as client:
            answer = await client.request("POST", "/", {}, b"x" * (64 << 20), most=MOST)
            assert (answer.status, answer.whole) == (413, True)
            assert client._take_kept() is None


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
    assert client._kept is None
