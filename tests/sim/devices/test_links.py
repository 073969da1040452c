"""A bad link: order is kept, nothing is lost, and it takes as long as the conditions say."""

import asyncio
from collections.abc import AsyncIterator

import mqtt5
import pytest

from fleet_sim.devices.conditions import Conditions
from fleet_sim.devices.links import Link, Links, Pipe
from fleet_sim.devices.sockets import Sockets
from fleet_wire.connection import dial
from tests.wire.scripted_broker import Recorder, ScriptedBroker, connect, session_at, settled


async def test_a_delay_keeps_the_order_and_a_rate_counts_bytes() -> None:
    loop = asyncio.get_running_loop()
    out: list[tuple[float, int]] = []
    pipe: Pipe[int] = Pipe(loop, lambda item: out.append((loop.time(), item)))
    pipe.change(Conditions(delay=0.02, rate=1000.0))
    begun = loop.time()
    for item in range(5):
        pipe.put(item, 10)
    await settled(lambda: len(out) == 5)
    assert [item for _, item in out] == list(range(5))
    assert all(at - begun >= 0.02 + 0.01 * (item + 1) for at, item in out)


async def test_in_the_dark_nothing_comes_out_until_it_is_light() -> None:
    out: list[int] = []
    pipe: Pipe[int] = Pipe(asyncio.get_running_loop(), out.append)
    pipe.change(Conditions(dark=True))
    pipe.put(1, 1)
    pipe.put(2, 1)
    await asyncio.sleep(0.01)
    assert not out
    pipe.change(Conditions())
    await settled(lambda: out == [1, 2])


@pytest.fixture(params=["asyncio", "sockets"])
async def links(request: pytest.FixtureRequest) -> AsyncIterator[Links]:
    loop = asyncio.get_running_loop()
    with Sockets(loop) as sockets:
        yield Links(loop, dial if request.param == "asyncio" else sockets.dial)


@pytest.fixture
async def scripted(links: Links) -> AsyncIterator[ScriptedBroker]:
    async with ScriptedBroker() as broker:
        broker.dial = links.dial
        yield broker
        for session in broker.sessions:
            session.abort()


async def test_a_session_in_a_black_hole_goes_on_where_it_was(
    links: Links, scripted: ScriptedBroker, recorder: Recorder
) -> None:
    session = session_at(scripted, recorder)
    peer, _ = await connect(session, scripted)
    links.change("client", 1, Conditions(dark=True))
    assert links.is_dark("client")
    acks: list[int] = []
    session.publish("t", b"out", on_ack=acks.append)
    peer.send(mqtt5.PublishPacket("t", b"in", qos=mqtt5.QoS.AT_LEAST_ONCE, packet_id=5))
    await asyncio.sleep(0.02)
    assert not recorder.payloads
    links.change("client", 1, None)
    assert not links.is_dark("client")
    publish = await peer.expect(mqtt5.PublishPacket)
    assert publish.packet_id is not None
    peer.send(mqtt5.PubAckPacket(publish.packet_id))
    await recorder.payload_count(1)
    await settled(lambda: acks == [0])
    assert session.connected


async def test_a_slow_link_is_slow_from_the_handshake_on(
    links: Links, scripted: ScriptedBroker, recorder: Recorder
) -> None:
    session = session_at(scripted, recorder)
    links.change("client", 1, Conditions(delay=0.05))
    begun = asyncio.get_running_loop().time()
    await connect(session, scripted)
    assert asyncio.get_running_loop().time() - begun >= 0.1, "there and back"


async def test_a_large_message_comes_through_a_link_in_pieces(
    links: Links, scripted: ScriptedBroker, recorder: Recorder
) -> None:
    links.change("client", 1, Conditions(delay=0.001))
    peer, _ = await connect(session_at(scripted, recorder), scripted)
    payload = bytes(range(256)) * 1_000
    peer.send(mqtt5.PublishPacket("t", payload))
    await recorder.payload_count(1)
    assert recorder.payloads == [payload]


async def test_the_peer_of_a_black_hole_is_found_dead_by_keep_alive(
    links: Links, scripted: ScriptedBroker, recorder: Recorder
) -> None:
    session = session_at(scripted, recorder, keep_alive=1)
    await connect(session, scripted)
    links.change("client", 1, Conditions(dark=True))
    await settled(lambda: bool(recorder.losses))
    assert "silent" in str(recorder.losses[0])


async def test_only_the_link_that_is_meant_is_bad(
    links: Links, scripted: ScriptedBroker, recorder: Recorder
) -> None:
    links.change("other", 1, Conditions(dark=True))
    session = session_at(scripted, recorder)
    await connect(session, scripted)
    assert links.is_dark("other")
    assert not links.is_dark("client")


async def test_a_connection_after_the_fault_has_no_link_in_between(
    links: Links, scripted: ScriptedBroker, recorder: Recorder
) -> None:
    links.change("client", 1, Conditions(delay=0.001))
    links.change("client", 2, Conditions(delay=0.001))
    session = session_at(scripted, recorder)
    await connect(session, scripted)
    assert isinstance(links._transports["client"], Link)
    links.change("client", 1, None)
    links.change("client", 2, None)
    await session.disconnect()
    await connect(session, scripted)
    assert not isinstance(links._transports["client"], Link)


async def test_a_session_paused_in_the_dark_reads_on_when_both_are_over(
    links: Links, scripted: ScriptedBroker, recorder: Recorder
) -> None:
    links.change("client", 1, Conditions())
    session = session_at(scripted, recorder)
    peer, _ = await connect(session, scripted)
    session.pause()
    links.change("client", 1, Conditions(dark=True))
    links.change("client", 1, None)
    peer.send(mqtt5.PublishPacket("t", b"in"))
    await asyncio.sleep(0.02)
    assert not recorder.payloads
    session.resume()
    await recorder.payload_count(1)


async def test_what_is_inside_slow_links_can_be_let_out_at_once(
    links: Links, scripted: ScriptedBroker, recorder: Recorder
) -> None:
    session = session_at(scripted, recorder)
    peer, _ = await connect(session, scripted)
    links.change("client", 1, Conditions(delay=3_600.0))
    session.publish("t", b"out", on_ack=lambda _: None)
    peer.send(mqtt5.PublishPacket("t", b"in"))
    await asyncio.sleep(0.02)
    assert not recorder.payloads
    links.change("client", 1, None)
    links.flush()
    await recorder.payload_count(1)
    assert (await peer.expect(mqtt5.PublishPacket)).payload == b"out"
