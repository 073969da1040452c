"""What durability costs: bytes written to disk, which wear an SD card, and CPU, while a fleet sends in real time.

A site is `DEVICES:SECONDS:METRICS`: so many devices, each with a message of so many metrics every so many seconds.
Windows are those of the default configuration, a minute and coarser. Bytes are those the kernel counts for the process:
pages of any file handed to the disk, including the outbox. What the file system adds, such as ext4's journal at each
sync of a growing file, is not counted.
"""

import argparse
import functools
import tempfile
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from pathlib import Path
from typing import NamedTuple, Self

from benchmarks.consumers import EdgeGateway
from benchmarks.load import load, write_messages
from benchmarks.measure import Comparison, Measured, Quantity, cpu_seconds, written_bytes
from benchmarks.sink import sink
from benchmarks.stream import Stream
from tests.servers.broker import Broker

QUANTITIES = {
    "CPU": Quantity("µs a reading", 1),
    "commits": Quantity("a second", 1),
    "written": Quantity("bytes a reading", 1),
    "commit": Quantity("KB a commit", 1),
    "day": Quantity("GB a day", 2),
}
MINUTE_S = 60.0
WINDOWS = [
    {"every": "1m", "bucket": "telemetry", "keep": "30d"},
    {"every": "10m", "bucket": "telemetry_10m", "keep": "180d"},
    {"every": "1h", "bucket": "telemetry_1h", "keep": "730d"},
]
"""Those of the default configuration."""


class Site(NamedTuple):
    """Devices, the seconds between two messages of one, and the metrics of a message."""

    devices: int
    seconds: int
    metrics: int

    @classmethod
    def read(cls, text: str) -> Self:
        """Parse `DEVICES:SECONDS:METRICS`; ValueError if it is not three whole numbers."""
        devices, seconds, metrics = (int(part) for part in text.split(":"))
        return cls(devices, seconds, metrics)

    @property
    def messages_a_second(self) -> float:
        return self.devices / self.seconds

    @property
    def readings_a_second(self) -> float:
        return self.messages_a_second * self.metrics

    def __str__(self) -> str:
        return (
            f"{self.devices:,} devices, {self.metrics} metrics each {self.seconds} s: "
            f"{self.readings_a_second:,.0f} readings/s"
        )


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--sites",
        type=Site.read,
        nargs="+",
        default=[Site(20, 10, 1), Site(2_000, 5, 5)],
        metavar="DEVICES:SECONDS:METRICS",
        help="a small site, and one of 2,000 readings a second (20:10:1 2000:5:5)",
    )
    parser.add_argument(
        "--intervals", nargs="+", default=["50ms", "250ms"], help="spool.commit_interval (50ms 250ms)"
    )
    parser.add_argument("--minutes", type=int, default=2, help="how long each is measured (2)")


def run(arguments: argparse.Namespace) -> Iterator[Comparison]:
    """Run all candidates of one site at once, each with its own broker; together they leave the machine mostly idle."""
    for site in arguments.sites:
        candidates = {
            f"{durability}, {interval}": functools.partial(
                measure, site, durability, interval, arguments.minutes
            )
            for interval in arguments.intervals
            for durability in ("power", "process")
        }
        with ThreadPoolExecutor(len(candidates)) as pool:
            running = {name: pool.submit(candidate) for name, candidate in candidates.items()}
            rounds = {name: [done.result()] for name, done in running.items()}
        yield Comparison(f"{site}, durability and commit_interval", None, QUANTITIES, rounds)


def measure(site: Site, durability: str, interval: str, minutes: int) -> Measured:
    """Measure one gateway from its first checkpoint on."""
    with ExitStack() as stack:
        directory = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="edge-fleet-bench-")))
        broker = Broker(directory / "broker")
        broker.start()
        stack.callback(broker.kill)
        spool = {"durability": durability, "commit_interval": interval}
        influx = stack.enter_context(sink(directory))
        consumer = EdgeGateway(broker, directory, spool=spool, windows=WINDOWS, influx=influx)
        pid = consumer.start()
        stack.callback(consumer.stop)
        seconds = (minutes + 1) * MINUTE_S + 10
        messages = round(site.messages_a_second * seconds)
        stream = Stream.from_now(messages, site.devices, 1000 * site.seconds, site.metrics)
        write_messages(stream.encoded(consumer.encoding), directory / "load")
        stack.callback(load(broker.port, directory / "load", site.messages_a_second).stop)
        time.sleep(MINUTE_S)
        return _use(consumer, pid, site.readings_a_second, minutes * MINUTE_S)


def _use(consumer: EdgeGateway, pid: int, rate: float, seconds: float) -> Measured:
    cpu, written, record = cpu_seconds(pid), written_bytes(pid), _records(consumer)
    begun = time.monotonic()
    time.sleep(seconds)
    took = time.monotonic() - begun
    cpu, written = cpu_seconds(pid) - cpu, written_bytes(pid) - written
    commits = _records(consumer) - record
    return {
        "CPU": cpu / (rate * took) * 1e6,
        "commits": commits / took,
        "written": written / (rate * took),
        "commit": written / max(1, commits) / 1e3,
        "day": written / took * 86_400 / 1e9,
    }


def _records(consumer: EdgeGateway) -> int:
    committed: int = consumer.gateway.ask(do="status")["spool"]["committed"]
    return committed
