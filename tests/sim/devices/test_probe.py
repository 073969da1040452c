"""A broker that is not there, or lets nobody in, is one clear error."""

from collections.abc import Callable

import pytest

from fleet_sim.devices.endpoint import CannotReach, Endpoint
from fleet_sim.devices.probe import probe
from fleet_wire.errors import ConnectRefused
from tests.servers.broker import Broker
from tests.servers.process import free_port


async def test_a_broker_that_is_not_there_is_said_with_its_address_and_what_to_do() -> None:
    port = free_port()
    with pytest.raises(CannotReach) as failed:
        await probe(Endpoint("127.0.0.1", port), "probe")
    text = str(failed.value)
    assert text.startswith(f"no broker at mqtt://127.0.0.1:{port}: ")
    assert text.endswith(
        "start one, e.g. `edge-gateway run --embedded` or `mosquitto`, or say where it is with -H HOST -p PORT"
    )
    assert text.count("127.0.0.1") == 1, "the address is named once"


async def test_a_broker_that_lets_nobody_in_refuses_the_probe(broker_factory: Callable[..., Broker]) -> None:
    broker = broker_factory(anonymous=False)
    with pytest.raises(ConnectRefused):
        await probe(Endpoint("127.0.0.1", broker.port), "probe")


async def test_a_broker_that_answers_passes_the_probe(broker: Broker) -> None:
    await probe(Endpoint("127.0.0.1", broker.port), "probe")
