"""A real gateway as a child process."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import yaml

from edge_gateway.mqtt.embedded import tied_to_parent
from fleet_wire import local_socket
from tests.proofs.ground.sabotaged import Sabotage

ROOT = Path(__file__).resolve().parents[2]
BYTECODE = Path.home() / ".cache" / "edge-fleet" / "bytecode"
GENEROUS = 60.0


class Gateway:
    """`edge-gateway run` with its own configuration; `directory` holds its files, rules and spool."""

    def __init__(self, directory: Path, broker_url: str, **sections: Any) -> None:
        self.directory = directory
        self.spool = directory / "spool"
        self.rules = directory / "rules"
        self.rules.mkdir(parents=True, exist_ok=True)
        if not any(self.rules.iterdir()):
            self.write_rules("version: 1\ngroups: []\n")
        self.config = directory / "gateway.yaml"
        self.log = directory / "gateway.log"
        self._process: subprocess.Popen[bytes] | None = None
        self.configure(
            {
                "version": 1,
                "gateway": {"id": "gw-test"},
                "mqtt": {"url": broker_url},
                "spool": {"path": str(self.spool), "commit_interval": "50ms"},
                "rules": {"path": str(self.rules)},
                "http": {"listen": None},
                "windows": [{"every": "2s", "bucket": "telemetry", "keep": "30d"}],
                "time": {"allowed_lateness": "1s", "idle_close": "2s"},
                **sections,
            }
        )

    def configure(self, config: Mapping[str, Any]) -> None:
        self.config.write_text(yaml.safe_dump(dict(config), sort_keys=False))

    def reconfigure(self, **sections: Any) -> None:
        """Replace these sections of the configuration; they take effect at the next start."""
        self.configure({**yaml.safe_load(self.config.read_text()), **sections})

    def write_rules(self, text: str, name: str = "rules.yaml") -> None:
        (self.rules / name).write_text(text)

    @property
    def pid(self) -> int:
        assert self._process is not None
        return self._process.pid

    @property
    def running(self) -> bool:
        return self._process is not None and self._process.poll() is None

    def start(
        self,
        *,
        ready: bool = True,
        embedded: bool = False,
        sabotage: Sabotage | None = None,
        under: Sequence[str] = (),
        environment: Mapping[str, str] | None = None,
    ) -> float:
        """Start the gateway; return the seconds until it was subscribed.

        Args:
            ready: wait until it is subscribed.
            embedded: it starts its own broker, in its spool.
            sabotage: a fault to inject into it.
            under: a program that runs it, and the program's arguments.
            environment: variables added to the usual ones.
        """
        started = time.monotonic()
        program = ["-m", "edge_gateway"] if sabotage is None else sabotage.command()
        own_broker = ["--embedded"] if embedded else []
        command = [
            *under,
            sys.executable,
            *program,
            "run",
            "--config",
            str(self.config),
            "--debug",
            *own_broker,
        ]
        with self.log.open("ab") as log:
            self._process = subprocess.Popen(
                tied_to_parent(command),
                stdout=log,
                stderr=log,
                cwd=self.directory,
                env={**self._environment(), **(environment or {})},
            )
        if ready:
            self.wait_for(lambda report: report["broker"]["connected"])
        return time.monotonic() - started

    def _environment(self) -> dict[str, str]:
        """Return the environment of an installed gateway: modules are compiled once, not at every start."""
        kept = {name: value for name, value in os.environ.items() if not name.startswith("EDGE_GATEWAY_")}
        kept.pop("PYTHONDONTWRITEBYTECODE", None)
        return {**kept, "PYTHONPATH": str(ROOT), "PYTHONPYCACHEPREFIX": str(BYTECODE)}

    @property
    def killed(self) -> bool:
        """Whether it was ended by SIGKILL."""
        return self._process is not None and self._process.poll() == -signal.SIGKILL

    def kill(self) -> None:
        """Kill the process, as a power cut would."""
        if self._process is not None:
            self._process.kill()
            self._process.wait()

    def stop(self) -> int:
        """Send SIGTERM and return the exit status."""
        return self.end(signal.SIGTERM)

    def end(self, number: int | None = None) -> int:
        """Send a signal, or none, and return the exit status."""
        assert self._process is not None
        if number is not None:
            self._process.send_signal(number)
        return self._process.wait(GENEROUS)

    def ask(self, **request: Any) -> Any:
        return asyncio.run(local_socket.call(self.spool / "control.sock", request))

    def wait_for(self, holds: Callable[[dict[str, Any]], bool], within: float = GENEROUS) -> dict[str, Any]:
        """Wait for the first status report for which `holds` is true, and return it."""
        end = time.monotonic() + within
        report: dict[str, Any] = {}
        while time.monotonic() < end:
            if not self.running:
                raise AssertionError(f"the gateway ended: {self.words()}")
            try:
                report = self.ask(do="status")
            except (OSError, TimeoutError, local_socket.RequestFailed):
                time.sleep(0.05)
                continue
            if holds(report):
                return report
            time.sleep(0.05)
        raise AssertionError(f"not within {within} s: {json.dumps(report, indent=1)}\n{self.words()}")

    def words(self, most: int = 4000) -> str:
        """Return the end of the gateway's log."""
        return self.log.read_text(errors="replace")[-most:] if self.log.exists() else ""

    def run(self, *arguments: str, status: int | None = 0) -> str:
        """Run a CLI command and return what it prints."""
        done = subprocess.run(
            [sys.executable, "-m", "edge_gateway", *arguments, "--config", str(self.config)],
            capture_output=True,
            text=True,
            cwd=self.directory,
            env=self._environment(),
            timeout=GENEROUS,
            check=False,
        )
        assert status is None or done.returncode == status, (done.returncode, done.stdout, done.stderr)
        assert "Traceback" not in done.stderr, done.stderr
        return done.stdout

    def query(self, what: str, *arguments: str) -> list[dict[str, Any]]:
        """Return rows of the history."""
        lines = self.run("query", what, "--json", *arguments).split("\n")  # other line ends are text
        return [json.loads(line) for line in lines if line]
