"""docs/deploy.md on a machine that nobody has used: every command of the page, as it stands and in its order.

What is real: the shell, users, modes and owners, openssl, mosquitto_passwd, Mosquitto as its own user with the packaged
unit, the gateway as its user with the unit's protection of the system, the CLI on the PATH. What is not, since the test
has neither an index of packages nor systemd: `apt` and `pip` find on the machine what they would fetch (packages.py),
and the unit files are read by systemctl.py. The machine is made of namespaces (machine.py), for which root is needed.
"""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import sysconfig
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from edge_gateway.errors import CannotReach
from edge_gateway.mqtt.embedded import find_mosquitto
from tests.conftest import unavailable
from tests.test_docs import FRESH, Block, blocks

pytestmark = [pytest.mark.broker, pytest.mark.timeout(600)]

HERE = Path(__file__).parent
ROOT = HERE.parents[1]
PAGE = ROOT / "docs" / "deploy.md"
NAMESPACES = ["unshare", "--mount", "--net", "--pid", "--uts", "--fork", "--mount-proc", "--kill-child"]
SHIMS = {"systemctl.py": ["systemctl", "journalctl"], "packages.py": ["apt", "python3", "pip"]}
CA = "/etc/mosquitto/certs/ca.crt"
KEPT_CA = "/home/pi/ca.crt"
STATUS, CONNECTED = "edge-gateway status --json", '"connected": *true'
TOKEN = "a-token-of-the-tests"
SECRETS = ("/etc/mosquitto/certs/broker.key", "/etc/mosquitto/passwords", "/etc/edge-gateway/gateway.key")


@dataclass(frozen=True)
class Said:
    status: int
    out: str
    err: str


class Machine:
    """A shell on the machine."""

    def __init__(self, process: subprocess.Popen[str], log: Path) -> None:
        self._process = process
        self._log = log

    def run(self, text: str, *, user: str = "root", given: str = "", status: int | None = 0) -> str:
        """What the commands print; AssertionError where they end otherwise than with `status`."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(json.dumps({"user": user, "text": text, "input": given}) + "\n")
        self._process.stdin.flush()
        answer = self._process.stdout.readline()
        assert answer, f"the machine is gone:\n{self._log.read_text()}"
        said = Said(**json.loads(answer))
        assert status is None or said.status == status, f"{text}\n{said.status}\n{said.out}\n{said.err}"
        assert "Traceback" not in said.err, said.err
        return said.out + said.err

    def read(self, block: Block, given: str = "") -> str:
        return self.run(block.text, user="pi" if block.mark.endswith("as pi") else "root", given=given)

    def device(self, *arguments: str, status: int = 0, ca: str = CA) -> None:
        """A device of the tests at work, which trusts `ca`; it needs no account here."""
        python = f"/mnt/python/bin/python{sys.version_info.major}.{sys.version_info.minor}"
        words = " ".join(f"'{one}'" for one in ("pi.local", ca, "berlin", *arguments))
        self.run(f"PYTHONPATH=/mnt/packages {python} tests/deploy/device.py {words}", status=status)

    def wait(self, text: str, wanted: str, user: str = "pi") -> str:
        """Repeat the command until its output has `wanted` in it."""
        once = f"out=$({text} 2>&1) || true; grep -q '{wanted}' <<<$out && break"
        said = self.run(f'while ((SECONDS < 90)); do {once}; sleep 0.3; done; echo "$out"', user=user)
        assert re.search(wanted, said), said
        return said


@pytest.fixture
def machine(tmp_path: Path, request: pytest.FixtureRequest) -> Iterator[Machine]:
    try:
        find_mosquitto()
    except CannotReach as error:
        unavailable(request.config, str(error))
    if (
        os.geteuid() != 0
        or subprocess.run([*NAMESPACES, "true"], check=False, capture_output=True).returncode
    ):
        pytest.skip(
            "missing here: root, and namespaces that it may make; docs/deploy.md was not walked through"
        )
    shims = tmp_path / "shims"
    shims.mkdir()
    interpreter = f"/mnt/python/bin/python{sys.version_info.major}.{sys.version_info.minor}"
    for file, names in SHIMS.items():
        (shims / file).write_text(f"#!{interpreter}\n{(HERE / file).read_text()}")
        for name in names:
            (shims / name).symlink_to(file)
        (shims / file).chmod(0o755)
    places = [str(ROOT), sys.base_prefix, sysconfig.get_path("purelib"), str(shims)]
    log = tmp_path / "machine.log"
    with (
        log.open("w") as output,
        subprocess.Popen(
            [*NAMESPACES, "python3", str(HERE / "machine.py"), *places],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=output,
            text=True,
        ) as process,
    ):
        yield Machine(process, log)
        process.kill()


class Page:
    """The page's commands, taken one after another."""

    def __init__(self, machine: Machine) -> None:
        self._machine = machine
        self._left = [block for block in blocks(PAGE) if block.language == "sh"]

    def read(self, beginning: str, given: str = "") -> str:
        """Run the next block, which begins so."""
        block = self._left.pop(0)
        assert block.mark.startswith(FRESH), block
        assert block.text.startswith(beginning), f"{block} begins otherwise than with {beginning!r}"
        return self._machine.read(block, given)

    def skip_to(self, beginning: str) -> None:
        """Leave out what is before the block that begins so."""
        while not self._left[0].text.startswith(beginning):
            self._left.pop(0)

    @property
    def over(self) -> bool:
        return not self._left


