"""/metrics and /healthz: what is answered and refused, and that no client holds a connection for long."""

from __future__ import annotations

import asyncio
import json
import logging
import socket
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from urllib.request import urlopen

import pytest

from edge_gateway.errors import BadInput
from edge_gateway.service.http import LONGEST_HEAD, MOST_CONNECTIONS, serving
from edge_gateway.status.counters import Counters
from edge_gateway.status.problem import Gravity
from edge_gateway.status.report import Backlog, GatewayStatus, OpenProblem, SinkStatus
from tests.gateway.status.reports import report_of

PATIENCE = 60.0
Connection = tuple[asyncio.StreamReader, asyncio.StreamWriter]


def report() -> GatewayStatus:
    return report_of(counters=Counters(rule_reloads=7))


class Served:
    """A server on a free port, and its client."""

    def __init__(self, host: str, port: int) -> None:
        self.host, self.port = host, port
        self.counters = Counters()

    async def connect(self) -> Connection:
        return await asyncio.open_connection(self.host, self.port)

    async def ask(self, request: bytes, *, end: bool = False) -> bytes:
        """All that comes back for these bytes."""
        reader, writer = await self.connect()
        try:
            async with asyncio.timeout(PATIENCE):
                writer.write(request)
                if end:
                    writer.write_eof()
                return await reader.read()
        finally:
            writer.close()

    async def get(self, path: str, host: str = "localhost", method: str = "GET") -> tuple[int, str]:
        answer = await self.ask(f"{method} {path} HTTP/1.1\r\nHost: {host}\r\n\r\n".encode())
        head, _, content = answer.partition(b"\r\n\r\n")
        assert b"\r\nConnection: close" in head
        return int(head.split()[1]), content.decode()


@asynccontextmanager
async def served(
    *, host: str = "127.0.0.1", within: float = PATIENCE, make: Callable[[], GatewayStatus] = report
) -> AsyncIterator[Served]:
    with socket.create_server((host, 0)) as free:
        port = free.getsockname()[1]
    one = Served(host, port)
    async with serving(f"{host}:{port}", make, one.counters, within=within):
        yield one


async def test_metrics_and_health_are_served() -> None:
    async with served() as one:
        status, text = await one.get("/metrics")
        assert (status, "edge_gateway_counters_rule_reloads_total 7\n" in text) == (200, True)
        status, text = await one.get("/healthz?verbose=1")
        assert (status, json.loads(text)) == (200, {"state": "online", "problems": [], "warnings": []})
        assert await one.get("/healthz", method="HEAD") == (200, "")
        assert (await one.get("/"))[0] == 404


async def test_a_failure_is_a_503() -> None:
    problem = OpenProblem("disk", "full", 0, Gravity.FAILURE)
    async with served(make=lambda: report_of(problems=(problem,))) as one:
        assert (await one.get("/healthz"))[0] == 503


async def test_without_an_address_nothing_is_served(monkeypatch: pytest.MonkeyPatch) -> None:
    opened: list[object] = []
    monkeypatch.setattr(asyncio, "start_server", lambda *given, **_: opened.append(given))
    async with serving(None, report, Counters()):
        assert opened == []


async def test_an_address_in_use_is_bad_input() -> None:
    async with served() as one:
        with pytest.raises(BadInput, match=r"choose another address in http\.listen"):
            async with serving(f"{one.host}:{one.port}", report, Counters()):
                pass


@pytest.mark.parametrize("name", ["localhost", "127.0.0.1", "[::1]", "LOCALHOST"])
@pytest.mark.parametrize("port", ["", ":8080"])
async def test_every_name_of_this_machine_is_accepted(name: str, port: str) -> None:
    async with served() as one:
        for path in ("/metrics", "/healthz"):
            assert (await one.get(path, name + port))[0] == 200


