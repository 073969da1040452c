"""The demo's gateway, in its own process so that it can be killed."""

from __future__ import annotations

import asyncio
import json
import os
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import yaml

from edge_gateway.errors import GatewayError
from edge_gateway.mqtt.embedded import tied_to_parent
from fleet_demo.waiting import POLL_EVERY
from fleet_wire import local_socket

ROOT = Path(__file__).resolve().parent.parent
PATIENCE = 90.0
STATUS: Mapping[str, Any] = {"do": "status"}


class GatewayProcess:
    """`edge-gateway run` with the demo's configuration."""

    def __init__(self, directory: Path, broker: str, influx: dict[str, str] | None) -> None:
        self.directory = directory
        self.spool = directory / "spool"
        self.rules = directory / "rules"
        self.config = directory / "gateway.yaml"
        self.log = directory / "gateway.log"
        self.patience = PATIENCE
        self._process: asyncio.subprocess.Process | None = None
        self.config.write_text(yaml.safe_dump(self._settings(broker, influx), sort_keys=False))

    def _settings(self, broker: str, influx: dict[str, str] | None) -> dict[str, Any]:
        settings: dict[str, Any] = {
            "version": 1,
            "gateway": {"id": "demo"},
            "mqtt": {"url": broker},
            "metrics": {"temperature": {"unit": "°C", "range": [-40, 85]}},
            "windows": [
                {"every": "5s", "bucket": "telemetry", "keep": "30d"},
                {"every": "15s", "bucket": "telemetry_10m", "keep": "180d"},
            ],
            "time": {"allowed_lateness": "1s", "idle_close": "3s"},
            "rules": {"path": str(self.rules)},
            "spool": {"path": str(self.spool), "commit_interval": "100ms"},
            "http": {"listen": None},
        }
        return settings | ({"influx": influx} if influx else {})

    async def start(self) -> float:
        """Start it; return the seconds until it had subscribed."""
        begin = asyncio.get_running_loop().time()
        command = tied_to_parent([sys.executable, "-m", "edge_gateway", "run", "--config", str(self.config)])
        with self.log.open("ab") as log:
            self._process = await asyncio.create_subprocess_exec(
                *command, stdout=log, stderr=log, cwd=ROOT, env=self._environment()
            )
        await self.until(
            "the gateway is connected to the broker", lambda report: bool(report["broker"]["connected"])
        )
        return asyncio.get_running_loop().time() - begin

    def _environment(self) -> dict[str, str]:
        return {name: value for name, value in os.environ.items() if not name.startswith("EDGE_GATEWAY_")}

    async def kill(self) -> None:
        """Kill it with SIGKILL."""
        if self._process is not None and self._process.returncode is None:
            self._process.kill()
            await self._process.wait()

    async def stop(self) -> None:
        """Send SIGTERM and wait until it has drained."""
        if self._process is None or self._process.returncode is not None:
            return
        self._process.terminate()
        try:
            async with asyncio.timeout(PATIENCE):
                await self._process.wait()
        except TimeoutError:
            await self.kill()

    async def report(self) -> dict[str, Any] | None:
        """Return its status; None while it does not answer."""
        found: dict[str, Any] | None = await self._answer(STATUS)
        return found

    async def _answer(self, request: Mapping[str, Any]) -> Any:
        try:
            return await local_socket.call(self.spool / "control.sock", dict(request))
        except (OSError, TimeoutError, local_socket.RequestFailed):
            return None

    async def until(
        self,
        what: str,
        holds: Callable[[Any], bool],
        *,
        of: Mapping[str, Any] = STATUS,
    ) -> Any:
        """Ask for its status, or `of`, until an answer satisfies `holds`; return that answer.

        TimeoutError with `what` was awaited and the end of its log, also as soon as the gateway has ended.
        """
        loop = asyncio.get_running_loop()
        end = loop.time() + self.patience
        while loop.time() < end:
            if self._process is not None and self._process.returncode is not None:
                raise TimeoutError(
                    f"the gateway ended before {what}; its log ends with:\n{self.last_words()}"
                )
            answer = await self._answer(of)
            if answer is not None and holds(answer):
                return answer
            await asyncio.sleep(POLL_EVERY)
        raise TimeoutError(
            f"waited {self.patience:g} s until {what}; the gateway's log ends with:\n{self.last_words()}"
        )

    def last_words(self) -> str:
        return "\n".join(self.log.read_text(errors="replace").splitlines()[-8:]) if self.log.exists() else ""

    async def run(self, *arguments: str) -> None:
        """Run a command of the CLI; GatewayError with its error text if it fails."""
        command = [sys.executable, "-m", "edge_gateway", *arguments, "--config", str(self.config)]
        process = await asyncio.create_subprocess_exec(
            *command, stdout=asyncio.subprocess.DEVNULL, stderr=asyncio.subprocess.PIPE, cwd=ROOT
        )
        _, said = await process.communicate()
        if process.returncode:
            raise GatewayError(said.decode(errors="replace").strip())

    async def query(self, what: str, *options: str) -> list[dict[str, Any]]:
        """Return rows of the history, read through the CLI as a user would."""
        command = [*self.query_command(what), *options]
        process = await asyncio.create_subprocess_exec(*command, stdout=asyncio.subprocess.PIPE, cwd=ROOT)
        output, _ = await process.communicate()
        return [json.loads(line) for line in output.splitlines()]

    def query_command(self, what: str) -> list[str]:
        return [sys.executable, "-m", "edge_gateway", "query", what, "--config", str(self.config), "--json"]
