"""InfluxDB frozen, killed and back under load: what it holds in the end equals what was sent, in every tier."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from fleet_sim.judging.stored import InfluxPlace
from tests.integration.conftest import GatewayFactory
from tests.integration.field import (
    RULES,
    Fleet,
    assert_history_exact,
    assert_identities,
    assert_influx_exact,
    assert_quiet,
    scenario_text,
    wait_settled,
)
from tests.servers.broker import Broker
from tests.servers.gateway import GENEROUS, Gateway
from tests.servers.influx import Influx

pytestmark = [pytest.mark.influx, pytest.mark.broker]

NAME = "gw-influx"
SITE = f"{NAME}-site"
LATE = {"site": SITE, "device": f"{SITE}-000*"}


@pytest.fixture
def place(influx: Influx) -> InfluxPlace:
    return InfluxPlace(influx.url, influx.org, influx.token)


@pytest.fixture
def gateway(broker: Broker, gateways: GatewayFactory, influx: Influx, tmp_path: Path) -> Iterator[Gateway]:
    token = tmp_path / "token"
    token.write_text(influx.token)
    windows = [
        {"every": every, "bucket": influx.fresh_bucket(), "keep": "30d"} for every in ("2s", "4s", "12s")
    ]
    gateway = gateways(
        broker,
        NAME,
        gateway={"id": NAME, "sites": [SITE], "tags": ["line"]},
        windows=windows,
        influx={"url": influx.url, "org": influx.org, "token": f"file:{token}"},
        commands={"per_device": "600/m", "total": "1000/s"},
    )
    gateway.write_rules(RULES)
    yield gateway
    influx.heal()


def test_after_freezes_and_kills_influxdb_has_everything(
    broker: Broker, gateway: Gateway, influx: Influx, place: InfluxPlace, tmp_path: Path
) -> None:
    gateway.start()
    text = scenario_text(SITE, devices=200, every="1s", seed=22)
    with Fleet(broker, tmp_path / "run", text) as fleet:
        time.sleep(3)
        with influx.paused():
            fleet.fault("offline", LATE, for_="5s")
            time.sleep(7)
        influx.kill()
        gateway.wait_for(lambda report: any(one["code"] == "sink_influx" for one in report["problems"]))
        time.sleep(3)
        gateway.kill()
        gateway.start()
        influx.start()
        time.sleep(2)
    report = wait_settled(gateway, fleet.ledger)
    assert report["values"]["late_merged"] > 0
    assert_identities(report)
    report = gateway.wait_for(
        lambda report: not report["sinks"]["influx"]["waiting"]["lines"] and not report["problems"],
        within=2 * GENEROUS,
    )
    assert_influx_exact(place, fleet.ledger, report)
    assert_history_exact(gateway, fleet.ledger, report)
    assert_quiet(gateway)
    _alerts_are_there(influx, gateway)


def _alerts_are_there(influx: Influx, gateway: Gateway) -> None:
    """Every transition of the history is a point of the measurement `alert`, at its own time."""
    base = gateway.ask(do="status")["windows"][0]["bucket"]
    rows = influx.query(
        f'from(bucket: "{base}") |> range(start: 0)'
        ' |> filter(fn: (r) => r._measurement == "alert" and r._field == "state")'
        ' |> keep(columns: ["_time", "_value", "device", "rule", "site"])'
    )
    told = {(row["subject"], row["rule"], row["state"]) for row in gateway.query("alerts")}
    assert {state for _, _, state in told} >= {"firing", "resolved"}
    assert {(row["device"], row["rule"], row["_value"]) for row in rows} == told
    assert {row["site"] for row in rows} == {SITE}