@pytest.mark.parametrize(
    "name", ["evil.example", "evil.example:8080", "127.0.0.1.evil.example", "localhost.", "127.0.0.1@evil", "192.0.2.1",
             "[::2]", "localhost:x"]
)  # fmt: skip
async def test_a_foreign_name_is_refused(name: str) -> None:
    """A page whose name was rebound to 127.0.0.1 asks under that name."""
    async with served() as one:
        for path in ("/metrics", "/healthz", "/"):
            status, text = await one.get(path, name)
            assert status == 421
            assert "messages" not in text


@pytest.mark.parametrize(
    ("request_", "status"),
    [
        (b"GET /healthz HTTP/1.1\r\n\r\n", 400),
        (b"GET /healthz HTTP/1.1\r\nHost: localhost\r\nHost: evil.example\r\n\r\n", 400),
        (b"GET /healthz HTTP/1.0\r\n\r\n", 200),
        (b"GET /healthz HTTP/2.0\r\nHost: localhost\r\n\r\n", 505),
        (b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", 505),
        (
            b"POST /metrics HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n",
            400,
        ),
        (b"GET /metrics HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\nZZ\r\n", 400),
        (b"GET /metrics HTTP/1.1\r\nHost: localhost\r\nContent-Length: -5\r\n\r\n", 400),
        (b"POST /metrics HTTP/1.1\r\nHost: localhost\r\nContent-Length: 0\r\n\r\n", 405),
        (b"BREW /metrics HTTP/1.1\r\nHost: localhost\r\n\r\n", 405),
        (b"G\xffT /metrics HTTP/1.1\r\nHost: localhost\r\n\r\n", 400),
        (b"GET /m\xc3\xa4 HTTP/1.1\r\nHost: localhost\r\n\r\n", 400),
        (b"GET  /metrics HTTP/1.1\r\nHost: localhost\r\n\r\n", 400),
        (b"GET /metrics HTTP/1.1\r\nHost localhost\r\n\r\n", 400),
        (b"GET /metrics HTTP/1.1\r\nHost: localhost\r\n folded: x\r\n\r\n", 400),
        (b"GET /metrics HTTP/1.1\r\nHost: local\x00host\r\n\r\n", 400),
        (b"GET http://evil.example/metrics HTTP/1.1\r\nHost: localhost\r\n\r\n", 404),
        (b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03\r\n\r\n", 400),
        (b"\r\n\r\n", 400),
        (b"GET /" + b"a" * LONGEST_HEAD + b" HTTP/1.1\r\nHost: localhost\r\n\r\n", 431),
        (b"GET /" + b"a" * (1 << 20), 431),
        (b"GET / HTTP/1.1\r\nHost: localhost\r\n" + b"X: y\r\n" * LONGEST_HEAD + b"\r\n", 431),
    ],
    ids=lambda value: repr(value)[:40],
)
async def test_odd_requests_get_a_clear_answer_and_no_line_of_log(
    request_: bytes, status: int, caplog: pytest.LogCaptureFixture, capfd: pytest.CaptureFixture[str]
) -> None:
    caplog.set_level(logging.INFO)
    async with served() as one:
        answer = await one.ask(request_)
        assert answer.startswith(f"HTTP/1.1 {status} ".encode())
        if status != 200:
            assert f"\r\n\r\n{status}: ".encode() in answer
        assert (await one.get("/healthz"))[0] == 200
    assert caplog.records == []
    assert capfd.readouterr().err == ""


async def test_a_request_that_is_cut_short_and_none_at_all() -> None:
    async with served() as one:
        assert (await one.ask(b"GET / HT", end=True)).startswith(b"HTTP/1.1 400 ")
        assert await one.ask(b"", end=True) == b""


@pytest.fixture(scope="module")
def long_report() -> GatewayStatus:
    """Several megabytes of metrics."""
    long = report()
    long.sinks = {f"x{n}": SinkStatus(requests=n, waiting=Backlog()) for n in range(5_000)}
    return long


async def test_an_answer_longer_than_the_socket_takes_arrives_whole_after_a_half_close(
    long_report: GatewayStatus,
) -> None:
    async with served(make=lambda: long_report) as one:
        answer = await one.ask(b"GET /metrics HTTP/1.0\r\n\r\n", end=True)
        head, _, content = answer.partition(b"\r\n\r\n")
        assert f"Content-Length: {len(content)}".encode() in head
        assert content.endswith(b"\n")
        assert b'edge_gateway_sinks_requests_total{sink="x4999"} 4999\n' in content


async def test_a_report_that_cannot_be_made_is_one_line_and_a_500(caplog: pytest.LogCaptureFixture) -> None:
    def broken() -> GatewayStatus:
        raise KeyError("odd")

    async with served(make=broken) as one:
        assert (await one.get("/metrics"))[0] == 500
    assert [record.getMessage() for record in caplog.records] == [
        "/metrics cannot be answered: KeyError: 'odd'"
    ]
    assert not caplog.records[0].exc_info


async def test_rapid_polling_reuses_the_report() -> None:
    made = 0

    def counted() -> GatewayStatus:
        nonlocal made
        made += 1
        return report()

    async with served(make=counted) as one:
        for _ in range(100):
            await one.get("/healthz")
    assert made < 100


async def idle(one: Served, stack: AsyncExitStack, count: int) -> list[Connection]:
    found = []
    for _ in range(count):
        reader, writer = await one.connect()
        stack.callback(writer.close)
        found.append((reader, writer))
    return found


async def until_ended(reader: asyncio.StreamReader) -> None:
    async with asyncio.timeout(PATIENCE):
        try:
            assert await reader.read() == b""
        except ConnectionError:
            return


async def test_a_connection_over_the_limit_is_closed_at_once_and_counted() -> None:
    async with AsyncExitStack() as stack:
        one = await stack.enter_async_context(served())
        held = await idle(one, stack, MOST_CONNECTIONS)
        more = await idle(one, stack, 3 * MOST_CONNECTIONS)
        for reader, _ in more:
            await until_ended(reader)
        assert one.counters.http_connections_refused == 3 * MOST_CONNECTIONS
        held[0][1].close()  # a place is free again
        await until_answered(one)


@pytest.mark.parametrize("pace", ["silent", "slow", "deaf"])
async def test_no_client_holds_a_connection_for_long(pace: str, long_report: GatewayStatus) -> None:
    """Neither who says nothing, nor who says a byte now and then, nor who does not take the answer."""
    async with AsyncExitStack() as stack:
        one = await stack.enter_async_context(served(within=0.3, make=lambda: long_report))
        for reader, writer in await idle(one, stack, MOST_CONNECTIONS):
            if pace == "slow":
                stack.callback(asyncio.create_task(trickle(writer)).cancel)
            if pace == "deaf":
                reader._transport.pause_reading()  # type: ignore[attr-defined]
                writer.write(b"GET /metrics HTTP/1.0\r\n\r\n")
        assert b"only /metrics and /healthz" in await until_answered(one)


async def trickle(writer: asyncio.StreamWriter) -> None:
    while True:
        writer.write(b"G")
        await asyncio.sleep(0.05)


async def until_answered(one: Served) -> bytes:
    """Wait for a free place: whoever finds none is told nothing. Return the answer."""
    answer = b""
    async with asyncio.timeout(PATIENCE):
        while not answer.startswith(b"HTTP/1.1 404 "):
            with suppress(ConnectionError):
                answer = await one.ask(b"GET / HTTP/1.0\r\n\r\n")
    return answer


async def test_stopping_the_server_ends_its_connections() -> None:
    async with AsyncExitStack() as stack:
        async with served() as one:
            connections = await idle(one, stack, 3)
            await one.get("/healthz")
        for reader, _ in connections:
            await until_ended(reader)


async def test_the_health_checks_of_the_image_and_of_a_name_pass() -> None:
    async with served() as one:
        for name in ("127.0.0.1", "localhost"):
            with await asyncio.to_thread(
                urlopen, f"http://{name}:{one.port}/healthz", timeout=PATIENCE
            ) as answer:
                assert json.loads(answer.read())["state"] == "online"
