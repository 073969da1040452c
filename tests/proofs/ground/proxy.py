"""A TCP proxy in its own thread that injects network faults.

    client ─▶ first bytes: whose connection? ─┬─ silence: swallowed, never answered
                                              └─▶ server; each way on its own:
                                                  passed on │ late │ byte by byte │ cut short and reset │ held back

A fault affects only connections whose first bytes it matches; for MQTT these are the CONNECT with the client id.
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

__all__ = ["Fault", "FaultKind", "Proxy", "ThreadedServer", "every_client", "reset"]

Result = TypeVar("Result")
CHUNK = 65_536
DELAYS = (0.02, 0.4)
BYTE_PAUSE = 0.002
"""Seconds between two bytes."""
RESET_CHANCE = 0.5
"""Chance of each piece to be cut short."""
BEFORE_RESET = 0.01
"""Seconds the peer has to read the beginning of a packet before the reset."""


class FaultKind(Enum):
    """A kind of network fault."""

    DELAY = "delay"
    TRICKLE = "trickle"
    RESET = "reset"
    SILENCE = "silence"
    BLACK_HOLE = "black hole"


def every_client(_first: bytes) -> bool:
    return True


@dataclass(slots=True, eq=False)
class Fault:
    """One active fault. `affected` counts the pieces of data, or for silence the connections, it affected."""

    kind: FaultKind
    targets: Callable[[bytes], bool] = every_client
    affected: int = 0
    over: asyncio.Event = field(default_factory=asyncio.Event)


class ResetLink(Exception):
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


class ThreadedServer:
    """A server that runs in an event loop of its own thread while the block runs."""

    def __init__(self, name: str) -> None:
        self._thread = LoopThread(name)

    def __enter__(self) -> Self:
        self._thread.start()
        self._thread.do(self._listen())
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._thread.do(self._close())
        self._thread.end()

    async def _listen(self) -> None:
        raise NotImplementedError

    async def _close(self) -> None:
        raise NotImplementedError


class Proxy(ThreadedServer):
    """Listens on a free port while the block runs, and connects each client to `to_host:to_port`."""

    host = "127.0.0.1"

    def __init__(self, to_host: str, to_port: int, *, seed: int = 0) -> None:
        super().__init__("proxy")
        self.port = 0
        self.links: set[Link] = set()
        self._to = to_host, to_port
        self._rng = random.Random(seed)
        self._faults: list[Fault] = []
        self._server: asyncio.Server | None = None

    @contextmanager
    def fault(self, kind: FaultKind, targets: Callable[[bytes], bool] = every_client) -> Iterator[Fault]:
        """Inject a fault while the block runs; `targets` is called with the first bytes of each connection."""
        fault = Fault(kind, targets)
        self._thread.do(self._begin_fault(fault))
        try:
            yield fault
        finally:
            self._thread.do(self._end_fault(fault))

    async def _listen(self) -> None:
        self._server = await asyncio.start_server(self._serve, self.host, 0, limit=CHUNK, backlog=1024)
        self.port = self._server.sockets[0].getsockname()[1]

    async def _close(self) -> None:
        assert self._server is not None
        self._server.close()
        for link in list(self.links):
            link.reset()

    async def _begin_fault(self, fault: Fault) -> None:
        """Activate the fault. Silence affects new connections only, so the old ones are reset."""
        self._faults.append(fault)
        if fault.kind is FaultKind.SILENCE:
            for link in [link for link in self.links if fault.targets(link.first)]:
                link.reset()

    async def _end_fault(self, fault: Fault) -> None:
        self._faults.remove(fault)
        fault.over.set()

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
            ResetLink,
            asyncio.CancelledError,
        ):  # only cancelled at the end, where asyncio would log an error
            link.reset()
        finally:
            link.close()
            self.links.discard(link)

    async def _swallowed(self, link: Link, reader: asyncio.StreamReader) -> bool:
        """Whether this connection is silenced; if so, read and drop everything until the client gives up."""
        fault = self._fault_on(link)
        if fault is None or fault.kind is not FaultKind.SILENCE:
            return False
        fault.affected += 1
        while await reader.read(CHUNK):
            pass
        return True

    async def _pump(
        self, link: Link, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, data: bytes = b""
    ) -> None:
        """Copy data one way until it ends. A black hole also holds back the end."""
        try:
            while data or (data := await reader.read(CHUNK)):
                await self._pass_on(link, data, writer)
                data = b""
        finally:
            await self._wait_out_black_hole(link)
        if not writer.is_closing():
            writer.write_eof()

    async def _pass_on(self, link: Link, data: bytes, writer: asyncio.StreamWriter) -> None:
        await self._wait_out_black_hole(link)
        fault = self._fault_on(link)
        if fault is not None and fault.kind is not FaultKind.SILENCE:
            fault.affected += 1
            data = await self._inject(fault, data, writer)
        writer.write(data)
        await writer.drain()

    async def _inject(self, fault: Fault, data: bytes, writer: asyncio.StreamWriter) -> bytes:
        """Apply the fault; return the data that is left to pass on."""
        if fault.kind is FaultKind.DELAY:
            await asyncio.sleep(self._rng.uniform(*DELAYS))
        elif fault.kind is FaultKind.TRICKLE:
            return await _trickle(fault, data, writer)
        elif fault.kind is FaultKind.RESET and self._rng.random() < RESET_CHANCE:
            writer.write(data[: self._rng.randrange(1, max(2, len(data)))])
            await writer.drain()
            await asyncio.sleep(BEFORE_RESET)
            raise ResetLink
        return data

    async def _wait_out_black_hole(self, link: Link) -> None:
        while (fault := self._fault_on(link)) is not None and fault.kind is FaultKind.BLACK_HOLE:
            fault.affected += 1
            await fault.over.wait()

    def _fault_on(self, link: Link) -> Fault | None:
        return next((fault for fault in self._faults if fault.targets(link.first)), None)


async def _trickle(fault: Fault, data: bytes, writer: asyncio.StreamWriter) -> bytes:
    for place in range(len(data)):
        if fault.over.is_set():
            return data[place:]
        writer.write(data[place : place + 1])
        await writer.drain()
        await asyncio.sleep(BYTE_PAUSE)
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
