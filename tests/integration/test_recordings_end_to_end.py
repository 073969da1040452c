"""Public recordings through broker, gateway and database: the result equals the files, to the last bit.

recorded.py reads the files independently. If the real files are not beside the checkout, only generated ones of the
same form are used.
"""

from __future__ import annotations

import json
import subprocess
import sys
from collections import Counter
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest

from fleet_sim.ledger.reading import read_ledger
from tests.conftest import BrokerFactory
from tests.integration.conftest import GatewayFactory, forwarding
from tests.integration.field import stored
from tests.integration.recorded import (
    AIR_COLUMNS,
    AIR_FILE,
    AIR_RANGES,
    MISSING,
    WATER_FILE,
    Episode,
    Key,
    Reading,
    Window,
    air_counts,
    air_readings,
    episodes,
    over,
    water_readings,
    windows_of,
)
from tests.integration.recorded_files import write_air, write_water
from tests.integration.stored import differences, points, stored_windows
from tests.servers.broker import Broker
from tests.servers.gateway import ROOT, Gateway
from tests.servers.influx import Influx

HOUR = 3_600_000
DAY = 24 * HOUR
YEAR = 365 * DAY
WITHIN = 60.0
LIMITS = {"ammonia_n": 5.0, "bod_atu": 20.0, "ph": 8.5}
RULES = """\
version: 1
groups:
- name: limits
  match: {type: water-point}
  rules:
  - {alert: AmmoniaHigh, expr: ammonia_n, above: 5.0, severity: critical}
  - {alert: BodHigh, expr: bod_atu, above: 20.0, severity: critical}
  - {alert: PhHigh, expr: ph, above: 8.5, severity: warning}
"""
METRIC_OF = {"AmmoniaHigh": "ammonia_n", "BodHigh": "bod_atu", "PhHigh": "ph"}

pytestmark = [pytest.mark.broker, pytest.mark.influx]


def both(real: Path, write: Callable[[Path], Path]) -> pytest.MarkDecorator:
    """A test of two files: a generated one, always, and the real one, where it is."""
    there = pytest.mark.skipif(
        not real.is_file(), reason=f"the recording {real.name} is not beside the checkout"
    )
    return pytest.mark.parametrize(
        "source",
        [
            pytest.param(write, id="generated"),
            pytest.param(lambda _: real, id="real", marks=[pytest.mark.recording, there]),
        ],
    )


def replay(broker: Broker, file: Path, run: Path, *options: str) -> dict[str, Any]:
    """Run `fleet-sim replay` successfully; return its result."""
    command = [sys.executable, "-m", "fleet_sim.cli", "replay", str(file), "--port", str(broker.port)]
    done = subprocess.run(
        [*command, "--report", str(run), "--json", *options],
        capture_output=True, text=True, cwd=ROOT, timeout=WITHIN, check=False,
    )  # fmt: skip
    assert done.returncode == 0, (done.stdout, done.stderr)
    told: dict[str, Any] = json.loads(done.stdout)
    return told


def wait_forwarded(gateway: Gateway, values: int, still_open: int) -> dict[str, Any]:
    """Return the report once all values have arrived, are in closed windows, and those are stored and sent."""

    def settled(report: dict[str, Any]) -> bool:
        fleet = report["fleet"]
        return bool(
            report["values"]["values"] >= values
            and not fleet["open_readings"]
            and fleet["open_windows"] <= still_open
            and stored(report)
            and report["spool"]["record"] == report["store"]["applied"]
            and not report["sinks"]["influx"]["waiting"]["chunks"]
        )

    return gateway.wait_for(settled, within=WITHIN)


def hours_of_history(gateway: Gateway) -> dict[Key, Window]:
    found: dict[Key, Window] = {}
    for row in gateway.query("windows", "--every", "1h"):
        key = Key(row["device"], row["metric"], row["start"])
        assert key not in found
        facts = [row[name] for name in ("min", "max", "first", "last", "quality")]
        found[key] = Window(row["count"], row["sum"], row["sum"] / row["count"], *facts)
    return found


