import asyncio
from collections.abc import AsyncIterator

import pytest

from fleet_wire.sockets import Sockets
from tests.wire.scripted_broker import Recorder, ScriptedBroker


@pytest.fixture(params=["asyncio", "sockets"])
async def scripted(request: pytest.FixtureRequest) -> AsyncIterator[ScriptedBroker]:
    """A broker that the test plays itself, instead of a real one; sessions connect to it in either way."""
    async with ScriptedBroker() as broker:
        if request.param == "asyncio":
            yield broker
            return
        with Sockets(asyncio.get_running_loop()) as sockets:
            broker.dial = sockets.dial
            yield broker
            for session in broker.sessions:
                session.abort()


@pytest.fixture
def recorder() -> Recorder:
    return Recorder()
