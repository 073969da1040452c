"""`kill -9` at random instants under load: what is stored equals what was sent, to the last bit."""

from __future__ import annotations

import random
import time
from pathlib import Path

import pytest

from tests.conftest import BrokerFactory
from tests.integration.conftest import GatewayFactory
from tests.integration.field import (
    RULES,
    Fleet,
    assert_alerts_once,
    assert_alerts_true,
    assert_commands_once,
    assert_history_exact,
    assert_identities,
    assert_quiet,
    scenario_text,
    wait_settled,
)
from tests.servers.gateway import Gateway
from tests.servers.process import wait_until

pytestmark = pytest.mark.broker

KILLS = 20
WINDOWS = [
    {"every": "2s", "bucket": "base", "keep": "30d"},
    {"every": "6s", "bucket": "mid", "keep": "180d"},
    {"every": "12s", "bucket": "top", "keep": "2y"},
]
COMMANDS = {"per_device": "600/m", "total": "1000/s"}


def started(gateway: Gateway) -> None:
    gateway.write_rules(RULES)
    gateway.start()


@pytest.mark.timeout(280)
def test_twenty_kills_lose_nothing_and_count_nothing_twice(
    broker_factory: BrokerFactory, gateways: GatewayFactory, tmp_path: Path
) -> None:
    broker = broker_factory()
    gateway = gateways(broker, "gw-kill", windows=WINDOWS, commands=COMMANDS)
    started(gateway)
    chance = random.Random(20)
    text = scenario_text("gw-kill-site", devices=300, every="1s", seed=20)
    with Fleet(broker, tmp_path / "run", text) as fleet:
        for _ in range(KILLS):
            time.sleep(chance.expovariate(1 / 0.5))
            gateway.kill()
            time.sleep(chance.expovariate(1 / 0.1))
            gateway.start(ready=chance.random() < 0.8)
    report = wait_settled(gateway, fleet.ledger)
    assert_identities(report)
    assert_history_exact(gateway, fleet.ledger, report)
    assert assert_alerts_once(gateway) > 100
    assert_alerts_true(gateway, fleet.ledger)
    assert assert_commands_once(gateway, fleet.ledger).executed > 100
    assert_quiet(gateway)
    assert not report["problems"]


@pytest.mark.timeout(280)
def test_a_broker_that_is_restarted_and_killed_loses_nothing(
    broker_factory: BrokerFactory, gateways: GatewayFactory, tmp_path: Path
) -> None:
    """What a killed broker had acknowledged and not delivered comes again, because no receipt names it as stored."""
    broker = broker_factory()
    gateway = gateways(broker, "gw-broker", windows=WINDOWS, commands=COMMANDS)
    started(gateway)
    text = scenario_text("gw-broker-site", devices=300, every="1s", seed=21)
    with Fleet(broker, tmp_path / "run", text, settle=60.0) as fleet:
        for kill in (False, True, True):
            time.sleep(1.5)
            gateway.kill()
            time.sleep(1.0)
            broker.restart(kill=kill)
            gateway.start()
            wait_until(fleet.all_up, 60, "the fleet is back")
    report = wait_settled(gateway, fleet.ledger)
    assert_identities(report)
    assert_history_exact(gateway, fleet.ledger, report)
    assert_alerts_once(gateway)
    assert assert_commands_once(gateway, fleet.ledger).executed > 20
    assert_quiet(gateway)
