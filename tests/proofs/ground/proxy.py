"""A TCP proxy in its own thread that injects network faults.

    client ─▶ first bytes: whose connection? ─┬─ silence: swallowed, never answered
                                              └─▶ server; each way on its own:
                                                  passed on │ late │ byte by byte │ cut short and reset │ held back

A trouble is of those connections alone whose first bytes it matches, which for MQTT is the CONNECT with the client id.
"""

from __future__ import annotations

import asyncio
import random
import socket
import struct
import threading
from collections.abc import Callable, Coroutine, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from enum import Enum
from types import TracebackType
from typing import Any, Self, TypeVar

__all__ = ["Kind", "LoopThread", "Proxy", "Trouble", "everyone", "reset"]

Result = TypeVar("Result")
CHUNK = 65_536
LATE = (0.02, 0.4)
PACE = 0.002
"""Seconds between two bytes."""
CUT = 0.5
"""Chance of each piece to be cut short."""
READ_FIRST = 0.01
"""Seconds the peer has to read the beginning of a packet before the reset."""


class Kind(Enum):
    """A kind of network fault."""

    DELAY = "delay"
    TRICKLE = "trickle"
    RESET = "reset"
    SILENCE = "silence"
    BLACK_HOLE = "black hole"


def everyone(_first: bytes) -> bool:
    return True


@dataclass(slots=True, eq=False)
class Trouble:
    """One active fault. `touched` counts the pieces of data, or for silence the connections, it affected."""

    kind: Kind
    of: Callable[[bytes], bool] = everyone
    touched: int = 0
    over: asyncio.Event = field(default_factory=asyncio.Event)


class Cut(Exception):
    """Raised to reset the connection now."""


@dataclass(slots=True, eq=False)
class Link:
    """A client's connection and its counterpart to the server."""

    client: asyncio.StreamWriter
    server: asyncio.StreamWriter | None = None
    first: bytes = b""

    def reset(self) -> None:
        for writer in (self.client, self.server):
            if writer is not None:
                reset(writer.transport)

    def close(self) -> None:
        for writer in (self.client, self.server):
            if writer is not None:
                writer.close()


class LoopThread:
    """An event loop in its own thread."""

    def __init__(self, name: str) -> None:
        self.loop: asyncio.AbstractEventLoop
        self._thread = threading.Thread(target=self._work, name=name, daemon=True)

    def start(self) -> None:
        self.loop = asyncio.new_event_loop()
        self._thread.start()

    def _work(self) -> None:
        asyncio.set_event_loop(self.loop)
        self.loop.run_forever()

    def do(self, work: Coroutine[Any, Any, Result]) -> Result:
        """Run a coroutine in the thread and return its result."""
        return asyncio.run_coroutine_threadsafe(work, self.loop).result(30)

    def end(self) -> None:
        """Cancel everything still running, and end the thread."""
        self.do(_cancel_others())
        self.loop.call_soon_threadsafe(self.loop.stop)
        self._thread.join()
        self.loop.close()


