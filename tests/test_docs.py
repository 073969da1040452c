"""Every page says what is so: its commands run, its YAML is accepted, its links lead somewhere.

A comment above a block of commands says what is to be done with it: `not run: REASON`, `in the background` (until the
page ends), `exits with N`, `influx` (needs the server), `on a fresh machine` (for tests/deploy/). A block without one
runs, in order, and must succeed.
"""

import os
import re
import shutil
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path

import pytest
import yaml

from edge_gateway.configuration.loading import load_config
from edge_gateway.rules.files.load import load_rules
from edge_gateway.rules.testing.runner import run_rule_tests
from fleet_config.validation import validate
from fleet_config.yaml_source import load_yaml
from fleet_recordings.mapping import load_mapping
from fleet_recordings.overlay_plan import OverlayPlan
from fleet_sim.scenario.loading import load_scenario
from tests.conftest import BrokerFactory
from tests.servers.gateway import Gateway
from tests.servers.influx import Influx
from tests.servers.process import free_port, wait_until
from tests.templates import uninstall

ROOT = Path(__file__).parents[1]
INCONCLUSIVE = 4
"""Exit status of a fleet that this machine was too slow to play."""
SHARES = (1.0, 0.4, 0.1)
"""Of the sensors a page names: a machine that is too slow for all of them says nothing of the page."""
LEAST_SENSORS = 2
SENSORS = re.compile(r"(?<=--sensors )\d+")
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]
BLOCK = re.compile(
    r"(?:^<!-- (?P<mark>[^\n]*) -->\n)?^```(?P<language>\w+)\n(?P<text>.*?)^```$", re.MULTILINE | re.DOTALL
)
LINK = re.compile(r"\]\((?!https?://)([^)#]+)\)")
NOT_RUN = {
    "README.md": 2,
    "delivery.md": 1,
    "extend.md": 1,
    "operate.md": 4,
    "recordings.md": 3,
    "rules.md": 2,
}
SAID = {
    "README.md": [
        "rules: 32 rules, good",
        "FreezerBatteryLow",
        "no problems",
        "frz-00042",
        "run finished",
        "no alert fires",
    ],
    "delivery.md": [r"lost +0\n", r"double +0\n", r"wrong windows +0 of [1-9]"],
    "operate.md": ["no problems", "nothing found", "no device matches: CarbonMonoxideHigh, "],
    "recordings.md": ["3 samples of 1 device", "1 fault laid over it"],
    "rules.md": [
        "32 rules, good",
        r"PressureLow p1 +·",
        r"PressureLow +100% +100%",
        "alert FreezerTooWarm",
        "if every rule runs on 5,000 devices",
        r"broken/pumps.yaml:5:41",
        r"did you mean 'above'\?",
        "write 30s",
    ],
    "simulate.md": [
        "frz-00000",
        "morning.yaml: ok, 1,000 devices",
        r"wrong windows +0 of [1-9]",
        "repeated alerts +0",
    ],
}
FRESH = "on a fresh machine"


@dataclass(frozen=True)
class Block:
    """A fenced block of a page, at its line."""

    page: Path
    line: int
    mark: str
    language: str
    text: str

    @property
    def runs(self) -> bool:
        return self.language == "sh" and not self.mark.startswith(("not run: ", "influx", FRESH))

    def __str__(self) -> str:
        return f"{self.page.name}:{self.line}"


def blocks(page: Path) -> list[Block]:
    text = page.read_text()
    return [
        Block(
            page,
            text.count("\n", 0, found.start()) + 1,
            found["mark"] or "",
            found["language"],
            found["text"],
        )
        for found in BLOCK.finditer(text)
    ]


BLOCKS = [block for page in PAGES for block in blocks(page)]
COMMANDS = [block for block in BLOCKS if block.language == "sh"]
YAML = [block for block in BLOCKS if block.language == "yaml"]


