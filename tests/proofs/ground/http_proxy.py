"""A proxy in front of a real InfluxDB that answers chosen writes itself and checks the order of lines.

    gateway ─▶ chosen answer? ─┬─ none ──▶ the server; its own answer is passed on
                               ├─ stored ▶ the server; the chosen answer, or none, is given instead of its own
                               ├─ late ──▶ 504; the server gets it once it stored the retry and a correction of it
                               └─ else ──▶ the chosen answer; the server receives nothing

`damage` changes lines on the way, so that the real server refuses them as malformed.
"""

from __future__ import annotations

import asyncio
import gzip
import random
import time
from collections import Counter, deque
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from typing import Literal
from urllib.parse import urlsplit

import aiohttp
from aiohttp import web

from tests.proofs.ground.proxy import ThreadedServer, reset
from tests.proofs.ground.write_order import WriteOrder, series_of
from tests.servers.process import free_port

__all__ = ["ANSWERS", "ChosenAnswer", "HttpProxy", "chosen_answer"]

End = Literal["answer", "reset before", "reset after", "hang", "late"]
SLACK = 0.05
"""Seconds by which clocks of two processes and a rounded wait may differ."""
LONGEST_WAIT = 30.0
MESSAGES = {
    400: "unable to parse: as chosen",
    401: "unauthorized access",
    403: "forbidden",
    404: "bucket not found",
    413: "request too large",
    422: "failure writing points to database: partial write: as chosen dropped=1",
}
SEVERAL_LINES = frozenset({400, 413, 422})
"""Given for a single line, these statuses would mean that the line itself is bad, which is not so."""


@dataclass(frozen=True, slots=True)
class ChosenAnswer:
    """The answer to one write. `stored`: the server gets the write first. `retry_after` in seconds."""

    name: str
    status: int = 0
    end: End = "answer"
    stored: bool = False
    retry_after: int | None = None
    as_date: bool = False

    @property
    def needs_several_lines(self) -> bool:
        return self.status in SEVERAL_LINES


ANSWERS = (
    *("400", "401", "403", "404", "413", "422", "429", "500", "502", "503", "504"),
    *("reset before the body", "reset after the body", "hang", "lost 204", "late"),
)
RESETS: dict[str, End] = {"reset before the body": "reset before", "reset after the body": "reset after"}
LATE_BY = 6.0
"""Most seconds by which a late write comes after its retry."""


def chosen_answer(name: str, rng: random.Random) -> ChosenAnswer:
    """Return one of `ANSWERS`; chance decides whether the server gets the write anyway."""
    maybe = rng.random() < 0.5
    if name in RESETS:
        return ChosenAnswer(name, end=RESETS[name])
    if name == "lost 204":
        return ChosenAnswer(name, end="reset after", stored=True)
    if name == "late":
        return ChosenAnswer(name, 504, end="late")
    if name == "hang":
        return ChosenAnswer(name, end="hang", stored=maybe)
    status = int(name)
    if status == 429:
        return ChosenAnswer(name, status, retry_after=rng.choice((1, 2)), as_date=maybe)
    return ChosenAnswer(name, status, stored=maybe and (status >= 500 or status == 422))


@dataclass(slots=True)
class Wait:
    """How long the gateway waited after a failure, in seconds; `requested` is the least by Retry-After."""

    after: str
    seconds: float
    requested: float


