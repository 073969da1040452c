"""Plain TCP connections by the ten thousand: one epoll of their own, which the loop watches as one descriptor.

::

    loop ─▶ Sockets.collect ─▶ every readable socket of one epoll ─▶ Connection.buffer_updated

asyncio spends more on a readable socket (a handle, a context, three calls) than reading its four bytes of PUBACK
costs, and more on making a connection than the kernel does. What runs here behaves as asyncio's transports do:
`write` never calls back, and `connection_lost` is called once, from the loop.
"""

import asyncio
import os
import select
import socket
import time
from types import TracebackType
from typing import Any, Self

from fleet_sim.devices.socket_transport import SocketTransport, Watched
from fleet_wire.connection import Connection, dial
from fleet_wire.session_options import SessionOptions

__all__ = ["Sockets"]

AT_ONCE = 512
"""Sockets served before the loop gets control back."""
ADDRESSES_KEPT = 30.0
"""Seconds for which the addresses of a name are cached: a fleet connects to the same name thousands of times."""

Address = tuple[socket.AddressFamily, Any]


class Sockets:
    """All plain connections of one loop. Close it when they have ended."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self.loop = loop
        self._epoll = select.epoll()
        self._watched: dict[int, Watched] = {}
        self._addresses: dict[tuple[str, int], tuple[float, list[Address]]] = {}
        loop.add_reader(self._epoll.fileno(), self.collect)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        if not self._epoll.closed:
            self.loop.remove_reader(self._epoll.fileno())
            self._epoll.close()

    def collect(self) -> None:
        """Serve the sockets that are ready now; call it after sending a lot, when answers have arrived."""
        watched = self._watched
        for descriptor, events in self._epoll.poll(0, AT_ONCE):
            waiting = watched.get(descriptor)
            if waiting is not None:
                waiting.ready(events)

    async def dial(self, connection: Connection, options: SessionOptions) -> asyncio.Transport:
        """Open a transport here; one with TLS as asyncio does. See `fleet_wire.connection.Dial`."""
        if options.tls is not None:
            return await dial(connection, options)
        transport = SocketTransport(self, await self._connected(options), connection)
        connection.connection_made(transport)
        return transport

    async def _connected(self, options: SessionOptions) -> socket.socket:
        problem: OSError | None = None
        for family, address in await self._resolved(options.host, options.port):
            try:
                return await self._open(family, address, options.local_address)
            except OSError as refused:
                problem = refused
        raise problem or OSError(f"{options.host} has no address")

    async def _resolved(self, host: str, port: int) -> list[Address]:
        until, known = self._addresses.get((host, port), (0.0, []))
        if time.monotonic() < until:
            return known
        found = await self.loop.getaddrinfo(host, port, type=socket.SOCK_STREAM)
        known = [(family, address) for family, _, _, _, address in found]
        self._addresses[host, port] = (time.monotonic() + ADDRESSES_KEPT, known)
        return known

    async def _open(self, family: socket.AddressFamily, address: Any, local: str | None) -> socket.socket:
        opened = socket.socket(family, socket.SOCK_STREAM | socket.SOCK_NONBLOCK)
        try:
            opened.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            if local:
                opened.bind((local, 0))
            try:
                opened.connect(address)
            except BlockingIOError:
                await self._established(opened)
        except BaseException:
            opened.close()
            raise
        return opened

    async def _established(self, opened: socket.socket) -> None:
        established = self.loop.create_future()
        self.watch(opened.fileno(), _Established(established), select.EPOLLOUT)
        try:
            await established
        finally:
            self.forget(opened.fileno())
        code = opened.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR)
        if code:
            raise OSError(code, os.strerror(code))

    # For transports

    def watch(self, descriptor: int, watched: Watched, events: int) -> None:
        """Report these events to `watched`, in place of those asked for before."""
        if descriptor in self._watched:
            self._epoll.modify(descriptor, events)
        else:
            self._epoll.register(descriptor, events)
            self._watched[descriptor] = watched

    def forget(self, descriptor: int) -> None:
        if self._watched.pop(descriptor, None) is not None and not self._epoll.closed:
            self._epoll.unregister(descriptor)


class _Established:
    """Waits for a connection to be made or refused."""

    def __init__(self, established: asyncio.Future[None]) -> None:
        self._established = established

    def ready(self, _events: int) -> None:
        if not self._established.done():
            self._established.set_result(None)
