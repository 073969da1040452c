"""`fleet-sim run` carries out a scenario, prints its result, and ends with a status that says how it went."""

from __future__ import annotations

import json
import os
import subprocess
import threading
from collections.abc import Callable
from pathlib import Path
from xml.etree import ElementTree as ET

import pytest

from fleet_console.command_line import load
from fleet_sim.cli import main
from fleet_sim.cli.commands import COMMANDS
from fleet_sim.cli.options import VARIABLES
from fleet_sim.ledger.reading import read_ledger
from tests.servers.broker import Broker
from tests.servers.process import free_port

Run = Callable[..., tuple[int, str, str]]
SCENARIO = """
version: 1
name: short
fleet:
  box:
    count: 3
    site: [{site}]
    interval: 100ms
    metrics: {{level: {{model: constant, value: 4}}}}
phases:
- {{name: all, for: 500ms, connect: 100/s}}
expect:
  devices.connected: "== 3"
  delivery.lost: "== 0"
"""


@pytest.fixture
def run(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path, broker: Broker
) -> Run:
    """Run a short scenario on the broker; gives its status and what it printed."""
    monkeypatch.setenv("COLUMNS", "250")

    def _run(*arguments: str, port: int | None = None) -> tuple[int, str, str]:
        path = tmp_path / "short.yaml"
        path.write_text(SCENARIO.format(site=f"short{os.getpid()}"))
        where = ("-H", "127.0.0.1", "-p", str(port or broker.port), "--report", str(tmp_path / "run"))
        with pytest.raises(SystemExit) as ended:
            main(["run", str(path), *where, *arguments])
        said = capsys.readouterr()
        return int(ended.value.code or 0), said.out, said.err

    return _run


def test_a_run_prints_its_result_and_what_is_still_to_be_measured(run: Run, tmp_path: Path) -> None:
    status, out, _ = run("--quiet")
    assert status == 0
    assert "run finished after" in out
    assert "3 (3 connects, 0 again)" in out
    assert "0 without PUBACK or never sent, 0 lost at the device" in out
    assert "ok  expected == 3, found 3" in out
    assert "open  expected == 0; not measured: compare with what a gateway stored" in out
    assert f"\nfleet-sim verify {tmp_path}/run --history-cmd " in out
    ledger = read_ledger(tmp_path / "run")
    assert ledger.header["expect"]["delivery.lost"] == ["==", 0.0, "== 0"]


def test_options_change_the_run(run: Run, tmp_path: Path) -> None:
    limits = (
        "--limit",
        "4",
        "--qos",
        "0",
        "--boot",
        "9",
        "--ramp",
        "10ms",
        "--duration",
        "60s",
        "--sensors",
        "2",
    )
    status, out, _ = run("--json", *limits, "--start", "2026-01-01T00:00Z", "--set", "expect={}")
    found = json.loads(out)
    assert (status, found["devices"], found["reason"], found["expectations"]) == (0, 2, "finished", [])
    assert found["counters"]["made"] >= 4
    assert found["counters"]["forgotten"] == found["counters"]["published"], "QoS 0 has no PUBACK"
    header = read_ledger(tmp_path / "run").header
    assert (header["boot"], header["start_ms"]) == (9, 1_767_225_600_000)


def test_expectations_decide_the_status_and_are_written_for_ci(run: Run, tmp_path: Path) -> None:
    junit = tmp_path / "junit.xml"
    status, out, _ = run("--json", "--set", "expect={devices.connected: '> 3'}", "--junit", str(junit))
    assert status == 1
    [expectation] = json.loads(out)["expectations"]
    assert expectation == {"name": "devices.connected", "expected": "> 3", "found": "3", "passed": False}
    assert ET.parse(junit).getroot().get("failures") == "1"


def test_a_report_that_cannot_be_written_at_the_end_is_said(run: Run) -> None:
    status, _, err = run("--quiet", "--junit", "/proc/junit.xml")
    assert status == 2
    assert "--junit: /proc/junit.xml cannot be written: " in err


