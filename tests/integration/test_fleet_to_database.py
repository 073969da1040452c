"""A fleet with late data, from its command line to InfluxDB: verified, tampered with, shown on the dashboard."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
import yaml

from dashboards.__main__ import rendered
from fleet_sim.judging.moments import at_second
from tests.integration.conftest import forwarding
from tests.integration.field import settled
from tests.integration.stored import points, stored_windows
from tests.servers.broker import Broker
from tests.servers.gateway import ROOT, Gateway
from tests.servers.influx import Influx
from tests.servers.process import wait_until
from tests.templates import org_id, uninstall

SENSORS = 200
BUCKETS = {"2s": "e2e_2s", "10s": "e2e_10s", "1h": "e2e_1h"}
SITES = ["e2e-berlin", "e2e-lyon"]
RULES = """\
version: 1
groups:
- name: e2e
  match: {type: freezer}
  rules:
  - {alert: Warmer, expr: temperature, above: -17.75, clear: -18, severity: warning}
  - {alert: DoorOpen, expr: 'door == "open"', severity: info}
"""
FAULTS = [
    {"kind": "offline", "match": {"share": "20%"}, "after": "6s", "for": "6s"},
    {"kind": "duplicate", "match": {"share": "20%"}, "p": 0.1},
    {"kind": "reorder", "match": {"share": "20%"}, "p": 0.1},
]
TAGS = {
    "sensor": {"device", "metric", "site", "type", "line"},
    "sensor_state": {"device", "metric", "site", "type", "line"},
    "alert": {"device", "rule", "site"},
    "gateway": {"gateway"},
    "metric": {"metric"},
    "limit": {"level", "metric", "rule", "side", "site"},
}
OTHER_DOMAINS = {"Factory", "Water quality", "Air quality", "Weather"}
OF_OTHER_FLEETS = {
    *("Mean of each section of the site", "Mean of each machine of the site", "Mean of each region"),
    *("Nearest to a limit", "Which doors are open"),
}
"""Cells that this fleet leaves empty: it has no such tags, and its limits are below zero."""

pytestmark = [pytest.mark.broker, pytest.mark.influx, pytest.mark.timeout(200)]


@dataclass
class Stage:
    """A gateway after a run, with everything stored and sent; `run` is the simulator's directory."""

    gateway: Gateway
    influx: Influx
    run: Path
    told: dict[str, Any]
    report: dict[str, Any]
    applied: list[dict[str, Any]] = field(default_factory=list)

    def verify(self, *more: str) -> subprocess.CompletedProcess[str]:
        query = f"{sys.executable} -m edge_gateway query windows --json --config {self.gateway.config}"
        return simulator(
            "verify", str(self.run), "--gateway", "gw-e2e", "--history-cmd", query,
            "--influx-url", self.influx.url, "--influx-org", self.influx.org, *more,
            token=self.influx.token,
        )  # fmt: skip


def simulator(*arguments: str, token: str = "") -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "fleet_sim.cli", *arguments],
        capture_output=True, text=True, cwd=ROOT, timeout=120, check=False,
        env={**os.environ, "INFLUX_TOKEN": token, "COLUMNS": "400", "PYTHONPATH": str(ROOT)},
    )  # fmt: skip


def scenario(path: Path) -> Path:
    """Return the shipped cold chain on two sites of this test, with a fifth of it offline for a while."""
    found = yaml.safe_load((ROOT / "fleet_sim" / "profiles" / "cold-chain.yaml").read_text())
    found["fleet"]["freezer"]["site"] = SITES
    found["fleet"]["freezer"]["metrics"]["door"]["stay"] = {"closed": "6s", "open": "3s"}
    found["faults"], found["expect"] = FAULTS, {"delivery.lost": "== 0"}
    path.write_text(yaml.safe_dump(found))
    return path


