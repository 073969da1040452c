"""One connection: what its protocol hears, and which events it waits for."""

import asyncio
import select
import socket
from collections.abc import Iterator
from dataclasses import dataclass, field

import pytest

from fleet_sim.devices.socket_transport import HIGH_MARK, SocketTransport, Watched


@dataclass
class Events:
    """Notes which events of its descriptor a transport waits for; None: none."""

    loop: asyncio.AbstractEventLoop
    waits_for: int | None = None

    def watch(self, descriptor: int, watched: Watched, events: int) -> None:  # noqa: ARG002 - one descriptor
        self.waits_for = events

    def forget(self, descriptor: int) -> None:  # noqa: ARG002 - one descriptor
        self.waits_for = None


@dataclass
class Heard(asyncio.BufferedProtocol):
    received: bytearray = field(default_factory=bytearray)
    pauses: list[bool] = field(default_factory=list)
    ended: list[Exception | None] = field(default_factory=list)

    def get_buffer(self, sizehint: int) -> bytearray:  # noqa: ARG002 - the protocol's
        self._buffer = bytearray(4096)
        return self._buffer

    def buffer_updated(self, nbytes: int) -> None:
        self.received += self._buffer[:nbytes]

    def pause_writing(self) -> None:
        self.pauses.append(True)

    def resume_writing(self) -> None:
        self.pauses.append(False)

    def connection_lost(self, exc: Exception | None) -> None:
        self.ended.append(exc)


@dataclass
class Connection:
    transport: SocketTransport
    events: Events
    heard: Heard
    peer: socket.socket


@pytest.fixture
async def connection() -> Iterator[Connection]:  # type: ignore[misc]
    ours, peer = socket.socketpair()
    ours.setblocking(False)
    peer.setblocking(False)
    events, heard = Events(asyncio.get_running_loop()), Heard()
    yield Connection(SocketTransport(events, ours, heard), events, heard, peer)
    ours.close()
    peer.close()


async def test_what_the_peer_sends_reaches_the_protocol_and_its_end_closes(connection: Connection) -> None:
    connection.peer.send(b"hello")
    connection.transport.ready(select.EPOLLIN)
    assert connection.heard.received == b"hello"
    connection.transport.ready(select.EPOLLIN)  # nothing there: no error
    connection.peer.close()
    connection.transport.ready(select.EPOLLIN)
    assert connection.heard.ended == [], "told by the loop, not from within the call"
    await asyncio.sleep(0)
    assert connection.heard.ended == [None]
    assert connection.transport.is_closing()


async def test_a_full_kernel_pauses_writing_and_all_arrives_in_order(connection: Connection) -> None:
    sent = b"".join(number.to_bytes(4, "big") for number in range(400_000))
    connection.transport.write(sent)
    assert connection.events.waits_for == select.EPOLLIN | select.EPOLLOUT
    assert len(sent) > HIGH_MARK
    assert connection.heard.pauses == [True]
    received = bytearray()
    while len(received) < len(sent):
        received += connection.peer.recv(1 << 20)
        connection.transport.ready(select.EPOLLOUT)
    assert received == sent
    assert connection.heard.pauses == [True, False]
    assert connection.events.waits_for == select.EPOLLIN


async def test_paused_reading_waits_for_nothing(connection: Connection) -> None:
    connection.transport.pause_reading()
    assert connection.events.waits_for is None
    connection.transport.resume_reading()
    assert connection.events.waits_for == select.EPOLLIN


async def test_a_write_to_a_broken_connection_ends_it_once(connection: Connection) -> None:
    connection.peer.close()
    connection.transport.write(b"x")
    connection.transport.write(b"x")
    connection.transport.abort()
    await asyncio.sleep(0)
    [problem] = connection.heard.ended
    assert isinstance(problem, BrokenPipeError)
