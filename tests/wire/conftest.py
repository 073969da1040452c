from collections.abc import AsyncIterator

import pytest

from tests.wire.scripted_broker import Recorder, ScriptedBroker


@pytest.fixture
async def scripted() -> AsyncIterator[ScriptedBroker]:
    """A broker that the test plays itself, instead of a real one."""
    async with ScriptedBroker() as broker:
        yield broker


@pytest.fixture
def recorder() -> Recorder:
    return Recorder()
