"""A run measures the same for the same seed, however soon its devices are connected."""

import asyncio
from pathlib import Path

import pytest

from fleet_config.yaml_source import parse_yaml
from fleet_sim.devices.connecting import Connector
from fleet_sim.devices.device import Device
from fleet_sim.devices.endpoint import Endpoint
from fleet_sim.ledger.reading import read_ledger
from fleet_sim.runtime.fleet import FleetRun, RunOptions
from fleet_sim.scenario.loading import read_scenario
from tests.servers.broker import Broker

START = 1_767_225_600_000  # 2026-01-01
RAMPED = """
version: 1
name: ramped
seed: 3
fleet:
  box:
    count: 12
    interval: {every: 500ms, jitter: 20%}
    metrics: {flow: {model: sine, mean: 10, amplitude: 5, period: 20s, noise: 0.2}}
    offline: {buffer: 10000}
phases:
- {name: slowly, for: 20s, connect: 20/s}
- {name: all, for: 40s, connect: 100/s}
"""


async def messages_of(place: Path, broker: Broker) -> set[tuple[int, ...]]:
    """Run the ramped fleet 40 times as fast, and return its messages: device, boot, seq, time and value."""
    scenario = read_scenario(parse_yaml(RAMPED, "ramped.yaml"), overrides=[], env={})
    options = RunOptions(Endpoint(broker.host, broker.port), place, START, boot=1, speed=40.0)
    await FleetRun(scenario, options).run()
    [group] = read_ledger(place).groups
    columns = [group.table[name].tolist() for name in ("device", "boot", "seq", "ts")]
    return set(zip(*columns, group.values[0].tolist(), strict=True))


async def test_what_is_measured_does_not_depend_on_how_soon_a_device_is_connected(
    broker: Broker, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    at_once = await messages_of(tmp_path / "at_once", broker)
    attempt = Connector._attempt

    async def late(self: Connector, device: Device) -> Exception | None:
        await asyncio.sleep(0.01 * device.index)
        return await attempt(self, device)

    monkeypatch.setattr(Connector, "_attempt", late)
    assert await messages_of(tmp_path / "late", broker) == at_once
    first = {device: min(ts for d, _, _, ts, _ in at_once if d == device) - START for device in range(12)}
    assert all(first[place] >= place * 50 * 40 for place in range(10)), "twenty a second, forty times as fast"