def test_the_pages_are_read_and_what_does_not_run_is_known() -> None:
    fences = sum(page.read_text().count("\n```") for page in PAGES)
    assert len(BLOCKS) * 2 == fences
    assert len(YAML) >= 10
    assert len(COMMANDS) >= 25
    skipped = Counter(block.page.name for block in COMMANDS if block.mark.startswith("not run: "))
    assert skipped == NOT_RUN
    assert {block.page.name for block in COMMANDS if block.runs} == SAID.keys()
    marks = {re.sub(r"\d+$", "N", block.mark) for block in BLOCKS if not block.mark.startswith("not run: ")}
    assert marks == {"", "in the background", "exits with N", "influx", FRESH, f"{FRESH}, as pi"}


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_links_lead_somewhere(page: Path) -> None:
    for target in LINK.findall(page.read_text()):
        assert (page.parent / target).exists(), target


@pytest.mark.parametrize("block", YAML, ids=str)
def test_yaml_is_what_the_programs_accept(block: Block, tmp_path: Path) -> None:
    file = tmp_path / "block.yaml"
    file.write_text(block.text)
    keys = yaml.safe_load(block.text).keys()
    if "groups" in keys:
        assert load_rules(file).rules
    elif "rule_files" in keys:
        shutil.copytree(ROOT / "rules", tmp_path / "rules")
        test_file = tmp_path / "rules" / "block.test.yaml"
        test_file.write_text(block.text)
        report = run_rule_tests([test_file])
        assert report.ok, report.as_dict()
    elif "fleet" in keys:
        assert load_scenario(str(file), env={}).fleet
    elif "faults" in keys:
        assert validate(OverlayPlan, load_yaml(file)).faults
    elif "mqtt" in keys:
        assert load_config(file, environment={}).config.mqtt.url
    else:
        assert load_mapping(str(file)).metrics


class TooSlow(Exception):
    """A fleet's run was inconclusive."""


def of_fewer(text: str, share: float) -> str:
    """The commands with this share of their sensors."""
    return SENSORS.sub(lambda found: str(max(LEAST_SENSORS, round(int(found[0]) * share))), text)


def with_fewer_sensors(read: Callable[[float], str]) -> str:
    """What is said by a page that is read with all of its sensors, or else with as many as this machine can play."""
    for share in SHARES[:-1]:
        with suppress(TooSlow):
            return read(share)
    return read(SHARES[-1])


