"""Where the devices of a scenario connect to."""

import pytest

from fleet_sim.scenario.broker import endpoint_of
from fleet_sim.scenario.grammar import Broker
from fleet_wire.tls_files import BadTlsFile


def test_the_url_gives_host_port_and_tls() -> None:
    plain, encrypted = endpoint_of(Broker(url="mqtt://h")), endpoint_of(Broker(url="mqtts://h"))
    assert (plain.host, plain.port, plain.tls) == ("h", 1883, None)
    assert encrypted.port == 8883
    assert encrypted.tls is not None


def test_times_are_seconds_and_a_password_given_here_goes_before_the_scenarios() -> None:
    broker = Broker.model_validate({"keepalive": "90s", "session_expiry": "2h", "password": "theirs"})
    found = endpoint_of(broker, bind=["127.0.0.2"])
    assert (found.keep_alive, found.session_expiry, found.password) == (90, 7200, b"theirs")
    assert found.bind == ("127.0.0.2",)
    assert endpoint_of(broker, password="mine").password == b"mine"


def test_a_certificate_that_is_not_there_is_named() -> None:
    with pytest.raises(BadTlsFile, match=r"ca\.crt: No such file"):
        endpoint_of(Broker(url="mqtts://h", ca="/nonexistent/ca.crt"))
