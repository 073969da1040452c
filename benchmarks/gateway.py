"""Draining a broker's backlog: CPU a reading, messages a second, memory; and the bytes written while a fleet sends.

Each candidate makes its session known and leaves; recorded messages are queued for it, and it comes back: first for a
small backlog, then for a large one. CPU a reading is the slope between the two, so that start-up, which is the same
both times, is not included. Each backlog is what the devices send in 10 s, so that every candidate closes about one
window of each series. Only broker and candidate run while it is measured.

All keep a persistent session and take QoS 1. The gateway decodes, drops duplicates, keeps windows of 10 s with exact
sums, evaluates rules, and syncs a journal before each acknowledgement; it sends line protocol over HTTP.
Telegraf keeps count, min, max, mean and sum of each series for 10 s and writes line protocol to a file; it is done
only at the end of its 10 s, so its throughput is measured where it forwards every reading. A reading that it drops is
never counted: then it stalls, its row says how far it came, and nothing is compared with it.

The measurements of `durability` follow: bytes written with each kind of durability, at a few rates.
"""

import argparse
import functools
import tempfile
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path

from benchmarks import durability
from benchmarks.child import Used
from benchmarks.consumers import Consumer, EdgeGateway, MosquittoSub, Progress, Telegraf, throughput
from benchmarks.load import load, write_messages
from benchmarks.measure import Comparison, Measured, Quantity, Stalled, compare
from benchmarks.sink import sink
from benchmarks.stream import Message, Stream
from tests.servers.broker import Broker

QUANTITIES = {
    "CPU": Quantity("µs a reading", 2),
    "throughput": Quantity("messages/s", 0),
    "memory": Quantity("MB", 0),
    "start": Quantity("s of CPU", 2),
}
WINDOW_MS = 10_000
SMALL = 20
"""The small backlog is the stream's first twentieth."""
FLOOR, PEER = "mosquitto_sub", "telegraf, basicstats"

Candidate = Callable[[Broker, Path], Consumer]


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--messages", type=int, default=300_000, help="messages of both backlogs (300,000)")
    parser.add_argument("--devices", type=int, default=2_000, help="devices that they are of (2,000)")
    parser.add_argument("--metrics", type=int, nargs="+", default=[1, 5], help="metrics a message (1 5)")
    parser.add_argument("--rules", type=int, default=100, help="rules that the gateway evaluates (100)")
    durability.add_arguments(parser)


def run(arguments: argparse.Namespace) -> Iterator[Comparison]:
    yield from drained(arguments)
    yield from durability.run(arguments)


def drained(arguments: argparse.Namespace) -> Iterator[Comparison]:
    """Measure each candidate on the same backlog, with messages of few metrics and of many."""
    for metrics in arguments.metrics:
        interval_ms = WINDOW_MS * arguments.devices // arguments.messages
        stream = Stream.until_now(arguments.messages, arguments.devices, interval_ms, metrics)
        with tempfile.TemporaryDirectory(prefix="edge-fleet-bench-") as name, sink(Path(name)) as influx:
            measured = compare(
                f"{stream.messages:,} messages of {metrics} metrics, {stream.devices:,} devices",
                {
                    name: functools.partial(drain, candidate, stream)
                    for name, candidate in candidates(arguments.rules, metrics, influx).items()
                },
                reference=PEER,
                quantities=QUANTITIES,
                rounds=arguments.rounds,
            )
        yield replace(
            measured, quantities={name: one for name, one in QUANTITIES.items() if name != "throughput"}
        )
        yield replace(
            measured,
            title=f"{measured.title}, how fast",
            reference=FLOOR,
            quantities={"throughput": QUANTITIES["throughput"]},
            rounds={name: rounds for name, rounds in measured.rounds.items() if name != PEER},
        )


def candidates(rules: int, metrics: int, influx: dict[str, str]) -> dict[str, Candidate]:
    text = rules_text(rules, metrics)
    return {
        f"gateway, {rules} rules": functools.partial(EdgeGateway, rules=text, influx=influx),
        "gateway, no rules": functools.partial(EdgeGateway, influx=influx),
        "gateway, no rules, durability: process": functools.partial(
            EdgeGateway, influx=influx, spool={"durability": "process"}
        ),
        PEER: functools.partial(Telegraf, aggregate=True),
        "telegraf, forward": functools.partial(Telegraf, aggregate=False),
        FLOOR: MosquittoSub,
    }


def rules_text(count: int, metrics: int) -> str:
    """Return `count` rules of the usual kinds, none of which fires on the stream."""
    other = "humidity" if metrics > 1 else "temperature"
    kinds = (
        "expr: temperature, above: {limit}",
        'expr: "avg_over_time(temperature, 1m)", above: {limit}',
        f"expr: {other}, below: -{{limit}}, for: 10s",
        f"expr: temperature - {other} * 2, above: {{limit}}",
    )
    lines = ["version: 1", "groups:", "- name: bench", "  rules:"]
    for number in range(count):
        what = kinds[number % len(kinds)].format(limit=200 + number)
        lines.append(f"  - {{alert: Rule{number}, {what}, severity: warning}}")
    return "\n".join(lines) + "\n" if count else ""


def drain(candidate: Candidate, stream: Stream) -> Measured:
    """Drain one backlog with one candidate and its own broker."""
    with ExitStack() as stack:
        directory = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="edge-fleet-bench-")))
        broker = Broker(directory / "broker")
        broker.start()
        stack.callback(broker.kill)
        return _drain(candidate(broker, directory), stream, broker.port, directory / "messages")


def _drain(consumer: Consumer, stream: Stream, port: int, file: Path) -> Measured:
    consumer.make_session()
    messages = stream.encoded(consumer.encoding)
    few = len(messages) // SMALL
    small, _ = _backlog(consumer, messages[:few], port, file)
    large, progress = _backlog(consumer, messages[few:], port, file)
    each = (large.cpu - small.cpu) / (len(messages) - 2 * few)
    return {
        "CPU": each * 1e6 / stream.metrics,
        "throughput": throughput(progress),
        "memory": large.memory / 1e6,
        "start": small.cpu - each * few,
    }


def _backlog(consumer: Consumer, messages: list[Message], port: int, file: Path) -> tuple[Used, Progress]:
    """Return what draining these messages used, and its progress."""
    write_messages(messages, file)
    load(port, file).wait()
    try:
        progress = consumer.drain(len(messages))
    except Stalled:
        consumer.stop()
        raise
    return consumer.stop(), progress
