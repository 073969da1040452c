"""One plain TCP connection of `Sockets` that behaves as asyncio's transports do."""

import asyncio
import select
import socket
from typing import Protocol, cast

__all__ = ["SocketTransport", "Watched", "Watcher"]

HIGH_MARK = 65_536
"""Unsent bytes beyond which a connection is not writable, until it is down to a quarter of them."""

_READ, _WRITE = select.EPOLLIN, select.EPOLLOUT


class Watched(Protocol):
    """What waits for events of one descriptor."""

    def ready(self, events: int) -> None: ...


class Watcher(Protocol):
    """The part of `Sockets` that a transport uses."""

    loop: asyncio.AbstractEventLoop

    def watch(self, descriptor: int, watched: Watched, events: int) -> None: ...

    def forget(self, descriptor: int) -> None: ...


class SocketTransport(asyncio.Transport):
    """Reads when the socket has something, writes at once what the kernel takes and the rest when it can.

    `connection_lost` is called from the loop, never from within a call; the socket is closed by then.
    """

    __slots__ = ("_closing", "_ended", "_full", "_pending", "_protocol", "_reading", "_socket", "_sockets")

    def __init__(self, sockets: Watcher, opened: socket.socket, protocol: asyncio.BufferedProtocol) -> None:
        self._sockets = sockets
        self._socket = opened
        self._protocol = protocol
        self._full = False
        self._pending: bytearray | None = None
        self._reading = True
        self._closing = False
        self._ended = False
        sockets.watch(opened.fileno(), self, _READ)

    # Called on epoll events

    def ready(self, events: int) -> None:
        if events != _WRITE and self._reading:
            self._receive()
        if self._pending is not None:
            self._flush(self._pending)

    def _receive(self) -> None:
        protocol = self._protocol
        try:
            size = self._socket.recv_into(protocol.get_buffer(-1))
        except BlockingIOError:
            return
        except OSError as problem:
            self._end(problem)
            return
        if size:
            protocol.buffer_updated(size)
        else:
            self.close()

    def _flush(self, pending: bytearray) -> None:
        try:
            sent = self._socket.send(pending)
        except OSError as problem:
            sent = self._refused(problem)
        del pending[:sent]
        if self._ended:
            return
        if not pending:
            self._pending = None
            self._watch()
            if self._closing:
                self._end(None)
        if self._full and len(pending) <= HIGH_MARK // 4:
            self._full = False
            self._protocol.resume_writing()

    def _watch(self) -> None:
        """Wait for the events that matter now; with none, unregister: a hang-up would be reported forever."""
        events = (_READ if self._reading else 0) | (_WRITE if self._pending is not None else 0)
        if events:
            self._sockets.watch(self._socket.fileno(), self, events)
        else:
            self._sockets.forget(self._socket.fileno())

    # Called by the protocol

    def get_protocol(self) -> asyncio.BaseProtocol:
        return self._protocol

    def set_protocol(self, protocol: asyncio.BaseProtocol) -> None:
        """Hand what arrives from now on to another buffered protocol."""
        self._protocol = cast("asyncio.BufferedProtocol", protocol)

    def write(self, data: bytes | bytearray | memoryview) -> None:
        if self._closing:
            return
        if self._pending is None:
            try:
                sent = self._socket.send(data)
            except OSError as problem:
                sent = self._refused(problem)
            if sent == len(data) or self._ended:
                return
            self._pending = bytearray(data[sent:])
            self._watch()
        else:
            self._pending += data
        if len(self._pending) > HIGH_MARK and not self._full:
            self._full = True
            self._protocol.pause_writing()

    def _refused(self, problem: OSError) -> int:
        """Handle a failed write: the kernel has no room, or the connection is broken and ends."""
        if not isinstance(problem, BlockingIOError):
            self._end(problem)
        return 0

    def pause_reading(self) -> None:
        self._reading = False
        if not self._ended:
            self._watch()

    def resume_reading(self) -> None:
        self._reading = not self._closing
        if not self._ended:
            self._watch()

    def is_closing(self) -> bool:
        return self._closing

    def close(self) -> None:
        """End when all is sent."""
        if self._closing:
            return
        self._closing = True
        if self._pending is None:
            self._end(None)
        else:
            self.pause_reading()

    def abort(self) -> None:
        """End now; what is not sent is dropped."""
        self._closing = True
        self._end(None)

    def _end(self, problem: OSError | None) -> None:
        if self._ended:
            return
        self._ended = self._closing = True
        self._reading, self._pending = False, None
        self._sockets.forget(self._socket.fileno())
        self._socket.close()
        self._sockets.loop.call_soon(self._tell_end, problem)

    def _tell_end(self, problem: OSError | None) -> None:
        self._protocol.connection_lost(problem)
