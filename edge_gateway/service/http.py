"""Serve /metrics for Prometheus and /healthz for health checks, on this machine only.

Any local account may connect, so a client can hold one of few connections at most, for a few seconds. (aiohttp's
server bounds neither the number of connections nor the time to receive a request head.)

accepted ─▶ one of 16? ─ no ─▶ closed, counted
            └─ yes ─▶ head (8 KiB) ─▶ answer ─▶ end of the client's input ─▶ closed      all of it within 10 s
"""

from __future__ import annotations

import asyncio
import json
import logging
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from http import HTTPStatus
from typing import Any, Final

from edge_gateway.errors import BadInput
from edge_gateway.service.http_request import LOOPBACK, Answer, Request, parse, refusal
from edge_gateway.status.counters import Counters
from edge_gateway.status.problem import Gravity
from edge_gateway.status.prometheus import prometheus
from edge_gateway.status.report import GatewayStatus
from fleet_console.failures import in_words
from fleet_wire.errors import system_text

log = logging.getLogger("edge_gateway.http")

MOST_CONNECTIONS: Final = 16
MOST_WAITING: Final = 64
"""Listen backlog: connections accepted in one turn of the event loop, each an open file until it is refused."""
LONGEST_HEAD: Final = 8 << 10
"""Bytes."""
WITHIN: Final = 10.0
"""Seconds from accepting a connection until it is closed, whichever side is slow."""
_READ_OUT: Final = 64 << 10
"""Bytes read and discarded before closing: closing with unread input resets the connection and loses the answer."""
_FRESH: Final = 0.25
"""Seconds a report is reused, so that rapid polling does not load the event loop."""

Report = Callable[[], GatewayStatus]


@asynccontextmanager
async def serving(
    listen: str | None, report: Report, counters: Counters, *, within: float = WITHIN
) -> AsyncIterator[None]:
    """Serve while the block runs, nothing if `listen` is None. BadInput if the address cannot be bound."""
    if listen is None:
        yield
        return
    host, _, port = listen.rpartition(":")
    host = host.strip("[]")
    server = _Server(_Answers(report), counters, LOOPBACK | {host.lower()}, within)
    try:
        listener = await asyncio.start_server(
            server.arrived, host, int(port), limit=LONGEST_HEAD, backlog=MOST_WAITING
        )
    except OSError as error:
        reason = system_text(error)
        raise BadInput(
            f"cannot listen on {listen} ({reason}); choose another address in http.listen, or null"
        ) from error
    try:
        yield
    finally:
        listener.close()
        await server.stop()


def health_of(report: GatewayStatus) -> tuple[dict[str, Any], int]:
    """Return the content of /healthz and its status: 503 while a failure is open; warnings are only listed."""
    listed: dict[Gravity, list[dict[str, Any]]] = {gravity: [] for gravity in Gravity}
    for problem in report.problems:
        listed[problem.gravity].append({"code": problem.code, "since": problem.since, "text": problem.text})
    answer = {
        "state": report.state,
        "problems": listed[Gravity.FAILURE],
        "warnings": listed[Gravity.WARNING],
    }
    return answer, 503 if listed[Gravity.FAILURE] else 200


@dataclass(slots=True)
class _Answers:
    """Answers by path, from a report at most `_FRESH` seconds old."""

    report: Report
    _newest: GatewayStatus | None = None
    _until: float = 0.0

    def __call__(self, path: str) -> Answer:
        if path == "/metrics":
            return Answer(HTTPStatus.OK, prometheus(self._recent()), "text/plain; version=0.0.4")
        if path == "/healthz":
            answer, status = health_of(self._recent())
            return Answer(HTTPStatus(status), json.dumps(answer) + "\n", "application/json")
        return refusal(HTTPStatus.NOT_FOUND, "only /metrics and /healthz are served")

    def _recent(self) -> GatewayStatus:
        if self._newest is None or time.monotonic() >= self._until:
            self._newest = self.report()
            self._until = time.monotonic() + _FRESH
        return self._newest


class _Server:
    """One task per connection; the connection is closed when its task ends, even if it never started."""

    def __init__(
        self, answers: Callable[[str], Answer], counters: Counters, hosts: frozenset[str], within: float
    ) -> None:
        self._answers = answers
        self._counters = counters
        self._hosts = hosts
        self._within = within
        self._clients: dict[asyncio.Task[None], asyncio.StreamWriter] = {}
        self._stopped = False

    def arrived(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if self._stopped or len(self._clients) >= MOST_CONNECTIONS:
            self._counters.http_connections_refused += 1
            writer.transport.abort()
            return
        task = asyncio.get_running_loop().create_task(self._client(reader, writer), name="http client")
        self._clients[task] = writer
        task.add_done_callback(self._left)

    def _left(self, task: asyncio.Task[None]) -> None:
        self._clients.pop(task).transport.abort()

    async def _client(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with suppress(TimeoutError, OSError):
            async with asyncio.timeout(self._within):
                writer.write(await self._answered(reader))
                writer.write_eof()
                await writer.drain()
                await _discard(reader)
                writer.close()
                await writer.wait_closed()  # until the answer is sent

    async def _answered(self, reader: asyncio.StreamReader) -> bytes:
        try:
            request = parse(await reader.readuntil(b"\r\n\r\n"), self._hosts)
        except asyncio.IncompleteReadError as error:
            request = refusal(HTTPStatus.BAD_REQUEST, "not an HTTP request")
            if not error.partial:
                return b""
        except asyncio.LimitOverrunError:
            request = refusal(
                HTTPStatus.REQUEST_HEADER_FIELDS_TOO_LARGE,
                f"a request head may have at most {LONGEST_HEAD >> 10} KiB",
            )
        if isinstance(request, Request):
            return self._content(request.path).encode(with_content=request.with_content)
        return request.encode()

    def _content(self, path: str) -> Answer:
        try:
            return self._answers(path)
        except Exception as error:  # noqa: BLE001 - the edge of the process: a defect is an answer, not an end
            log.error("%s cannot be answered: %s", path, in_words(error))  # noqa: TRY400 - no traceback
            return refusal(HTTPStatus.INTERNAL_SERVER_ERROR, "cannot build the report; see the log")

    async def stop(self) -> None:
        """End every connection."""
        self._stopped = True
        for task in self._clients:
            task.cancel()
        await asyncio.gather(*self._clients, return_exceptions=True)


async def _discard(reader: asyncio.StreamReader) -> None:
    """Read and discard input until the client ends it or `_READ_OUT` bytes were read."""
    left = _READ_OUT
    while left > 0 and (some := await reader.read(left)):
        left -= len(some)
