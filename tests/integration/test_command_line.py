"""The commands with real gateways: sockets, and hostile text from devices in every table."""

import os
import pty
import re
import shutil
import subprocess
import sys
import unicodedata
from pathlib import Path

import pytest
from rich.cells import cell_len

from tests.integration.conftest import GatewayFactory
from tests.integration.stranger import Device, pack
from tests.servers.broker import Broker
from tests.servers.gateway import ROOT, Gateway
from tests.servers.process import free_port

pytestmark = pytest.mark.broker

UNSEEN = {"Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp"}
STYLES = re.compile(r"\x1b\[[0-9;]*m")
EVIL = "[/red]\x1b[2J\x1b]8;;http://evil\x07\n\x9bx"
SHOWN = "[/red]\\x1b[2J\\x1b]8;;http://evil\\x07\\n\\x9bx"
LONG = "frz-" + "0" * 60
RULES = """
version: 1
groups:
- name: odd
  rules:
  - {alert: DoorNotClosed, expr: 'door != "closed"', severity: warning}
  - {alert: TooWarm, expr: temperature, above: 5, severity: critical, annotations: {summary: "[bold]{{ device }}[/x]"}}
  - {alert: Silent, no_data: {after: 1s, metric: temperature, severity: info}}
"""


def on_a_terminal(gateway: Gateway, *arguments: str) -> list[str]:
    """Return what a command prints on a terminal of 80 columns, without colours."""
    ours, theirs = pty.openpty()
    command = [sys.executable, "-m", "edge_gateway", *arguments, "--config", str(gateway.config)]
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "COLUMNS": "80", "TERM": "xterm-256color"}
    shown = b""
    with subprocess.Popen(command, stdout=theirs, env=environment, cwd=gateway.directory) as process:
        os.close(theirs)
        try:
            while part := os.read(ours, 65_536):
                shown += part
        except OSError:  # what Linux says at the end of a terminal's other side
            pass
        assert process.wait(60) == 0
    os.close(ours)
    return STYLES.sub("", shown.decode()).removesuffix("\r\n").split("\r\n")


def in_a_pipe(gateway: Gateway, *arguments: str) -> list[str]:
    return gateway.run(*arguments).removesuffix("\n").split("\n")


def test_text_from_misbehaving_devices_does_not_garble_tables(
    broker: Broker, gateways: GatewayFactory
) -> None:
    gateway = gateways(broker, "gw-manners")
    gateway.write_rules(RULES)
    gateway.start()
    with Device(broker.host, broker.port, "gw-manners-site", LONG) as device:
        device.be_born(EVIL)
        device.measure(temperature=7.5, door=EVIL)
        device.publish(device.topic("status"), pack({"state": EVIL}))
        device.client.publish("fleet/v1/gw-manners-site/\x01\x02/telemetry", b"\x80", qos=1)
        gateway.wait_for(lambda report: report["alerts"]["firing"] >= 3 and report["fleet"]["devices"] == 1)
        gateway.wait_for(
            lambda _: len(gateway.query("quarantine")) >= 1 and len(gateway.query("states")) >= 1
        )
    told = {}
    for command in (["status"], ["devices"], ["alerts"], ["devices", LONG], *(
        ["query", subject] for subject in ("last", "windows", "states", "alerts", "commands", "quarantine")
    )):  # fmt: skip
        lines = told[tuple(command)] = in_a_pipe(gateway, *command)
        drawn = on_a_terminal(gateway, *command)
        for line in (*lines, *drawn):
            assert not [one for one in line if unicodedata.category(one) in UNSEEN], line
        assert all(cell_len(line) <= 80 for line in drawn), command
    (device_line,) = [line for line in told["devices",] if LONG in line]
    assert SHOWN in device_line
    alerts = {
        name: line
        for line in told["alerts",]
        for name in ("DoorNotClosed", "TooWarm", "Silent")
        if name in line
    }
    assert all(LONG in line for line in alerts.values())
    assert len(alerts) == 3
    assert f"[bold]{LONG}[/x]" in alerts["TooWarm"]
    assert any(SHOWN in line for line in told["query", "states"])
    (reason,) = [row["reason"] for row in gateway.query("quarantine") if "status" in row["topic"]]
    assert reason.isprintable()
    assert "\\x1b[2J" in reason
    assert {row["last"] for row in gateway.query("states")} == {EVIL}
    words = gateway.words(1_000_000)
    assert not [one for one in words if unicodedata.category(one) in UNSEEN and one != "\n"]
    assert gateway.stop() == 0
    assert any(SHOWN in line for line in in_a_pipe(gateway, "query", "devices"))
    in_a_pipe(gateway, "spool", "inspect")
    assert on_a_terminal(gateway, "spool", "verify")


