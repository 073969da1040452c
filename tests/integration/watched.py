"""A fleet for a test, and an independent client that watches it on the broker."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import aiomqtt
import numpy as np
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.properties import Properties

from fleet_sim.devices.endpoint import Endpoint
from fleet_sim.ledger.expected import acked_rows
from fleet_sim.ledger.reading import Ledger
from fleet_sim.runtime.deployment import RunOptions
from fleet_sim.runtime.fleet import FleetRun
from fleet_sim.scenario.loading import load_scenario
from fleet_wire.control_messages import (
    Ack,
    Birth,
    Death,
    decode_ack,
    decode_status,
)
from fleet_wire.telemetry import Telemetry, decode_telemetry
from tests.servers.broker import Broker

SCENARIO = """
version: 1
name: trial
seed: 5
fleet:
  probe:
    count: {count}
    id: "{prefix}-{{i:04d}}"
    site: [{prefix}]
    interval: {{every: {every}, start: spread}}
    offline: {{buffer: 400, replay_rate: 200/s}}
    metrics:
      temperature: {{model: sine, mean: 20, amplitude: 5, period: 30s, noise: 0.1, unit: "°C"}}
      door: {{model: states, stay: {{closed: 2s, open: 2s}}}}
    commands:
      blink: {{takes: {{mean: 20ms}}}}
      "*": {{outcome: rejected}}
phases:
- {{name: all, for: {length}}}
{more}
"""


def run_of(
    tmp_path: Path, broker: Broker, prefix: str, *, count: int = 1, every: str = "500ms", length: str = "30s",
    more: str = "", **options: Any,
) -> FleetRun:  # fmt: skip
    path = tmp_path / f"{prefix}.yaml"
    path.write_text(SCENARIO.format(count=count, prefix=prefix, every=every, length=length, more=more))
    endpoint = Endpoint("127.0.0.1", broker.port)
    return FleetRun(
        load_scenario(str(path)), RunOptions(endpoint, tmp_path / f"{prefix}-run", rate=2000.0, **options)
    )


@dataclass
class Watcher:
    """What an independent client received: telemetry by (device, boot, seq), statuses and acks, in order."""

    telemetry: list[tuple[str, Telemetry]] = field(default_factory=list)
    statuses: list[tuple[str, Birth | Death]] = field(default_factory=list)
    acks: list[Ack] = field(default_factory=list)
    client: Any = None

    def messages(self) -> dict[tuple[str, int, int], Telemetry]:
        return {(device, each.boot, each.seq): each for device, each in self.telemetry}

    def deaths(self) -> set[str]:
        return {device for device, status in self.statuses if isinstance(status, Death)}

    def births(self, device: str) -> list[Birth]:
        return [status for each, status in self.statuses if each == device and isinstance(status, Birth)]

    async def until(self, holds: Callable[[], bool], within: float = 10.0) -> None:
        async with asyncio.timeout(within):
            while not holds():  # noqa: ASYNC110 - what another client sees is looked at, not told
                await asyncio.sleep(0.01)


@asynccontextmanager
async def watching(broker: Broker, site: str) -> AsyncIterator[Watcher]:
    """Watch one site with a session that survives a restart of the broker."""
    watcher, listening = Watcher(), asyncio.Event()
    task = asyncio.create_task(_watch(broker, site, watcher, listening))
    await asyncio.wait_for(listening.wait(), 60)
    try:
        yield watcher
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


async def _watch(broker: Broker, site: str, watcher: Watcher, listening: asyncio.Event) -> None:
    properties = Properties(PacketTypes.CONNECT)  # type: ignore[no-untyped-call]
    properties.SessionExpiryInterval = 600
    while True:
        try:
            async with aiomqtt.Client(
                "127.0.0.1", broker.port, identifier=f"watch-{site}", protocol=aiomqtt.ProtocolVersion.V5,
                clean_start=False, properties=properties,
            ) as client:  # fmt: skip
                watcher.client = client
                await client.subscribe(f"fleet/v1/{site}/+/+", qos=1)
                listening.set()
                async for message in client.messages:
                    take(watcher, str(message.topic), bytes(message.payload))
        except aiomqtt.MqttError:
            await asyncio.sleep(0.1)


def take(watcher: Watcher, topic: str, payload: bytes) -> None:
    device, kind = topic.split("/")[3:]
    if kind == "telemetry":
        watcher.telemetry.append((device, decode_telemetry(payload)))
    elif kind == "status":
        watcher.statuses.append((device, decode_status(payload)))
    elif kind == "ack":
        watcher.acks.append(decode_ack(payload))


def acked_messages(ledger: Ledger) -> dict[tuple[str, int, int], dict[str, Any]]:
    """Return the acknowledged messages of the ledger as decoded payloads."""
    [group] = ledger.groups
    acked = acked_rows(ledger, group)
    found = {}
    for row in np.flatnonzero(acked).tolist():
        key = tuple(int(group.table[name][row]) for name in ("device", "boot", "seq"))
        values: dict[str, Any] = {
            name: float(group.values[k][row]) for k, name in enumerate(group.numbers) if group.present(k)[row]
        }
        for k, name in enumerate(group.texts):
            values[name] = ledger.strings[group.states[k][row]]
        found[ledger.devices[key[0]].id, key[1], key[2]] = {"ts": int(group.table["ts"][row]), "m": values}
    return found
