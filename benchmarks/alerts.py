"""Latency from a reading over its limit to the command at the device, over a real broker and under load.

The reference is the same two hops without a gateway: a message to the broker, and on to a subscriber. The gateway adds
decoding, rules, and a synced commit before the command is published.
"""

import argparse
import asyncio
import functools
import random
import statistics
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import aiomqtt

from benchmarks.load import load, write_messages
from benchmarks.measure import Comparison, Measured, Quantity, compare
from benchmarks.stream import Stream, now_ms
from fleet_wire.control_messages import Birth, decode_command, encode_birth
from fleet_wire.telemetry import encode_telemetry
from fleet_wire.topics import COMMAND, STATUS, TELEMETRY, device_topic, parse_device_topic
from tests.servers.broker import Broker
from tests.servers.gateway import Gateway

QUANTITIES = {name: Quantity("ms", 2) for name in ("p50", "p95", "p99", "slowest")}
SITE = "bench"
RULES = """
version: 1
groups:
- name: bench
  match: {site: bench}
  rules:
  - alert: TooWarm
    expr: temperature
    above: 8
    severity: critical
    commands: [{name: compressor, args: {value: -22}, on: [firing], expires: 60s}]
"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--alerts", type=int, default=200, help="alerts, each of a device of its own (200)")
    parser.add_argument("--rate", type=int, default=1_000, help="messages a second of other devices (1,000)")


def run(arguments: argparse.Namespace) -> Iterator[Comparison]:
    count, rate = arguments.alerts, arguments.rate
    yield compare(
        f"{count:,} alerts beside {rate:,} messages/s",
        {
            "broker alone": functools.partial(measured, count, rate, through_gateway=False),
            "gateway": functools.partial(measured, count, rate, through_gateway=True),
        },
        reference="broker alone",
        quantities=QUANTITIES,
        rounds=arguments.rounds,
    )


def measured(count: int, rate: int, *, through_gateway: bool) -> Measured:
    with tempfile.TemporaryDirectory(prefix="edge-fleet-bench-") as name:
        directory = Path(name)
        broker = Broker(directory / "broker")
        gateway = Gateway(directory / "gateway", broker.url, commands={"total": "1000/s"})
        gateway.write_rules(RULES)
        broker.start()
        try:
            if through_gateway:
                gateway.start()
            write_messages(
                Stream.until_now(rate * (2 + count // PACE), rate).encoded("fleet-v1"), directory / "load"
            )
            beside = load(broker.port, directory / "load", rate)
            latencies = asyncio.run(_latencies(broker, count, COMMAND if through_gateway else TELEMETRY))
            beside.stop()
        finally:
            gateway.kill()
            broker.kill()
    return _percentiles(latencies)


PACE = 20
"""Alerts a second: far below any saturation, so that each is measured by itself."""


async def _latencies(broker: Broker, count: int, heard: str) -> list[float]:
    """Return the milliseconds from each device's reading over the limit to the command it receives."""
    sent: dict[str, float] = {}
    latencies: list[float] = []
    async with (
        aiomqtt.Client(broker.host, broker.port) as receiving,
        aiomqtt.Client(broker.host, broker.port) as sending,
    ):
        await receiving.subscribe(f"fleet/v1/{SITE}/+/{heard}", qos=1)
        for number in range(count):
            birth = Birth(type="freezer", boot=1, floor=0, next=0, ts=now_ms())
            await sending.publish(device_topic(SITE, f"d{number}", STATUS), encode_birth(birth), qos=1)

        async def send_readings() -> None:
            pauses = random.Random(1)
            for number in range(count):
                device = f"d{number}"
                await asyncio.sleep(pauses.uniform(0.5, 1.5) / PACE)
                reading = encode_telemetry(1, 0, now_ms(), {"temperature": 9.5})
                sent[device] = time.perf_counter()
                await sending.publish(device_topic(SITE, device, TELEMETRY), reading, qos=1)

        sender = asyncio.create_task(send_readings())
        async with asyncio.timeout(60 + 2 * count / PACE):
            async for message in receiving.messages:
                at = time.perf_counter()
                topic = parse_device_topic(str(message.topic))
                assert topic is not None
                if heard == COMMAND and decode_command(message.payload).kind != "command":
                    continue  # the notice of the alert
                latencies.append(1e3 * (at - sent[topic.device]))
                if len(latencies) == count:
                    break
        await sender
    return latencies


def _percentiles(latencies: list[float]) -> Measured:
    hundredths = statistics.quantiles(latencies, n=100, method="inclusive")
    return {"p50": hundredths[49], "p95": hundredths[94], "p99": hundredths[98], "slowest": max(latencies)}
