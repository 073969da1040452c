"""Small real implementations at the seams of the product."""

import asyncio
import errno
import gzip
import heapq
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import Generic, Self, TypeVar

from aiohttp import web

from edge_gateway.journal.files import Files

Number = TypeVar("Number", int, float)


@dataclass(slots=True)
class ManualClock(Generic[Number]):
    """A clock in any unit: calling it returns `now`, which moves only when it is set."""

    now: Number

    def __call__(self) -> Number:
        return self.now


@dataclass(frozen=True, slots=True)
class Answer:
    """One answer of `FakeInflux`. `status` 0 resets the connection, -1 hangs until the server is closed.

    A `foreign` one is the message alone, in HTML, as a proxy would send it.
    """

    status: int
    message: str = ""
    headers: dict[str, str] = field(default_factory=dict)
    foreign: bool = False


STORED = Answer(204)
RESET = Answer(0)
HANG = Answer(-1)


@dataclass(frozen=True, slots=True)
class Written:
    """A request that `FakeInflux` received, and its answer."""

    bucket: str
    precision: str
    token: str
    lines: tuple[bytes, ...]
    answer: Answer


class FakeInflux:
    """An HTTP server that answers writes as InfluxDB 2 does.

    `script` holds the answers to the next requests; without one, a request to a bucket of `closed` gets that answer,
    others are judged by their lines: one that starts with a word of `bad` makes the whole request a 400, one of
    `poison` gets `poison_answer`, one of `conflicting` a 422 that stores the rest, more than `most_lines` a 413.

    A sink's own point that asks whether the server stores anything is kept apart, in `probes`; while there is a
    script it is answered like what comes next.
    """

    def __init__(self) -> None:
        self.script: list[Answer] = []
        self.bad: tuple[bytes, ...] = ()
        self.conflicting: tuple[bytes, ...] = ()
        self.poison: tuple[bytes, ...] = ()
        self.poison_answer = Answer(500, "internal error")
        self.closed: dict[str, Answer] = {}
        self.probes: list[Written] = []
        self.most_lines = 1 << 30
        self.requests: list[Written] = []
        self.stored: dict[str, dict[bytes, bytes]] = {}
        self.order: list[tuple[str, bytes]] = []
        self.open_requests = 0
        self.most_open_requests = 0
        self.url = ""
        self._arrived = asyncio.Event()
        self._closing = asyncio.Event()

    async def __aenter__(self) -> Self:
        app = web.Application(client_max_size=64 << 20)
        app.router.add_post("/api/v2/write", self._write)
        self._runner = web.AppRunner(app, shutdown_timeout=0.1)
        await self._runner.setup()
        site = web.TCPSite(self._runner, "127.0.0.1", 0)
        await site.start()
        port = self._runner.addresses[0][1]
        self.url = f"http://127.0.0.1:{port}"
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._closing.set()
        await self._runner.cleanup()

    async def requested(self, count: int) -> None:
        """Wait until that many requests have arrived."""
        while len(self.requests) < count:
            self._arrived.clear()
            await self._arrived.wait()

    def points(self, bucket: str) -> set[bytes]:
        """Return the stored lines as a database would: the last one of each series and time."""
        return set(self.stored.get(bucket, {}).values())

    async def _write(self, request: web.Request) -> web.StreamResponse:
        with self._counted():
            body = await request.read()
            if request.headers.get("Content-Encoding") != "gzip":
                return web.json_response({"message": "this server expects gzip"}, status=400)
            lines = _lines(body)
            bucket = request.query["bucket"]
            probe = all(line.startswith(b"sink_probe ") for line in lines)
            if self.script:
                answer = self.script[0] if probe else self.script.pop(0)
            else:
                answer = self.closed.get(bucket) or self._judge(lines)
            token = request.headers.get("Authorization", "")
            kept = self.probes if probe else self.requests
            kept.append(Written(bucket, request.query["precision"], token, lines, answer))
            self._arrived.set()
            return await self._answer(request, answer, bucket, lines)

    @contextmanager
    def _counted(self) -> Iterator[None]:
        self.open_requests += 1
        self.most_open_requests = max(self.most_open_requests, self.open_requests)
        try:
            yield
        finally:
            self.open_requests -= 1

    def _judge(self, lines: tuple[bytes, ...]) -> Answer:
        if len(lines) > self.most_lines:
            return Answer(413, '{"code":"request too large"}')
        broken = [line for line in lines if self.bad and line.startswith(self.bad)]
        if broken:
            return Answer(400, f"unable to parse '{broken[0].decode()}': missing fields")
        if self.poison and any(line.startswith(self.poison) for line in lines):
            return self.poison_answer
        dropped = sum(line.startswith(self.conflicting) for line in lines) if self.conflicting else 0
        if dropped:
            return Answer(422, f"partial write: field type conflict dropped={dropped}")
        return STORED

    async def _answer(
        self, request: web.Request, answer: Answer, bucket: str, lines: tuple[bytes, ...]
    ) -> web.StreamResponse:
        if answer.status == HANG.status:
            await self._closing.wait()
        if answer.status <= 0:
            assert request.transport is not None
            request.transport.abort()
            return web.Response(status=500)
        if answer.status in {204, 422} and not answer.foreign:
            self._store(bucket, lines)
        if answer.status == STORED.status:
            return web.Response(status=204)
        if answer.foreign:
            return web.Response(
                text=answer.message, status=answer.status, headers=answer.headers, content_type="text/html"
            )
        body = {"code": "error", "message": answer.message}
        return web.json_response(body, status=answer.status, headers=answer.headers)

    def _store(self, bucket: str, lines: tuple[bytes, ...]) -> None:
        for line in lines:
            if not line.startswith((b"sink_probe ", *self.conflicting)):
                series, _, rest = line.partition(b" ")
                self.stored.setdefault(bucket, {})[series + b" " + rest.rpartition(b" ")[2]] = line
                self.order.append((bucket, line))


