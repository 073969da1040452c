"""Ctrl-C ends both programs with 130 and without a traceback, at whatever instant of their first second and a half.

Python's own start, before the first line of a program, is not theirs: the tries begin there.
"""

import os
import random
import signal
import subprocess
import sys
import time
from contextlib import suppress
from pathlib import Path

import pytest

from edge_gateway.mqtt.embedded import tied_to_parent
from tests.servers.broker import Broker
from tests.servers.process import free_port

ROOT = Path(__file__).parents[1]
TRIES = 15
LATEST = 1.5
INTERRUPTED = 130
BEGIN = """
import sys
from {package}.cli import main
from fleet_console import interrupts

ready = interrupts.end_at_once


def begin():
    ready()
    print("begun", flush=True)


interrupts.end_at_once = begin
sys.argv[1:] = {arguments!r}
main()
"""
"""Tells when the first thing that the program does is done."""


def interrupted(package: str, arguments: list[str], after: float, directory: Path) -> tuple[int, str]:
    """The status and the words of a program that got SIGINT so many seconds after it began."""
    code = BEGIN.format(package=package, arguments=arguments)
    with subprocess.Popen(
        tied_to_parent([sys.executable, "-c", code]), stdout=subprocess.PIPE, stderr=subprocess.PIPE,
        text=True, cwd=directory, env={"PYTHONPATH": str(ROOT), "PATH": "/usr/sbin:/usr/bin:/bin"},
    ) as process:  # fmt: skip
        assert process.stdout is not None
        assert process.stdout.readline() == "begun\n"
        time.sleep(after)  # the instant is what is tried
        process.send_signal(signal.SIGINT)
        _, said = process.communicate(timeout=120)
        return process.returncode, said


def instants(seed: int) -> list[float]:
    chance = random.Random(seed)
    return [0.0, 0.002, 0.01, 0.05, *(chance.uniform(0, LATEST) for _ in range(TRIES))]


@pytest.fixture
def directory(tmp_path: Path) -> Path:
    (tmp_path / "rules").mkdir()
    return tmp_path


def test_the_gateway(directory: Path) -> None:
    (directory / "gateway.yaml").write_text(
        f"mqtt: {{url: mqtt://localhost:{free_port()}}}\nspool: {{path: spool}}\nhttp: {{listen: null}}\nrules: null\n"
    )
    for after in instants(1):
        status, said = interrupted("edge_gateway", ["run", "--embedded"], after, directory)
        assert (status, "Traceback" in said) == (INTERRUPTED, False), (after, said)


def test_the_simulator(directory: Path, broker: Broker) -> None:
    for number, after in enumerate(instants(2)):
        arguments = [
            "run",
            "cold-chain",
            "--sensors",
            "3",
            "--port",
            str(broker.port),
            "--report",
            f"run-{number}",
        ]
        status, said = interrupted("fleet_sim", arguments, after, directory)
        assert (status, "Traceback" in said) == (INTERRUPTED, False), (after, said)


@pytest.mark.parametrize(
    ("package", "arguments"),
    [
        ("edge_gateway", ["--help"]),
        ("edge_gateway", ["doctor"]),
        ("fleet_sim", ["ls"]),
        ("fleet_sim", ["preview", "air"]),
    ],
)
def test_a_command_that_ends_by_itself_meanwhile(directory: Path, package: str, arguments: list[str]) -> None:
    (directory / "gateway.yaml").write_text(
        f"mqtt: {{url: mqtt://localhost:{free_port()}}}\nspool: {{path: spool}}\n"
    )
    for after in instants(3)[:12]:
        status, said = interrupted(package, arguments, after, directory)
        assert status in {INTERRUPTED, -signal.SIGINT, 0, 1}, (
            after,
            said,
        )  # a shell tells the first two as one
        assert "Traceback" not in said, (after, said)


STAYING = """
import sys
import time
from fleet_console import interrupts

interrupts.end_at_once()

from edge_gateway.mqtt.embedded import EmbeddedBroker
from fleet_demo import playing
from fleet_demo.gateway_process import GatewayProcess
from fleet_demo.story import Story


async def play(self):
    pass


async def judge(story, result):
    return []


async def end_at_once(self):
    self._process.kill()
    time.sleep(0.05)  # the loop sees at once that the broker is gone and all that it had to do


if sys.argv.pop() == "sudden":
    GatewayProcess.stop = EmbeddedBroker.stop = end_at_once
Story.play, playing.judge, playing.status_of = play, judge, lambda rows, result: 0
sys.argv[1:] = ["--directory", sys.argv[1], "--keep", "--sensors", "50"]
playing.application()
"""
"""The demo without its story: it stays, with a broker, a gateway and a fleet; these may end in order or suddenly."""


@pytest.mark.broker
@pytest.mark.parametrize(
    ("after", "end"), [(0.0, "in order"), (0.3, "in order"), (1.0, "in order"), (0.5, "sudden")]
)
def test_the_demo_that_stays(after: float, end: str, directory: Path) -> None:
    with subprocess.Popen(
        [sys.executable, "-c", STAYING, str(directory / "demo"), end], stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
        text=True, cwd=directory, start_new_session=True,
        env={"PYTHONPATH": str(ROOT), "PATH": "/usr/sbin:/usr/bin:/bin"},
    ) as process:  # fmt: skip
        assert process.stdout is not None
        while not (line := process.stdout.readline()).startswith("Still running"):
            assert line, "it ended before"
        time.sleep(after)  # the instant is what is tried
        os.killpg(process.pid, signal.SIGINT)  # as a terminal does: the gateway is in its group
        said, _ = process.communicate(timeout=120)
    assert (process.returncode, "Traceback" in said, "Error" in said) == (INTERRUPTED, False, False), said
    assert not running_with(str(directory / "demo"))


def running_with(argument: str) -> list[str]:
    """The command lines of processes that name `argument`."""
    found = []
    for file in Path("/proc").glob("[0-9]*/cmdline"):
        with suppress(OSError):
            found.append(file.read_bytes().replace(b"\0", b" ").decode(errors="replace"))
    return [line for line in found if argument in line]


def test_one_that_was_told_to_ignore_interrupts_does(directory: Path) -> None:
    code = BEGIN.format(package="fleet_sim", arguments=["ls"])
    done = subprocess.run(
        ["sh", "-c", "trap '' INT; exec \"$0\" -c \"$1\"", sys.executable,
         "import os, signal, threading; threading.Timer(0, os.kill, (os.getpid(), signal.SIGINT)).start(); " + code],
        capture_output=True, text=True, cwd=directory, env={"PYTHONPATH": str(ROOT)}, check=False, timeout=120,
    )  # fmt: skip
    assert (done.returncode, done.stderr) == (0, "")
    assert "cold-chain" in done.stdout
