"""The consumers of the stream: the gateway, Telegraf, and the least a client can do."""

import math
import re
import subprocess
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, Protocol

from benchmarks.child import Child, Used
from benchmarks.measure import Stalled, cpu_seconds, resident_bytes
from benchmarks.stream import Encoding
from tests.servers.broker import Broker
from tests.servers.gateway import Gateway
from tests.servers.process import wait_until

ROOT = Path(__file__).parents[1]
TOPICS = "fleet/v1/+/+/telemetry"
PATIENCE_S = 300.0
LOOK_S = 0.02
STALLED_S = 60.0
"""Seconds without a further message after which none is expected; Telegraf reports every 10 s."""


Progress = list[tuple[float, int]]
"""Monotonic seconds, and the number of messages done by then."""


class Consumer(Protocol):
    """A program that drains the stream from its session's queue."""

    encoding: Encoding

    def make_session(self) -> None:
        """Start and stop it, so that the broker knows its session."""

    def drain(self, messages: int) -> Progress:
        """Start it, and return once it has done all its work for so many more messages.

        Stalled: it came no further. What it has running then is for `stop` to end.
        """

    def stop(self) -> Used:
        """Stop it, and return what it used since `drain`."""


class Lines:
    """Counts the complete lines of a growing file, reading each byte once."""

    def __init__(self, file: Path) -> None:
        self._file = file
        self._offset = 0
        self._rest = b""

    def new(self) -> list[bytes]:
        """Return the lines completed since the last call."""
        if not self._file.exists():
            return []
        with self._file.open("rb") as source:
            source.seek(self._offset)
            content = source.read()
        self._offset += len(content)
        *lines, self._rest = (self._rest + content).split(b"\n")
        return lines


class MosquittoSub:
    """The least a client can do: a C program that acknowledges each message and ends with the last."""

    encoding: Encoding = "fleet-v1"

    def __init__(self, broker: Broker, directory: Path) -> None:
        self._log = directory / "mosquitto_sub.log"
        self._cpu = math.nan
        address = ["-h", broker.host, "-p", str(broker.port), "-V", "5"]
        session = ["-i", "floor", "-c", "-x", "3600", "-q", "1", "-t", TOPICS]
        self._command = ["mosquitto_sub", *address, *session, "-F", "."]

    def make_session(self) -> None:
        Child([*self._command, "-E"], self._log).wait()

    def drain(self, messages: int) -> Progress:
        child = Child([*self._command, "-C", str(messages)], self._log)
        lines = Lines(self._log)
        try:
            progress = follow(lambda: len(lines.new()), messages)
        except Stalled:
            child.stop()
            raise
        self._cpu = child.wait().cpu
        return progress

    def stop(self) -> Used:
        return Used(self._cpu, math.nan)


class Telegraf:
    """Telegraf with a persistent session, JSON in and line protocol out to a file.

    It forwards every reading, or (`aggregate`) gives count, min, max, mean and sum of each series every 10 s.
    """

    encoding: Encoding = "json"

    def __init__(self, broker: Broker, directory: Path, *, aggregate: bool) -> None:
        self._log = directory / "telegraf.log"
        self._output = directory / "telegraf.out"
        file = directory / "telegraf.conf"
        file.write_text(_TELEGRAF.format(port=broker.port, topics=TOPICS, output=self._output))
        if aggregate:
            file.write_text(file.read_text() + _BASICSTATS)
        self._aggregate = aggregate
        self._command = [str(telegraf_program()), str(file)]
        self._child: Child | None = None

    def make_session(self) -> None:
        self.start()
        self.stop()

    def start(self) -> int:
        """Start it with an empty queue; return its process id once it is connected."""
        self._child = Child(self._command, self._log)
        wait_until(lambda: b"Connected" in self._log.read_bytes(), PATIENCE_S, "Telegraf is connected")
        return self._child.pid

    def drain(self, messages: int) -> Progress:
        self._output.unlink(missing_ok=True)
        self._child = Child(self._command, self._log)
        lines = Lines(self._output)
        count = _sum_of_counts if self._aggregate else len
        return follow(lambda: count(lines.new()), messages)

    def stop(self) -> Used:
        assert self._child is not None
        return self._child.stop()


