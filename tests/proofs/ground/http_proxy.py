"""A proxy in front of a real InfluxDB that answers chosen writes itself and checks the order of lines.

    gateway ─▶ Twist? ─┬─ none ─────────────▶ the server, and its own answer
                       ├─ stored ───────────▶ the server, and another answer than its own, or none
                       └─ else ─────────────▶ the answer alone; the server hears nothing

What is damaged on the way (`damage`) is what the real server refuses as malformed.
"""

from __future__ import annotations

import asyncio
import gzip
import random
import time
from collections import Counter, deque
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from types import TracebackType
from typing import Literal, Self
from urllib.parse import urlsplit

import aiohttp
from aiohttp import web

from tests.proofs.ground.proxy import LoopThread, reset
from tests.servers.process import free_port

__all__ = ["TWISTS", "HttpProxy", "Order", "Twist", "twist"]

End = Literal["answer", "reset before", "reset after", "hang"]
SLACK = 0.05
"""Seconds by which clocks of two processes and a rounded wait may differ."""
LONGEST = 30.0
MESSAGES = {
    400: "unable to parse: as chosen",
    401: "unauthorized access",
    403: "forbidden",
    404: "bucket not found",
    413: "request too large",
    422: "failure writing points to database: partial write: as chosen dropped=1",
}
FOR_MANY = frozenset({400, 413, 422})
"""Of one line alone these say that it is refused, which a server that takes it would not."""


@dataclass(frozen=True, slots=True)
class Twist:
    """How one write is answered. `stored`: the server gets it first. `retry_after` in seconds."""

    name: str
    status: int = 0
    end: End = "answer"
    stored: bool = False
    retry_after: int | None = None
    as_date: bool = False

    @property
    def needs_many(self) -> bool:
        return self.status in FOR_MANY


TWISTS = (
    *("400", "401", "403", "404", "413", "422", "429", "500", "502", "503", "504"),
    *("reset before the body", "reset after the body", "hang", "lost 204"),
)


def twist(name: str, rng: random.Random) -> Twist:
    """One of `TWISTS`; chance says whether the server got the write all the same."""
    maybe = rng.random() < 0.5
    if name == "reset before the body":
        return Twist(name, end="reset before")
    if name == "reset after the body":
        return Twist(name, end="reset after")
    if name == "lost 204":
        return Twist(name, end="reset after", stored=True)
    if name == "hang":
        return Twist(name, end="hang", stored=maybe)
    status = int(name)
    if status == 429:
        return Twist(name, status, retry_after=rng.choice((1, 2)), as_date=maybe)
    return Twist(name, status, stored=maybe and (status >= 500 or status == 422))


@dataclass(slots=True)
class Wait:
    """How long the gateway waited after a failure, in seconds; `least` is what the server had asked for."""

    after: str
    seconds: float
    least: float


@dataclass(slots=True)
class Order:
    """What was accepted, in the order of time: points of a series come with growing times.

    A point that comes again is no break: it is a correction, or was sent again because its answer was unknown.
    """

    newest: dict[tuple[str, bytes], int] = field(default_factory=dict)
    seen: set[tuple[str, bytes, int]] = field(default_factory=set)
    breaks: list[str] = field(default_factory=list)

    def take(self, bucket: str, lines: list[bytes]) -> None:
        for line in lines:
            series, time_ms = series_of(line)
            key = bucket, series
            point = (*key, time_ms)
            if point not in self.seen and time_ms < self.newest.get(key, 0):
                self.breaks.append(f"{bucket}: {line.decode()} after {self.newest[key]}")
            self.seen.add(point)
            self.newest[key] = max(time_ms, self.newest.get(key, 0))


def series_of(line: bytes) -> tuple[bytes, int]:
    """Measurement with tags, and time; spaces in tags are escaped, and those of text fields lie between."""
    place = 0
    while (place := line.index(b" ", place)) and line[place - 1] == ord("\\"):
        place += 1
    return line[:place], int(line.rpartition(b" ")[2])


