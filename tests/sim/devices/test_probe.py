"""A broker that is not there is one clear error."""

import pytest

from fleet_sim.devices.endpoint import CannotReach, Endpoint
from fleet_sim.devices.probe import probe
from tests.servers.process import free_port


async def test_without_a_broker_it_is_said_where_none_is_and_what_to_do() -> None:
    nobody = Endpoint("127.0.0.1", free_port())
    with pytest.raises(CannotReach) as refused:
        await probe(nobody, "probe")
    assert str(refused.value).startswith(f"no broker at {nobody.url}: ")
    assert str(refused.value).endswith("start one, e.g. `mosquitto`, or say where it is with -H HOST -p PORT")
