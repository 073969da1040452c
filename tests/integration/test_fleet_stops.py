"""A fleet that stops at any moment leaves no gaps at a gateway that would never close."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.conftest import BrokerFactory
from tests.integration.conftest import GatewayFactory
from tests.integration.field import Fleet, scenario_text, wait_settled
from tests.servers.process import wait_until

pytestmark = pytest.mark.broker


@pytest.mark.timeout(280)
def test_a_fleet_that_stops_with_full_buffers_leaves_no_gaps(
    broker_factory: BrokerFactory, gateways: GatewayFactory, tmp_path: Path
) -> None:
    broker = broker_factory()
    gateway = gateways(broker, "gw-stops")
    gateway.start()
    text = scenario_text("gw-stops-site", devices=30, every="50ms", seed=3).replace("200/s", "10/s")
    with Fleet(broker, tmp_path / "run", text, settle=0.0) as fleet:
        fleet.fault("offline", {"share": "50%"}, for_="2s")
        run = fleet.run
        wait_until(lambda: run.up < 30, 60, "half of the fleet is away")
        wait_until(lambda: run.up == 30, 60, "it is back")
        waiting = run.snapshot().waiting
    report = wait_settled(gateway, fleet.ledger)
    assert waiting > 100
    assert report["gaps"]["messages"] == 0
