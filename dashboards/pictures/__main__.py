"""Let a fleet of every domain run for some minutes through broker, gateway and InfluxDB, then draw all dashboards.

`python -m dashboards.pictures [--minutes N]` writes influx/pictures/*.png. It needs Chromium and npm,
and an InfluxDB as the tests find it.
"""

from __future__ import annotations

import argparse
import re
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Final

from dashboards.__main__ import DIRECTORY
from dashboards.pictures.drawing import Drawer, ToolMissing
from edge_gateway.sinks.influx.setup.documents import WindowBucket, documents_for
from fleet_config.durations import parse_duration
from tests.servers.broker import Broker
from tests.servers.gateway import ROOT, Gateway
from tests.servers.influx import Influx, ServerMissing, running_influx

PICTURES: Final = DIRECTORY / "pictures"
FLEETS: Final = {"cold-chain": 60, "factory": 90, "water": 40, "air": 9, "weather": 12}
"""Devices of each profile."""
BUCKETS: Final = {"5s": "telemetry", "1m": "telemetry_10m", "10m": "telemetry_1h"}
WINDOWS: Final = tuple(
    WindowBucket(parse_duration(every), bucket, 0, settled=25_000) for every, bucket in BUCKETS.items()
)
CHOSEN: Final = {"fleet_site": "berlin", "fleet_metric": "temperature", "fleet_device": "frz-00042"}
OTHERWISE: Final = {
    "fleet-factory": {"fleet_site": "hall-1"},
    "fleet-sites": {"fleet_site": "hall-1"},
}


def with_choices(query: str, chosen: dict[str, str], minutes: float) -> str:
    """The query as the dashboard runs it: imports first, then what is chosen."""
    values = {name: f'"{value}"' for name, value in {"fleet_windows": "telemetry", **chosen}.items()}
    values |= {"timeRangeStart": f"-{int(minutes * 60)}s", "timeRangeStop": "now()", "windowPeriod": "10s"}
    option = f"option v = {{{', '.join(f'{name}: {value}' for name, value in values.items())}}}\n"
    imports = "".join(re.findall(r'^import ".*"\n', query, re.MULTILINE))
    return imports + option + re.sub(r'^import ".*"\n', "", query, flags=re.MULTILINE)


def _answer(influx: Influx, chosen: dict[str, str], minutes: float, query: str) -> str:
    return influx.csv(with_choices(query, chosen, minutes))


@contextmanager
def fleets(port: int, minutes: float, directory: Path) -> Iterator[None]:
    """Run a fleet of every profile until the end."""
    command = [sys.executable, "-m", "fleet_sim.cli", "run"]
    running = []
    for profile, count in FLEETS.items():
        log = (directory / f"{profile}.log").open("wb")
        settings = ["--sensors", str(count), "--port", str(port), "--duration", f"{int(minutes * 60) + 60}s"]
        running.append(subprocess.Popen([*command, profile, *settings], stdout=log, stderr=log))
    try:
        yield
    finally:
        for process in running:
            process.terminate()
        for process in running:
            process.wait(60)


def draw_all(influx: Influx, drawer: Drawer, minutes: float) -> list[str]:
    """Draw every dashboard; what is wrong with them."""
    PICTURES.mkdir(exist_ok=True)
    faults = []
    boards = [one for one in documents_for(WINDOWS) if one["kind"] == "Dashboard"]
    for board in boards:
        name = board["metadata"]["name"]
        chosen = CHOSEN | OTHERWISE.get(name, {})
        picture = PICTURES / f"{name.removeprefix('fleet-')}.png"
        answer = partial(_answer, influx, chosen, minutes)
        found = drawer.draw(board["spec"], answer, picture)
        faults += [f"{board['spec']['name']}: {fault}" for fault in found]
    return faults


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m dashboards.pictures")
    parser.add_argument("--minutes", type=float, default=8.0, help="how long the fleets run")
    minutes = parser.parse_args().minutes
    with tempfile.TemporaryDirectory() as place:
        directory = Path(place)
        (directory / "page").mkdir()
        try:
            drawer = Drawer(directory / "page")
            with running_influx(directory) as influx:
                faults = _drawn(influx, drawer, directory, minutes)
        except (ToolMissing, ServerMissing) as missing:
            print(missing, file=sys.stderr)
            return 3
    print("\n".join(faults) or f"drawn: {PICTURES}")
    return 1 if faults else 0


def _drawn(influx: Influx, drawer: Drawer, directory: Path, minutes: float) -> list[str]:
    """Run the fleets, and draw what they left, while they still run: some cells say what is now."""
    broker = Broker(directory / "broker")
    broker.start()
    token = directory / "token"
    token.write_text(influx.token)
    token.chmod(0o600)
    gateway = Gateway(
        directory / "gateway", broker.url,
        gateway={"id": "north", "tags": ["region", "section", "machine"]},
        windows=[{"every": every, "bucket": bucket, "keep": "30d"} for every, bucket in BUCKETS.items()],
        time={"allowed_lateness": "5s", "idle_close": "15s"},
        influx={"url": influx.url, "org": influx.org, "token": f"file:{token}"},
        rules={"path": str(ROOT / "rules")},
        metrics={metric: {"missing": [-200]} for metric in ("co_gt", "nox_gt", "c6h6_gt", "no2_gt")},
    )  # fmt: skip
    try:
        gateway.run("influx", "apply")
        gateway.start()
        with fleets(broker.port, minutes, directory):
            time.sleep(minutes * 60)
            return draw_all(influx, drawer, minutes)
    finally:
        gateway.kill()
        broker.stop()


if __name__ == "__main__":
    sys.exit(main())
