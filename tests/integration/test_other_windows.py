"""Windows of other lengths need a new spool: what a drained gateway keeps, and what it gives up."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from tests.integration.conftest import GatewayFactory, forwarding
from tests.integration.field import settled
from tests.integration.stored import points
from tests.integration.stranger import Device, now_ms
from tests.servers.broker import Broker
from tests.servers.gateway import Gateway
from tests.servers.influx import Influx
from tests.servers.process import wait_until

pytestmark = [pytest.mark.broker, pytest.mark.influx]

WITHIN = 60.0


def is_drained(report: dict[str, Any]) -> bool:
    """Whether all that came is in closed windows, and InfluxDB has them."""
    return settled(report) and not report["sinks"]["influx"]["waiting"]["lines"]


def counted(gateway: Gateway, every: str) -> int:
    return sum(row["count"] for row in gateway.query("windows", "--every", every))


def test_a_drained_gateway_goes_on_with_other_windows_in_a_new_spool_and_the_old_one_can_be_read(
    broker: Broker, gateways: GatewayFactory, influx: Influx, tmp_path: Path
) -> None:
    first, second = influx.fresh_bucket(), influx.fresh_bucket()
    name = "gw-other-windows"
    sections = {"gateway": {"id": name, "sites": [f"{name}-site"]}, "influx": forwarding(influx, tmp_path)}
    gateway = gateways(broker, name, **sections, windows=[{"every": "2s", "bucket": first, "keep": "30d"}])
    gateway.start()
    with Device(broker.host, broker.port, f"{name}-site", "device") as device:
        device.be_born()
        sent = [now_ms() - 5_000 + 10 * number for number in range(20)]
        for at in sent:
            device.measure(at=at, temperature=1.0)
        gateway.wait_for(lambda report: report["messages"]["new"] == len(sent))
        gateway.wait_for(is_drained)
        assert gateway.stop() == 0
        before = gateway.config.read_text()
        gateway.reconfigure(windows=[{"every": "3s", "bucket": second, "keep": "30d"}])
        gateway.run("run", status=2)
        gateway.reconfigure(spool={"path": str(gateway.directory / "spool-3s")})
        gateway.spool = gateway.directory / "spool-3s"
        gateway.start()
        gateway.wait_for(lambda report: any(one["code"] == "spool_lost" for one in report["problems"]))
        for _ in range(5):
            device.measure(temperature=2.0)
        gateway.wait_for(lambda report: report["messages"]["new"] == 5)
        asked = device.wait_for(
            lambda one: one.topic.endswith("/receipt") and one.body["upto"] >= len(sent)
        ).body
        assert (asked["from"], asked["missing"]) == (0, [[0, len(sent) - 1]]), "its numbering is forgotten"
        device.seq = 0
        for at in sent:
            device.measure(at=at, temperature=1.0)
        gateway.wait_for(lambda report: report["values"]["too_late"] == len(sent) and is_drained(report))
    assert sum(int(row["count"]) for row in points(influx, first, "sensor")) == len(sent)
    kept = ("sensor", "sensor_partial")
    wait_until(
        lambda: sum(int(row["count"]) for one in kept for row in points(influx, second, one)) == 5,
        WITHIN, "each new reading is told once",
    )  # fmt: skip
    assert gateway.stop() == 0
    gateway.config.write_text(before)
    assert counted(gateway, "2s") == len(sent), "the old history is where it was"
