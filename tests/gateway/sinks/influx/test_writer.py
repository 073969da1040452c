"""What an answer may be that no InfluxDB would give: cut off, without end, packed, somebody else's."""

import asyncio
import gzip
import tracemalloc
import zlib
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress

import pytest

from edge_gateway.sinks.influx.writer import InfluxWriter
from edge_gateway.sinks.outcomes import Outcome
from tests.servers.process import free_port

Reply = Callable[[asyncio.StreamWriter], Awaitable[None]]
BUCKET = b'{"code":"not found","message":"bucket not found"}'
LINE = b"sensor,device=d value=1 1700000000000\n"


@asynccontextmanager
async def answering(reply: Reply) -> AsyncIterator[str]:
    """A server that reads a request's head and then does as it is told; its URL."""

    serving: set[asyncio.Task[None] | None] = set()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        serving.add(asyncio.current_task())
        try:
            with suppress(ConnectionError, asyncio.IncompleteReadError):
                await reader.readuntil(b"\r\n\r\n")
                await reply(writer)
                writer.close()
                await writer.wait_closed()
        finally:
            writer.transport.abort()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    async with server:
        yield f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
        for task in filter(None, serving):
            task.cancel()
        await asyncio.gather(*filter(None, serving), return_exceptions=True)


async def outcome_of(reply: Reply, patience: float = 30.0) -> Outcome:
    async with (
        answering(reply) as url,
        InfluxWriter(url, "fleet", lambda: "secret", timeout=patience) as writer,
    ):
        async with asyncio.timeout(60):
            return await writer.write("telemetry", LINE)


def saying(raw: bytes) -> Reply:
    async def reply(writer: asyncio.StreamWriter) -> None:
        writer.write(raw)
        await writer.drain()

    return reply


def http(status: int, body: bytes, *headers: str) -> bytes:
    head = [f"HTTP/1.1 {status} Whatever", f"Content-Length: {len(body)}", *headers]
    return "\r\n".join(head).encode() + b"\r\n\r\n" + body


@pytest.mark.parametrize(
    ("raw", "outcome"),
    [
        (http(204, b""), Outcome(204)),
        (http(400, b'{"code":"invalid","message":"unable to parse"}'), Outcome(400, "unable to parse")),
        (http(400, b'{"code":"invalid"}'), Outcome(400, "invalid")),
        (http(400, b'{"error":"partial write dropped=1"}'), Outcome(400, "partial write dropped=1")),
        (http(400, b""), Outcome(400, "", foreign=True)),
        (http(400, b"<html>\n no </html>"), Outcome(400, "no", foreign=True)),
        (http(403, b'{"message":"Forbidden"}'), Outcome(403, '{"message":"Forbidden"}', foreign=True)),
        (http(500, b"[" * 60_000), Outcome(500, "[" * 60_000, foreign=True)),
        (http(400, b'"text"'), Outcome(400, '"text"', foreign=True)),
        (http(400, b"zu gro\xdf"), Outcome(400, "zu groß", foreign=True)),
        (
            http(502, b"\x00\x01\xff"),
            Outcome(502, "its text cannot be read (3 bytes)", foreign=True),
        ),
        (http(404, gzip.compress(BUCKET), "Content-Encoding: gzip"), Outcome(404, "bucket not found")),
        (http(404, zlib.compress(BUCKET), "Content-Encoding: deflate"), Outcome(404, "bucket not found")),
        (http(301, b"moved", "Location: https://x/"), Outcome(301, "to https://x/", foreign=True)),
        (http(302, b""), Outcome(302, "to nowhere", foreign=True)),
        (http(503, b"{}", "Retry-After: 7"), Outcome(503, "{}", "7", foreign=True)),
    ],
)
async def test_an_answer_is_told_with_whose_words_it_has(raw: bytes, outcome: Outcome) -> None:
    assert await outcome_of(saying(raw)) == outcome


async def test_an_answer_that_is_cut_off_keeps_its_status() -> None:
    body = b'{"code":"invalid","message":"unable to parse"}'
    outcome = await outcome_of(saying(http(400, body)[:-10]))
    assert outcome == Outcome(400, body[:-10].decode().strip(), foreign=True)


async def test_an_answer_that_never_ends_keeps_its_status() -> None:
    async def reply(writer: asyncio.StreamWriter) -> None:
        writer.write(b"HTTP/1.1 500 Slow\r\nContent-Length: 100\r\n\r\npart")
        await asyncio.Event().wait()

    assert await outcome_of(reply, patience=0.5) == Outcome(500, "part", foreign=True)


@pytest.mark.parametrize("status", [200, 400, 500])
async def test_an_answer_of_gigabytes_is_not_held(status: int) -> None:
    async def reply(writer: asyncio.StreamWriter) -> None:
        writer.write(f"HTTP/1.1 {status} Big\r\nContent-Length: {8 << 30}\r\n\r\n".encode())
        while True:
            writer.write(b"x" * (1 << 20))
            await writer.drain()

    tracemalloc.start()
    try:
        outcome = await outcome_of(reply)
        _, most = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert (outcome.status, outcome.foreign) == (status, True)
    assert len(outcome.message) <= 64 << 10
    assert most < 32 << 20


async def test_an_answer_that_is_packed_is_unpacked_within_a_bound() -> None:
    bomb = gzip.compress(b"x" * (64 << 20))
    outcome = await outcome_of(saying(http(500, bomb, "Content-Encoding: gzip")))
    assert outcome == Outcome(500, "x" * (64 << 10), foreign=True)


@pytest.mark.parametrize(
    "raw", [b"", b"SSH-2.0-OpenSSH\r\n", b"HTTP/1.1 banana\r\n\r\n", b"\x15\x03\x01\x00\x02\x02\x16"]
)
async def test_what_is_no_http_is_no_answer(raw: bytes) -> None:
    outcome = await outcome_of(saying(raw))
    assert outcome.status is None
    assert outcome.message


async def test_a_request_that_found_no_server_was_not_sent() -> None:
    async with InfluxWriter(f"http://127.0.0.1:{free_port()}", "fleet", lambda: "secret") as writer:
        outcome = await writer.write("telemetry", LINE)
    assert (outcome.status, outcome.sent) == (None, False)


async def test_the_server_says_its_time() -> None:
    outcome = await outcome_of(saying(http(503, b"busy", "Date: Tue, 14 Nov 2023 22:13:20 GMT")))
    assert (outcome.date, outcome.sent) == ("Tue, 14 Nov 2023 22:13:20 GMT", True)
