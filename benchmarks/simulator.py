"""What a simulated fleet costs: CPU a message at a fixed rate, and memory.

The reference is a process that publishes messages encoded beforehand, over one connection, at the same rate: what is
above it is the price of making readings and of a connection for each device. CPU of starting up is taken off.
"""

import argparse
import functools
import json
import math
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

from benchmarks.child import Child
from benchmarks.load import load, write_messages
from benchmarks.measure import Comparison, Measured, Quantity, compare
from benchmarks.stream import Stream
from tests.servers.broker import Broker

QUANTITIES = {
    "CPU": Quantity("µs a message"),
    "memory": Quantity("MB", 0),
    "ack p99": Quantity("ms", 2),
    "lag p99": Quantity("ms", 2),
}
_FLEET_SIM = [
    sys.executable,
    "-c",
    "from fleet_sim.cli import main; main()",
    "run",
    "factory",
    "--json",
    "--quiet",
]


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--sensors", type=int, default=1_000, help="simulated devices (1,000)")
    parser.add_argument("--rate", type=int, default=1_000, help="messages a second of all together (1,000)")
    parser.add_argument("--seconds", type=int, default=15, help="how long each is measured (15)")


def run(arguments: argparse.Namespace) -> Iterator[Comparison]:
    sensors, rate, seconds = arguments.sensors, arguments.rate, arguments.seconds
    yield compare(
        f"{rate:,} messages/s of {sensors:,} devices",
        {
            "recorded stream": functools.partial(recorded, sensors, rate, seconds),
            "fleet-sim": functools.partial(simulated, sensors, rate, seconds),
        },
        reference="recorded stream",
        quantities=QUANTITIES,
        rounds=arguments.rounds,
    )


def recorded(sensors: int, rate: int, seconds: int) -> Measured:
    with tempfile.TemporaryDirectory(prefix="edge-fleet-bench-") as name:
        directory = Path(name)
        broker = Broker(directory / "broker")
        broker.start()
        try:
            messages = list(Stream.until_now(rate * seconds, sensors).encoded("fleet-v1"))
            write_messages(messages, directory / "all")
            write_messages(messages[:1], directory / "one")
            start = load(broker.port, directory / "one").wait()
            used = load(broker.port, directory / "all", rate).wait()
        finally:
            broker.kill()
    return {
        "CPU": (used.cpu - start.cpu) / (rate * seconds) * 1e6,
        "memory": used.memory / 1e6,
        "ack p99": math.nan,
        "lag p99": math.nan,
    }


def simulated(sensors: int, rate: int, seconds: int) -> Measured:
    with tempfile.TemporaryDirectory(prefix="edge-fleet-bench-") as name:
        directory = Path(name)
        broker = Broker(directory / "broker")
        broker.start()
        try:
            start = _fleet(broker, directory / "start", "--sensors", "1", "--limit", "1").wait()
            log = directory / "all"
            interval = [
                "--interval",
                f"{1_000 * sensors // rate}ms",
                "--ramp",
                "1s",
                "--duration",
                f"{seconds}s",
            ]
            used = _fleet(broker, log, "--sensors", str(sensors), *interval).wait()
            report = json.loads(log.read_text().splitlines()[-1])
        finally:
            broker.kill()
    measures = report["measures"]
    return {
        "CPU": (used.cpu - start.cpu) / report["counters"]["published"] * 1e6,
        "memory": used.memory / 1e6,
        "ack p99": measures["publish.ack.p99"],
        "lag p99": measures["pacing.lag.p99"],
    }


def _fleet(broker: Broker, log: Path, *options: str) -> Child:
    where = ["--host", broker.host, "--port", str(broker.port), "--report", f"{log}-run"]
    return Child([*_FLEET_SIM, *where, *options], log)
