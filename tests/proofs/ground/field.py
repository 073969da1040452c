"""A fleet, a broker and a gateway working together, and the comparison of what was sent with what is stored."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from types import TracebackType
from typing import Any, Protocol, Self

from fleet_config.yaml_source import parse_yaml
from fleet_sim.devices.counters import Snapshot
from fleet_sim.devices.endpoint import Endpoint
from fleet_sim.ledger.reading import Ledger, read_ledger
from fleet_sim.runtime.fleet import FleetRun, RunOptions
from fleet_sim.scenario.loading import read_scenario
from tests.servers.gateway import Gateway
from tests.servers.process import wait_until

WITHIN = 90.0
RULES = """\
version: 1
groups:
- name: field
  rules:
  - alert: Hot
    expr: heat
    levels:
      critical: {above: 9, clear: 7}
      warning: {above: 5, clear: 4}
    commands:
    - {name: cool, args: {value: 1}, on: [firing], cooldown: 0s, expires: 60s, confirm: {within: 3s, retries: 4}}
  - {alert: Offset, expr: "heat + level", above: 60, clear: 55, for: 1s, severity: info}
"""
SCENARIO = """\
version: 1
name: field
seed: {seed}
fleet:
  probe:
    count: {devices}
    site: {site}
    id: "{site}-{{i:04d}}"
    tags: {{line: [L0, L1, L2]}}
    interval: {{every: {every}, jitter: 20%}}
    offline: {{buffer: 2000, drop: oldest, replay_rate: 200/s}}
    metrics:
      heat: {{model: sine, mean: 0, amplitude: 10, period: 20s, phase: [0, 1], noise: 0.1}}
      level: {{model: random_walk, start: [40, 60], step: 0.5}}
      door: {{model: states, stay: {{open: 3s, closed: 5s}}}}
    commands:
      "*": {{takes: {{mean: 30ms, jitter: 20ms}}}}
phases:
- {{name: all}}
"""


def scenario_text(site: str, *, devices: int, every: str, seed: int, faults: str = "") -> str:
    return SCENARIO.format(site=site, devices=devices, every=every, seed=seed) + faults


class Address(Protocol):
    """A broker, or a proxy in front of it."""

    @property
    def host(self) -> str: ...
    @property
    def port(self) -> int: ...


class Fleet:
    """A fleet that sends from its own thread while the block runs.

    At the end of the block it stops, and what is under way settles; `ledger` is what it wrote down. `keep_alive` is
    in seconds; an endpoint has its own.
    """

    def __init__(
        self,
        broker: Address | Endpoint,
        directory: Path,
        text: str,
        *,
        settle: float = 30.0,
        keep_alive: int = 60,
    ) -> None:
        scenario = read_scenario(parse_yaml(text, "field.yaml"), overrides=(), env={})
        plain = Endpoint(broker.host, broker.port, keep_alive=keep_alive)
        endpoint = broker if isinstance(broker, Endpoint) else plain
        options = RunOptions(endpoint, directory, settle=settle)
        self.directory = directory
        self.run = FleetRun(scenario, options)
        self.seen: Snapshot | None = None
        self.run.on_second = self._note
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._work, name="fleet")
        self._error: BaseException | None = None

    def __enter__(self) -> Self:
        self._thread.start()
        wait_until(lambda: self.all_up() or not self._thread.is_alive(), WITHIN, "the fleet is connected")
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        with suppress(RuntimeError):  # its loop is closed: it has ended by itself
            self.do(lambda: self.run.stop("finished"))
        self._thread.join()
        if error is None and self._error is not None:
            raise self._error

    @property
    def ledger(self) -> Ledger:
        return read_ledger(self.directory)

    def do(self, call: Callable[[], object]) -> None:
        """Call a function in the fleet's loop."""
        self._loop.call_soon_threadsafe(call)

    def fault(self, kind: str, match: dict[str, Any], **settings: Any) -> None:
        self.do(lambda: self.run.start_fault(kind, match, **settings))

    @property
    def running(self) -> bool:
        """Whether the fleet has not ended yet."""
        return self._thread.is_alive()

    def up(self) -> int:
        """Return how many devices are connected, as of the last second."""
        return 0 if self.seen is None else self.seen.up

    def waiting(self) -> int:
        """Return how many messages wait in the devices' buffers, as of the last second."""
        return 0 if self.seen is None else self.seen.waiting

    def wait_acked(self, messages: int) -> None:
        """Wait until the broker has acknowledged that many more."""
        before = 0 if self.seen is None else self.seen.acked
        wait_until(lambda: self._acked() >= before + messages, WITHIN, f"{messages} more acknowledged")

    def _acked(self) -> int:
        return 0 if self.seen is None else self.seen.acked

    def all_up(self) -> bool:
        """Whether every device is connected, as of the last second."""
        return self.seen is not None and self.seen.up == len(self.run.plans)

    def _note(self, seen: Snapshot) -> None:
        self.seen = seen

    def _work(self) -> None:
        try:
            self._loop.run_until_complete(self.run.run())
        except BaseException as error:
            self._error = error
        finally:
            self._loop.close()


def stored(report: dict[str, Any]) -> bool:
    """Whether everything that the gateway has folded is committed and in the store."""
    spool = report["spool"]
    return not spool["uncommitted"] and not spool["unstored"] and bool(spool["record"] == spool["committed"])


def settled(report: dict[str, Any]) -> bool:
    """Whether everything that reached the gateway is in closed windows, stored and corrected."""
    return bool(
        report["broker"]["connected"]
        and report["broker"]["caught_up"]
        and not report["broker"]["waiting"]
        and not report["broker"]["unacknowledged"]
        and not report["fleet"]["open_readings"]
        and not report["fleet"]["open_windows"]
        and stored(report)
        and not report["store"]["late_pending"]
        and report["spool"]["record"] == report["store"]["applied"]
    )


def forwarded(report: dict[str, Any]) -> bool:
    """Whether nothing waits for InfluxDB."""
    return not report["sinks"]["influx"]["waiting"]["lines"]


def wait_settled(gateway: Gateway, ledger: Ledger) -> dict[str, Any]:
    """Wait until nothing is pending in the gateway; return its report."""
    sent = messages_acknowledged(ledger)
    return gateway.wait_for(
        lambda report: report["messages"]["new"] >= sent and settled(report), within=WITHIN
    )


def messages_acknowledged(ledger: Ledger) -> int:
    """Count the messages of the run that have a successful PUBACK."""
    acks = ledger.tables["acks"]
    good = acks["code"] < 0x80
    columns = (acks[name][good].tolist() for name in ("device", "boot", "seq"))
    return len(set(zip(*columns, strict=True)))
