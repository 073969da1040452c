"""What a real Mosquitto refuses: credentials, topics, packets, certificates."""

import ssl
import subprocess
from pathlib import Path

import pytest

from fleet_wire.session import ConnectionLost, ConnectRefused
from tests.conftest import BrokerFactory
from tests.integration.session_clients import Acknowledgements, Clients
from tests.servers.broker import Broker


class TestRefusals:
    @pytest.fixture
    def guarded(self, broker_factory: BrokerFactory, tmp_path: Path) -> Broker:
        passwords, access = tmp_path / "passwords", tmp_path / "access"
        subprocess.run(["mosquitto_passwd", "-b", "-c", passwords, "device", "right"], check=True)
        access.write_text("user device\ntopic read open/#\ntopic write open/#\n")
        for file in (passwords, access):
            file.chmod(0o644)
        return broker_factory(f"password_file {passwords}", f"acl_file {access}", anonymous=False)

    @pytest.mark.parametrize("password", [b"wrong", None])
    async def test_wrong_credentials_are_refused(
        self, clients: Clients, guarded: Broker, password: bytes | None
    ) -> None:
        username = "device" if password else None
        client = clients(guarded, "device", username=username, password=password)
        with pytest.raises(ConnectRefused, match="check user name, password") as caught:
            await client.connect()
        assert caught.value.reason == 0x87
        assert not client.session.connected

    async def test_a_publish_the_broker_refuses_is_reported(self, clients: Clients, guarded: Broker) -> None:
        client, acks = clients(guarded, "device", username="device", password=b"right"), Acknowledgements(1)
        await client.connect()
        client.session.publish("closed/a", b"x", on_ack=acks)
        await acks.wait()
        assert acks.codes == [0x87]
        assert client.session.in_flight == 0

    async def test_a_packet_beyond_the_brokers_limit_is_refused_before_it_is_sent(
        self, clients: Clients, broker_factory: BrokerFactory
    ) -> None:
        client = clients(broker_factory("max_packet_size 1000"), "large")
        await client.connect()
        with pytest.raises(ValueError, match="the broker accepts at most 1000"):
            client.session.publish("t", b"x" * 1_000)
        assert client.session.connected


@pytest.fixture(scope="module")
def certificates(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A certificate of its own authority for 127.0.0.1, good for a day."""
    directory = tmp_path_factory.mktemp("tls")
    subprocess.run(
        [
            *("openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1"),
            *("-nodes", "-days", "1", "-subj", "/CN=127.0.0.1", "-addext", "subjectAltName=IP:127.0.0.1"),
            *("-keyout", directory / "key.pem", "-out", directory / "cert.pem"),
        ],
        check=True,
        capture_output=True,
    )
    return directory


class TestTls:
    @pytest.fixture
    def tls_broker(self, broker_factory: BrokerFactory, certificates: Path) -> Broker:
        return broker_factory(f"certfile {certificates / 'cert.pem'}", f"keyfile {certificates / 'key.pem'}")

    async def test_messages_pass_through_tls(
        self, clients: Clients, tls_broker: Broker, certificates: Path
    ) -> None:
        context = ssl.create_default_context(cafile=str(certificates / "cert.pem"))
        client = clients(tls_broker, "tls", tls=context, queue=5_000)
        await client.connect("tls")
        acks = Acknowledgements(2_000)
        for number in range(acks.expected):
            client.session.publish("tls", b"%d" % number * 100, on_ack=acks)
        client.session.publish("tls", b"x" * 500_000)
        await acks.wait()
        await client.count(acks.expected + 1)
        assert client.payloads == [
            *(b"%d" % number * 100 for number in range(acks.expected)),
            b"x" * 500_000,
        ]
        await client.session.disconnect()

    async def test_an_untrusted_certificate_is_refused(self, clients: Clients, tls_broker: Broker) -> None:
        client = clients(tls_broker, "tls", tls=ssl.create_default_context())
        with pytest.raises(ConnectRefused, match=r"its certificate is not trusted: self.signed certificate"):
            await client.connect()

    async def test_tls_to_a_plain_listener_is_refused(self, clients: Clients, broker: Broker) -> None:
        client = clients(broker, "tls", tls=ssl.create_default_context())
        with pytest.raises((ConnectionLost, ConnectRefused), match=f"mqtts://127.0.0.1:{broker.port}"):
            await client.connect()

    async def test_a_plain_connection_to_a_tls_listener_is_refused(
        self, clients: Clients, tls_broker: Broker
    ) -> None:
        client = clients(tls_broker, "plain")
        with pytest.raises((ConnectRefused, ConnectionLost), match=r"speaks TLS|did not answer CONNECT"):
            await client.connect()
