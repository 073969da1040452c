"""The client leaks no connection, whenever the broker answers or hangs up."""

import asyncio
import gc
import weakref
from typing import Any

import aiomqtt
import pytest

from edge_gateway.mqtt.control_client import ControlClient
from tests.servers.broker import Broker

WITHIN = 60.0
CONNACK = bytes.fromhex("20 03 00 00 00")


class SlowBroker:
    """Answers a CONNECT when told to, and nothing else; `left` when the client's connection has ended.

    It reads on as long as it `hears`.
    """

    def __init__(self) -> None:
        self.asked = asyncio.Event()
        self.answer = asyncio.Event()
        self.left = asyncio.Event()
        self.hears = asyncio.Event()
        self.hears.set()

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            await reader.read(1000)
            self.asked.set()
            await self.answer.wait()
            writer.write(CONNACK)
            while await reader.read(1000):
                await self.hears.wait()
        except ConnectionError:
            pass
        finally:
            self.left.set()
            writer.close()


async def port_of(broker: SlowBroker) -> tuple[asyncio.Server, int]:
    server = await asyncio.start_server(broker.serve, "127.0.0.1", 0)
    return server, server.sockets[0].getsockname()[1]


def client_of(port: int, patience: float = 0.2) -> ControlClient:
    return ControlClient("127.0.0.1", port, protocol=aiomqtt.ProtocolVersion.V5, timeout=patience)


async def flood(broker: SlowBroker, client: ControlClient) -> None:
    """More than a connection holds, to a broker that does not read."""
    async with client:
        broker.hears.clear()
        await asyncio.gather(*(client.publish("t", bytes(1 << 20), qos=1) for _ in range(20)))


async def test_a_connect_answered_too_late_leaves_no_connection() -> None:
    broker = SlowBroker()
    server, port = await port_of(broker)
    async with server:
        with pytest.raises(aiomqtt.MqttError):
            await client_of(port).__aenter__()
        broker.answer.set()
        async with asyncio.timeout(WITHIN):
            await broker.left.wait()


async def test_a_disconnect_that_cannot_be_sent_leaves_no_connection() -> None:
    broker = SlowBroker()
    broker.answer.set()
    server, port = await port_of(broker)
    async with server:
        client = client_of(port)
        with pytest.raises(aiomqtt.MqttError):
            await flood(broker, client)
        async with asyncio.timeout(WITHIN):
            while client._client.socket() is not None:  # noqa: ASYNC110 - paho has no event for it
                await asyncio.sleep(0)
        broker.hears.set()


async def test_a_connection_that_breaks_before_connack_fails_at_once() -> None:
    async def hang_up(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read(1000)
        writer.transport.abort()

    server = await asyncio.start_server(hang_up, "127.0.0.1", 0)
    client = ControlClient("127.0.0.1", server.sockets[0].getsockname()[1], timeout=60)
    async with server, asyncio.timeout(WITHIN):
        with pytest.raises(aiomqtt.MqttError, match="before the broker answered"):
            await client.__aenter__()


async def test_a_socket_closed_before_the_loop_gets_to_it_is_not_watched(broker: Broker) -> None:
    loop, wrong = asyncio.get_running_loop(), []
    loop.set_exception_handler(lambda _, context: wrong.append(context))
    client = ControlClient(broker.host, broker.port, protocol=aiomqtt.ProtocolVersion.V5, timeout=WITHIN)
    async with client:
        opened = client._client.socket()
        assert opened is not None
        client._on_socket_register_write(client._client, None, opened)
        client._on_socket_close(client._client, None, opened)
        client._client._sock = None
        opened.close()
        await asyncio.sleep(0)
        client._disconnected.set_result(None)
    assert wrong == []


async def until_it_ends(port: int) -> weakref.ref[ControlClient]:
    async with client_of(port, WITHIN) as client:
        await asyncio.wait([client._disconnected])
    return weakref.ref(client)


async def test_an_unobserved_end_is_not_logged_as_an_error() -> None:
    async def connack_and_end(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read(1000)
        writer.write(CONNACK)
        await asyncio.sleep(0.05)
        writer.close()

    wrong: list[dict[str, Any]] = []
    asyncio.get_running_loop().set_exception_handler(lambda _, context: wrong.append(context))
    server = await asyncio.start_server(connack_and_end, "127.0.0.1", 0)
    async with server, asyncio.timeout(WITHIN):
        gone = await until_it_ends(server.sockets[0].getsockname()[1])
        while gone() is not None:
            gc.collect()
            await asyncio.sleep(0.01)
    assert wrong == []


async def cancelled_at_connack(broker: Broker) -> weakref.ref[ControlClient]:
    """Cancel a task in the very turn in which the broker accepts its connection; Python 3.11 would lose that cancel."""

    class Client(ControlClient):
        async def _wait_for(self, *arguments: Any, **named: Any) -> Any:
            await super()._wait_for(*arguments, **named)
            raise asyncio.CancelledError

    client = Client(broker.host, broker.port, protocol=aiomqtt.ProtocolVersion.V5, timeout=WITHIN)
    with pytest.raises(asyncio.CancelledError):
        await client.__aenter__()
    await asyncio.wait([client._disconnected])
    return weakref.ref(client)


async def test_a_connection_cancelled_at_connack_is_not_logged_as_an_error(broker: Broker) -> None:
    wrong: list[dict[str, Any]] = []
    asyncio.get_running_loop().set_exception_handler(lambda _, context: wrong.append(context))
    async with asyncio.timeout(WITHIN):
        gone = await cancelled_at_connack(broker)
        while gone() is not None:
            gc.collect()
            await asyncio.sleep(0.01)
    assert wrong == []


async def test_a_connect_cancelled_before_the_answer_is_not_logged_as_an_error() -> None:
    wrong: list[dict[str, Any]] = []
    asyncio.get_running_loop().set_exception_handler(lambda _, context: wrong.append(context))
    broker = SlowBroker()
    server, port = await port_of(broker)
    attempt = asyncio.create_task(client_of(port, WITHIN).__aenter__())
    async with server, asyncio.timeout(WITHIN):
        await broker.asked.wait()
        attempt.cancel()
        with pytest.raises(asyncio.CancelledError):
            await attempt
        broker.answer.set()
        await broker.left.wait()
    assert wrong == []


async def test_it_connects_publishes_and_disconnects(broker: Broker) -> None:
    async with ControlClient(broker.host, broker.port, protocol=aiomqtt.ProtocolVersion.V5) as client:
        paho = client._client
        assert paho.is_connected()
        await client.publish("control-client/test", b"x", qos=1)
    assert not paho.is_connected()