@pytest.fixture(scope="module")
def stage(
    tmp_path_factory: pytest.TempPathFactory, _session_broker: Broker, _session_influx: Influx
) -> Iterator[Stage]:
    broker, influx, directory = _session_broker, _session_influx, tmp_path_factory.mktemp("e2e")
    keeps = dict(zip(BUCKETS, ("30d", "180d", "2y"), strict=True))
    gateway = Gateway(
        directory, broker.url,
        gateway={"id": "gw-e2e", "sites": SITES, "tags": ["line"]},
        windows=[{"every": every, "bucket": name, "keep": keeps[every]} for every, name in BUCKETS.items()],
        metrics={"temperature": {"range": [-40, 85], "unit": "°C"}},
        influx=forwarding(influx, directory),
    )  # fmt: skip
    gateway.write_rules(RULES)
    uninstall(influx)
    applied = [json.loads(gateway.run("influx", "apply", "--json")) for _ in range(2)]
    gateway.start()
    try:
        run = directory / "run"
        done = simulator(
            "run", str(scenario(directory / "e2e.yaml")), "--sensors", str(SENSORS), "--duration", "20s",
            "--interval", "1s", "--port", str(broker.port), "--report", str(run), "--json",
        )  # fmt: skip
        assert done.returncode == 0, (done.stdout, done.stderr)
        report = gateway.wait_for(
            lambda seen: (
                settled({**seen, "fleet": {**seen["fleet"], "open_windows": 0}})
                and not seen["sinks"]["influx"]["waiting"]["chunks"]
            )
        )
        yield Stage(gateway, influx, run, json.loads(done.stdout), report, applied)
    finally:
        gateway.kill()
        uninstall(influx)


# --- verify


def test_history_and_database_hold_what_the_fleet_sent_late_data_included(stage: Stage) -> None:
    assert stage.report["values"]["late_merged"] > 20, "the offline devices' buffers came late"
    assert stage.report["messages"]["duplicate"] > 10
    done = stage.verify("--json")
    assert done.returncode == 0, (done.stdout, done.stderr)
    results = json.loads(done.stdout)["results"]
    assert len(results) == 2
    for result in results:
        assert (result["lost"], result["double"], result["wrong_windows"]) == (0, 0, 0)
        assert result["windows"] > SENSORS * 2 * 10
        assert result["readings"] > SENSORS * 2 * 15


def test_a_window_that_was_tampered_with_is_found_and_named(stage: Stage) -> None:
    found = stored_windows(stage.influx, BUCKETS["2s"])
    key = next(  # inside the run, where no other run can have added to it
        key
        for key in sorted(found)
        if {key._replace(start=key.start + step) for step in (-2000, 2000)} <= found.keys()
    )
    [row] = [
        row
        for row in points(stage.influx, BUCKETS["2s"], "sensor")
        if (row["device"], row["metric"], int(row["at"])) == key
    ]
    tags = ",".join(f"{name}={row[name]}" for name in sorted(TAGS["sensor"]))
    stage.influx.write(BUCKETS["2s"], f"sensor,{tags} count={found[key].count + 1}i {key.start}")
    try:
        done = stage.verify()
        assert done.returncode == 1, (done.stdout, done.stderr)
        assert (
            f"{key.device} {key.metric}, 2s from {at_second(key.start)}: count {found[key].count + 1}"
            in done.stdout
        )
        assert re.search(r"wrong windows\s+1 of ", done.stdout)
        assert re.search(r"double\s+1\b", done.stdout)
        assert len(re.findall(r"wrong windows\s+0 of ", done.stdout)) == 1, "the history is right"
    finally:
        stage.influx.write(BUCKETS["2s"], f"sensor,{tags} count={found[key].count}i {key.start}")


# --- what is written


