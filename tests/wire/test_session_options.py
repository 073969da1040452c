"""What CONNECT says."""

import ssl

import mqtt5
import pytest

from fleet_wire.session_options import SessionOptions


def test_connect_says_what_the_options_do() -> None:
    options = SessionOptions("b", 1, "me", "user", b"pw", keep_alive=7, session_expiry=9, receive_maximum=3)
    packet, _ = mqtt5.read(memoryview(bytearray(options.connect_packet())))
    assert isinstance(packet, mqtt5.ConnectPacket)
    assert (packet.client_id, packet.username, packet.password) == ("me", "user", b"pw")
    assert (packet.keep_alive, packet.session_expiry_interval, packet.receive_max) == (7, 9, 3)
    assert not packet.clean_start


@pytest.mark.parametrize(
    ("host", "tls", "address"),
    [
        ("b", False, "mqtt://b:1"),
        ("::1", False, "mqtt://[::1]:1"),
        ("b", True, "mqtts://b:1"),
    ],
)
def test_an_address_reads_as_a_url(host: str, tls: bool, address: str) -> None:
    context = ssl.create_default_context() if tls else None
    assert SessionOptions(host, 1, "me", tls=context).address == address


def test_a_password_is_not_shown() -> None:
    assert "hidden words" not in repr(SessionOptions("b", 1, "me", password=b"hidden words"))