@dataclass
class Reader:
    """Somebody who types a page's commands into terminals, in a directory like the checkout."""

    directory: Path
    port: int
    said: str = ""
    variables: dict[str, str] = field(default_factory=dict)
    share: float = 1.0

    def prepare(self) -> None:
        self.directory.mkdir(exist_ok=True)
        for name in ("rules", "broker", "influx"):
            shutil.copytree(ROOT / name, self.directory / name)
        shutil.copy(ROOT / "gateway.yaml", self.directory)
        programs = self.directory / "programs"
        programs.mkdir()
        for name, module in (("edge-gateway", "edge_gateway"), ("fleet-sim", "fleet_sim.cli")):
            script = programs / name
            script.write_text(f'#!/bin/sh\nexec "{sys.executable}" -m {module} "$@"\n')
            script.chmod(0o755)

    @property
    def environment(self) -> dict[str, str]:
        foreign = ("EDGE_GATEWAY_", "FLEET_SIM_", "INFLUX_")
        return {
            **{name: value for name, value in os.environ.items() if not name.startswith(foreign)},
            "PATH": f"{self.directory / 'programs'}:{os.environ['PATH']}",
            "PYTHONPATH": str(ROOT),
            "COLUMNS": "160",
            "EDGE_GATEWAY_MQTT_URL": f"mqtt://localhost:{self.port}",
            "EDGE_GATEWAY_HTTP_LISTEN": f"127.0.0.1:{free_port()}",
            "EDGE_GATEWAY_GATEWAY_ID": "docs",
            "EDGE_GATEWAY_TIME_IDLE_CLOSE": "2s",
            "FLEET_SIM_PORT": str(self.port),
            **self.variables,
        }

    def command(self, block: Block) -> list[str]:
        """The block as typed, but for the port, which others use, and the patience: windows close sooner here."""
        text = block.text.replace("1883", str(self.port)).replace("--wait 40s", "--wait 6s")
        return ["bash", "-euc", text if block.mark == "in the background" else of_fewer(text, self.share)]

    def run(self, block: Block) -> None:
        done = subprocess.run(
            self.command(block),
            cwd=self.directory,
            env=self.environment,
            capture_output=True,
            text=True,
            timeout=300,
            check=False,
        )
        if done.returncode == INCONCLUSIVE:
            raise TooSlow(f"{block}: {done.stderr}")
        wanted = int(block.mark.rpartition(" ")[2]) if block.mark.startswith("exits with") else 0
        assert done.returncode == wanted, f"{block}: {done.returncode}\n{done.stdout}\n{done.stderr}"
        assert "Traceback" not in done.stderr, done.stderr
        self.said += done.stdout + done.stderr

    @contextmanager
    def running(self, block: Block) -> Iterator[None]:
        """The block in a terminal of its own, from when it is at work."""
        log = self.directory / f"{block.line}.log"
        with log.open("wb") as output:
            process = subprocess.Popen(
                self.command(block),
                cwd=self.directory,
                env=self.environment,
                stdout=output,
                stderr=output,
                start_new_session=True,
            )
        try:
            at_work = re.compile(r"subscribed at|(\d+) of \1 connected")
            wait_until(
                lambda: process.poll() is not None or bool(at_work.search(log.read_text())), 60, str(block)
            )
            assert process.poll() is None, f"{block}: it ended: {log.read_text()}"
            yield
        finally:
            if process.poll() is None:
                os.killpg(process.pid, signal.SIGTERM)
            assert process.wait(60) is not None

    def hear(self, steps: list[Block]) -> str:
        """What is said when these are typed."""
        self.read(steps)
        return self.said

    def read(self, steps: list[Block]) -> None:
        for number, block in enumerate(steps):
            if block.mark == "in the background":
                with self.running(block):
                    self.read(steps[number + 1 :])
                return
            self.run(block)


def play_a_short_demo(directory: Path, port: int, share: float) -> None:
    """What `./demo` leaves behind, in a few seconds: its configuration and a history.

    Pages name sensors of it, so that a slow machine plays all of them, more slowly.
    """
    interval = f"{1 / share:g}s"
    gateway = Gateway(
        directory, f"mqtt://localhost:{port}", windows=[{"every": "5s", "bucket": "b", "keep": "1d"}]
    )
    gateway.start()
    try:
        fleet = ["run", "cold-chain", "--sensors", "50", "--interval", interval, "--quiet"]
        done = subprocess.run(
            [
                sys.executable,
                "-m",
                "fleet_sim.cli",
                *fleet,
                "--duration",
                f"{3 / share:g}s",
                "--port",
                str(port),
                "--report",
                directory / "run",
            ],
            check=False,
            capture_output=True,
            cwd=ROOT,
        )
        if done.returncode == INCONCLUSIVE:
            raise TooSlow(done.stderr)
        assert done.returncode == 0, done.stderr
        gateway.wait_for(lambda report: report["values"]["accepted"] and not report["fleet"]["open_readings"])
    finally:
        gateway.kill()


@pytest.mark.parametrize("page", [page for page in PAGES if page.name in SAID], ids=lambda page: page.name)
def test_commands_do_what_the_page_says(page: Path, tmp_path: Path, broker_factory: BrokerFactory) -> None:
    steps = [block for block in blocks(page) if block.runs]

    def read(share: float) -> str:
        """From the start, in a directory and with a broker of its own: what was begun before would be counted too."""
        broker = broker_factory()
        reader = Reader(tmp_path / f"{share:.0%}", broker.port, share=share)
        reader.prepare()
        if ".demo/" in page.read_text():
            play_a_short_demo(reader.directory / ".demo", broker.port, share)
        if any("--embedded" in block.text for block in steps if block.mark == "in the background"):
            reader.port = free_port()
        return reader.hear(steps)

    said = with_fewer_sensors(read)
    for words in SAID[page.name]:
        assert re.search(words, said), f"{words!r} is not in:\n{said}"