class HttpProxy(ThreadedServer):
    """Listens on a free port while the block runs. Read its counters only when nothing is being written."""

    def __init__(self, to_url: str, *, damage: Callable[[bytes], bytes] | None = None) -> None:
        super().__init__("http proxy")
        self.url = f"http://127.0.0.1:{free_port()}"
        self.write_order = WriteOrder()
        self.used: Counter[str] = Counter()
        self.server_statuses: Counter[int] = Counter()
        self.open_requests = 0
        self.most_open = 0
        self.waits: list[Wait] = []
        self._to = to_url
        self._damage = damage
        self._chosen: deque[ChosenAnswer] = deque()
        self._failed: tuple[float, str, float] | None = None
        self._late: set[asyncio.Task[None]] = set()
        self._stored_more = asyncio.Event()
        self._newest: dict[tuple[str, bytes, int], bytes] = {}
        """The line of each point that the server stored last."""
        self._client: aiohttp.ClientSession | None = None
        self._runner: web.AppRunner | None = None

    def answer_next(self, answer: ChosenAnswer) -> None:
        """Answer the next suitable write this way."""
        self._chosen.append(answer)

    @property
    def answers_left(self) -> int:
        return len(self._chosen)

    @property
    def late_left(self) -> int:
        """Late writes that the server has not got yet."""
        return len(self._late)

    async def _listen(self) -> None:
        self._client = aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=None), auto_decompress=False)
        app = web.Application(client_max_size=64 << 20)
        app.router.add_post("/api/v2/write", self._write)
        self._runner = web.AppRunner(app, handler_cancellation=True, shutdown_timeout=0.1, access_log=None)
        await self._runner.setup()
        await web.TCPSite(self._runner, "127.0.0.1", urlsplit(self.url).port).start()

    async def _close(self) -> None:
        assert self._runner is not None
        assert self._client is not None
        for task in self._late:
            task.cancel()
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
        if self._chosen and self._chosen[0].end == "reset before":
            return self._reset(request, self._next_answer())
        lines = (await request.read()).split(b"\n")[:-1]
        if not self._chosen or (self._chosen[0].needs_several_lines and len(lines) < 2):
            return await self._pass_on(request, lines)
        chosen = self._next_answer()
        if chosen.stored and not await self._stored(request, lines):
            return self._reset(request, chosen)
        if chosen.end == "late":
            task = asyncio.create_task(self._deliver_late(request, lines))
            self._late.add(task)
            task.add_done_callback(self._late.discard)
            return self._respond(chosen)
        if chosen.end == "hang":
            await self._hang(chosen)
        if chosen.end != "answer":
            return self._reset(request, chosen)
        return self._respond(chosen)

    async def _hang(self, chosen: ChosenAnswer) -> None:
        """Wait until the gateway closes the connection, which cancels this."""
        try:
            await asyncio.Event().wait()
        finally:
            self._failed = time.monotonic(), chosen.name, 0.0

    async def _deliver_late(self, request: web.Request, lines: list[bytes]) -> None:
        """Give the server a write after its retry, at the worst moment: when a point of it was just corrected."""
        bucket = request.query["bucket"]
        points = {(bucket, *series_of(line)): line for line in lines}
        await self._until_stored(lambda: points.keys() <= self._newest.keys())
        with suppress(TimeoutError):
            async with asyncio.timeout(LATE_BY):
                await self._until_stored(lambda: any(self._newest[at] != line for at, line in points.items()))
        with suppress(aiohttp.ClientError, OSError):
            await self._send(request, lines, by_intent=True)

    async def _until_stored(self, holds: Callable[[], bool]) -> None:
        while not holds():
            self._stored_more.clear()
            await self._stored_more.wait()

    def _next_answer(self) -> ChosenAnswer:
        chosen = self._chosen.popleft()
        self.used[chosen.name] += 1
        return chosen

    def _respond(self, chosen: ChosenAnswer) -> web.Response:
        headers, requested = {}, 0.0
        if chosen.retry_after is not None:
            headers["Retry-After"], requested = _retry_after(chosen)
        if not chosen.needs_several_lines:
            self._failed = time.monotonic(), chosen.name, requested
        body = {"code": "chosen", "message": MESSAGES.get(chosen.status, "chosen")}
        return web.json_response(body, status=chosen.status, headers=headers)

    def _reset(self, request: web.Request, chosen: ChosenAnswer) -> web.Response:
        self._failed = time.monotonic(), chosen.name, 0.0
        if request.transport is not None:
            reset(request.transport)
        return web.Response(status=500)

    def _note_wait(self) -> None:
        if self._failed is not None:
            at, name, requested = self._failed
            self._failed = None
            self.waits.append(Wait(name, time.monotonic() - at, requested))

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

    async def _send(
        self, request: web.Request, lines: list[bytes], *, by_intent: bool = False
    ) -> tuple[int, bytes, dict[str, str]]:
        """Give the server a write; `by_intent`: out of order."""
        assert self._client is not None
        sent = lines if self._damage is None else [self._damage(line) for line in lines]
        headers = {"Authorization": request.headers["Authorization"], "Content-Encoding": "gzip"}
        body = gzip.compress(b"".join(line + b"\n" for line in sent), 1)
        async with self._client.post(f"{self._to}{request.path_qs}", data=body, headers=headers) as answer:
            said = await answer.read()
            kind = {name: answer.headers[name] for name in ("Content-Type",) if name in answer.headers}
        self.server_statuses[answer.status] += 1
        if answer.status == 204:
            if not by_intent:
                self.write_order.add(request.query["bucket"], lines)
            self._newest |= {(request.query["bucket"], *series_of(line)): line for line in lines}
            self._stored_more.set()
        return answer.status, said, kind


def _retry_after(chosen: ChosenAnswer) -> tuple[str, float]:
    """Return the header, and the least wait in seconds it asks for; a date has whole seconds only."""
    seconds = chosen.retry_after or 0
    if not chosen.as_date:
        return str(seconds), float(seconds)
    at = (datetime.now(UTC) + timedelta(seconds=seconds)).replace(microsecond=0)
    return format_datetime(at, usegmt=True), max(0.0, (at - datetime.now(UTC)).total_seconds())
