"""Devices with another format, a wrong clock or a wrong site are named in a problem until they are fixed."""

from __future__ import annotations

import json
from typing import Any

import pytest

from tests.conftest import BrokerFactory
from tests.integration.conftest import GatewayFactory
from tests.integration.stranger import Device, now_ms, pack
from tests.servers.gateway import Gateway

pytestmark = pytest.mark.broker

SITE = "gw-unheard-site"
WITHIN = 60.0
YEAR_2021 = 1_620_000_000_000


def text_of(report: dict[str, Any], code: str) -> str:
    return next((str(one["text"]) for one in report["problems"] if one["code"] == code), "")


def wait_for_text(gateway: Gateway, code: str, *parts: str) -> str:
    report = gateway.wait_for(lambda report: all(part in text_of(report, code) for part in parts), WITHIN)
    assert all(one["gravity"] == "warning" for one in report["problems"])
    return text_of(report, code)


def send(device: Device, name: str, payload: bytes, site: str = SITE) -> None:
    device.publish(f"fleet/v1/{site}/{name}/telemetry", payload)


def message(seq: int, ts: Any) -> bytes:
    return pack({"v": 1, "boot": 1, "seq": seq, "ts": ts, "m": {"temperature": 20.5}})


def test_publishers_whose_messages_are_unusable_are_named_with_what_to_do(
    broker_factory: BrokerFactory, gateways: GatewayFactory
) -> None:
    broker = broker_factory()  # without retained messages of other tests
    gateway = gateways(broker, "gw-unheard", gateway={"id": "gw-unheard", "sites": ["+"]})
    gateway.start()
    with Device(broker.host, broker.port, SITE, "publisher", boot=1) as device:
        send(device, "in-json", json.dumps({"temperature": 20.5}).encode())
        for seq in range(3):
            send(device, "in-us", message(seq, now_ms() * 1000))
            send(device, "in-2021", message(seq, YEAR_2021 + seq))
        send(device, "here", message(0, now_ms()))
        send(device, "here", message(0, now_ms()), site="elsewhere")
        told = wait_for_text(gateway, "devices_unheard", "in-json", "in-us", "elsewhere/here")
        assert "this looks like JSON; expected MessagePack" in told
        assert "looks like microseconds; expected milliseconds since 1970" in told
        assert f"the name belongs to site {SITE}" in told
        assert "in-2021: its readings are of 2021-05-03" in wait_for_text(gateway, "device_clocks", "in-2021")

        rows = {(row["site"], row["device"]): row["troubles"] for row in gateway.ask(do="devices")}
        assert "JSON" in " ".join(rows[SITE, "in-json"])
        assert rows[SITE, "here"] == []
        assert "this looks like JSON" in " ".join(gateway.run("devices", "in-json").split())
        reasons = {row["topic"]: row["reason"] for row in gateway.query("quarantine")}
        assert reasons[f"fleet/v1/{SITE}/in-json/telemetry"] == "this looks like JSON; expected MessagePack"

        assert gateway.stop() == 0
        gateway.start()
        wait_for_text(gateway, "devices_unheard", "in-json")
        send(device, "in-json", message(0, now_ms()))
        send(device, "in-2021", message(3, now_ms()))
        gateway.wait_for(
            lambda report: (
                "in-json" not in text_of(report, "devices_unheard") and not text_of(report, "device_clocks")
            ),
            WITHIN,
        )
