"""Devices that wait to be connected do not keep a run from its end."""

from __future__ import annotations

import asyncio
from types import SimpleNamespace
from typing import Any, cast

import pytest

from fleet_sim.devices.connecting import Connector
from fleet_sim.devices.links import Links
from fleet_wire.connection import dial


@pytest.mark.parametrize("turns", range(4))
async def test_an_end_in_the_same_turn_as_a_wish_is_an_end(turns: int) -> None:
    """`turns` of the loop lie between the wish of a device to be connected and the cancel."""
    connector = Connector(
        lambda _: cast("Any", None),
        links=Links(asyncio.get_running_loop(), dial),
        rate=100,
        restarted=lambda *_: None,
        seen=lambda *_: None,
    )
    connector.enqueue(cast("Any", SimpleNamespace(index=1)), 60)
    running = asyncio.create_task(connector.run())
    await asyncio.sleep(0.05)
    connector.enqueue(cast("Any", SimpleNamespace(index=2)), 60)
    for _ in range(turns):
        await asyncio.sleep(0)
    running.cancel()
    ended, _ = await asyncio.wait({running}, timeout=60)
    assert ended
    assert running.cancelled()