def assert_tier(
    found: dict[Key, Window], readings: Sequence[Reading], base: int, every: int, *, since: int = 0
) -> None:
    """Every window that is over is as the file says; one that is not over may not have been sent yet."""
    expected = {key: window for key, window in windows_of(readings, every).items() if key.start >= since}
    sure = {key for key in over(readings, base, every) if key.start >= since}
    assert sure <= found.keys(), differences(found, {key: expected[key] for key in sure})
    due = sure | (found.keys() & expected.keys())
    assert not differences(found, {key: expected[key] for key in due})


def open_windows(readings: Sequence[Reading], base: int, every: int) -> int:
    return len(windows_of(readings, every).keys() - over(readings, base, every))


# --- air quality: recorded times of 2004, two tiers that keep them, an hour as the base


@both(AIR_FILE, lambda path: write_air(path / "air.csv"))
@pytest.mark.timeout(280)
def test_air_quality_windows_equal_the_file_hour_by_hour(
    source: Callable[[Path], Path],
    tmp_path: Path,
    broker_factory: BrokerFactory,
    gateways: GatewayFactory,
    influx: Influx,
) -> None:
    file, broker = source(tmp_path), broker_factory()
    read = air_readings(file)
    counted = [reading for reading in read if air_counts(reading)]
    hours, days = (influx.fresh_bucket(shard_s=YEAR // 1000) for _ in range(2))
    gateway = gateways(
        broker, "gw-air",
        gateway={"id": "gw-air", "sites": ["italy"]},
        metrics={name: {"missing": [MISSING]} for name in AIR_COLUMNS}
        | {name: {"missing": [MISSING], "range": list(ends)} for name, ends in AIR_RANGES.items()},
        windows=[{"every": "1h", "bucket": hours, "keep": "100y"}, {"every": "1d", "bucket": days, "keep": "100y"}],
        time={"earliest": "2000-01-01", "idle_close": "1s"},
        history={"keep": "100y"},
        influx=forwarding(influx, tmp_path),
    )  # fmt: skip
    gateway.start()
    replay(broker, file, tmp_path / "run", "--mapping", "uci", "--stamp", "recorded", "--batch", "50")
    report = wait_forwarded(gateway, len(read), open_windows(counted, HOUR, DAY))
    assert report["values"] | {"values": 0} == {
        "values": 0, "accepted": len(counted), "late_merged": 0, "too_late": 0,
        "bad": len(read) - len(counted), "refused": 0,
    }  # fmt: skip
    assert report["values"]["values"] == len(read)
    assert_tier(stored_windows(influx, hours), counted, HOUR, HOUR)
    assert_tier(stored_windows(influx, days), counted, HOUR, DAY)
    assert_tier(hours_of_history(gateway), counted, HOUR, HOUR)
    assert_reasons(gateway, read)
    assert codes_of(report) <= {"device_clocks"}, "readings of another decade are told as such"


def codes_of(report: dict[str, Any]) -> set[str]:
    return {problem["code"] for problem in report["problems"]}


def assert_reasons(gateway: Gateway, read: Sequence[Reading]) -> None:
    """Each value that does not count is counted by its metric and reason."""
    bad = Counter(
        (reading.metric, "missing" if reading.value == MISSING else "range")
        for reading in read
        if not air_counts(reading)
    )
    [device] = json.loads(gateway.run("devices", "uci-air", "--json"))
    assert device["bad"] == {f"{metric}: {reason}": count for (metric, reason), count in bad.items()}


# --- water quality: five years moved to now, a tier that keeps two of them and one that keeps ten


@both(WATER_FILE, lambda path: write_water(path / "water.csv"))
@pytest.mark.timeout(280)
def test_water_quality_windows_and_alerts_equal_the_file(
    source: Callable[[Path], Path],
    tmp_path: Path,
    broker_factory: BrokerFactory,
    gateways: GatewayFactory,
    influx: Influx,
) -> None:
    file, broker = source(tmp_path), broker_factory()
    read = water_readings(file)
    hours = influx.fresh_bucket(retention_s=2 * YEAR // 1000, shard_s=YEAR // 1000)
    days = influx.fresh_bucket(retention_s=10 * YEAR // 1000, shard_s=YEAR // 1000)
    gateway = gateways(
        broker, "gw-water",
        gateway={"id": "gw-water", "sites": ["yorkshire"], "tags": ["easting", "northing"]},
        windows=[{"every": "1h", "bucket": hours, "keep": "2y"}, {"every": "1d", "bucket": days, "keep": "10y"}],
        time={"idle_close": "1s"},
        history={"keep": "10y"},
        influx=forwarding(influx, tmp_path),
    )  # fmt: skip
    gateway.write_rules(RULES)
    gateway.start()
    gateway.ask(do="confirm_clock")  # at a first start no point is withheld as too old before
    replay(broker, file, tmp_path / "run", "--mapping", "ea", "--stamp", "shift")
    moved = shifted_as_sent(read, tmp_path / "run")
    report = wait_forwarded(gateway, len(read), open_windows(moved, HOUR, DAY))
    assert report["values"]["accepted"] == len(read), "a censored value counts, at half its quality"
    assert_tier(hours_of_history(gateway), moved, HOUR, HOUR)
    assert_tier(stored_windows(influx, days), moved, HOUR, DAY)
    kept_since = max(reading.at for reading in moved) - 2 * YEAR
    in_base = stored_windows(influx, hours)
    assert_tier(
        {key: window for key, window in in_base.items() if key.start >= kept_since + HOUR},
        moved, HOUR, HOUR, since=kept_since + HOUR,
    )  # fmt: skip
    assert min(key.start for key in in_base) >= kept_since - HOUR
    assert_alerts(gateway, influx, hours, episodes(moved, LIMITS), kept_since)
    sent = gateway.ask(do="status")
    assert sent["sinks"]["influx"]["refused_lines"] == 0, "the database had nothing to refuse"
    assert sent["counters"]["points_beyond_retention"] > 0
    assert codes_of(sent) <= {"device_clocks"}, "readings of another decade are told as such"


def shifted_as_sent(read: Sequence[Reading], run: Path) -> list[Reading]:
    """The readings moved so that the last is at the time at which the ledger has it."""
    by = int(read_ledger(run).groups[0].table["ts"].max()) - max(reading.at for reading in read)
    return [reading._replace(at=reading.at + by) for reading in read]


def assert_alerts(
    gateway: Gateway, influx: Influx, bucket: str, expected: Sequence[Episode], kept_since: int
) -> None:
    """The history has every episode; the database those of its transitions that are not too old for the bucket."""
    rows = gateway.query("alerts")
    assert {row["event"] for row in rows} <= {"firing", "resolved", "released"}
    ended = {row["id"]: row["at"] for row in rows if row["event"] == "resolved"}
    fired = [row for row in rows if row["event"] == "firing"]
    assert sorted(
        Episode(row["subject"], METRIC_OF[row["rule"]], row["value"], row["at"], ended.get(row["id"]))
        for row in fired
    ) == sorted(expected)
    assert len({row["id"] for row in fired}) == len(fired)
    assert all(row["limit"] == LIMITS[METRIC_OF[row["rule"]]] for row in fired)
    young = Counter(
        (row["subject"], row["rule"], row["state"], row["at"])
        for row in rows
        if row["at"] >= kept_since + HOUR
    )
    told = Counter(
        (row["device"], row["rule"], row["state"], int(row["at"])) for row in points(influx, bucket, "alert")
    )
    assert not young - told
    assert all(at >= kept_since - HOUR for *_, at in told)