@pytest.mark.parametrize("measurement", sorted(TAGS))
def test_every_point_has_the_tags_and_fields_of_its_measurement(stage: Stage, measurement: str) -> None:
    fields = {
        "sensor": {"count", "first", "last", "max", "mean", "min", "quality", "sum"},
        "sensor_state": {"last", "changes"},
        "alert": {"cause", "event", "level", "limit", "since", "state", "suppressed", "value"},
        "metric": {"unit"},
        "limit": {"clear", "value"},
    }
    base = BUCKETS["2s"]
    wait_until(
        lambda: points(stage.influx, base, measurement) != [], 120, "units and limits come once a minute"
    )
    for row in points(stage.influx, base, measurement):
        named = set(row) - {"result", "table", "at"}
        assert TAGS[measurement] <= named
        assert all(row[name] for name in TAGS[measurement])
        if measurement in fields:
            absent = fields[measurement] - (named - TAGS[measurement])
            assert named - TAGS[measurement] <= fields[measurement]
            may_lack = {"since", "suppressed", *({"limit", "value"} if row.get("rule") == "DoorOpen" else ())}
            assert absent <= may_lack


def test_states_alerts_and_counters_say_what_the_gateway_says(stage: Stage) -> None:
    base = BUCKETS["2s"]
    states = {
        (row["device"], row["metric"], int(row["at"])): (row["last"], int(row["changes"]))
        for row in points(stage.influx, base, "sensor_state")
    }
    rows = [row for row in stage.gateway.query("states") if row["every"] == 2000]
    assert states == {
        (row["device"], row["metric"], row["start"]): (row["last"], row["changes"]) for row in rows
    }
    assert {last for last, _ in states.values()} == {"open", "closed"}
    told = [
        (row["device"], row["rule"], row["site"], row["level"], row["state"], int(row["at"]))
        for row in points(stage.influx, base, "alert")
        if row["event"] != "reminder"
    ]
    alerts = stage.gateway.query("alerts")
    assert len(told) > 100
    assert set(told) == {
        tuple(row[name] for name in ("subject", "rule", "site", "level", "state", "at")) for row in alerts
    }
    newest = max(points(stage.influx, base, "gateway"), key=lambda row: int(row["at"]))
    assert newest["gateway"] == "gw-e2e"
    for name, count in {**stage.report["messages"], **stage.report["values"]}.items():
        assert int(newest[name]) <= count
    types = column_types(stage.influx, base)
    assert (
        types["sensor", "count"] == types["sensor_state", "changes"] == types["gateway", "received"] == "long"
    )
    assert {types["sensor", name] for name in ("first", "last", "max", "mean", "min", "quality", "sum")} == {
        "double"
    }
    assert types["sensor_state", "last"] == types["alert", "state"] == "string"


def column_types(influx: Influx, bucket: str) -> dict[tuple[str, str], str]:
    """The type InfluxDB has for each field, by measurement and field."""
    rows = influx.query(
        'import "types"\n'
        f'from(bucket: "{bucket}") |> range(start: -1h) |> last()'
        " |> map(fn: (r) => ({m: r._measurement, f: r._field,"
        ' t: if types.isType(v: r._value, type: "int") then "long"'
        ' else if types.isType(v: r._value, type: "float") then "double" else "string"}))'
    )
    return {(row["m"], row["f"]): row["t"] for row in rows}


# --- the dashboard


def test_applying_twice_makes_each_dashboard_once(stage: Stage) -> None:
    first, second = stage.applied
    assert {change["what"] for change in first["changes"]} == {"create"}
    assert {change["what"] for change in second["changes"]} == {"keep"}
    assert second["stack"] == first["stack"]
    dashboards = stage.influx.call("GET", f"/api/v2/dashboards?orgID={org_id(stage.influx)}")["dashboards"]
    assert len(dashboards) == len({one["name"] for one in dashboards}) == len(rendered())
    assert stage.gateway.run("influx", "status", "--json")