def test_two_gateways_on_one_machine_use_separate_sockets(broker: Broker, gateways: GatewayFactory) -> None:
    ours, theirs = gateways(broker, "gw-one"), gateways(broker, "gw-two")
    for gateway in (ours, theirs):
        gateway.start()
    for gateway, name in ((ours, "gw-one"), (theirs, "gw-two")):
        assert in_a_pipe(gateway, "status")[0].split()[1] == name
        assert (gateway.spool / "control.sock").stat().st_mode & 0o777 == 0o660
    assert [gateway.stop() for gateway in (ours, theirs)] == [0, 0]
    assert not (ours.spool / "control.sock").exists()


def test_a_socket_of_a_killed_gateway_is_replaced(broker: Broker, gateways: GatewayFactory) -> None:
    gateway = gateways(broker, "gw-killed")
    gateway.start()
    gateway.kill()
    assert (gateway.spool / "control.sock").is_socket()
    gateway.run("status", status=3)
    gateway.start()
    assert in_a_pipe(gateway, "status")[0].split()[1] == "gw-killed"


def test_a_spool_with_a_path_longer_than_a_sockets_address(broker: Broker, gateways: GatewayFactory) -> None:
    gateway = gateways(broker, "gw-long")
    gateway.spool = gateway.directory / ("spool-50%20#?[red]é" + "x" * 150)
    gateway.reconfigure(spool={"path": gateway.spool.name})
    gateway.start()
    assert in_a_pipe(gateway, "status")[0].split()[1] == "gw-long"
    assert in_a_pipe(gateway, "query", "alerts") == ["nothing found"]
    assert gateway.stop() == 0
    assert on_a_terminal(gateway, "spool", "inspect")[0].startswith("/")


def test_a_file_in_place_of_the_socket_is_an_error_that_names_it(
    broker: Broker, gateways: GatewayFactory
) -> None:
    gateway = gateways(broker, "gw-way")
    gateway.spool.mkdir()
    (gateway.spool / "control.sock").symlink_to("/nowhere")
    gateway.start(ready=False)
    assert gateway.end() == 2
    assert "control.sock is in the way" in gateway.words()
    assert "Traceback" not in gateway.words()


def _may_mount() -> bool:
    tried = ["unshare", "-m", "sh", "-c", "mount -t tmpfs none /run"]
    return (
        shutil.which("unshare") is not None
        and not subprocess.run(tried, capture_output=True, check=False).returncode
    )


@pytest.mark.skipif(not _may_mount(), reason="a /run of one's own needs to mount")
def test_where_there_is_a_run_directory_each_gateway_is_linked_by_its_id(
    tmp_path: Path, broker: Broker
) -> None:
    """Two gateways in a /run of their own: the second starts, and each link leads to its own gateway."""
    for name in ("gw-a", "gw-b"):
        Gateway(tmp_path / name, broker.url, gateway={"id": name, "sites": [f"{name}-site"]})
    script = f"""
    mount -t tmpfs none /run && mkdir /run/edge-gateway || exit 9
    for name in gw-a gw-b; do
      {sys.executable} -m edge_gateway run --config {tmp_path}/$name/gateway.yaml & eval "pid_${{name#gw-}}=$!"
      until {sys.executable} -m edge_gateway status --config {tmp_path}/$name/gateway.yaml >{tmp_path}/$name/said; do
        kill -0 $! || exit 8
      done
      readlink /run/edge-gateway/$name.sock
    done
    kill $pid_a $pid_b; wait; ls /run/edge-gateway
    """
    done = subprocess.run(
        ["unshare", "-m", "sh", "-c", script], capture_output=True, text=True, timeout=240, check=False,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert done.stdout.split() == [
        str(tmp_path / name / "spool" / "control.sock") for name in ("gw-a", "gw-b")
    ]
    for name in ("gw-a", "gw-b"):
        assert (tmp_path / name / "said").read_text().split()[1] == name


def test_embedded_runs_without_configuration_and_the_cli_finds_it(tmp_path: Path) -> None:
    (tmp_path / "rules").mkdir()
    (tmp_path / "rules" / "none.yaml").write_text("version: 1\ngroups: []\n")
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "EDGE_GATEWAY_HTTP_LISTEN": "null",
                   "EDGE_GATEWAY_MQTT_URL": f"mqtt://localhost:{free_port()}"}  # fmt: skip
    script = f"""
    {sys.executable} -m edge_gateway run --embedded &
    until {sys.executable} -m edge_gateway status; do kill -0 $! || exit 8; done
    kill $!; wait $! && {sys.executable} -m edge_gateway query alerts
    """
    done = subprocess.run(
        ["sh", "-c", script],
        capture_output=True,
        text=True,
        timeout=240,
        check=False,
        cwd=tmp_path,
        env=environment,
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.split()[:2] == ["gateway", "embedded"]
    assert done.stdout.endswith("nothing found\n")
