"""The configurations under broker/ with a real Mosquitto: only their places are changed."""

import asyncio
import contextlib
import re
import socket
import ssl
import subprocess
from collections.abc import Iterator
from pathlib import Path

import aiomqtt
import pytest

from edge_gateway.embedded import find_mosquitto
from fleet_proof.servers.broker import Broker
from fleet_proof.servers.process import ServerProcess, accepts, free_port
from tests.conftest import BrokerFactory

pytestmark = pytest.mark.broker

FILES = Path(__file__).parents[2] / "broker"
PASSWORD = "of-the-tests"
USERS = ("gateway", "operator", "viewer", "frz-1", "frz-2")
TLS_ALERT = b"\x15"
PEOPLE = ("gateway", "operator", "viewer")


def placed(name: str, directory: Path, port: int, places: dict[str, str]) -> Path:
    """The file with its listener on `port` and its directories here."""
    text = re.sub(
        r"^listener \d+.*$", f"listener {port} 127.0.0.1", (FILES / name).read_text(), flags=re.MULTILINE
    )
    text = re.sub(
        r"^persistence_location .*$", f"persistence_location {directory}/", text, flags=re.MULTILINE
    )
    text = re.sub(r"^log_dest syslog$", "log_dest stderr", text, flags=re.MULTILINE)
    for place, here in places.items():
        text = text.replace(place, here)
    file = directory / name
    file.write_text(f"user root\n{text}")
    return file


def started(file: Path, port: int) -> ServerProcess:
    process = ServerProcess(
        [str(find_mosquitto()), "-c", str(file)], file.with_suffix(".log"), lambda: accepts("127.0.0.1", port)
    )
    process.start()
    return process


@pytest.mark.parametrize("name", ["mosquitto.conf", "compose.conf"])
async def test_a_broker_without_passwords_lets_anyone_in(name: str, tmp_path: Path) -> None:
    port = free_port()
    places = {
        "include_dir broker/limits": f"include_dir {FILES}/limits",
        "/mosquitto/limits": f"{FILES}/limits",
    }
    process = started(placed(name, tmp_path, port, places), port)
    try:
        async with aiomqtt.Client("127.0.0.1", port) as client:
            await client.publish("fleet/v1/berlin/frz-1/telemetry", b"", qos=1)
    finally:
        process.stop()
    assert (tmp_path / "mosquitto.db").exists()


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


class Field:
    """A broker as in the field: certificates of its own, users with passwords, the ACL."""

    def __init__(self, directory: Path) -> None:
        self.port = free_port()
        self.directory = directory
        _make_certificates(directory)
        passwords = directory / "mosquitto.passwords"
        passwords.write_text("".join(f"{user}:{PASSWORD}\n" for user in USERS))
        subprocess.run(["mosquitto_passwd", "-U", str(passwords)], check=True)
        (directory / "field.acl").write_text((FILES / "field.acl").read_text())
        (directory / "limits").symlink_to(FILES / "limits")
        file = placed("field.conf", directory, self.port, {"/etc/edge-gateway": str(directory)})
        self.process = started(file, self.port)

    def client(self, user: str | None, password: str = PASSWORD) -> aiomqtt.Client:
        return aiomqtt.Client(
            "localhost",
            self.port,
            username=user,
            password=password if user else None,
            tls_context=ssl.create_default_context(cafile=str(self.directory / "ca.crt")),
            protocol=aiomqtt.ProtocolVersion.V5,
            timeout=20,
        )

    async def heard(self, listener: str, speaker: str, topic: str) -> bool:
        """Whether `listener` hears what `speaker` publishes; a marker of the gateway comes behind it."""
        marker = "edge/v1/gw/status" if listener in PEOPLE else f"fleet/v1/berlin/{listener}/receipt"
        async with (
            self.client(listener) as hears,
            self.client(speaker) as speaks,
            self.client("gateway") as marks,
        ):
            await hears.subscribe([(topic, 1), (marker, 1)])
            await speaks.publish(topic, b"said", qos=1)
            await marks.publish(marker, b"end", qos=1)
            async for message in hears.messages:
                if message.payload in {b"said", b"end"}:
                    return message.payload == b"said"
        raise AssertionError


def _make_certificates(directory: Path) -> None:
    subject = ["-subj", "/CN=localhost", "-addext", "subjectAltName=DNS:localhost"]
    command = [
        "openssl",
        "req",
        "-x509",
        "-newkey",
        "ec",
        "-pkeyopt",
        "ec_paramgen_curve:prime256v1",
        "-nodes",
    ]
    files = ["-keyout", str(directory / "broker.key"), "-out", str(directory / "broker.crt"), "-days", "2"]
    subprocess.run([*command, *subject, *files], check=True, capture_output=True)
    (directory / "ca.crt").write_bytes((directory / "broker.crt").read_bytes())


@pytest.fixture(scope="module")
def field(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Field]:
    broker = Field(tmp_path_factory.mktemp("field"))
    yield broker
    broker.process.kill()


@pytest.mark.parametrize(
    ("listener", "speaker", "topic", "allowed"),
    [
        ("gateway", "frz-1", "fleet/v1/berlin/frz-1/telemetry", True),
        ("gateway", "frz-1", "fleet/v1/porto/frz-1/status", True),
        ("gateway", "frz-1", "fleet/v1/berlin/frz-2/telemetry", False),
        ("gateway", "frz-1", "edge/v1/gw/command", False),
        ("gateway", "operator", "edge/v1/gw/command", True),
        ("gateway", "viewer", "edge/v1/gw/command", False),
        ("frz-1", "gateway", "fleet/v1/berlin/frz-1/command", True),
        ("frz-1", "gateway", "fleet/v1/berlin/frz-2/command", False),
        ("frz-1", "frz-2", "fleet/v1/berlin/frz-1/command", False),
        ("frz-1", "operator", "fleet/v1/berlin/frz-1/command", False),
        ("frz-1", "gateway", "edge/v1/gw/alerts/berlin/frz-2/FreezerTooWarm", False),
        ("frz-1", "frz-2", "fleet/v1/berlin/frz-2/telemetry", False),
        ("viewer", "gateway", "edge/v1/gw/alerts/berlin/frz-1/FreezerTooWarm", True),
        ("operator", "frz-1", "fleet/v1/berlin/frz-1/telemetry", True),
    ],
)
async def test_the_acl_lets_each_hear_and_say_its_own(
    field: Field, listener: str, speaker: str, topic: str, *, allowed: bool
) -> None:
    assert await field.heard(listener, speaker, topic) is allowed


@pytest.mark.parametrize(("user", "password"), [(None, ""), ("frz-1", "wrong"), ("frz-9", PASSWORD)])
async def test_without_a_password_nobody_gets_in(field: Field, user: str | None, password: str) -> None:
    with pytest.raises(aiomqtt.MqttError, match="Not authorized"):
        async with field.client(user, password):
            pass


def test_a_connection_without_tls_is_closed_unanswered(field: Field) -> None:
    connect = b"\x10\x0f\x00\x04MQTT\x05\x02\x00\x3c\x00\x00\x02ab"
    with socket.create_connection(("localhost", field.port), timeout=20) as plain:
        plain.sendall(connect)
        with contextlib.suppress(ConnectionResetError):
            assert plain.recv(100)[:1] in {b"", TLS_ALERT}
