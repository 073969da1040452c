"""No account on the machine, and nobody who writes to the rules' directory, can stop a gateway."""

from __future__ import annotations

import json
import re
import resource
import shutil
import socket
import sys
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import pytest

from tests.hostile_files import NO_FILES, TEXTS
from tests.integration.conftest import GatewayFactory
from tests.integration.field import RULES, assert_quiet, settled
from tests.integration.stranger import Device
from tests.integration.test_life import kept, problem
from tests.servers.broker import Broker
from tests.servers.gateway import Gateway
from tests.servers.process import free_port

pytestmark = pytest.mark.broker

PATIENCE = 60.0
FEW_FILES = [
    sys.executable,
    "-c",
    "import os, sys, resource as r; r.setrlimit(r.RLIMIT_NOFILE, (1024, 1024)); os.execvp(sys.argv[1], sys.argv[1:])",
]
"""A program that runs another with the limit of most systems, which nothing can raise."""


def ask(port: int, request: bytes) -> bytes:
    with socket.create_connection(("127.0.0.1", port), timeout=PATIENCE) as client:
        try:
            client.sendall(request)
            return b"".join(iter(lambda: client.recv(65536), b""))
        except ConnectionError:
            return b""


def told(gateway: Gateway) -> list[str]:
    """Return the lines of the log without their times."""
    return [re.sub(r"^[-0-9]+ [0-9:,]+ ", "", line) for line in gateway.log.read_text().splitlines()]


def test_a_thousand_idle_connections_only_occupy_the_bounded_places(
    broker: Broker, gateways: GatewayFactory
) -> None:
    port = free_port()
    gateway = gateways(broker, "gw-idle", http={"listen": f"127.0.0.1:{port}"})
    gateway.write_rules(RULES)
    gateway.start(under=FEW_FILES)
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (min(hard, 4096), hard))
    try:
        with ExitStack() as stack, Device(broker.host, broker.port, "gw-idle-site", "idle") as device:
            for _ in range(1_100):
                stack.enter_context(socket.create_connection(("127.0.0.1", port), timeout=PATIENCE))
            device.be_born()
            device.measure(temperature=1.0)
            report = gateway.wait_for(
                lambda report: (
                    report["messages"]["new"] == 1
                    and report["counters"].get("http_connections_refused", 0) > 500
                )
            )
            assert report["problems"] == []
            gateway.write_rules(RULES.replace("Hot", "Hotter"))
            gateway.wait_for(lambda report: report["counters"].get("rule_reloads", 0) >= 2)
            gateway.wait_for(
                lambda _: ask(port, b"GET /healthz HTTP/1.0\r\n\r\n").startswith(b"HTTP/1.1 200 ")
            )
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
    assert gateway.stop() == 0
    assert_quiet(gateway)
    assert not [line for line in told(gateway) if "open files" in line]


@contextmanager
def no_file_to_open(pid: int) -> Iterator[None]:
    """Let the process open no further file or socket while the block runs."""
    limits = resource.prlimit(pid, resource.RLIMIT_NOFILE)
    resource.prlimit(pid, resource.RLIMIT_NOFILE, (3, limits[1]))
    try:
        yield
    finally:
        resource.prlimit(pid, resource.RLIMIT_NOFILE, limits)


def test_without_a_free_descriptor_the_gateway_continues_and_reports_it_once(
    broker: Broker, gateways: GatewayFactory
) -> None:
    port = free_port()
    gateway = gateways(broker, "gw-files", http={"listen": f"127.0.0.1:{port}"})
    gateway.write_rules(RULES)
    gateway.start()
    with Device(broker.host, broker.port, "gw-files-site", "files") as device:
        device.be_born()
        with no_file_to_open(gateway.pid), ExitStack() as stack:
            for _ in range(5):
                stack.enter_context(socket.create_connection(("127.0.0.1", port), timeout=PATIENCE))
            device.measure(temperature=1.0)
            while not any("part_rules: Too many open files" in line for line in told(gateway)):
                assert gateway.running, gateway.words()
        report = gateway.wait_for(
            lambda report: report["messages"]["new"] == 1 and settled(report) and not report["problems"]
        )
        assert report["messages"]["received"] == 1
        assert kept(gateway, "files") == 1
    assert gateway.stop() == 0
    assert_quiet(gateway)
    lines = Counter(line for line in told(gateway) if "open files" in line)
    assert max(lines.values()) == 1, lines


