"""Bad links: what goes over a device's connection is delayed, paced, or held back whole.

::

    Session ─ Connection ◀─▶ Link (two pipes) ◀─▶ transport ─ broker

A healthy connection has no `Link`; one is put in between when a fault first makes it worse.
"""

import asyncio
from collections import deque
from collections.abc import Callable
from typing import Generic, TypeVar, cast

from fleet_sim.devices.conditions import GOOD, Conditions
from fleet_wire.connection import Connection, Dial
from fleet_wire.session_options import SessionOptions

__all__ = ["Link", "Links", "Pipe"]

T = TypeVar("T")


class Pipe(Generic[T]):
    """One direction of a connection. What is put in comes out in order, when the conditions allow it."""

    def __init__(self, loop: asyncio.AbstractEventLoop, deliver: Callable[[T], None]) -> None:
        self._loop = loop
        self._deliver = deliver
        self._inside: deque[tuple[float, T]] = deque()
        self._free_at = 0.0
        self._timer: asyncio.TimerHandle | None = None
        self.conditions = GOOD

    def put(self, item: T, size: int) -> None:
        """Put in something of `size` bytes; what meets a good link and nothing before it comes out at once."""
        if not self._inside and self.conditions == GOOD:
            self._deliver(item)
            return
        now, conditions = self._loop.time(), self.conditions
        self._free_at = max(now, self._free_at) + (size / conditions.rate if conditions.rate else 0.0)
        self._inside.append((self._free_at + conditions.delay, item))
        self._arm()

    def change(self, conditions: Conditions) -> None:
        """Let other conditions hold from now on; what is inside keeps its time, but nothing comes out in the dark."""
        self.conditions = conditions
        self._arm()

    def flush(self) -> None:
        """Let all that is inside come out now; in the dark it stays."""
        while self._inside and not self.conditions.dark:
            self._deliver(self._inside.popleft()[1])
        self._arm()

    def close(self) -> None:
        """Drop what is inside."""
        self._inside.clear()
        self._arm()

    def _arm(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        if self._inside and not self.conditions.dark:
            self._timer = self._loop.call_at(self._inside[0][0], self._turn)

    def _turn(self) -> None:
        now = self._loop.time()
        while self._inside and self._inside[0][0] <= now and not self.conditions.dark:
            self._deliver(self._inside.popleft()[1])
        self._arm()


_CHUNK = 65_536
_received = memoryview(bytearray(_CHUNK))
"""All links receive into this one buffer: each read is copied into its pipe before the next."""


class Link(asyncio.Transport, asyncio.BufferedProtocol):
    """Stands between a transport and its protocol: a protocol to the one, a transport to the other."""

    def __init__(self, loop: asyncio.AbstractEventLoop, transport: asyncio.Transport) -> None:
        super().__init__()
        self._transport = transport
        self._protocol = cast("asyncio.BufferedProtocol", transport.get_protocol())
        self._incoming = Pipe[bytes](loop, self._hand_over)
        self._outgoing = Pipe[bytes](loop, transport.write)
        self._reading = True
        transport.set_protocol(self)
        self._protocol.connection_made(self)

    def change(self, conditions: Conditions) -> None:
        """Let other conditions hold, in both directions. In the dark nothing is read: it waits in the kernel."""
        self._incoming.change(conditions)
        self._outgoing.change(conditions)
        self._read_or_not()

    def _read_or_not(self) -> None:
        if self._reading and not self._incoming.conditions.dark:
            self._transport.resume_reading()
        else:
            self._transport.pause_reading()

    def _hand_over(self, data: bytes) -> None:
        rest = memoryview(data)
        while rest:
            room = memoryview(self._protocol.get_buffer(len(rest)))
            size = min(len(room), len(rest))
            room[:size] = rest[:size]
            self._protocol.buffer_updated(size)
            rest = rest[size:]

    # What the transport calls

    def get_buffer(self, sizehint: int) -> memoryview:  # noqa: ARG002 - the size is ours to choose
        return _received

    def buffer_updated(self, nbytes: int) -> None:
        self._incoming.put(bytes(_received[:nbytes]), nbytes)

    def eof_received(self) -> None:
        """Let the transport close, as `Connection` does."""

    def connection_lost(self, exc: Exception | None) -> None:
        self._incoming.close()
        self._outgoing.close()
        self._protocol.connection_lost(exc)

    def pause_writing(self) -> None:
        self._protocol.pause_writing()

    def resume_writing(self) -> None:
        self._protocol.resume_writing()

    # What the protocol calls

    def write(self, data: bytes | bytearray | memoryview) -> None:
        self._outgoing.put(bytes(data), len(data))

    def pause_reading(self) -> None:
        self._reading = False
        self._read_or_not()

    def resume_reading(self) -> None:
        self._reading = True
        self._read_or_not()

    def is_closing(self) -> bool:
        return self._transport.is_closing()

    def flush(self) -> None:
        """Let what is inside come out now, in both directions; in the dark it stays."""
        self._incoming.flush()
        self._outgoing.flush()

    def close(self) -> None:
        """End without waiting for the link: what is inside goes out at once, or in the dark is lost."""
        self._outgoing.flush()
        self._outgoing.close()
        self._transport.close()

    def abort(self) -> None:
        self._transport.abort()


class Links:
    """The links of all devices, by client id. Sessions dial through them; faults make single ones worse."""

    def __init__(self, loop: asyncio.AbstractEventLoop, dial: Dial) -> None:
        self._loop = loop
        self._dial = dial
        self._transports: dict[str, asyncio.Transport] = {}
        self._faults: dict[str, dict[int, Conditions]] = {}

    async def dial(self, connection: Connection, options: SessionOptions) -> asyncio.Transport:
        """Open a transport with the conditions that hold for its client. See `fleet_wire.connection.Dial`."""
        client = options.client_id
        transport = await self._dial(connection, options)
        self._transports[client] = transport
        if client in self._faults:
            self._worsen(client)
        return self._transports[client]

    def change(self, client: str, fault: int, conditions: Conditions | None) -> None:
        """Set what a fault does to a client's link, now and on later connections; None ends it."""
        faults = self._faults.setdefault(client, {})
        faults.pop(fault, None)
        if conditions is not None:
            faults[fault] = conditions
        transport = self._transports.get(client)
        if transport is not None and not transport.is_closing() and (faults or isinstance(transport, Link)):
            self._worsen(client)
        if not faults:
            del self._faults[client]

    def flush(self) -> None:
        """Let what is inside the links come out now."""
        for transport in self._transports.values():
            if isinstance(transport, Link) and not transport.is_closing():
                transport.flush()

    def is_dark(self, client: str) -> bool:
        """Return whether nothing passes to or from a client."""
        return client in self._faults and self._conditions(client).dark

    def _conditions(self, client: str) -> Conditions:
        return Conditions.together(self._faults[client].values())

    def _worsen(self, client: str) -> None:
        transport = self._transports[client]
        link = transport if isinstance(transport, Link) else Link(self._loop, transport)
        link.change(self._conditions(client))
        self._transports[client] = link