class HttpProxy:
    """Listens on a free port while the block runs. What it counted may be read when nothing is written any more."""

    def __init__(self, to_url: str, *, damage: Callable[[bytes], bytes] | None = None) -> None:
        self.url = f"http://127.0.0.1:{free_port()}"
        self.order = Order()
        self.used: Counter[str] = Counter()
        self.answers: Counter[int] = Counter()
        self.open_requests = 0
        self.most_open = 0
        self.waits: list[Wait] = []
        self._to = to_url
        self._damage = damage
        self._twists: deque[Twist] = deque()
        self._failed: tuple[float, str, float] | None = None
        self._thread = LoopThread("http proxy")
        self._client: aiohttp.ClientSession | None = None
        self._runner: web.AppRunner | None = None

    def __enter__(self) -> Self:
        self._thread.start()
        self._thread.do(self._listen())
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._thread.do(self._end())
        self._thread.end()

    def twist(self, one: Twist) -> None:
        """Answer the next suitable write this way."""
        self._twists.append(one)

    @property
    def twists_left(self) -> int:
        return len(self._twists)

    async def _listen(self) -> None:
        self._client = aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=None), auto_decompress=False)
        app = web.Application(client_max_size=64 << 20)
        app.router.add_post("/api/v2/write", self._write)
        self._runner = web.AppRunner(app, handler_cancellation=True, shutdown_timeout=0.1, access_log=None)
        await self._runner.setup()
        await web.TCPSite(self._runner, "127.0.0.1", urlsplit(self.url).port).start()

    async def _end(self) -> None:
        assert self._runner is not None
        assert self._client is not None
        await self._runner.cleanup()
        await self._client.close()

    async def _write(self, request: web.Request) -> web.StreamResponse:
        self._note_wait()
        self.open_requests += 1
        self.most_open = max(self.most_open, self.open_requests)
        try:
            return await self._answer(request)
        finally:
            self.open_requests -= 1

    async def _answer(self, request: web.Request) -> web.StreamResponse:
        if self._twists and self._twists[0].end == "reset before":
            return self._cut(request, self._take())
        lines = (await request.read()).split(b"\n")[:-1]
        if not self._twists or (self._twists[0].needs_many and len(lines) < 2):
            return await self._pass_on(request, lines)
        chosen = self._take()
        if chosen.stored and not await self._stored(request, lines):
            return self._cut(request, chosen)
        if chosen.end == "hang":
            await self._hang(chosen)
        if chosen.end != "answer":
            return self._cut(request, chosen)
        return self._say(chosen)

    async def _hang(self, chosen: Twist) -> None:
        """Wait until the gateway closes the connection, which cancels this."""
        try:
            await asyncio.Event().wait()
        finally:
            self._failed = time.monotonic(), chosen.name, 0.0

    def _take(self) -> Twist:
        chosen = self._twists.popleft()
        self.used[chosen.name] += 1
        return chosen

    def _say(self, chosen: Twist) -> web.Response:
        headers, least = {}, 0.0
        if chosen.retry_after is not None:
            headers["Retry-After"], least = _retry_after(chosen)
        if not chosen.needs_many:
            self._failed = time.monotonic(), chosen.name, least
        body = {"code": "chosen", "message": MESSAGES.get(chosen.status, "chosen")}
        return web.json_response(body, status=chosen.status, headers=headers)

    def _cut(self, request: web.Request, chosen: Twist) -> web.Response:
        self._failed = time.monotonic(), chosen.name, 0.0
        if request.transport is not None:
            reset(request.transport)
        return web.Response(status=500)

    def _note_wait(self) -> None:
        if self._failed is not None:
            at, name, least = self._failed
            self._failed = None
            self.waits.append(Wait(name, time.monotonic() - at, least))

    # --- the real server

    async def _pass_on(self, request: web.Request, lines: list[bytes]) -> web.StreamResponse:
        try:
            status, body, kind = await self._send(request, lines)
        except (aiohttp.ClientError, OSError):
            if request.transport is not None:
                reset(request.transport)
            return web.Response(status=500)
        return web.Response(status=status, body=body, headers=kind)

    async def _stored(self, request: web.Request, lines: list[bytes]) -> bool:
        try:
            status, _, _ = await self._send(request, lines)
        except (aiohttp.ClientError, OSError):
            return False
        return status == 204

    async def _send(self, request: web.Request, lines: list[bytes]) -> tuple[int, bytes, dict[str, str]]:
        assert self._client is not None
        sent = lines if self._damage is None else [self._damage(line) for line in lines]
        headers = {"Authorization": request.headers["Authorization"], "Content-Encoding": "gzip"}
        body = gzip.compress(b"".join(line + b"\n" for line in sent), 1)
        async with self._client.post(f"{self._to}{request.path_qs}", data=body, headers=headers) as answer:
            said = await answer.read()
            kind = {name: answer.headers[name] for name in ("Content-Type",) if name in answer.headers}
        self.answers[answer.status] += 1
        if answer.status == 204:
            self.order.take(request.query["bucket"], lines)
        return answer.status, said, kind


def _retry_after(chosen: Twist) -> tuple[str, float]:
    """The header, and how many seconds from now it asks for at least; a date has whole seconds only."""
    seconds = chosen.retry_after or 0
    if not chosen.as_date:
        return str(seconds), float(seconds)
    at = (datetime.now(UTC) + timedelta(seconds=seconds)).replace(microsecond=0)
    return format_datetime(at, usegmt=True), max(0.0, (at - datetime.now(UTC)).total_seconds())
