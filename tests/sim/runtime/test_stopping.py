"""A run that is stopped before the broker answers ends at once, and a silent broker is told of."""

import asyncio

import pytest

from fleet_sim.devices.endpoint import CannotReach, Endpoint
from fleet_sim.runtime import stopping as module
from fleet_sim.runtime.stopping import StoppedEarly, Stopping, reach
from tests.servers.broker import Broker
from tests.servers.mute_port import mute_port
from tests.servers.process import free_port


async def test_a_broker_that_answers_ends_the_wait_without_a_word(broker: Broker) -> None:
    said: list[str] = []
    await reach(Endpoint("127.0.0.1", broker.port), "reached", Stopping(), said.append)
    assert said == []


async def test_a_broker_that_is_not_there_is_the_error_of_the_probe() -> None:
    with pytest.raises(CannotReach):
        await reach(Endpoint("127.0.0.1", free_port()), "absent", Stopping(), print)


async def test_a_silent_port_is_told_of_and_a_stop_ends_the_wait() -> None:
    stopping, said = Stopping(), list[str]()

    def warn(text: str) -> None:
        said.append(text)
        stopping.ask("interrupted")
        stopping.ask("terminated")

    async with mute_port() as port:
        endpoint = Endpoint("127.0.0.1", port)
        with pytest.raises(StoppedEarly) as stopped:
            await reach(endpoint, "mute", stopping, warn)
    assert said == [f"{endpoint.url} has not answered yet; waiting. Is it an MQTT broker?"]
    assert str(stopped.value) == f"interrupted before {endpoint.url} had answered"
    assert stopped.value.reason == "interrupted", "the first reason counts"


@pytest.mark.parametrize("silence", [0.0, 60.0])
async def test_no_connection_is_left_behind(monkeypatch: pytest.MonkeyPatch, silence: float) -> None:
    monkeypatch.setattr(module, "SILENCE", silence)
    stopping = Stopping()
    before = asyncio.all_tasks()
    async with mute_port() as port:
        endpoint = Endpoint("127.0.0.1", port)
        waiting = asyncio.create_task(reach(endpoint, "mute", stopping, lambda _text: None))
        await asyncio.sleep(0)
        stopping.ask("stopped")
        with pytest.raises(StoppedEarly):
            await waiting
    assert asyncio.all_tasks() - before <= {waiting}
