"""A fleet that sends in real time: CPU and memory of the gateway and of Telegraf while they keep up.

Messages are spread as from devices, not sent in bursts. Measuring begins once a few windows have been closed, so that
neither start-up nor new devices are included. Work and settings are those of `gateway`.
"""

import argparse
import functools
import tempfile
import time
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

from benchmarks.consumers import EdgeGateway, Telegraf
from benchmarks.gateway import PEER, rules_text
from benchmarks.load import load, write_messages
from benchmarks.measure import Comparison, Measured, Quantity, compare, cpu_seconds, resident_bytes
from benchmarks.sink import sink
from benchmarks.stream import METRICS, Stream
from tests.servers.broker import Broker

QUANTITIES = {
    "CPU": Quantity("µs a reading", 2),
    "core": Quantity("% of a core", 1),
    "memory": Quantity("MB", 0),
}
FLEETS = ("2000:2000", "10000:1000")
WARM_S = 32.0
"""Three windows of 10 s and their lateness."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--fleets", nargs="+", default=FLEETS, metavar="DEVICES:RATE", help="devices and messages/s together"
    )
    parser.add_argument("--seconds", type=int, default=30, help="how long each is measured (30)")
    parser.add_argument("--rules", type=int, default=100, help="rules that the gateway evaluates (100)")


def run(arguments: argparse.Namespace) -> Iterator[Comparison]:
    for fleet in arguments.fleets:
        devices, rate = map(int, fleet.split(":"))
        common = (devices, rate, arguments.seconds)
        yield compare(
            f"{rate:,} messages/s of {len(METRICS)} metrics, {devices:,} devices",
            {
                f"gateway, {arguments.rules} rules": functools.partial(gateway, *common, arguments.rules),
                "gateway, no rules": functools.partial(gateway, *common, 0),
                PEER: functools.partial(telegraf, *common),
            },
            reference=PEER,
            quantities=QUANTITIES,
            rounds=arguments.rounds,
        )


def gateway(devices: int, rate: int, seconds: int, rules: int) -> Measured:
    return _measured(devices, rate, seconds, rules)


def telegraf(devices: int, rate: int, seconds: int) -> Measured:
    return _measured(devices, rate, seconds, None)


def _measured(devices: int, rate: int, seconds: int, rules: int | None) -> Measured:
    """One consumer at work; Telegraf where `rules` is None."""
    with ExitStack() as stack:
        directory = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="edge-fleet-bench-")))
        broker = Broker(directory / "broker")
        broker.start()
        stack.callback(broker.kill)
        consumer: EdgeGateway | Telegraf
        if rules is None:
            consumer = Telegraf(broker, directory, aggregate=True)
        else:
            influx = stack.enter_context(sink(directory))
            text = rules_text(rules, len(METRICS))
            consumer = EdgeGateway(broker, directory, rules=text, influx=influx)
        pid = consumer.start()
        stack.callback(consumer.stop)
        count = round(rate * (WARM_S + seconds + 5))
        stream = Stream.from_now(count, devices, 1000 * devices // rate)
        write_messages(stream.encoded(consumer.encoding), directory / "load")
        publisher = load(broker.port, directory / "load", rate)
        stack.callback(publisher.stop)
        return _use(pid, rate, seconds)


def _use(pid: int, rate: int, seconds: int) -> Measured:
    time.sleep(WARM_S)
    used, begun = cpu_seconds(pid), time.monotonic()
    time.sleep(seconds)
    used, took = cpu_seconds(pid) - used, time.monotonic() - begun
    return {
        "CPU": used / (rate * took * len(METRICS)) * 1e6,
        "core": used / took * 100,
        "memory": resident_bytes(pid) / 1e6,
    }