class EdgeGateway:
    """The gateway: windows of 10 s, rules, history; a message is synced to disk before it is acknowledged.

    `sections` of its configuration stand in place of these.
    """

    encoding: Encoding = "fleet-v1"

    def __init__(self, broker: Broker, directory: Path, *, rules: str = "", **sections: Any) -> None:
        windows = [{"every": "10s", "bucket": "telemetry", "keep": "30d"}]
        place = {"path": str(directory / "gateway" / "spool")}
        usual = {"windows": windows, "time": {}}
        sections = {**usual, **sections, "spool": {**sections.get("spool", {}), **place}}
        self.gateway = Gateway(directory / "gateway", broker.url, **sections)
        self._wanted = 0
        if rules:
            self.gateway.write_rules(rules)

    def make_session(self) -> None:
        self.start()
        self.gateway.stop()

    def start(self) -> int:
        """Start it with an empty queue; return its process id once it is connected."""
        self.gateway.start()
        return self.gateway.pid

    def drain(self, messages: int) -> Progress:
        before = self._wanted
        self._wanted += messages
        self.gateway.start(ready=False)
        progress: Progress = []

        def done(status: dict[str, Any]) -> bool:
            progress.append((time.monotonic(), status["messages"]["received"] - before))
            return progress[-1][1] >= messages and not status["broker"]["unacknowledged"]

        try:
            counts = self.gateway.wait_for(done, PATIENCE_S)["messages"]
        except AssertionError as late:
            if not self.gateway.running:
                raise
            raise Stalled(progress[-1][1] if progress else 0, messages) from late
        assert counts["new"] == self._wanted, f"the gateway counted {counts}"
        return progress

    def stop(self) -> Used:
        used = Used(cpu_seconds(self.gateway.pid), resident_bytes(self.gateway.pid))
        self.gateway.stop()
        return used


def follow(new: Callable[[], int], wanted: int) -> Progress:
    """Return how the sum of `new()` grew until it reached `wanted`; Stalled if it stops growing."""
    progress: Progress = [(time.monotonic(), 0)]
    grew = progress[0][0]
    while progress[-1][1] < wanted:
        time.sleep(LOOK_S)
        now, done = time.monotonic(), progress[-1][1]
        progress.append((now, done + new()))
        grew = now if progress[-1][1] > done else grew
        if now - grew > STALLED_S:
            raise Stalled(done, wanted)
    return progress


def throughput(progress: Progress) -> float:
    """Return messages a second after the first tenth, which overlaps start-up; NaN if there are no more."""
    first = next((mark for mark in progress if mark[1] >= progress[-1][1] / 10), progress[-1])
    last = next(mark for mark in progress if mark[1] == progress[-1][1])
    return (last[1] - first[1]) / (last[0] - first[0]) if last[0] > first[0] else math.nan


def telegraf_program() -> Path:
    """Return Telegraf as setup/telegraf/build makes it, with only the plugins used here."""
    built = subprocess.run([ROOT / "setup" / "telegraf" / "build"], stdout=subprocess.PIPE, check=True)
    return Path(built.stdout.decode().strip())


def _sum_of_counts(lines: list[bytes]) -> int:
    return sum(int(found[1]) for line in lines if (found := _COUNT.search(line)))


_COUNT = re.compile(rb"temperature_count=(\d+)")
_TELEGRAF = """
[agent]
  interval = "1s"
  flush_interval = "1s"
  metric_batch_size = 5000
  metric_buffer_limit = 100000
  omit_hostname = true
[[inputs.mqtt_consumer]]
  servers = ["tcp://127.0.0.1:{port}"]
  topics = ["{topics}"]
  qos = 1
  persistent_session = true
  client_id = "telegraf"
  max_undelivered_messages = 10000
  topic_tag = ""
  data_format = "json"
  [[inputs.mqtt_consumer.topic_parsing]]
    topic = "+/+/+/+/+"
    tags = "_/_/site/device/_"
[[outputs.file]]
  files = ["{output}"]
  data_format = "influx"
"""
_BASICSTATS = """
[[aggregators.basicstats]]
  period = "10s"
  drop_original = true
  stats = ["count", "min", "max", "mean", "sum"]
"""
