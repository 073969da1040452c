"""Record everything a working gateway writes, syncs, sends and receives.

first run ── checkpoints, segments, late readings, alerts, commands ── kill -9 ─▶ second run ── SIGTERM
"""

from __future__ import annotations

import gzip
import os
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

from tests.proofs.ground.brisk import Brisk
from tests.proofs.ground.field import RULES, Fleet, scenario_text
from tests.proofs.ground.sections import FAST_COMMANDS
from tests.proofs.power.disk_model import Disk
from tests.proofs.power.disk_trace import Step, TraceReader, Wire, strace_command
from tests.proofs.proof import Setting, Unavailable
from tests.servers.broker import Broker
from tests.servers.gateway import ROOT, Gateway
from tests.servers.process import wait_until

WITHIN = 30.0
TRIES = 3
REFUSED = 4
"""One request of so many is answered with 503."""
NO_STRACE = "strace is missing: apt install strace, dnf install strace, apk add strace, …"
WINDOWS = [
    {"every": "1s", "bucket": "base", "keep": "30d"},
    {"every": "2s", "bucket": "mid", "keep": "180d"},
    {"every": "4s", "bucket": "top", "keep": "2y"},
]
TIME = {"allowed_lateness": "300ms", "idle_close": "1s"}
FAULTS = """\
faults:
- {kind: offline, match: {share: 30%}, after: 1s, for: 2500ms}
- {kind: duplicate, p: 3%}
- {kind: reorder, p: 3%}
- {kind: truncated, p: 1%}
- {kind: reboot, match: {share: 10%}, after: 2s, takes: 500ms}
"""


@dataclass(frozen=True, slots=True)
class AcceptedLine:
    """A line the database accepted, and when it answered."""

    time: float
    bucket: str
    text: bytes


@dataclass(frozen=True, slots=True)
class Recording:
    """What a gateway did with its spool (`steps`), with the broker (`wires`) and with the database (`accepted`)."""

    config: Path
    gateway: str
    broker: str
    steps: list[Step]
    wires: list[Wire]
    accepted: list[AcceptedLine]


@dataclass(slots=True)
class FakeDatabase:
    """A database that accepts lines and notes when; every fourth request it is unavailable."""

    accepted: list[AcceptedLine] = field(default_factory=list)
    requests: int = 0

    def answer(self, bucket: str, body: bytes) -> int:
        self.requests += 1
        if self.requests % REFUSED == 0:
            return 503
        now = time.time()
        self.accepted += [AcceptedLine(now, bucket, text) for text in body.splitlines()]
        return 204


@contextmanager
def serving(database: FakeDatabase) -> Iterator[str]:
    """Serve the database; yields its URL."""

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_POST(self) -> None:
            body = gzip.decompress(self.rfile.read(int(self.headers["Content-Length"])))
            (bucket,) = parse_qs(urlsplit(self.path).query)["bucket"]
            self.send_response(database.answer(bucket, body))
            self.send_header("Content-Length", "0")
            self.end_headers()

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - as the class has it
            """Say nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, name="database")
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


def record(setting: Setting, seconds: float, devices: int) -> Recording:
    """Record a first run of `seconds` and a second one of half of that; Unavailable without strace."""
    if strace_command(Path()) is None:
        raise Unavailable(NO_STRACE)
    broker = setting.broker()
    for number in range(TRIES):
        recording, differing = _record(setting, broker, f"gw-power-{number}", seconds, devices)
        if not differing:
            return recording
        setting.say(f"recording again: {differing} differs from the trace")
    raise Unavailable("the trace differs from the files, in three recordings")


def _record(
    setting: Setting, broker: Broker, name: str, seconds: float, devices: int
) -> tuple[Recording, str]:
    """Return a recording, and the first file that differs from it, as after a call that the kill cut short."""
    database = FakeDatabase()
    with serving(database) as url:
        influx = {"url": url, "org": "power", "token": f"file:{_token(setting)}"}
        sections: dict[str, Any] = {
            "windows": WINDOWS,
            "time": TIME,
            "commands": FAST_COMMANDS,
            "influx": influx,
        }
        gateway = setting.gateway(broker, name, **sections)
        gateway.write_rules(RULES)
        reader = TraceReader(gateway.directory)
        text = scenario_text(
            f"{name}-site", devices=devices, every="400ms", seed=setting.rng.randrange(1 << 31), faults=FAULTS
        )
        outputs = [gateway.directory / f"trace-{life}" for life in (1, 2)]
        _start_traced(gateway, outputs[0])
        with Fleet(broker, setting.place("run"), text, settle=2.0):
            time.sleep(seconds)
            gateway.kill()
            _wait_written(outputs[0])
            _start_traced(gateway, outputs[1])
            time.sleep(seconds / 2)
        gateway.stop()
        _wait_written(outputs[1])
    for output in outputs:
        reader.read(output)
        output.unlink()
    recording = Recording(
        gateway.config, name, f"{broker.host}:{broker.port}", reader.steps, reader.wires, database.accepted
    )
    return recording, _differing(reader)


def record_recovery(recording: Recording, root: Path) -> list[Step]:
    """Return the steps of a recovery of the spool below `root`; file numbers are those of `files_below`."""
    reader = TraceReader(root)
    for path, _, content in files_below(root):
        reader.add_file(path, directory=content is None)
    output = root.with_name(f"{root.name}-trace")
    under = [word for word in strace_command(output) or () if word != "-D"]
    program = [sys.executable, "-m", "tests.proofs.power.recover_once"]
    subprocess.run(
        [*under, *program, str(recording.config), recording.gateway, str(root / "spool")],
        check=True,
        capture_output=True,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
    )
    reader.read(output)
    output.unlink()
    return reader.steps


def files_below(root: Path) -> list[tuple[str, int, bytes | None]]:
    """Return path, number and content of everything below a directory; a directory has number 0 and content None."""
    held: list[tuple[str, int, bytes | None]] = []
    files = 0
    for place in sorted(root.rglob("*")):
        path = str(place.relative_to(root))
        if place.is_dir():
            held.append((path, 0, None))
        else:
            files += 1
            held.append((path, files, place.read_bytes()))
    return held


def _token(setting: Setting) -> Path:
    token = setting.directory / "power.token"
    token.write_text("power")
    token.chmod(0o600)
    return token


def _start_traced(gateway: Gateway, output: Path) -> None:
    gateway.start(sabotage=Brisk(), under=strace_command(output) or ())


def _wait_written(output: Path) -> None:
    """Wait until strace has written that the program ended."""
    wait_until(lambda: _last_line(output).startswith("+++ "), WITHIN, "strace has written its last line")


def _last_line(output: Path) -> str:
    with output.open("rb") as file:
        file.seek(max(0, output.stat().st_size - 200))
        words = file.read().decode().splitlines()
    return words[-1].split(None, 2)[-1] if words else ""


def _differing(reader: TraceReader) -> str:
    """Return the first file whose content differs from the steps'; empty if there is none."""
    disk = Disk()
    for step in reader.steps:
        disk.apply(step)
    for path, file in reader.files.items():
        place = reader.root / path
        held = place.read_bytes() if place.is_file() else None
        if held != disk.content(file) and not path.endswith("-shm"):
            return path
    return ""
