"""A request that got no answer is explained without names of Python's."""

import asyncio
import errno
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest

from edge_gateway.errors import CannotReach
from edge_gateway.sinks.http_client import NoAnswer
from edge_gateway.sinks.influx.no_answer import why_no_answer
from edge_gateway.sinks.influx.setup.server import Target, connected
from edge_gateway.sinks.influx.writer import InfluxWriter

PYTHONS = ("Error", "errno", "Errno", "Connect call failed", "ssl:", "_ssl.c", "None", "exceptions", "b'")


@asynccontextmanager
async def answering(answer: bytes) -> AsyncIterator[int]:
    """A server that says `answer` to whatever comes and closes the connection; its port."""

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read(10)
        writer.write(answer)
        writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    async with server:
        yield server.sockets[0].getsockname()[1]


async def texts(url: str) -> list[str]:
    """What the sink and the setup say of a server that does not answer."""
    async with InfluxWriter(url, "fleet", lambda: "secret", timeout=30) as writer:
        outcome = await writer.write("telemetry", b"m f=1 1\n")
    assert outcome.status is None
    with pytest.raises(CannotReach) as refused:
        async with connected(Target(url, "fleet", "secret")) as server:
            await server.stacks()
    assert str(refused.value).startswith(f"InfluxDB at {url} does not answer: ")
    return [outcome.message, str(refused.value)]


@pytest.mark.parametrize(
    ("answer", "scheme", "text"),
    [
        (b"", "http", "the server closed the connection without an answer"),
        (b"SSH-2.0-OpenSSH\r\n", "http", "the answer is not HTTP"),
        (b"HTTP/1.1 400 Bad Request\r\n\r\n", "https", "check that the port is TLS"),
        (b"", "https", "cannot connect: "),
    ],
)
async def test_a_server_that_is_no_influxdb(answer: bytes, scheme: str, text: str) -> None:
    async with answering(answer) as port:
        for told in await texts(f"{scheme}://127.0.0.1:{port}"):
            assert text in told
            assert not [word for word in PYTHONS if word in told], told


async def test_a_server_that_is_not_there() -> None:
    async with answering(b"") as port:
        pass
    for host in ("127.0.0.1", "localhost"):
        for told in await texts(f"http://{host}:{port}"):
            assert told.endswith(
                "cannot connect: Connection refused; is InfluxDB running, and influx.url right?"
            )


def untrusted() -> ssl.SSLCertVerificationError:
    problem = ssl.SSLCertVerificationError(1, "[SSL: CERTIFICATE_VERIFY_FAILED] (_ssl.c:1006)")
    problem.verify_message = "self-signed certificate"
    return problem


@pytest.mark.parametrize(
    ("cause", "connected", "text"),
    [
        (TimeoutError(), True, "no answer in time"),
        (TimeoutError(), False, "no answer in time"),
        (
            TimeoutError(errno.ETIMEDOUT, "Connect call failed"),
            False,
            "cannot connect: Connection timed out; is InfluxDB running, and influx.url right?",
        ),
        (untrusted(), False, "its certificate is not trusted: self-signed certificate"),
        (UnicodeError("label too long"), False, "not a valid address"),
        (ValueError("no status line"), True, "the answer is not HTTP"),
        (EOFError(), True, "the server closed the connection without an answer"),
        (OSError(errno.EPIPE, "[Errno 32]"), True, "the connection failed: Broken pipe"),
        (ConnectionResetError(), True, "the connection failed: the connection was closed"),
    ],
)
def test_what_may_happen_to_a_request(cause: Exception, connected: bool, text: str) -> None:
    assert why_no_answer(NoAnswer(cause, connected=connected)) == text
