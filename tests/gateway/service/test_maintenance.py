"""What must happen now and then, how often, and when sooner."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field
from typing import Any, cast

import pytest

from edge_gateway.configuration.model import GatewayConfig
from edge_gateway.service.maintenance import CHECKPOINT_BYTES, LOOK_EVERY, SELF_EVERY, Maintenance
from edge_gateway.status.problems import Counters, Problems
from edge_gateway.store.store import Store


@dataclass
class Parts:
    """Stands for everything a chore of these tests touches."""

    hasten: Any = None
    budget: int = 0
    total_bytes: int = 0
    lines: list[tuple[bytes, int]] = field(default_factory=list)

    async def look(self) -> None:
        pass

    def wall(self) -> int:
        return 1_700_000_000_000

    def monotonic(self) -> int:
        return 0

    async def call(self, function: Any) -> None:
        function(cast("Store", self))

    def enqueue(self, line: bytes, at: int) -> None:
        self.lines.append((line, at))


def maintenance(parts: Parts, *, sinks: tuple[str, ...] = (), **sections: Any) -> Maintenance:
    some = cast("Any", parts)
    return Maintenance(
        config=GatewayConfig.model_validate({"mqtt": {"url": "mqtt://localhost"}, **sections}),
        clock=some,
        name="gw",
        state=some,
        listening=some,
        engine=some,
        store=some,
        journal=some,
        disk_guard=some,
        control=some,
        sinks=dict.fromkeys(sinks, some),
        report=lambda: {"messages": {"received": 7}, "problems": []},
        counters=Counters(),
        problems=Problems(lambda: 0),
        checkpointed=0,
    )


@pytest.mark.parametrize(("every", "seconds"), [("10s", 10), ("1m", 60), ("10m", 60), ("1h", 60)])
def test_the_gateways_own_point_comes_with_each_window_and_at_least_every_minute(
    every: str, seconds: int
) -> None:
    windows = [{"every": every, "bucket": "telemetry", "keep": "30d"}]
    assert maintenance(Parts(), windows=windows)._chores["self"].seconds == seconds <= SELF_EVERY


async def test_the_gateways_own_point_is_queued_for_the_sinks_there_are() -> None:
    alone, forwarding = Parts(), Parts()
    await maintenance(alone)._record_self()
    await maintenance(forwarding, sinks=("influx",))._record_self()
    assert not alone.lines
    ((line, at),) = forwarding.lines
    assert line.startswith(b"gateway,gateway=gw ")
    assert b"received=7i" in line
    assert line.endswith(b" %d\n" % at)


@pytest.mark.parametrize(("budget", "most"), [(2 << 30, CHECKPOINT_BYTES), (16 << 20, 8 << 20)])
def test_a_checkpoint_comes_before_a_small_budget_is_used_up(budget: int, most: int) -> None:
    assert maintenance(Parts(budget=budget))._checkpoint_bytes() == most


async def test_a_chore_is_done_when_it_is_hastened_and_tried_again_when_it_failed() -> None:
    parts = Parts()
    chores = maintenance(parts)
    tries: list[str] = []
    done = asyncio.Event()

    async def checkpoint() -> None:
        tries.append("checkpoint")
        if len(tries) == 2:
            done.set()
        raise OSError("refused")

    refused: list[Exception] = []
    cast("Any", parts).refused = refused.append
    chores._chores["checkpoint"].do = checkpoint
    parts.hasten()
    task = asyncio.create_task(chores._repeat("checkpoint", chores._chores["checkpoint"]))
    async with asyncio.timeout(60 * LOOK_EVERY):
        await done.wait()
    task.cancel()
    assert "upkeep_checkpoint" in chores.problems
    assert isinstance(refused[0], OSError)
