"""A fleet that stops at any moment leaves no gaps at a gateway that would never close."""

from __future__ import annotations

from pathlib import Path

import pytest

from fleet_sim.devices.device import Device
from fleet_wire import control_messages, topics
from fleet_wire.control_messages import Receipt
from tests.conftest import BrokerFactory
from tests.integration.conftest import GatewayFactory
from tests.integration.field import Fleet, scenario_text, wait_settled
from tests.proofs.ground.stream import Publisher
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


@pytest.mark.timeout(280)
def test_a_stopping_fleet_waits_for_the_first_receipt_of_a_running_gateway(
    broker_factory: BrokerFactory, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its connections were lost: what the broker acknowledged may be gone, and the gateway may be slow to say so."""
    broker, site = broker_factory(), "gw-slow-site"
    with Publisher(broker, "slow-gateway") as gateway:
        status = {"v": 1, "gateway": "gw-slow", "state": "online", "windows": []}
        payload = control_messages.encode_gateway_status(status)
        gateway.publish([(topics.gateway_status_topic("gw-slow"), payload)], retain=True)
        gateway.settle()
        text = scenario_text(site, devices=5, every="100ms", seed=3)
        with Fleet(broker, tmp_path / "run", text, settle=120.0) as fleet:
            run = fleet.run
            wait_until(lambda: bool(run.statuses), 60, "the gateway is seen")
            fleet.do(lambda: run.disconnect({"type": "probe"}, 100))
            wait_until(lambda: run.snapshot().reconnects >= 5 and fleet.all_up(), 60, "all are back")
            asked: list[str] = []
            monkeypatch.setattr(Device, "connected", lambda device: asked.append(device.identity.id))
            fleet.do(lambda: run.stop("finished"))
            devices = run.deployment.devices
            wait_until(lambda: len(asked) >= 5, 60, "the fleet asks for receipts")
            assert fleet.running
            gateway.publish(
                (
                    topics.device_topic(site, device.identity.id, topics.RECEIPT),
                    control_messages.encode_receipt(
                        Receipt(boot=device.outbox.boot, upto=device.outbox.next - 1)
                    ),
                )
                for device in devices
            )
            wait_until(lambda: not fleet.running, 60, "all is receipted")
