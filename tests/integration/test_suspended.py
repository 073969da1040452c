"""A gateway that stood still declares no device silent, and its commands reach a device with higher numbers."""

from __future__ import annotations

import os
import shutil
import signal
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from tests.integration.conftest import GatewayFactory
from tests.integration.stranger import Device
from tests.servers.broker import Broker
from tests.servers.process import wait_until

pytestmark = pytest.mark.broker

SITE = "gw-still-site"
STOOD = 25.0
"""Seconds; more than the rule's `no_data`, less than the broker waits for a client."""
RULES = """
version: 1
groups:
- name: cold
  rules:
  - alert: Silent
    expr: temperature
    above: 1000
    no_data: {after: 15s, state: alerting}
  - alert: TooWarm
    expr: temperature
    above: -10
    clear: -12
    commands:
    - {name: compressor, args: {value: -22}, on: [firing], expires: 60s, confirm: {within: 20s}}
"""


@contextmanager
def measuring(device: Device) -> Iterator[None]:
    """The device measures twice a second meanwhile."""
    over = threading.Event()

    def measure() -> None:
        while not over.wait(0.5):
            device.measure(temperature=-18.0)

    thread = threading.Thread(target=measure)
    thread.start()
    try:
        yield
    finally:
        over.set()
        thread.join()


def test_nobody_is_silent_after_the_gateway_was_stopped(broker: Broker, gateways: GatewayFactory) -> None:
    gateway = gateways(broker, "gw-still")
    gateway.write_rules(RULES)
    gateway.start()
    with Device(broker.host, broker.port, SITE, "frz-1") as device:
        device.be_born()
        with measuring(device):
            gateway.wait_for(lambda report: report["messages"]["new"] >= 4 and report["broker"]["caught_up"])
            os.kill(gateway.pid, signal.SIGSTOP)
            time.sleep(STOOD)
            sent = device.seq
            os.kill(gateway.pid, signal.SIGCONT)
            gateway.wait_for(lambda report: report["messages"]["new"] > sent + 4)
        assert gateway.query("alerts") == []


def test_a_device_with_numbers_of_the_future_is_not_deaf(broker: Broker, gateways: GatewayFactory) -> None:
    """As after a journal was lost whose gateway had its clock ahead."""
    gateway = gateways(broker, "gw-still", commands={"per_device": "60/1m"})
    gateway.write_rules(RULES)
    gateway.start()
    with Device(broker.host, broker.port, SITE, "frz-2") as device:
        device.be_born()
        device.measure(temperature=-5.0)
        first = device.command()
        device.answer(first.body)
        gateway.wait_for(lambda report: report["commands"]["pending"] == 0)
        gateway.kill()
        shutil.rmtree(gateway.spool)
        gateway.start()
        device.holds = first.body["n"] + 3_600_000
        device.boot += 1
        device.be_born()
        device.measure(temperature=-5.0)
        ignored = device.command(after=first.body["n"])
        assert ignored.body["n"] < device.holds
        device.answer(first.body)
        again = device.command(after=device.holds)
        assert (again.body["id"], again.body["n"]) == (ignored.body["id"], device.holds + 1)
        device.holds = again.body["n"]
        device.answer(again.body)
        gateway.wait_for(lambda report: report["commands"]["pending"] == 0)
        wait_until(
            lambda: [row["state"] for row in gateway.query("commands")] == ["done"],
            60.0,
            "the command is done",
        )
