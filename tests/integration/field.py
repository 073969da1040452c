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
from tests.proofs.proof import Tally
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


def assert_ok(tally: Tally) -> None:
    assert tally.ok, "\n".join(tally.examples)


def assert_history_exact(gateway: Gateway, ledger: Ledger, report: dict[str, Any]) -> None:
    """Every window of the history equals the ledger's."""
    tally = Tally()
    judging.judge_history(tally, gateway, ledger, report)
    assert_ok(tally)


def assert_influx_exact(place: InfluxPlace, ledger: Ledger, report: dict[str, Any]) -> None:
    """Every window in InfluxDB, in all tiers, equals the ledger's."""
    tally = Tally()
    judging.judge_influx(tally, place, ledger, report)
    assert_ok(tally)


def assert_identities(report: dict[str, Any]) -> None:
    """The sums that delivery promises of the counters hold."""
    tally = Tally()
    judging.judge_identities(tally, report)
    assert_ok(tally)


def assert_alerts_once(gateway: Gateway) -> int:
    """No alert fires, escalates or resolves twice under one id; returns how many there were."""
    tally = Tally()
    judging.judge_alerts(tally, gateway.query("alerts"))
    assert_ok(tally)
    return tally.alerts


def assert_alerts_true(gateway: Gateway, ledger: Ledger) -> None:
    """`Hot` fired for each device as often as its acknowledged readings, in order, say."""
    tally = Tally()
    judging.judge_hot(tally, gateway.query("alerts"), ledger)
    assert_ok(tally)


def assert_commands_once(gateway: Gateway, ledger: Ledger) -> CommandGrade:
    """Devices executed nothing twice, and the gateway numbered no two commands of a device alike."""
    tally = Tally()
    judging.judge_commands(tally, gateway.query("commands"), ledger)
    assert_ok(tally)
    return grade_commands(ledger)


def assert_quiet(gateway: Gateway) -> None:
    """The log holds no traceback."""
    tally = Tally()
    judging.judge_log(tally, gateway)
    assert_ok(tally)
