"""What every trial checks: nothing is lost or double, and the gateway reports the problem and its end.

An honest fleet sends during the whole trial; its ledger knows what had a PUBACK. A refusal that no problem reports is a
failure like a loss.
"""

from __future__ import annotations

import subprocess
import time
from collections.abc import Mapping
from typing import Any

from fleet_sim.devices.endpoint import Endpoint
from fleet_sim.judging.stored import InfluxPlace
from fleet_sim.ledger.reading import Ledger
from tests.proofs.ground.field import RULES, Address, Fleet, scenario_text, wait_settled
from tests.proofs.ground.judging import (
    judge_alerts,
    judge_commands,
    judge_devices,
    judge_history,
    judge_hot,
    judge_identities,
    judge_influx,
    judge_log,
)
from tests.proofs.ground.sections import FAST_COMMANDS
from tests.proofs.proof import Setting
from tests.servers.broker import Broker
from tests.servers.gateway import Gateway

DEVICES = 12
WITHIN = 90.0
ENDS_WITHIN = 20.0
"""Seconds a gateway may take to stop, including its drain."""
SETTLE = 30.0
"""Seconds within which everything has its receipt: a device gets one at most every 5 s."""


def make_gateway(setting: Setting, broker: Broker | str, name: str, **sections: Any) -> Gateway:
    """Return a gateway with the field's rules, not started."""
    gateway = setting.gateway(broker, name, **{"commands": FAST_COMMANDS, **sections})
    gateway.write_rules(RULES)
    return gateway


def honest_fleet(setting: Setting, broker: Address | Endpoint, site: str, *, devices: int = DEVICES) -> Fleet:
    """Return a fleet whose devices send four readings a second while the block runs."""
    text = scenario_text(site, devices=devices, every="250ms", seed=setting.rng.randrange(1 << 31))
    return Fleet(broker, setting.place("run"), text, settle=SETTLE)


def wait_accepted(gateway: Gateway, messages: int = 4 * DEVICES) -> None:
    """Wait until that many more messages have been accepted."""
    before = gateway.wait_for(lambda _: True)["messages"]["new"]
    gateway.wait_for(lambda report: report["messages"]["new"] >= before + messages, within=WITHIN)


def problems_with(report: Mapping[str, Any], *words: str) -> list[str]:
    """Return the problems whose code or text has one of these words."""
    told = [f"{one['code']}: {one['text']}" for one in report["problems"]]
    return [text for text in told if any(word.lower() in text.lower() for word in words)]


def must_report(setting: Setting, gateway: Gateway, what: str, *words: str) -> None:
    """Wait until a problem contains one of these words; forbidden if none ever does."""
    try:
        gateway.wait_for(lambda report: bool(problems_with(report, *words)), within=WITHIN)
    except AssertionError as error:
        setting.findings.forbid("silent", f"{what}: no problem has one of {words}: {str(error)[-1500:]}")


def must_clear(setting: Setting, gateway: Gateway, what: str, *words: str) -> None:
    """Wait until no problem contains these words; forbidden if one lasts."""
    try:
        gateway.wait_for(lambda report: not problems_with(report, *words), within=WITHIN)
    except AssertionError as error:
        setting.findings.forbid("never over", f"{what}: {str(error)[-1500:]}")


def judge_fleet(
    setting: Setting, gateway: Gateway, ledger: Ledger, influx: InfluxPlace | None = None
) -> dict[str, Any]:
    """Compare everything of this fleet with its ledger once nothing is pending; return the report."""
    findings, report = setting.findings, wait_settled(gateway, ledger)
    judge_identities(findings, report)
    judge_devices(findings, gateway)
    judge_history(findings, gateway, ledger, report)
    if influx is not None:
        judge_influx(findings, influx, ledger, report)
    names = {device.id for device in ledger.devices}
    alerts = [row for row in gateway.query("alerts") if row["subject"] in names]
    judge_alerts(findings, alerts)
    judge_hot(findings, alerts, ledger)
    judge_commands(findings, gateway.query("commands"), ledger)
    judge_log(findings, gateway)
    return report


def must_stop(setting: Setting, gateway: Gateway, what: str) -> None:
    """Check that the gateway stops on SIGTERM, in time and with status 0."""
    began = time.monotonic()
    try:
        status = gateway.stop()
    except subprocess.TimeoutExpired:
        setting.findings.forbid("does not stop", f"{what}: SIGTERM was ignored\n{gateway.words()}")
        gateway.kill()
        return
    took = time.monotonic() - began
    if status or took > ENDS_WITHIN:
        setting.findings.forbid(
            "stops badly", f"{what}: status {status} after {took:.1f} s\n{gateway.words()}"
        )
