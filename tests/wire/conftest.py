import asyncio
from collections.abc import AsyncIterator

import pytest

from fleet_sim.devices.conditions import Conditions
from fleet_sim.devices.links import Links
from fleet_sim.devices.sockets import Sockets
from tests.wire.scripted_broker import Recorder, ScriptedBroker


@pytest.fixture(params=["asyncio", "sockets", "link"])
async def scripted(request: pytest.FixtureRequest) -> AsyncIterator[ScriptedBroker]:
    """A broker that the test plays itself, instead of a real one.

    Sessions connect to it over asyncio's transports, over the simulator's, and over a link without any fault.
    """
    async with ScriptedBroker() as broker:
        if request.param == "asyncio":
            yield broker
            return
        with Sockets(asyncio.get_running_loop()) as sockets:
            broker.dial = sockets.dial
            if request.param == "link":
                links = Links(sockets.loop, sockets.dial)
                links.change("client", 1, Conditions())
                broker.dial = links.dial
            yield broker
            for session in broker.sessions:
                session.abort()


@pytest.fixture
def recorder() -> Recorder:
    return Recorder()
