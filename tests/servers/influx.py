"""A real InfluxDB 2: one that is given, on the PATH, in Docker, or built by setup/influxd/build.

Queries go over plain HTTP, so that results do not pass through the product's own client.
"""

import contextlib
import csv
import io
import itertools
import json
import os
import re
import shutil
import subprocess
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Protocol

from tests.servers.process import ServerProcess, free_port, wait_until

IMAGE = "influxdb:2.9"
ORG = "fleet"
TOKEN = "a-token-for-this-run-only"
_SETUP = Path(__file__).parents[2] / "setup" / "influxd"
_bucket_numbers = itertools.count(1)


class ServerMissing(Exception):
    """There is no InfluxDB here; the text says how to get one."""


class Runner(Protocol):
    """Control of the process behind the URL."""

    def restart(self, *, kill: bool = False) -> None: ...
    def kill(self) -> None: ...
    def stop(self) -> None: ...
    def start(self) -> None: ...
    def pause(self) -> None: ...
    def resume(self) -> None: ...
    @property
    def running(self) -> bool: ...


class Influx:
    """A server with an organisation and an all-access token; buckets are created on request."""

    def __init__(self, url: str, *, org: str, token: str, runner: Runner | None) -> None:
        self.url = url
        self.org = org
        self.token = token
        self.runner = runner

    def restart(self, *, kill: bool = False) -> None:
        self._own().restart(kill=kill)

    def kill(self) -> None:
        self._own().kill()

    def start(self) -> None:
        self._own().start()

    def pause(self) -> None:
        self._own().pause()

    def resume(self) -> None:
        self._own().resume()

    @contextlib.contextmanager
    def paused(self) -> Iterator[None]:
        self.pause()
        try:
            yield
        finally:
            self.resume()

    def heal(self) -> None:
        """Make the server run and answer, whatever a test left behind."""
        if self.runner is not None:
            self.runner.resume()
            if not self.runner.running:
                self.runner.start()

    def fresh_bucket(self, *, retention_s: int = 0, shard_s: int = 0) -> str:
        """Create a bucket and return its name; 0 keeps for ever. Years of points need long shards."""
        name = f"test_{os.getpid()}_{next(_bucket_numbers)}"
        rules = [{"type": "expire", "everySeconds": retention_s, "shardGroupDurationSeconds": shard_s}]
        org_id = self.call("GET", f"/api/v2/orgs?org={self.org}")["orgs"][0]["id"]
        self.call("POST", "/api/v2/buckets", {"name": name, "orgID": org_id, "retentionRules": rules})
        return name

    def write(self, bucket: str, lines: str, *, precision: str = "ms") -> None:
        path = f"/api/v2/write?org={self.org}&bucket={bucket}&precision={precision}"
        self._request("POST", path, lines.encode(), "text/plain; charset=utf-8")

    def query(self, flux: str) -> list[dict[str, str]]:
        """Return the rows of a Flux query's tables, as text by column name."""
        body = json.dumps({"query": flux, "dialect": {"annotations": [], "header": True}}).encode()
        answer = self._request("POST", f"/api/v2/query?org={self.org}", body, "application/json").decode()
        blocks = re.split(r"(?:\r?\n){2,}", answer.strip())
        rows = [row for block in blocks if block for row in csv.DictReader(io.StringIO(block))]
        return [{name: value for name, value in row.items() if name} for row in rows]

    def csv(self, flux: str) -> str:
        """Return the answer to a Flux query as the server's own page asks for it: with annotations."""
        dialect = {"annotations": ["group", "datatype", "default"], "header": True}
        body = json.dumps({"query": flux, "dialect": dialect}).encode()
        return self._request("POST", f"/api/v2/query?org={self.org}", body, "application/json").decode()

    def annotated(self, flux: str) -> list[tuple[list[str], list[list[str]], list[list[str]]]]:
        """Return the tables of a Flux query as the server writes them: column names, annotations, lines."""
        tables = []
        for block in re.split(r"(?:\r?\n){2,}", self.csv(flux).strip()):
            lines = list(csv.reader(io.StringIO(block)))
            notes = [line for line in lines if line and line[0].startswith("#")]
            rest = lines[len(notes) :]
            if rest:
                tables.append((rest[0], notes, rest[1:]))
        return tables

    def call(self, method: str, path: str, body: object = None) -> Any:
        """Send a request to the management API, JSON in and out."""
        sent = None if body is None else json.dumps(body).encode()
        answer = self._request(method, path, sent, "application/json")
        return json.loads(answer) if answer else None

    def _request(self, method: str, path: str, body: bytes | None, content_type: str) -> bytes:
        headers = {"Authorization": f"Token {self.token}", "Content-Type": content_type}
        request = urllib.request.Request(self.url + path, data=body, headers=headers, method=method)
        try:
            with urllib.request.urlopen(request, timeout=60) as answer:
                content: bytes = answer.read()
                return content
        except urllib.error.HTTPError as error:
            with error:
                text = error.read().decode(errors="replace")
            raise AssertionError(f"{method} {path}: {error.code} {text}") from None

    def _own(self) -> Runner:
        assert self.runner is not None, "a server given by INFLUX_URL is not ours to stop"
        return self.runner


