"""A broker's backlog drained: CPU a message, messages a second, memory.

Each candidate makes its session known, goes away, recorded messages are queued for it, and it comes back: first
for a small backlog, then for a large one. CPU a message is the slope between the two, so that starting up, by the
same path both times, is in neither. Nothing but broker and candidate runs while it is measured.
"""

import argparse
import functools
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path

from benchmarks.child import Used
from benchmarks.consumers import Consumer, EdgeGateway, MosquittoSub, Telegraf
from benchmarks.load import load, write_messages
from benchmarks.measure import Comparison, Measured, Quantity, compare
from benchmarks.stream import Message, Stream
from tests.servers.broker import Broker

QUANTITIES = {
    "CPU": Quantity("µs a message"),
    "throughput": Quantity("messages/s", 0),
    "memory": Quantity("MB", 0),
    "start": Quantity("s of CPU", 2),
}
SMALL = 20
"""The small backlog is the stream's first twentieth."""

Candidate = Callable[[Broker, Path], Consumer]
CANDIDATES: dict[str, Candidate] = {
    "gateway": EdgeGateway,
    "telegraf, forward": functools.partial(Telegraf, aggregate=False),
    "telegraf, basicstats": functools.partial(Telegraf, aggregate=True),
    "mosquitto_sub": MosquittoSub,
}


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--messages", type=int, default=100_000, help="messages of both backlogs (100,000)")
    parser.add_argument("--devices", type=int, default=1_000, help="devices that they are of (1,000)")
    parser.add_argument("--rules", type=int, default=100, help="rules that the gateway evaluates (100)")
    parser.add_argument("--only", nargs="+", choices=CANDIDATES, help="some of the candidates")


def run(arguments: argparse.Namespace) -> Iterator[Comparison]:
    stream = Stream.until_now(arguments.messages, arguments.devices)
    rules = rules_text(arguments.rules)
    candidates: dict[str, Candidate] = {**CANDIDATES, "gateway": functools.partial(EdgeGateway, rules=rules)}
    chosen: list[str] = arguments.only or list(candidates)
    yield compare(
        f"{stream.messages:,} messages of {stream.devices:,} devices from the broker's queue",
        {name: functools.partial(drain, candidates[name], stream) for name in chosen},
        reference=chosen[0],
        quantities=QUANTITIES,
        rounds=arguments.rounds,
    )


def rules_text(count: int) -> str:
    """So many rules of the usual kinds, none of which fires on the stream."""
    kinds = (
        "expr: temperature, above: {limit}",
        'expr: "avg_over_time(temperature, 1m)", above: {limit}',
        "expr: humidity, below: -{limit}, for: 10s",
        "expr: temperature - humidity, above: {limit}",
    )
    lines = ["version: 1", "groups:", "- name: bench", "  rules:"]
    for number in range(count):
        what = kinds[number % len(kinds)].format(limit=100 + number)
        lines.append(f"  - {{alert: Rule{number}, {what}, severity: warning}}")
    return "\n".join(lines) + "\n" if count else ""


def drain(candidate: Candidate, stream: Stream) -> Measured:
    """One candidate, one backlog, a broker of its own."""
    with tempfile.TemporaryDirectory(prefix="edge-fleet-bench-") as name:
        directory = Path(name)
        broker = Broker(directory / "broker")
        broker.start()
        try:
            return _drain(candidate(broker, directory), stream, broker.port, directory / "messages")
        finally:
            broker.kill()


def _drain(consumer: Consumer, stream: Stream, port: int, file: Path) -> Measured:
    consumer.make_session()
    messages = stream.encoded(consumer.encoding)
    few = len(messages) // SMALL
    small, _ = _backlog(consumer, messages[:few], port, file)
    large, took = _backlog(consumer, messages[few:], port, file)
    more = len(messages) - 2 * few
    each = (large.cpu - small.cpu) / more
    return {
        "CPU": each * 1e6,
        "throughput": (len(messages) - few) / took,
        "memory": large.memory / 1e6,
        "start": small.cpu - each * few,
    }


def _backlog(consumer: Consumer, messages: list[Message], port: int, file: Path) -> tuple[Used, float]:
    """What draining these messages used, and the seconds it took from the start of the program."""
    write_messages(messages, file)
    load(port, file).wait()
    begun = time.monotonic()
    consumer.drain(len(messages))
    took = time.monotonic() - begun
    return consumer.stop(), took