def test_the_page_works_as_it_stands(machine: Machine) -> None:
    page = Page(machine)
    install(page, machine)
    one = add_devices(page, machine)
    start(page, machine, one)
    change(page, machine)
    move(page, machine)
    remove_program(page, machine)
    remove_all(page, machine)
    assert page.over


def test_a_second_install_works_after_each_way_to_leave(machine: Machine) -> None:
    page = Page(machine)
    install(page, machine)
    one = add_devices(page, machine)
    start(page, machine, one)
    page.skip_to("systemctl disable --now edge-gateway")
    remove_program(page, machine)
    again = Page(machine)
    come_back(again, machine, one)
    again.skip_to("systemctl disable --now edge-gateway")
    remove_program(again, machine)
    remove_all(again, machine)
    begin_anew(Page(machine), machine)


def install(page: Page, machine: Machine) -> None:
    page.read("apt install")
    assert (
        machine.run("command -v edge-gateway fleet-sim", user="pi")
        == "/usr/local/bin/edge-gateway\n/usr/local/bin/fleet-sim\n"
    )
    page.read("id edge-gateway")
    page.read("ca=")
    page.read("install -d /etc/mosquitto")
    assert_alive(machine, "mosquitto", user="mosquitto")
    for file in SECRETS[:2]:
        machine.run(f"cat {file}", user="pi", status=1)


def add_devices(page: Page, machine: Machine) -> str:
    """Returns the password of frz-1."""
    name, password = page.read("device=frz-1").split()[-2:]
    assert name == "frz-1"
    machine.device("frz-1", password)
    machine.device("frz-1", "wrong", status=1)
    machine.device("frz-9", "stolen", status=1)
    page.read("mosquitto_passwd -b /etc/mosquitto/passwords frz-9 stolen")
    machine.device("frz-9", "stolen", status=1)
    machine.device("frz-1", password)
    return password


def start(page: Page, machine: Machine, password: str) -> None:
    said = page.read("cat > /etc/edge-gateway/gateway.yaml")
    assert re.search(r"good: \d+ rules, 3 windows", said)
    assert re.search(r"broker .*accepts the gateway", said)
    page.read("install -m 644 deploy/edge-gateway.service")
    assert_alive(machine, "edge-gateway", user="edge-gateway")
    machine.wait("edge-gateway status", "no problems")
    machine.device("frz-1", password)
    machine.wait("edge-gateway query last --device frz-1 --json", '"count": *2')
    assert "no problems" in page.read("edge-gateway status")
    assert "frz-1" in machine.run("edge-gateway devices", user="pi")
    assert "subscribed at localhost:8884" in page.read("journalctl")
    assert "-18" in machine.run("edge-gateway query last --device frz-1", user="pi")
    machine.run("cat /etc/edge-gateway/gateway.key", user="nobody", status=1)
    page.read("password=$(openssl")
    machine.wait("edge-gateway query last --device frz-00000 --json", '"count"')
    assert "frz-00000" in page.read("edge-gateway query last")
    before = machine.run("edge-gateway status --json", user="pi")
    assert "broker_connections_lost" not in json.loads(before)["counters"], "a reload disturbs nobody"


