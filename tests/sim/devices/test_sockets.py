"""Connections of a shared epoll, where they differ from asyncio's; `test_session` runs over both."""

import asyncio
import gc
import socket
from collections.abc import AsyncIterator

import pytest

from fleet_sim.devices.sockets import Sockets
from fleet_wire.session import ConnectionLost, Session, SessionOptions
from tests.wire.scripted_broker import Recorder, ScriptedBroker, connect, session_at, settled


@pytest.fixture
async def sockets() -> AsyncIterator[Sockets]:
    with Sockets(asyncio.get_running_loop()) as sockets:
        yield sockets


@pytest.fixture
async def broker(sockets: Sockets) -> AsyncIterator[ScriptedBroker]:
    async with ScriptedBroker() as broker:
        broker.dial = sockets.dial
        yield broker


def closed_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port: int = server.getsockname()[1]
        return port


async def test_a_port_where_nobody_listens_is_said(sockets: Sockets) -> None:
    options = SessionOptions("127.0.0.1", closed_port(), "c")
    session = Session(options, on_publish=lambda _epoch, _packets: None, dial=sockets.dial)
    with pytest.raises(ConnectionLost, match="refused"):
        await session.connect()
    assert not session.connected


async def test_a_name_is_looked_up_and_each_of_its_addresses_tried(
    sockets: Sockets, broker: ScriptedBroker, recorder: Recorder
) -> None:
    """Where `localhost` is ::1 first, nobody listens there."""
    options = SessionOptions("localhost", broker.port, "c")
    session = Session(options, on_publish=recorder.on_publish, dial=sockets.dial)
    await connect(session, broker)
    assert session.connected
    session.abort()


async def test_a_peer_that_never_answers_the_dialling_is_given_up(sockets: Sockets) -> None:
    """A listener whose backlog is full drops further connections: none is established, none refused."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen(0)
        port = listener.getsockname()[1]
        waiting = [socket.socket() for _ in range(4)]
        for each in waiting:
            each.setblocking(False)
            each.connect_ex(("127.0.0.1", port))
        options = SessionOptions("127.0.0.1", port, "c", connect_timeout=0.2)
        session = Session(options, on_publish=lambda _epoch, _packets: None, dial=sockets.dial)
        with pytest.raises(ConnectionLost):
            await session.connect()
        for each in waiting:
            each.close()


async def test_what_the_kernel_does_not_take_follows_later_and_in_order(
    broker: ScriptedBroker, recorder: Recorder
) -> None:
    session = session_at(broker, recorder)
    peer, _ = await connect(session, broker)
    peer.stop_reading()
    sent = 0
    while session.writable:
        session.publish("t", sent.to_bytes(4, "big") * 10_000, qos=0)
        sent += 1
    peer.read_on()
    everything = asyncio.create_task(peer.expect_end())
    await settled(lambda: session.writable)
    await session.disconnect()
    received = await everything
    assert [received.count(number.to_bytes(4, "big") * 10_000) for number in range(sent)] == [1] * sent


async def test_a_peer_that_leaves_while_reading_is_paused_is_noticed_when_it_goes_on(
    broker: ScriptedBroker, recorder: Recorder
) -> None:
    """Meanwhile nothing is asked of the epoll, which would tell of the hang-up in every turn of the loop."""
    session = session_at(broker, recorder)
    peer, _ = await connect(session, broker)
    session.pause()
    peer.reset()
    await peer.expect_end()
    assert not recorder.losses
    session.resume()
    await settled(lambda: bool(recorder.losses))


async def test_closing_leaves_nothing_open(recorder: Recorder) -> None:
    with Sockets(asyncio.get_running_loop()) as sockets:
        async with ScriptedBroker() as broker:
            broker.dial = sockets.dial
            session = session_at(broker, recorder)
            await connect(session, broker)
            session.abort()
    gc.collect()  # an unclosed socket would warn, and a warning is an error
    assert not session.connected