def test_every_cell_variable_and_check_of_the_server_shows_what_the_gateway_wrote(stage: Stage) -> None:
    chosen = chosen_variables(stage.influx)
    assert chosen["fleet_windows"] == BUCKETS["2s"]
    assert chosen["fleet_site"] in SITES
    queries = {name: bound(query, chosen) for name, query in queries_of(stage.influx).items()}
    site = queries["Fleet overview", "The site: least, mean and greatest"]
    wait_until(lambda: stage.influx.query(site) != [], 60, "the newest windows are closed for all devices")
    rows = {name: stage.influx.query(query) for name, query in queries.items()}
    rows.pop(("Cold chain", "Firing now"))  # of the shipped rules, which do not run here
    empty = {cell for (board, cell), found in rows.items() if not found and board not in OTHER_DOMAINS}
    assert empty <= OF_OTHER_FLEETS
    [devices] = rows["Fleet overview", "Devices"]
    assert int(devices["_value"]) == SENSORS
    windows = stored_windows(stage.influx, BUCKETS["2s"])
    own = {
        key.start: window
        for key, window in windows.items()
        if key[:2] == (chosen["fleet_device"], chosen["fleet_metric"])
    }
    [readings], [quality] = rows["One device", "Readings"], rows["One device", "Quality"]
    assert int(readings["_value"]) == sum(window.count for window in own.values())
    assert float(quality["_value"]) == 1.0
    band = rows["Fleet overview", "The device: least, mean and greatest"]
    shown = [float(row["_value"]) for row in band if row["result"] == "mean"]
    assert sorted(shown) == pytest.approx(sorted(window.mean for window in own.values()), abs=0.0006)
    standing: dict[tuple[str, str], tuple[str, str]] = {}
    for row in stage.gateway.query("alerts"):
        standing[row["subject"], row["rule"]] = row["state"], row["level"]
    [warnings] = rows["Fleet overview", "Warning now"]
    assert int(warnings["_value"]) == sum(each == ("firing", "warning") for each in standing.values())


def queries_of(influx: Influx) -> dict[tuple[str, str], str]:
    """Every Flux query that the server has of dashboards' cells and checks, by dashboard and name."""
    found = {}
    dashboards = influx.call("GET", f"/api/v2/dashboards?orgID={org_id(influx)}")["dashboards"]
    for dashboard in dashboards:
        cells = influx.call("GET", f"/api/v2/dashboards/{dashboard['id']}?include=properties")["cells"]
        for cell in cells:
            for query in cell["properties"].get("queries") or ():
                found[dashboard["name"], cell["name"]] = query["text"]
    checks = influx.call("GET", f"/api/v2/checks?orgID={dashboards[0]['orgID']}")["checks"]
    return found | {
        ("checks", check["name"]): check["query"]["text"]
        for check in checks
        if check["name"] == "Gateway silent"
    }


def chosen_variables(influx: Influx) -> dict[str, str]:
    """What the dashboard's variables offer first: of each the server's own definition is asked."""
    ours = {
        one["name"]: one["arguments"]
        for one in influx.call("GET", f"/api/v2/variables?orgID={org_id(influx)}")["variables"]
    }
    chosen = {"fleet_windows": ours["fleet_windows"]["values"]["2s"]}
    for name in ("fleet_site", "fleet_metric", "fleet_device"):
        offered = influx.query(bound(ours[name]["values"]["query"], chosen))
        assert offered, name
        chosen[name] = offered[0]["_value"]
    return chosen


def bound(query: str, chosen: dict[str, str]) -> str:
    """The query as the dashboard runs it: imports first, then what is chosen."""
    texts = ", ".join(f"{name}: {json.dumps(value)}" for name, value in chosen.items())
    option = f"option v = {{{texts}, timeRangeStart: -1h, timeRangeStop: now(), windowPeriod: 10s}}\n"
    imports = "".join(re.findall(r'^import ".*"\n', query, re.MULTILINE))
    return imports + option + re.sub(r'^import ".*"\n', "", query, flags=re.MULTILINE)