class Proxy:
    """Listens on a free port while the block runs, and connects each client to `to_host:to_port`."""

    host = "127.0.0.1"

    def __init__(self, to_host: str, to_port: int, *, seed: int = 0) -> None:
        self.port = 0
        self.links: set[Link] = set()
        self._to = to_host, to_port
        self._rng = random.Random(seed)
        self._troubles: list[Trouble] = []
        self._server: asyncio.Server | None = None
        self._thread = LoopThread("proxy")

    def __enter__(self) -> Self:
        self._thread.start()
        self._thread.do(self._listen())
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._thread.do(self._end())
        self._thread.end()

    @contextmanager
    def trouble(self, kind: Kind, of: Callable[[bytes], bool] = everyone) -> Iterator[Trouble]:
        """A trouble while the block runs; `of` is asked with the first bytes of a connection's client."""
        trouble = Trouble(kind, of)
        self._thread.do(self._begin(trouble))
        try:
            yield trouble
        finally:
            self._thread.do(self._lift(trouble))

    async def _listen(self) -> None:
        self._server = await asyncio.start_server(self._serve, self.host, 0, limit=CHUNK, backlog=1024)
        self.port = self._server.sockets[0].getsockname()[1]

    async def _end(self) -> None:
        assert self._server is not None
        self._server.close()
        for link in list(self.links):
            link.reset()

    async def _begin(self, trouble: Trouble) -> None:
        """Silence is for who comes anew, so that everybody must come anew."""
        self._troubles.append(trouble)
        if trouble.kind is Kind.SILENCE:
            for link in [link for link in self.links if trouble.of(link.first)]:
                link.reset()

    async def _lift(self, trouble: Trouble) -> None:
        self._troubles.remove(trouble)
        trouble.over.set()

    # --- a connection

    async def _serve(self, reader: asyncio.StreamReader, client: asyncio.StreamWriter) -> None:
        link = Link(client)
        self.links.add(link)
        try:
            link.first = await reader.read(CHUNK)
            if not link.first or await self._swallowed(link, reader):
                return
            answers, link.server = await asyncio.open_connection(*self._to, limit=CHUNK)
            await asyncio.gather(
                self._pump(link, reader, link.server, link.first), self._pump(link, answers, client)
            )
        except (
            OSError,
            Cut,
            asyncio.CancelledError,
        ):  # cancelled at the very end alone, and asyncio would cry
            link.reset()
        finally:
            link.close()
            self.links.discard(link)

    async def _swallowed(self, link: Link, reader: asyncio.StreamReader) -> bool:
        """Whether there was silence for this one, until it gave up: it outlasts the trouble."""
        trouble = self._trouble_of(link)
        if trouble is None or trouble.kind is not Kind.SILENCE:
            return False
        trouble.touched += 1
        while await reader.read(CHUNK):
            pass
        return True

    async def _pump(
        self, link: Link, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, data: bytes = b""
    ) -> None:
        """Copy data one way until it ends. A black hole swallows the end, too."""
        try:
            while data or (data := await reader.read(CHUNK)):
                await self._pass_on(link, data, writer)
                data = b""
        finally:
            await self._out_of_hole(link)
        if not writer.is_closing():
            writer.write_eof()

    async def _pass_on(self, link: Link, data: bytes, writer: asyncio.StreamWriter) -> None:
        await self._out_of_hole(link)
        trouble = self._trouble_of(link)
        if trouble is not None and trouble.kind is not Kind.SILENCE:
            trouble.touched += 1
            data = await self._torment(trouble, data, writer)
        writer.write(data)
        await writer.drain()

    async def _torment(self, trouble: Trouble, data: bytes, writer: asyncio.StreamWriter) -> bytes:
        """Apply the fault; return the data that is left to pass on."""
        if trouble.kind is Kind.DELAY:
            await asyncio.sleep(self._rng.uniform(*LATE))
        elif trouble.kind is Kind.TRICKLE:
            return await _trickle(trouble, data, writer)
        elif trouble.kind is Kind.RESET and self._rng.random() < CUT:
            writer.write(data[: self._rng.randrange(1, max(2, len(data)))])
            await writer.drain()
            await asyncio.sleep(READ_FIRST)
            raise Cut
        return data

    async def _out_of_hole(self, link: Link) -> None:
        while (trouble := self._trouble_of(link)) is not None and trouble.kind is Kind.BLACK_HOLE:
            trouble.touched += 1
            await trouble.over.wait()

    def _trouble_of(self, link: Link) -> Trouble | None:
        return next((one for one in self._troubles if one.of(link.first)), None)


async def _trickle(trouble: Trouble, data: bytes, writer: asyncio.StreamWriter) -> bytes:
    for place in range(len(data)):
        if trouble.over.is_set():
            return data[place:]
        writer.write(data[place : place + 1])
        await writer.drain()
        await asyncio.sleep(PACE)
    return b""


def reset(transport: asyncio.BaseTransport) -> None:
    """End a connection with RST."""
    opened = transport.get_extra_info("socket")
    if opened is not None:
        with suppress(OSError):
            opened.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    if isinstance(transport, asyncio.WriteTransport):
        transport.abort()


async def _cancel_others() -> None:
    others = asyncio.all_tasks() - {asyncio.current_task()}
    for task in others:
        task.cancel()
    await asyncio.gather(*others, return_exceptions=True)