def _lines(body: bytes) -> tuple[bytes, ...]:
    plain = gzip.decompress(body) if body.startswith(b"\x1f\x8b") else body
    return tuple(plain.split(b"\n")[:-1])


class ManualTimers:
    """The two methods of an event loop that a wheel needs, with a clock moved by hand."""

    def __init__(self) -> None:
        self.now = 0.0
        self._due: list[tuple[float, int, ManualTimer]] = []

    def time(self) -> float:
        return self.now

    def call_at(self, when: float, callback: Callable[[], None]) -> "ManualTimer":
        timer = ManualTimer(when, callback)
        heapq.heappush(self._due, (when, id(timer), timer))
        return timer

    @property
    def armed(self) -> list[float]:
        return sorted(when for when, _, timer in self._due if not timer.cancelled)

    def run_until(self, when: float) -> None:
        while self._due and self._due[0][0] <= when:
            due, _, timer = heapq.heappop(self._due)
            self.now = max(self.now, due)
            if not timer.cancelled:
                timer.callback()
        self.now = when


class ManualTimer:
    def __init__(self, when: float, callback: Callable[[], None]) -> None:
        self._when = when
        self.callback = callback
        self.cancelled = False

    def when(self) -> float:
        return self._when

    def cancel(self) -> None:
        self.cancelled = True


class FaultyFiles(Files):
    """Real files whose steps fail on demand; `fail` maps a step to the errors of its next calls, None for a success."""

    def __init__(self) -> None:
        self.fail: dict[str, list[int | None]] = {}
        self.partial: int | None = None
        self.steps: list[str] = []

    def _step(self, name: str) -> None:
        self.steps.append(name)
        errors = self.fail.get(name)
        if errors and (code := errors.pop(0)) is not None:
            raise OSError(code, errno.errorcode[code])

    def create(self, path: Path) -> int:
        self._step("create")
        return super().create(path)

    def write(self, handle: int, data: bytes) -> None:
        try:
            self._step("write")
        except OSError:
            super().write(handle, data[: self.partial or 0])
            raise
        super().write(handle, data)

    def datasync(self, handle: int) -> None:
        self._step("datasync")
        super().datasync(handle)

    def sync(self, handle: int) -> None:
        self._step("sync")
        super().sync(handle)

    def truncate(self, handle: int, size: int) -> None:
        self._step("truncate")
        super().truncate(handle, size)

    def rename(self, source: Path, target: Path) -> None:
        self._step("rename")
        super().rename(source, target)

    def unlink(self, path: Path) -> None:
        self._step("unlink")
        super().unlink(path)

    def sync_directory(self, path: Path) -> None:
        self._step("sync_directory")
        super().sync_directory(path)
