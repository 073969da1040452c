"""A server without anything of the product, and the windows that are set up on it."""

from pathlib import Path
from typing import Any

import pytest
import yaml

from edge_gateway.cli import main
from edge_gateway.sinks.influx.setup.documents import WindowBucket
from edge_gateway.sinks.influx.setup.server import Target
from tests.servers.influx import Influx

DAY = 86_400_000
MINUTE = 60_000
WINDOWS = (
    WindowBucket(MINUTE, "telemetry", 30 * DAY),
    WindowBucket(10 * MINUTE, "telemetry_10m", 180 * DAY),
    WindowBucket(60 * MINUTE, "telemetry_1h", 730 * DAY),
)


def target(influx: Influx) -> Target:
    return Target(influx.url, influx.org, influx.token)


def org_id(influx: Influx) -> str:
    return str(influx.call("GET", f"/api/v2/orgs?org={influx.org}")["orgs"][0]["id"])


def all_of(influx: Influx, kind: str) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = influx.call("GET", f"/api/v2/{kind}?orgID={org_id(influx)}&limit=100")[kind]
    return found


class Commands:
    """The commands, as a shell runs them."""

    def __init__(self, directory: Path, influx: Influx, capsys: pytest.CaptureFixture[str]) -> None:
        self._capsys = capsys
        self.file = directory / "gateway.yaml"
        settings = {
            "gateway": {"id": "gw"},
            "mqtt": {"url": "mqtt://localhost:1883"},
            "influx": {"url": influx.url, "org": influx.org, "token": "env:SETUP_TOKEN"},
        }
        self.file.write_text(yaml.safe_dump(settings))

    def run(self, *arguments: str) -> tuple[int, str, str]:
        """Exit status, standard output, standard error."""
        status: str | int | None = 0
        try:
            main(["influx", *arguments, "--config", str(self.file)])
        except SystemExit as left:
            status = left.code
        told = self._capsys.readouterr()
        return int(status or 0), told.out, told.err
