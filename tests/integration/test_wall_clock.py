"""A gateway whose machine has the wrong time and no time synchronisation: who is believed, and what is kept."""

from __future__ import annotations

import shutil
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from tests.integration.conftest import GatewayFactory, forwarding
from tests.integration.stored import points
from tests.integration.stranger import Device, now_ms, pack
from tests.proofs.ground.field import settled
from tests.proofs.ground.sabotaged import Sabotage
from tests.proofs.ground.shifted_clock import WallClock
from tests.servers.broker import Broker
from tests.servers.gateway import Gateway
from tests.servers.influx import Influx

pytestmark = pytest.mark.broker

HOUR = 3_600_000
YEARS = 3 * 365 * 24 * HOUR
WITHIN = 60.0
TRIMS_OFTEN = Sabotage(
    constants=(
        ("edge_gateway.service.maintenance:TRIM_EVERY", 0.2),
        ("edge_gateway.service.maintenance:STATUS_EVERY", 1.0),
    )
)


class Shifted:
    """A gateway on a machine whose clock is `shift` ms off."""

    def __init__(self, gateway: Gateway) -> None:
        self.gateway = gateway
        self.file = gateway.directory / "shift"

    def start(self, shift: int) -> None:
        self.set(shift)
        under = [sys.executable, "-m", "tests.proofs.ground.shifted_clock", str(self.file)]
        self.gateway.start(under=under, sabotage=TRIMS_OFTEN)

    def set(self, shift: int) -> None:
        WallClock(shift, synchronised=False).write(self.file)

    def report(self, holds: Callable[[dict[str, Any]], bool], during: Callable[[], object]) -> dict[str, Any]:
        """Wait for a status for which `holds` is true while `during` is called again and again."""
        end = time.monotonic() + WITHIN
        while time.monotonic() < end:
            report: dict[str, Any] = self.gateway.ask(do="status")
            if holds(report):
                return report
            during()
            time.sleep(0.2)
        raise AssertionError(f"not within {WITHIN} s: {report['clock']}, {report['problems']}")

    def windows(self) -> dict[tuple[str, int], int]:
        """Readings by device and start of the window."""
        return {(row["device"], row["start"]): row["count"] for row in self.gateway.query("windows")}


@contextmanager
def fleet(broker: Broker, site: str, count: int = 4) -> Iterator[list[Device]]:
    with ExitStack() as stack:
        devices = [Device(broker.host, broker.port, site, f"{site}-{number}") for number in range(count)]
        for device in devices:
            stack.enter_context(device)
            device.be_born()
        yield devices


def measure(devices: list[Device]) -> None:
    for device in devices:
        device.measure(temperature=4.0)


def timeless(device: Device) -> None:
    """Send a reading without a time."""
    seq, device.seq = device.seq, device.seq + 1
    device.publish(
        device.topic("telemetry"), pack({"v": 1, "boot": 1, "seq": seq, "m": {"temperature": 1.0}})
    )


RULES = """\
version: 1
groups:
- name: cold
  rules:
  - alert: TooWarm
    expr: temperature
    above: 50
    severity: critical
    commands: [{name: compressor, args: {value: -22}, on: [firing], expires: 10m}]
"""


def codes(report: dict[str, Any]) -> set[str]:
    return {one["code"] for one in report["problems"]}


def outvoted(report: dict[str, Any]) -> bool:
    return bool(report["clock"]["state"] == "outvoted" and "clock" in codes(report))


def test_a_life_years_ahead_removes_no_history_and_the_right_time_is_believed_afterwards(
    broker: Broker, gateways: GatewayFactory
) -> None:
    machine = Shifted(gateways(broker, "gw-ahead", history={"keep": "1d"}))
    with fleet(broker, "gw-ahead-site") as devices:
        machine.start(0)
        measure(devices)
        machine.report(lambda report: report["messages"]["new"] > 0 and settled(report), lambda: None)
        before = machine.windows()
        assert len(before) >= len(devices)
        assert machine.gateway.stop() == 0

        machine.start(YEARS)
        report = machine.report(outvoted, lambda: measure(devices))
        (text,) = [one["text"] for one in report["problems"] if one["code"] == "clock"]
        assert "ahead of the clocks of 4 devices" in text
        assert report["counters"].get("history_trimmed", 0) == 0
        assert machine.gateway.stop() == 0
        assert before.items() <= machine.windows().items()

        machine.start(0)
        timeless(devices[0])
        had = machine.gateway.ask(do="status")["messages"]["new"]
        report = machine.report(lambda report: report["clock"]["state"] == "agreed", lambda: measure(devices))
        assert "clock" not in codes(report)
        assert (report["clock"]["held"], report["messages"]["new"] > had) == (0, True)
    machine.gateway.stop()
    assert before.items() <= machine.windows().items()
    assert max(start for _, start in machine.windows()) < now_ms() + HOUR


def test_a_fleet_with_the_right_time_is_believed_against_a_machine_that_lost_ten_hours(
    broker: Broker, gateways: GatewayFactory
) -> None:
    machine = Shifted(gateways(broker, "gw-late"))
    begun = now_ms()
    with fleet(broker, "gw-late-site") as devices:
        machine.start(-10 * HOUR)
        report = machine.report(outvoted, lambda: measure(devices))
        (text,) = [one["text"] for one in report["problems"] if one["code"] == "clock"]
        assert "10h behind the clocks of 4 devices" in text
        assert "10h behind" in machine.gateway.run("doctor", status=1)
        timeless(devices[0])
        machine.report(lambda report: report["clock"]["held"] == 1, lambda: None)

        machine.set(0)
        assert "for the right time" in machine.gateway.run("clock", "confirm")
        sent = sum(device.seq for device in devices)
        report = machine.report(
            lambda report: report["messages"]["new"] == sent and "clock" not in codes(report), lambda: None
        )
        assert (report["clock"]["state"], report["clock"]["held"]) == ("confirmed", 0)
        machine.report(settled, lambda: None)
    windows = machine.windows()
    assert sum(windows.values()) == sent
    assert min(start for _, start in windows) >= begun - 2_000


