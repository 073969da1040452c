"""Silences and acknowledgements on a real gateway, through its command line: they survive `kill -9`, and they end."""

from __future__ import annotations

import json
from typing import Any

import pytest

from tests.integration.conftest import GatewayFactory
from tests.integration.stranger import Device
from tests.servers.broker import Broker
from tests.servers.gateway import Gateway
from tests.servers.process import wait_until

RULES = """\
version: 1
groups:
- name: cold
  rules:
  - {alert: TooWarm, expr: temperature, above: -10}
"""
WITHIN = 60.0

pytestmark = pytest.mark.broker


def events(gateway: Gateway) -> list[tuple[str, tuple[str, ...]]]:
    """The transitions in the history, and what muted each."""
    return [(row["event"], tuple(row["suppressed"])) for row in gateway.query("alerts")]


def listed(gateway: Gateway, *arguments: str) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = json.loads(gateway.run(*arguments, "--json"))
    return found


def test_a_silence_and_an_acknowledgement_survive_a_kill(broker: Broker, gateways: GatewayFactory) -> None:
    gateway = gateways(broker, "gw-muted")
    gateway.write_rules(RULES)
    gateway.start()
    with Device(broker.host, broker.port, "gw-muted-site", "freezer") as device:
        device.be_born()
        said = gateway.run(
            *("silence", "add", "--match", "site=gw-muted-site", "--until", "1h"), "--why", "defrosting"
        )
        assert "silence 1: no notices of site=gw-muted-site until" in said
        device.measure(temperature=-5.0)
        wait_until(lambda: events(gateway) == [("firing", ("silence 1",))], WITHIN, "the alert is muted")
        gateway.run("ack", "TooWarm/freezer", "--why", "on my way")
        gateway.kill()
        gateway.start()
        (silence,) = listed(gateway, "silence", "ls")
        assert (silence["id"], silence["why"], silence["muted"]) == (1, "defrosting", 1)
        (alert,) = listed(gateway, "alerts")
        assert (alert["suppressed"], alert["acked"]) == (["silence 1"], True)
        assert listed(gateway, "alerts", "--unacknowledged") == []
        gateway.run("silence", "end", "1")
        wait_until(lambda: events(gateway)[-1] == ("released", ()), WITHIN, "the alert is told")
        wait_until(
            lambda: (
                [row["code"] for row in gateway.query("events")]
                == ["silence", "acknowledged", "silence_ended"]
            ),
            WITHIN,
            "all of it is in the history",
        )
        gateway.run("silence", "end", "1", status=2)
