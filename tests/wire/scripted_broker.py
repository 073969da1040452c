"""The broker's side of a connection, played by a test: it says what the test tells it and keeps what it hears."""

import asyncio
from collections.abc import Callable
from types import TracebackType
from typing import Any, Self, TypeVar

import mqtt5

from fleet_wire.connection import Dial, dial
from fleet_wire.session import Connected, ConnectionLost, Session, SessionOptions

P = TypeVar("P", bound=mqtt5.Packet)
WITHIN = 60.0
ACCEPTED = mqtt5.ConnAckPacket(receive_max=20)


class Peer:
    """One accepted connection."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader = reader
        self._writer = writer
        self._bytes = b""

    @property
    def address(self) -> str:
        return str(self._writer.get_extra_info("peername")[0])

    async def expect(self, kind: type[P]) -> P:
        """Wait for the next packet; it must be of this kind."""
        async with asyncio.timeout(WITHIN):
            while True:
                try:
                    packet, used = mqtt5.read(memoryview(self._bytes))
                except IndexError:
                    more = await self._reader.read(65_536)
                    assert more, f"the connection ended before a {kind.__name__}"
                    self._bytes += more
                else:
                    break
        self._bytes = self._bytes[used:]
        assert isinstance(packet, kind), packet
        return packet

    async def expect_end(self) -> bytes:
        """Wait for the end of the connection; gives what came before it and was not expected."""
        async with asyncio.timeout(WITHIN):
            try:
                while more := await self._reader.read(65_536):
                    self._bytes += more
            except ConnectionResetError:
                pass
        return self._bytes

    def send(self, *packets: mqtt5.Packet) -> None:
        """Send packets in one write."""
        self._writer.write(b"".join(packet.write() for packet in packets))

    def send_bytes(self, data: bytes) -> None:
        self._writer.write(data)

    async def accept(self, answer: mqtt5.ConnAckPacket = ACCEPTED) -> mqtt5.ConnectPacket:
        connect = await self.expect(mqtt5.ConnectPacket)
        self.send(answer)
        return connect

    def close(self) -> None:
        self._writer.close()

    def reset(self) -> None:
        self._writer.transport.abort()

    def stop_reading(self) -> None:
        transport = self._writer.transport
        assert isinstance(transport, asyncio.Transport)
        transport.pause_reading()

    def read_on(self) -> None:
        transport = self._writer.transport
        assert isinstance(transport, asyncio.Transport)
        transport.resume_reading()


class ScriptedBroker:
    """Listens on a free port of loopback; each connection is a Peer, in order of arrival."""

    port: int

    def __init__(self) -> None:
        self._peers: asyncio.Queue[Peer] = asyncio.Queue()
        self._all: list[Peer] = []
        self.sessions: list[Session] = []
        self.dial: Dial = dial

    async def __aenter__(self) -> Self:
        self._server = await asyncio.start_server(self._arrived, "127.0.0.1", 0)
        self.port = self._server.sockets[0].getsockname()[1]
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, problem: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._server.close()
        for session in self.sessions:
            session.abort()
        for peer in self._all:
            peer.reset()
        await asyncio.sleep(0)

    async def _arrived(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        peer = Peer(reader, writer)
        self._all.append(peer)
        self._peers.put_nowait(peer)

    async def peer(self) -> Peer:
        async with asyncio.timeout(WITHIN):
            return await self._peers.get()

    def options(self, client_id: str = "client", **more: object) -> SessionOptions:
        values: dict[str, Any] = {"port": self.port, **more}
        return SessionOptions("127.0.0.1", client_id=client_id, **values)


class Recorder:
    """Keeps what a session tells; `arrived` is set at each delivery."""

    def __init__(self) -> None:
        self.calls: list[tuple[int, list[mqtt5.PublishPacket]]] = []
        self.losses: list[ConnectionLost] = []
        self.arrived = asyncio.Event()

    def on_publish(self, epoch: int, packets: list[mqtt5.PublishPacket]) -> None:
        self.calls.append((epoch, packets))
        self.arrived.set()

    @property
    def payloads(self) -> list[bytes]:
        return [packet.payload for _, packets in self.calls for packet in packets]

    async def payload_count(self, count: int) -> None:
        async with asyncio.timeout(WITHIN):
            while len(self.payloads) < count:
                self.arrived.clear()
                await self.arrived.wait()


def session_at(broker: ScriptedBroker, recorder: Recorder, *, queue: int = 100, **options: Any) -> Session:
    session = Session(
        broker.options(**options),
        on_publish=recorder.on_publish,
        on_lost=recorder.losses.append,
        queue=queue,
        dial=broker.dial,
    )
    broker.sessions.append(session)
    return session


async def connect(
    session: Session, broker: ScriptedBroker, answer: mqtt5.ConnAckPacket = ACCEPTED
) -> tuple[Peer, Connected]:
    attempt = asyncio.create_task(session.connect())
    peer = await broker.peer()
    await peer.accept(answer)
    return peer, await attempt


async def settled(holds: Callable[[], bool]) -> None:
    """Return as soon as `holds()`: for what has no event to wait for."""
    async with asyncio.timeout(WITHIN):
        while not holds():  # noqa: ASYNC110 - see above
            await asyncio.sleep(0.001)