def test_a_run_that_holds_a_ledger_already_is_left_alone(run: Run, tmp_path: Path) -> None:
    assert run("--quiet")[0] == 0
    before = (tmp_path / "run" / "ledger.frames").read_bytes()
    status, _, err = run("--quiet")
    assert status == 2
    assert "holds a run already" in err
    assert (tmp_path / "run" / "ledger.frames").read_bytes() == before


def test_devices_that_never_connect_are_named_and_fail_the_run(
    run: Run, broker_factory: Callable[..., Broker], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("FLEET_SIM_PASSWORD", "secret")
    passwords = tmp_path / "passwords"
    passwords.touch(mode=0o600)
    for name in ("fleet-sim", "box-0"):
        subprocess.run(["mosquitto_passwd", "-b", str(passwords), name, "secret"], check=True)
    broker = broker_factory(f"password_file {passwords}", anonymous=False)
    status, out, err = run(
        "--quiet", "--user", "{id}", "--set", "fleet.box.id=box-{i}", "--set", "expect={}", port=broker.port
    )
    assert status == 1
    assert "2 of 3 devices never connected: " in err
    assert "connect.failed" in out


def test_messages_that_the_broker_refuses_fail_the_run_with_its_reason(
    run: Run, broker_factory: Callable[..., Broker], tmp_path: Path
) -> None:
    rights = tmp_path / "acl"
    rights.write_text("topic read #\ntopic write fleet/v1/+/+/status\n")
    broker = broker_factory(f"acl_file {rights}")
    status, out, err = run("--quiet", "--set", "expect={}", port=broker.port)
    assert status == 1
    assert "messages were refused by the broker: not authorised: " in err
    assert "publish.refused" in out


def test_a_broker_that_hangs_fails_the_run(run: Run, broker_factory: Callable[..., Broker]) -> None:
    broker = broker_factory()
    hang = threading.Timer(1.5, broker.pause)
    hang.start()
    try:
        limits = ("--duration", "3s", "--set", "expect={publish.ack.p99: '< 250ms'}")
        status, out, err = run("--quiet", *limits, port=broker.port)
    finally:
        hang.join()
        broker.resume()
    assert status == 1
    assert "messages were not acknowledged: " in err
    assert "FAILED  expected < 250ms, found messages without PUBACK" in out


def test_a_broker_that_dies_in_mid_run_is_named(run: Run, broker_factory: Callable[..., Broker]) -> None:
    broker = broker_factory()
    death = threading.Timer(1.5, broker.kill)
    death.start()
    try:
        status, _, err = run("--duration", "4s", "--set", "expect={}", port=broker.port)
    finally:
        death.join()
    url = f"mqtt://127.0.0.1:{broker.port}"
    assert status == 1
    assert f"{url}: 3 devices lost the connection " in err
    assert "3 of 3 devices had no connection at the end: lost " in err
    assert f"and since then: cannot reach {url}: Connection refused; check that the broker runs" in err


def test_without_a_broker_it_is_3(run: Run) -> None:
    status, _, err = run("--quiet", port=free_port())
    assert status == 3
    assert "no broker at mqtt://127.0.0.1:" in err


def test_every_option_but_set_has_a_variable() -> None:
    command = load("run", COMMANDS["run"])
    variables = {parameter.name: parameter.envvar for parameter in command.params}
    assert {name for name, variable in variables.items() if variable is None} <= {"changes", "help"}
    assert {variable for variable in variables.values() if variable} == VARIABLES


def test_variables_are_options_and_unknown_ones_are_refused(
    run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("FLEET_SIM_SENSOR", "5")
    monkeypatch.setenv("FLEET_SIM_NONSENSE", "5")
    status, _, err = run("--quiet")
    assert status == 2
    assert "$FLEET_SIM_SENSOR is no variable of fleet-sim; did you mean 'FLEET_SIM_SENSORS'?" in err
    assert "$FLEET_SIM_NONSENSE is no variable" in err
    monkeypatch.delenv("FLEET_SIM_SENSOR")
    monkeypatch.delenv("FLEET_SIM_NONSENSE")
    monkeypatch.setenv("FLEET_SIM_JSON", "true")
    monkeypatch.setenv("FLEET_SIM_LIMIT", "2")
    status, out, _ = run("--duration", "60s", "--set", "expect={}")
    assert (status, json.loads(out)["devices"]) == (0, 3)
