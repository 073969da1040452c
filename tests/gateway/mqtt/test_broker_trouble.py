"""A lost connection is told with the broker's address and what to check, each once."""

import pytest

from edge_gateway.mqtt.broker_trouble import LOST, UNTRUSTED, advice_of, lost_text
from fleet_wire.errors import ConnectionLost, ConnectRefused
from fleet_wire.session_options import SessionOptions

OPTIONS = SessionOptions("broker.local", 1883, "gw")


@pytest.mark.parametrize(
    ("error", "accepted", "told"),
    [
        (
            ConnectionLost("cannot reach mqtt://broker.local:1883: Connection refused"),
            False,
            "cannot reach mqtt://broker.local:1883: Connection refused; is it running, and mqtt.url right?",
        ),
        (
            ConnectionLost("the connection broke: Broken pipe"),
            True,
            f"the broker at broker.local:1883: the connection broke: Broken pipe; {LOST}",
        ),
        (
            ConnectRefused("mqtt://broker.local:1883 is a web server, not an MQTT broker: check the port"),
            False,
            "mqtt://broker.local:1883 is a web server, not an MQTT broker: check the port",
        ),
        (
            ConnectRefused(
                "mqtt://broker.local:1883: its certificate is not trusted: self-signed certificate"
            ),
            False,
            f"mqtt://broker.local:1883: its certificate is not trusted: self-signed certificate; {UNTRUSTED}",
        ),
        (
            ConnectRefused("bad user name or password (0x86)", 0x86),
            False,
            "the broker at broker.local:1883: bad user name or password (0x86); check mqtt.user and mqtt.password",
        ),
        (
            ConnectionLost("server shutting down (0x8b)", 0x8B),
            True,
            "the broker at broker.local:1883: server shutting down (0x8b)",
        ),
    ],
)
def test_what_is_wrong_and_what_to_check(error: Exception, accepted: bool, told: str) -> None:
    assert lost_text(error, OPTIONS, accepted=accepted) == told


def test_an_error_of_the_system_gets_advice_too() -> None:
    assert advice_of(TimeoutError(), accepted=False) == "is it running, and mqtt.url right?"
