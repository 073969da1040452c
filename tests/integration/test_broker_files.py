"""The configurations in broker/ with a real Mosquitto; only paths and ports are changed."""

import asyncio
import contextlib
import re
import socket
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from pathlib import Path

import aiomqtt
import pytest

from tests.conftest import BrokerFactory
from tests.servers.broker import Broker
from tests.servers.field_broker import (
    FILES,
    PASSWORD,
    FieldBroker,
    placed,
    started,
)
from tests.servers.process import free_port

pytestmark = pytest.mark.broker

USERS = ("operator", "viewer", "fleet-sim", "poll", "frz-1", "frz-2")
TLS_ALERT = b"\x15"
PEOPLE = ("gateway", "operator", "viewer", "fleet-sim")

Speech = Callable[[FieldBroker, str, str], Awaitable[None]]


@pytest.mark.parametrize("name", ["mosquitto.conf", "compose.conf"])
async def test_a_broker_without_passwords_lets_anyone_in(name: str, tmp_path: Path) -> None:
    port = free_port()
    places = {
        "include_dir broker/limits": f"include_dir {FILES}/limits",
        "/mosquitto/limits": f"{FILES}/limits",
    }
    process = started(placed(name, tmp_path, {1883: port}, places), port)
    try:
        async with aiomqtt.Client("127.0.0.1", port) as client:
            await client.publish("fleet/v1/berlin/frz-1/telemetry", b"", qos=1)
    finally:
        process.stop()
    assert (tmp_path / "mosquitto.db").exists()


@pytest.mark.parametrize("file", sorted(FILES.rglob("*.conf")), ids=lambda file: file.name)
def test_broker_files_do_not_use_per_listener_settings(file: Path) -> None:
    """Mosquitto 2.0.12 to 2.0.18 would queue nothing for a client that is away."""
    assert not re.search(r"^per_listener_settings", file.read_text(), flags=re.MULTILINE)


async def test_more_than_the_default_thousand_messages_are_queued(broker_factory: BrokerFactory) -> None:
    broker = broker_factory()
    count = 1_500
    received = []
    async with _absent(broker) as absent:
        await absent.subscribe("queue/#", qos=1)
    async with aiomqtt.Client(broker.host, broker.port, max_queued_outgoing_messages=count) as client:
        await asyncio.gather(*(client.publish(f"queue/{number}", b"", qos=1) for number in range(count)))
    async with _absent(broker) as absent:
        await absent.subscribe("queue/#", qos=1)
        async for message in absent.messages:
            received.append(str(message.topic))
            if len(received) == count:
                break
    assert set(received) == {f"queue/{number}" for number in range(count)}


def _absent(broker: Broker) -> aiomqtt.Client:
    return aiomqtt.Client(broker.host, broker.port, identifier="absent", clean_session=False)


@pytest.fixture(scope="module")
def field(tmp_path_factory: pytest.TempPathFactory) -> Iterator[FieldBroker]:
    broker = FieldBroker(tmp_path_factory.mktemp("field"), USERS)
    yield broker
    broker.process.kill()


class Listening:
    """What a client receives on some filters, up to a marker that the gateway publishes at the end."""

    def __init__(self, field: FieldBroker, user: str, client: aiomqtt.Client) -> None:
        self._field = field
        self._client = client
        self._marker = "edge/v1/gw/status" if user in PEOPLE else f"fleet/v1/berlin/{user}/receipt"

    async def subscribe(self, *filters: str) -> None:
        await self._client.subscribe([(filter_, 1) for filter_ in (*filters, self._marker)])

    async def heard(self) -> list[str]:
        """Return the topics on which `said` arrived before the marker."""
        async with self._field.client("gateway") as marks:
            await marks.publish(self._marker, b"end", qos=1)
        topics: list[str] = []
        async for message in self._client.messages:
            if message.payload == b"end":
                return topics
            if message.payload == b"said":
                topics.append(str(message.topic))
        raise AssertionError


@contextlib.asynccontextmanager
async def listening(field: FieldBroker, user: str, *filters: str) -> AsyncIterator[Listening]:
    async with field.client(user) as client:
        one = Listening(field, user, client)
        await one.subscribe(*filters)
        yield one


async def say(field: FieldBroker, speaker: str, topic: str) -> None:
    async with field.client(speaker) as speaks:
        await speaks.publish(topic, b"said", qos=1)


async def die(field: FieldBroker, speaker: str, topic: str) -> None:
    """Connect with `said` as the will, and drop the connection."""
    await asyncio.to_thread(field.die, speaker, topic, b"said")