class DockerInflux:
    """The same server in a container."""

    def __init__(self, port: int) -> None:
        self._port = port
        self._name = f"edge-fleet-influx-{os.getpid()}"

    def start(self) -> None:
        if not self._docker("start", self._name, check=False):
            self._docker("run", "-d", "--name", self._name, "-p", f"127.0.0.1:{self._port}:8086", IMAGE)
        _wait_ready(f"http://127.0.0.1:{self._port}")

    def restart(self, *, kill: bool = False) -> None:
        (self.kill if kill else self.stop)()
        self.start()

    def kill(self) -> None:
        self._docker("kill", self._name)

    def stop(self) -> None:
        self._docker("stop", self._name)

    def remove(self) -> None:
        self._docker("rm", "-f", "-v", self._name, check=False)

    def pause(self) -> None:
        self._docker("pause", self._name)

    def resume(self) -> None:
        self._docker("unpause", self._name, check=False)

    @property
    def running(self) -> bool:
        done = subprocess.run(
            ["docker", "inspect", "-f", "{{.State.Running}}", self._name],
            capture_output=True,
            text=True,
            check=False,
        )
        return done.stdout.strip() == "true"

    def _docker(self, *arguments: str, check: bool = True) -> bool:
        return subprocess.run(["docker", *arguments], capture_output=True, check=check).returncode == 0


@contextlib.contextmanager
def running_influx(directory: Path) -> Iterator[Influx]:
    """Start and set up the first server found, in the order above; ServerMissing if there is none."""
    if url := os.environ.get("INFLUX_URL"):
        org = os.environ.get("INFLUX_ORG", ORG)
        yield Influx(url.rstrip("/"), org=org, token=os.environ.get("INFLUX_TOKEN", ""), runner=None)
    elif program := _on_path():
        yield from _program(program, directory)
    elif _docker_answers():
        yield from _container()
    elif program := _built():
        yield from _program(program, directory)
    else:
        raise ServerMissing(
            "no InfluxDB 2 (INFLUX_URL, influxd, Docker): `./test --full` builds one, in some seven minutes"
        )


def _program(program: Path, directory: Path) -> Iterator[Influx]:
    port = free_port()
    url = f"http://127.0.0.1:{port}"
    command = [
        str(program),
        f"--bolt-path={directory}/influxd.bolt",
        f"--sqlite-path={directory}/influxd.sqlite",
        f"--engine-path={directory}/engine",
        f"--http-bind-address=127.0.0.1:{port}",
        "--reporting-disabled",
    ]
    process = ServerProcess(command, directory / "influxd.log", lambda: _is_ready(url))
    process.start()
    try:
        yield _set_up(url, process)
    finally:
        process.kill()


def _container() -> Iterator[Influx]:
    port = free_port()
    container = DockerInflux(port)
    try:
        container.start()
        yield _set_up(f"http://127.0.0.1:{port}", container)
    finally:
        container.remove()


def _set_up(url: str, runner: Runner) -> Influx:
    influx = Influx(url, org=ORG, token=TOKEN, runner=runner)
    first = {"username": "tests", "password": "tests-only", "org": ORG, "bucket": "first", "token": TOKEN}
    influx.call("POST", "/api/v2/setup", first)
    return influx


def _on_path() -> Path | None:
    found = shutil.which("influxd")
    if found is None:
        return None
    said = subprocess.run([found, "version"], capture_output=True, text=True, check=False).stdout
    return Path(found) if "InfluxDB v2" in said else None


def _docker_answers() -> bool:
    if shutil.which("docker") is None:
        return False
    with contextlib.suppress(subprocess.TimeoutExpired):
        return (
            subprocess.run(["docker", "info"], capture_output=True, check=False, timeout=10).returncode == 0
        )
    return False


def _built() -> Path | None:
    version = re.search(r"influxdata/influxdb/v2 v(\S+)", (_SETUP / "go.mod").read_text())
    assert version is not None
    cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    program = cache / "edge-fleet" / f"influxd-{version[1]}" / "influxd"
    return program if program.is_file() else None


def _is_ready(url: str) -> bool:
    try:
        with urllib.request.urlopen(f"{url}/health", timeout=5) as answer:
            return bool(json.load(answer)["status"] == "pass")
    except (OSError, ValueError):
        return False


def _wait_ready(url: str) -> None:
    wait_until(lambda: _is_ready(url), 60, f"InfluxDB at {url} serves")