def test_a_fifo_or_device_among_the_rules_stops_neither_readings_nor_reloads(
    broker: Broker, gateways: GatewayFactory
) -> None:
    gateway = gateways(broker, "gw-hostile")
    gateway.write_rules(RULES)
    gateway.start()
    bad = gateway.rules / "x.yaml"
    faults = {kind: (make, fault) for kind, (make, fault) in NO_FILES.items()}
    faults |= {kind: (writing(text), "x.yaml:") for kind, (text, _) in TEXTS.items()}
    with Device(broker.host, broker.port, "gw-hostile-site", "hostile") as device:
        device.be_born()
        for number, (kind, (make, fault)) in enumerate(faults.items()):
            make(bad)
            device.measure(temperature=1.0)
            wait_for_fault(gateway, fault, sent=number + 1)
            shutil.rmtree(bad) if kind == "directory" else bad.unlink()
            gateway.wait_for(lambda report: not problem(report, "rules"))
    report = gateway.ask(do="status")
    assert report["rules"]["count"] == len(RULES.split("alert:")) - 1
    assert gateway.stop() == 0
    assert_quiet(gateway)


def wait_for_fault(gateway: Gateway, fault: str, sent: int) -> None:
    def told_and_taken(report: dict[str, Any]) -> bool:
        return fault in problem(report, "rules") and bool(report["messages"]["new"] == sent)

    gateway.wait_for(told_and_taken)


def writing(text: str) -> Callable[[Path], None]:
    def write(path: Path) -> None:
        path.write_text(text)

    return write


def test_a_fifo_or_device_among_the_rules_at_the_start_is_reported_and_ends_it(
    broker: Broker, gateways: GatewayFactory
) -> None:
    for kind, (make, fault) in NO_FILES.items():
        gateway = gateways(broker, f"gw-{kind}")
        make(gateway.rules / "x.yaml")
        gateway.start(ready=False)
        assert gateway.end() == 2
        assert fault in gateway.words()
        assert_quiet(gateway)


def test_odd_requests_get_an_answer_and_leave_nothing_in_the_log(
    broker: Broker, gateways: GatewayFactory
) -> None:
    port = free_port()
    gateway = gateways(broker, "gw-odd", http={"listen": f"127.0.0.1:{port}"})
    gateway.start()
    for request in (
        b"[]",
        b'{"do": []}',
        b'{"do": {}}',
        b'{"do": "devices", "device": 5}',
        b'{"do": NaN}',
        b"\xff",
        b"[",
    ):
        with socket.socket(socket.AF_UNIX) as client:
            client.settimeout(PATIENCE)
            client.connect(str(gateway.spool / "control.sock"))
            client.sendall(request + b"\n")
            answer = json.loads(b"".join(iter(lambda: client.recv(65536), b"")))
        assert answer["ok"] is False
        assert len(answer["error"]) > 10
    for request in (b"\x16\x03\x01", b"GET /" + b"x" * 20_000, b"BREW / HTTP/1.1\r\nHost: localhost"):
        assert ask(port, request + b"\r\n\r\n").startswith(b"HTTP/1.1 4")
    assert ask(port, b"GET /metrics HTTP/1.1\r\nHost: evil.example\r\n\r\n").startswith(b"HTTP/1.1 421 ")
    assert gateway.stop() == 0
    assert_quiet(gateway)
    assert not [line for line in told(gateway) if line.startswith(("WARNING", "ERROR"))]