def change(page: Page, machine: Machine) -> None:
    page.read("install -m 640 -g edge-gateway /dev/stdin", given=TOKEN)
    machine.run("cat /etc/edge-gateway/influx.token", user="nobody", status=1)
    assert TOKEN in machine.run("cat /etc/edge-gateway/influx.token", user="pi")
    machine.wait(STATUS, CONNECTED)
    page.read("ca=/root/fleet-ca device=frz-2")
    machine.wait(STATUS, CONNECTED)
    machine.device("frz-2", "", "/root/fleet-ca/frz-2.crt", "/root/fleet-ca/frz-2.key")
    machine.wait("edge-gateway query last --device frz-2 --json", '"count": *2')
    machine.device("frz-1", "no certificate", status=1)
    page.read("umask 022\nsystemctl stop edge-gateway")
    machine.wait(STATUS, CONNECTED)


def move(page: Page, machine: Machine) -> None:
    page.read("systemctl stop edge-gateway\ntar")
    machine.wait(STATUS, CONNECTED)
    machine.run("systemctl stop edge-gateway mosquitto")
    machine.run("rm -r /etc/edge-gateway /etc/mosquitto/* /var/lib/mosquitto/* /root/fleet-ca")
    page.read("systemctl stop edge-gateway mosquitto")
    machine.wait(STATUS, CONNECTED)
    report = machine.run("edge-gateway status --json", user="pi")
    assert "session_lost" in report
    assert "spool_copy" in report
    assert "-18" in machine.run("edge-gateway query last --device frz-2", user="pi")


def remove_program(page: Page, machine: Machine) -> None:
    machine.run(f"install -m 644 {CA} {KEPT_CA}")
    page.read("systemctl disable --now edge-gateway")
    assert_alive(machine, "mosquitto", user="mosquitto")
    assert machine.run("find /opt /usr/local -name '*edge-*'") == ""


def come_back(page: Page, machine: Machine, password: str) -> None:
    """Follow the page from its top: devices notice nothing, and the gateway knows what it knew."""
    install(page, machine)
    machine.device("frz-1", password, ca=KEPT_CA)
    page.skip_to("cat > /etc/edge-gateway/gateway.yaml")
    page.read("cat > /etc/edge-gateway/gateway.yaml")
    page.read("install -m 644 deploy/edge-gateway.service")
    machine.wait(STATUS, CONNECTED)
    machine.device("frz-1", password, ca=KEPT_CA)
    assert "frz-00000" in machine.run("edge-gateway query last", user="pi")


def remove_all(page: Page, machine: Machine) -> None:
    page.read("systemctl stop mosquitto")
    assert (
        machine.run("find /etc /var /usr/local -name '*edge-gateway*' ! -path '*/systemd/*' ! -path '/usr/*'")
        == ""
    )
    machine.run("getent passwd edge-gateway", status=2)
    machine.run("getent group edge-gateway", status=2)


def begin_anew(page: Page, machine: Machine) -> None:
    """Follow the page from its top: the gateway starts without a problem, as on a machine that nobody has used."""
    install(page, machine)
    start(page, machine, add_devices(page, machine))


def assert_alive(machine: Machine, name: str, *, user: str) -> None:
    machine.run(f"systemctl is-active {name}")
    assert machine.run(f"stat -c %U /proc/$(cat /run/systemctl/{name}.pid)").strip() == user