@pytest.mark.parametrize("spool", ["kept", "lost"])
def test_a_gateway_whose_clock_is_behind_after_a_power_cut_knows_its_own_status(
    broker: Broker, gateways: GatewayFactory, spool: str
) -> None:
    machine = Shifted(gateways(broker, f"gw-cut-{spool}"))
    machine.start(0)
    machine.gateway.wait_for(lambda report: report["broker"]["caught_up"])
    machine.gateway.kill()
    if spool == "lost":
        shutil.rmtree(machine.gateway.spool)
    machine.start(-HOUR)
    with fleet(broker, f"gw-cut-{spool}-site", 1) as devices:
        measure(devices)
        report = machine.gateway.wait_for(lambda report: report["messages"]["new"] == 1)
    assert "taken_over" not in codes(report)
    assert report["counters"].get("taken_over", 0) == 0
    assert report["counters"].get("broker_connections_lost", 0) == 0


def test_a_command_that_expired_while_the_machine_was_off_is_not_sent_by_a_clock_that_stood_still(
    broker: Broker, gateways: GatewayFactory
) -> None:
    """A machine without a clock of its own begins again at the time at which it stopped, ten hours ago."""
    machine = Shifted(gateways(broker, "gw-still"))
    machine.gateway.write_rules(RULES)
    with fleet(broker, "gw-still-site") as devices:
        machine.start(-10 * HOUR)
        hot, topic = devices[0], devices[0].topic("command")
        for device in devices:
            device.measure(at=now_ms() - 10 * HOUR, temperature=60.0 if device is hot else 4.0)
        command = hot.command().body
        machine.gateway.wait_for(lambda report: report["commands"]["pending"] == 1)
        machine.gateway.kill()
        heard = len(hot.heard)
        machine.start(-10 * HOUR)
        machine.report(
            lambda report: outvoted(report) and report["commands"]["pending"] == 0, lambda: measure(devices)
        )
        again = [one.body["id"] for one in hot.heard[heard:] if one.topic == topic]
        assert command["id"] not in again
        states = {row["id"]: row["state"] for row in machine.gateway.query("commands")}
        assert states[command["id"]] == "expired_unknown"


def test_devices_without_a_clock_do_not_hold_up_those_with_one(
    broker: Broker, gateways: GatewayFactory
) -> None:
    machine = Shifted(gateways(broker, "gw-wait"))
    machine.start(0)
    with fleet(broker, "gw-wait-site", 2) as (clockless, clocked):
        clocked.measure(temperature=1.0)
        machine.gateway.wait_for(
            lambda report: report["messages"]["new"] == 1 and report["broker"]["unacknowledged"] == 0
        )
        machine.gateway.kill()
        machine.start(-HOUR)
        for _ in range(1_010):
            timeless(clockless)
        clocked.measure(temperature=2.0)
        report = machine.gateway.wait_for(
            lambda report: report["messages"]["new"] == 2 and report["messages"]["quarantined"] == 10
        )
        assert (report["clock"]["state"], report["clock"]["held"]) == ("behind", 1_000)
        machine.set(0)
        machine.gateway.wait_for(lambda report: report["messages"]["new"] == 1_002)
        assert machine.gateway.stop() == 0
        assert {row["reason"] for row in machine.gateway.query("quarantine")} == {"no_time"}
        machine.gateway.run("spool", "replay-quarantine")
        machine.start(0)
        report = machine.gateway.wait_for(lambda report: report["messages"]["new"] == 1_012)
        assert machine.gateway.query("quarantine") == []


@pytest.mark.influx
def test_windows_of_a_first_start_years_ahead_stay_the_newest_until_they_are_left_out_or_deleted(
    broker: Broker, gateways: GatewayFactory, influx: Influx, tmp_path: Path
) -> None:
    bucket = influx.fresh_bucket()
    windows = [{"every": "2s", "bucket": bucket, "keep": "30d"}]
    made = gateways(broker, "gw-first", windows=windows, influx=forwarding(influx, tmp_path))
    machine = Shifted(made)
    with fleet(broker, "gw-first-site", 1) as (device,):
        machine.start(YEARS)
        timeless(device)
        machine.report(lambda report: report["messages"]["new"] == 1 and settled(report), lambda: None)
        assert machine.gateway.stop() == 0
        machine.start(0)
        machine.gateway.run("clock", "confirm")
        timeless(device)
        machine.report(lambda report: report["messages"]["new"] == 2 and settled(report), lambda: None)
        machine.report(lambda report: not report["sinks"]["influx"]["waiting"]["lines"], lambda: None)

    def newest(*options: str) -> int:
        return max(int(row["start"]) for row in machine.gateway.query("last", *options))

    def written() -> list[bool]:
        """Whether each point is ahead of the right time."""
        return sorted(int(row["at"]) > now_ms() + HOUR for row in points(influx, bucket, "sensor"))

    assert newest() > now_ms() + HOUR
    assert newest("--until", "0s") < now_ms()
    assert written() == [False, True]
    influx.call(
        "POST", f"/api/v2/delete?org={influx.org}&bucket={bucket}",
        {"start": datetime.now(UTC).isoformat(), "stop": "2200-01-01T00:00:00Z",
         "predicate": f'_measurement="sensor" AND device="{device.name}"'},
    )  # fmt: skip
    assert written() == [False]
