"""One TCP or TLS connection: bytes in, packets out, pause and resume, keep-alive. No MQTT session yet.

It runs over any transport that behaves like asyncio's; a `Dial` function provides it.
"""

import asyncio
import threading
from collections.abc import Awaitable, Callable
from time import monotonic
from typing import Protocol, cast

import mqtt5

from fleet_wire.errors import ConnectionLost, system_text
from fleet_wire.keep_alive import Quiet, Verdict, decide, wheel_of
from fleet_wire.packets import LONGEST_PLAIN_PUBACK, Damage, packet_length, plain_puback, read_packets
from fleet_wire.session_options import SessionOptions

_CHUNK = 65_536
# Mosquitto 2.0 gives no reason when another connection takes over a session, so this text names the possibility.
_WORDLESS = "the broker closed the connection without a reason: did it stop or does another program use this client id?"
_PING = mqtt5.PingReqPacket().write()


class Owner(Protocol):
    """Callbacks of a connection to its owner."""

    def packets_read(self, connection: "Connection", packets: list[mqtt5.Packet]) -> None: ...

    def puback_read(self, connection: "Connection", packet_id: int, reason: int) -> None: ...

    def damaged(self, connection: "Connection", damage: Damage) -> None: ...

    def ended(self, connection: "Connection", lost: ConnectionLost) -> None: ...

    def drained(self, connection: "Connection") -> None: ...


class _ReceiveBuffer(threading.local):
    """One buffer for all connections of a thread: each read is consumed before the next."""

    def __init__(self) -> None:
        self.buffer = memoryview(bytearray(_CHUNK))


_receive = _ReceiveBuffer()


class Connection(asyncio.BufferedProtocol):
    """Receives packets of at most `maximum_packet_size` bytes and hands over those of one read together.

    Times are those of `loop.time()`, the monotonic clock. Between reads only an incomplete packet is kept.
    """

    __slots__ = (
        "_buffer",
        "_gone",
        "_keep_alive",
        "_maximum_packet_size",
        "_owner",
        "_pinged",
        "_received",
        "_sent",
        "_shared",
        "_tail",
        "_transport",
        "check_at",
        "loop",
        "paused",
        "writable",
    )

    def __init__(self, owner: Owner, loop: asyncio.AbstractEventLoop, maximum_packet_size: int) -> None:
        self.loop = loop
        self.paused = False
        self.writable = True
        self.check_at: int | None = None
        self._owner = owner
        self._maximum_packet_size = maximum_packet_size
        self._shared = _receive.buffer
        self._buffer = self._shared
        self._tail = b""
        self._transport: asyncio.Transport | None = None
        self._gone: asyncio.Future[None] | None = None
        self._keep_alive = 0
        self._sent = self._received = loop.time()
        self._pinged: float | None = None

    # Called by the transport

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Write to this transport; called again if another one is put in front of it."""
        self._transport = cast("asyncio.Transport", transport)

    def get_buffer(self, sizehint: int) -> memoryview:  # noqa: ARG002 - the size is ours to choose
        tail = self._tail
        if not tail:
            self._buffer = self._shared
            return self._shared
        kept = len(tail)
        if kept > _CHUNK // 2 and len(self._buffer) < kept + _CHUNK:
            length = packet_length(memoryview(tail)) or kept
            self._buffer = memoryview(bytearray(length + _CHUNK))
        self._buffer[:kept] = tail
        return self._buffer[kept:]

    def buffer_updated(self, nbytes: int) -> None:
        self._received = monotonic()
        self._pinged = None
        if nbytes <= LONGEST_PLAIN_PUBACK and not self._tail:
            # Most reads of a device are just this packet; its few bytes need no codec.
            puback = plain_puback(self._buffer, nbytes)
            if puback is not None:
                self._owner.puback_read(self, *puback)
                return
        end = len(self._tail) + nbytes
        view = self._buffer[:end]
        read = read_packets(view, self._maximum_packet_size)
        self._tail = bytes(view[read.used :]) if read.used < end and read.damage is None else b""
        if read.packets:
            self._owner.packets_read(self, read.packets)
        if read.damage:
            self._owner.damaged(self, read.damage)

    def eof_received(self) -> None:
        """Let the transport close: MQTT has no half-closed connection."""

    def connection_lost(self, exc: Exception | None) -> None:
        self._transport = None
        self.check_at = None
        if self._gone and not self._gone.done():
            self._gone.set_result(None)
        self._owner.ended(self, _lost(exc))

    def pause_writing(self) -> None:
        self.writable = False

    def resume_writing(self) -> None:
        self.writable = True
        self._owner.drained(self)

    # Called by the session

    def write(self, data: bytes) -> None:
        if self._transport is not None:
            self._sent = monotonic()
            self._transport.write(data)

    def pause(self) -> None:
        if self._transport is not None and not self.paused:
            self.paused = True
            self._transport.pause_reading()

    def resume(self) -> None:
        """Resume reading. Answers may have waited unread, so the peer's silence counts from now."""
        if self._transport is not None and self.paused:
            self.paused = False
            self._received = self.loop.time()
            self._pinged = None
            self._transport.resume_reading()

    def keep_alive(self, seconds: int) -> None:
        self._keep_alive = seconds
        if seconds:
            wheel_of(self.loop).watch(self, self.loop.time())

    def check(self, now: float) -> float | None:
        """Ping or give up, as keep-alive demands; return the time of the next check, None after the end."""
        if self._transport is None:
            return None
        quiet = Quiet(self._sent, self._received, self._pinged, self.paused)
        decision = decide(now, quiet, self._keep_alive)
        if decision.verdict is Verdict.DEAD:
            silent = now - self._received
            self._owner.ended(
                self,
                ConnectionLost(f"the broker has been silent for {silent:.0f} s and did not answer a ping"),
            )
            self.abort()
            return None
        if decision.verdict is Verdict.PING:
            self._pinged = self._pinged or now
            self.write(_PING)
        return decision.again_at

    def abort(self) -> None:
        """End at once, as a crash would; unsent bytes are dropped."""
        if self._transport is not None:
            self._transport.abort()

    async def close(self, within: float) -> None:
        """Send what was written, then end; abort after `within` seconds."""
        if self._transport is None:
            return
        self._gone = self.loop.create_future()
        self._transport.close()
        try:
            async with asyncio.timeout(within):
                await self._gone
        except TimeoutError:
            self.abort()


Dial = Callable[[Connection, SessionOptions], Awaitable[asyncio.Transport]]
"""Opens a transport for a connection, to where the options say; OSError if that fails."""


async def dial(connection: Connection, options: SessionOptions) -> asyncio.Transport:
    """Open a transport of asyncio's, with TLS if the options ask for it."""
    transport, _ = await asyncio.get_running_loop().create_connection(
        lambda: connection,
        options.host,
        options.port,
        ssl=options.tls,
        local_addr=(options.local_address, 0) if options.local_address else None,
    )
    return transport


def _lost(exc: Exception | None) -> ConnectionLost:
    if exc is None:
        return ConnectionLost(_WORDLESS)
    lost = ConnectionLost(f"the connection broke: {system_text(exc) if isinstance(exc, OSError) else exc}")
    lost.__cause__ = exc
    return lost