RIGHTS = [
    ("gateway", "frz-1", "fleet/v1/berlin/frz-1/telemetry", True),
    ("gateway", "frz-1", "fleet/v1/porto/frz-1/status", True),
    ("gateway", "frz-1", "fleet/v1/berlin/frz-1/ack", True),
    ("gateway", "frz-1", "fleet/v1/berlin/frz-2/telemetry", False),
    ("gateway", "frz-1", "fleet/v1/berlin/frz-2/status", False),
    ("gateway", "frz-1", "fleet/v1/berlin/frz-2/ack", False),
    ("gateway", "frz-1", "edge/v1/gw/command", False),
    ("gateway", "frz-1", "edge/v1/gw/echo", False),
    ("gateway", "frz-1", "$SYS/broker/publish/messages/dropped", False),
    ("gateway", "operator", "edge/v1/gw/command", True),
    ("gateway", "viewer", "edge/v1/gw/command", False),
    ("gateway", "fleet-sim", "edge/v1/gw/command", False),
    ("frz-1", "gateway", "fleet/v1/berlin/frz-1/command", True),
    ("frz-1", "gateway", "fleet/v1/berlin/frz-2/command", False),
    ("frz-1", "frz-2", "fleet/v1/berlin/frz-1/command", False),
    ("frz-1", "frz-2", "fleet/v1/berlin/frz-1/receipt", False),
    ("frz-1", "operator", "fleet/v1/berlin/frz-1/command", False),
    ("frz-1", "gateway", "edge/v1/gw/alerts/berlin/frz-2/FreezerTooWarm", False),
    ("frz-1", "frz-2", "fleet/v1/berlin/frz-2/telemetry", False),
    ("viewer", "gateway", "edge/v1/gw/alerts/berlin/frz-1/FreezerTooWarm", True),
    ("viewer", "frz-1", "edge/v1/gw/alerts/berlin/frz-1/FreezerTooWarm", False),
    ("fleet-sim", "gateway", "edge/v1/gw/alerts/berlin/frz-1/FreezerTooWarm", True),
    ("operator", "frz-1", "fleet/v1/berlin/frz-1/telemetry", True),
    ("gateway", "poll", "fleet/v1/poll/weather-1/telemetry", True),
    ("gateway", "poll", "fleet/v1/poll/weather-1/status", True),
    ("gateway", "poll", "fleet/v1/berlin/frz-1/telemetry", False),
]


@pytest.mark.parametrize("does", [say, die])
@pytest.mark.parametrize(("listener", "speaker", "topic", "allowed"), RIGHTS)
async def test_the_acl_limits_each_user_to_its_own_topics(
    field: FieldBroker, listener: str, speaker: str, topic: str, *, allowed: bool, does: Speech
) -> None:
    async with listening(field, listener, topic) as ears:
        await does(field, speaker, topic)
        assert await ears.heard() == [topic] * allowed


@pytest.mark.parametrize("filter_", ["#", "fleet/v1/#", "$share/x/fleet/v1/#", "$SYS/#", "edge/v1/#"])
async def test_a_wildcard_subscription_gives_a_device_nothing_and_costs_the_gateway_nothing(
    field: FieldBroker, filter_: str
) -> None:
    topic = "fleet/v1/berlin/frz-2/telemetry"
    async with (
        listening(field, "frz-1", filter_) as thief,
        listening(field, "gateway", "fleet/v1/+/+/telemetry") as gateway,
    ):
        for _ in range(10):
            await say(field, "frz-2", topic)
        assert await gateway.heard() == [topic] * 10
        assert await thief.heard() == []


@pytest.mark.parametrize(
    "topic", ["fleet/v1/berlin/frz-2/status", "edge/v1/gw/status", "edge/v1/gw/alerts/_/_gateway/broker"]
)
async def test_a_device_cannot_retain_a_message_on_a_foreign_topic(field: FieldBroker, topic: str) -> None:
    async with field.client("frz-1") as thief:
        with contextlib.suppress(aiomqtt.MqttCodeError):
            await thief.publish(topic, b"said", qos=1, retain=True)
    await asyncio.to_thread(field.die, "frz-1", topic, b"said", retain=True)
    async with listening(field, "operator", topic) as ears:
        assert await ears.heard() == []


@pytest.mark.parametrize(("user", "password"), [(None, ""), ("frz-1", "wrong"), ("frz-9", PASSWORD)])
async def test_without_a_password_nobody_gets_in(field: FieldBroker, user: str | None, password: str) -> None:
    with pytest.raises(aiomqtt.MqttError, match="Not authorized"):
        async with field.client(user, password):
            pass


def test_a_connection_without_tls_is_closed_without_an_answer(field: FieldBroker) -> None:
    connect = b"\x10\x0f\x00\x04MQTT\x05\x02\x00\x3c\x00\x00\x02ab"
    for port in field.ports.values():
        with socket.create_connection(("localhost", port), timeout=20) as plain:
            plain.sendall(connect)
            with contextlib.suppress(ConnectionResetError):
                assert plain.recv(100)[:1] in {b"", TLS_ALERT}
