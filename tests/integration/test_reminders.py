"""A database that was emptied while alerts fired shows all of them again after the gateway's next start."""

from __future__ import annotations

from pathlib import Path

import pytest

from edge_gateway.sinks.influx.setup.documents import WindowBucket, documents_for
from tests.integration.conftest import GatewayFactory, forwarding
from tests.integration.stranger import Device
from tests.servers.broker import Broker
from tests.servers.influx import Influx
from tests.servers.process import wait_until

RULES = """\
version: 1
groups:
- name: cold
  rules:
  - {alert: TooWarm, expr: temperature, above: -10}
  - {alert: SiteWarm, expr: avg(temperature), by: [site], above: -10}
"""
NAME = "gw-reminded"
SITE = f"{NAME}-site"
WITHIN = 60.0

pytestmark = [pytest.mark.influx, pytest.mark.broker]


def firing_now(bucket: str) -> str:
    """The query of the overview's cell."""
    documents = documents_for([WindowBucket(2_000, bucket, 30 * 86_400_000)])
    (overview,) = [one["spec"] for one in documents if one["spec"].get("name") == "Fleet overview"]
    (cell,) = [one for one in overview["charts"] if one["name"] == "Firing now"]
    return str(cell["queries"][0]["query"])


def test_what_fires_is_shown_again_after_the_database_was_emptied(
    broker: Broker, gateways: GatewayFactory, influx: Influx, tmp_path: Path
) -> None:
    bucket = influx.fresh_bucket()
    gateway = gateways(
        broker,
        NAME,
        windows=[{"every": "2s", "bucket": bucket, "keep": "30d"}],
        influx=forwarding(influx, tmp_path),
    )
    gateway.write_rules(RULES)
    gateway.start()
    query = firing_now(bucket)
    expected = {("TooWarm", name) for name in ("a", "b")} | {("SiteWarm", f"site={SITE}")}

    def shown() -> set[tuple[str, str]]:
        return {(row["rule"], row["device"]) for row in influx.query(query)}

    for name in ("a", "b"):
        with Device(broker.host, broker.port, SITE, name) as device:
            device.be_born()
            device.measure(temperature=-5.0)
    wait_until(lambda: shown() == expected, WITHIN, "the alerts fire")
    told = gateway.query("alerts")
    gateway.stop()
    everything = {"start": "1970-01-01T00:00:00Z", "stop": "2200-01-01T00:00:00Z"}
    influx.call("POST", f"/api/v2/delete?org={influx.org}&bucket={bucket}", everything)
    assert shown() == set()
    gateway.start()
    wait_until(lambda: shown() == expected, WITHIN, "what fires is shown again")
    assert gateway.query("alerts") == told, "the history has no reminders"
