"""The proof of the network counts troubles without effect, troubles not got over and alerts retained wrongly."""

from __future__ import annotations

import random
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import aiomqtt
import pytest

from fleet_wire.topics import alert_topic
from tests.proofs import network
from tests.proofs.ground.proxy import FaultKind, Proxy
from tests.proofs.network import Pair
from tests.proofs.proof import Findings, Servers, Setting
from tests.servers.broker import Broker
from tests.servers.gateway import Gateway


@pytest.fixture
def setting(tmp_path: Path) -> Setting:
    return Setting(tmp_path, count=1, seed=1, servers=Servers(tmp_path), say=lambda _: None)


def with_alerts(*alerts: dict[str, str]) -> Gateway:
    """A stand-in for a gateway with these alerts."""

    def ask(do: str) -> Any:
        return list(alerts) if do == "alerts" else {"gateway": "gw-retained"}

    return cast("Gateway", SimpleNamespace(ask=ask))


def test_a_fault_without_effect_or_without_recovery_is_reported(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    for name in ("AFFECTED_WITHIN", "RECOVERED_WITHIN", "STATUS_AGE"):
        monkeypatch.setattr(network, name, 0.01)
    monkeypatch.setitem(network.HOLDS, FaultKind.DELAY, (0.0, 0.01))
    with Proxy("127.0.0.1", 1) as proxy:
        pair = Pair("nobody", proxy, random.Random(1), lambda _rng, _kind: lambda _: True, lambda: False)
        outcome = network._inject_all(pair, [FaultKind.DELAY])
    assert outcome.faults == []
    assert "it affected nothing" in outcome.failures[-1]
    assert any("recovered after delay" in sentence for sentence in outcome.failures)


def test_an_error_that_only_asyncio_logs_is_counted(tmp_path: Path) -> None:
    log = tmp_path / "gateway.log"
    log.write_text("12:00:00 INFO    edge: all well\n12:00:01 ERROR   asyncio: Exception in callback\n")
    findings = Findings()
    network.judge_asyncio(findings, log)
    assert findings.forbidden == {"error reported by asyncio alone": 1}


async def test_alerts_the_broker_retains_are_found(broker: Broker) -> None:
    stale = alert_topic("gw-retained", "s", "d2", "Hot")
    async with aiomqtt.Client(broker.host, broker.port) as client:
        await client.publish(stale, b"{}", qos=1, retain=True)
        assert await network._retained(broker, "gw-retained") == {stale}
        await client.publish(stale, b"", qos=1, retain=True)
    assert await network._retained(broker, "gw-retained") == set()


def test_firing_alerts_that_are_not_retained_are_counted(
    broker: Broker, setting: Setting, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(network, "RETAINED", 0.0)
    network._judge_retained(setting, broker, with_alerts())
    assert setting.findings.ok
    network._judge_retained(setting, broker, with_alerts({"site": "s", "subject": "d1", "rule": "Hot"}))
    assert setting.findings.forbidden == {"retained alert wrong": 1}