@pytest.mark.parametrize(("most", "tries"), [(100, [100]), (50, [100, 40]), (10, [100, 40, 10])])
def test_a_page_is_read_with_as_many_sensors_as_the_machine_can_play(
    tmp_path: Path, most: int, tries: list[int]
) -> None:
    steps = [Block(ROOT / "README.md", 1, "", "sh", "fleet-sim run factory --sensors 100")]
    said = with_fewer_sensors(lambda share: fleet_of_at_most(most, tmp_path / f"{share}", share).hear(steps))
    assert said.split() == [str(tries[-1])]
    assert [int(file.read_text()) for file in sorted(tmp_path.glob("*/tried"), reverse=True)] == tries


def test_a_machine_that_can_play_nothing_fails_the_page(tmp_path: Path) -> None:
    steps = [Block(ROOT / "README.md", 1, "", "sh", "fleet-sim run factory --sensors 100")]
    with pytest.raises(TooSlow, match=r"README\.md:1"):
        with_fewer_sensors(lambda share: fleet_of_at_most(1, tmp_path / f"{share}", share).hear(steps))


def fleet_of_at_most(most: int, directory: Path, share: float) -> Reader:
    """Somebody at a machine that can play so many sensors: more are inconclusive."""
    reader = Reader(directory, 1, share=share)
    reader.prepare()
    program = directory / "programs" / "fleet-sim"
    program.write_text(f'#!/bin/sh\necho "$4" > tried\n[ "$4" -le {most} ] || exit 4\necho "$4"\n')
    return reader


def test_charts_are_made_and_their_queries_find_what_is_written(
    tmp_path: Path, influx: Influx, request: pytest.FixtureRequest
) -> None:
    """In an organisation of its own, since the page uses the names of the real buckets."""
    org = f"docs-{os.getpid()}"
    influx.call("POST", "/api/v2/orgs", {"name": org})
    server = Influx(influx.url, org=org, token=influx.token, runner=None)
    request.addfinalizer(lambda: uninstall(server))
    variables = {"URL": influx.url, "ORG": org, "TOKEN": "env:DOCS_TOKEN"}
    settings = {f"EDGE_GATEWAY_INFLUX_{name}": value for name, value in variables.items()}
    reader = Reader(tmp_path, free_port(), variables={**settings, "DOCS_TOKEN": influx.token})
    reader.prepare()
    page = blocks(ROOT / "docs" / "charts.md")
    for block in page:
        if block.mark == "influx":
            reader.run(block)
    for word in ("create", "created"):  # of the dry run, and of what was done
        assert len(re.findall(rf"{word} +Bucket +telemetry_1h", reader.said)) == 1
    assert "in step with the templates" in reader.said
    now = int(time.time() * 1000) - 60_000
    tags = "device=frz-1,metric=temperature,site=berlin,type=freezer"
    point = f"sensor,{tags} count=2i,first=1.0,last=3.0,max=3.0,mean=2.0,min=1.0,quality=1.0,sum=4.0 {now}\n"
    alert = f'alert,device=frz-1,rule=Hot,site=berlin level="critical",state="firing",event="firing",value=3.0 {now}\n'
    server.write("telemetry", point + alert)
    server.write("telemetry_10m", point)
    found = [server.query(block.text) for block in page if block.language == "flux"]
    assert [len(rows) for rows in found] == [1, 1, 1, 1], found
    assert [rows[0]["_value"] for rows in found[:3]] == ["3", "2", "1"]
    assert found[3][0]["level"] == "critical"
