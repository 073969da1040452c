"""The comparisons of the proofs as assertions: a fleet's ledger against a gateway and InfluxDB."""

from __future__ import annotations

from typing import Any

from fleet_sim.judging.grade import CommandGrade, grade_commands
from fleet_sim.judging.stored import InfluxPlace
from fleet_sim.ledger.reading import Ledger
from tests.proofs.ground import judging
from tests.proofs.ground.field import (
    RULES,
    Fleet,
    messages_acknowledged,
    scenario_text,
    settled,
    stored,
    wait_settled,
)
from tests.proofs.proof import Findings
from tests.servers.gateway import Gateway

__all__ = [
    "RULES",
    "Fleet",
    "assert_alerts_once",
    "assert_alerts_true",
    "assert_commands_once",
    "assert_history_exact",
    "assert_identities",
    "assert_influx_exact",
    "assert_quiet",
    "messages_acknowledged",
    "scenario_text",
    "settled",
    "stored",
    "wait_settled",
]


def assert_ok(findings: Findings) -> None:
    assert findings.ok, "\n".join(findings.examples)


def assert_history_exact(gateway: Gateway, ledger: Ledger, report: dict[str, Any]) -> None:
    """Every window of the history equals the ledger's."""
    findings = Findings()
    judging.judge_history(findings, gateway, ledger, report)
    assert_ok(findings)


def assert_influx_exact(place: InfluxPlace, ledger: Ledger, report: dict[str, Any]) -> None:
    """Every window in InfluxDB, in all tiers, equals the ledger's."""
    findings = Findings()
    judging.judge_influx(findings, place, ledger, report)
    assert_ok(findings)


def assert_identities(report: dict[str, Any]) -> None:
    """The sums that delivery promises of the counters hold."""
    findings = Findings()
    judging.judge_identities(findings, report)
    assert_ok(findings)


def assert_alerts_once(gateway: Gateway) -> int:
    """No alert fires, escalates or resolves twice under one id; returns how many there were."""
    findings = Findings()
    judging.judge_alerts(findings, gateway.query("alerts"))
    assert_ok(findings)
    return findings.alerts


def assert_alerts_true(gateway: Gateway, ledger: Ledger) -> None:
    """`Hot` fired for each device as often as its acknowledged readings, in order, say."""
    findings = Findings()
    judging.judge_hot(findings, gateway.query("alerts"), ledger)
    assert_ok(findings)


def assert_commands_once(gateway: Gateway, ledger: Ledger) -> CommandGrade:
    """Devices executed nothing twice, and the gateway numbered no two commands of a device alike."""
    findings = Findings()
    judging.judge_commands(findings, gateway.query("commands"), ledger)
    assert_ok(findings)
    return grade_commands(ledger)


def assert_quiet(gateway: Gateway) -> None:
    """The log holds no traceback."""
    findings = Findings()
    judging.judge_log(findings, gateway)
    assert_ok(findings)
