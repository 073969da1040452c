"""Compare a fleet's ledger with what is stored: windows, alerts, commands, counters, the log.

ledger ──┬── windows by arithmetic ──▶ history, InfluxDB      lost, double, wrong
         ├── `Hot` by the readings ──▶ alerts by id           lost, repeated
         └── executions ─────────────▶ commands by id         executed twice
report ───── received = new + duplicate + quarantined, …     identity broken
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

from fleet_sim.cli.judging import influx_of_run
from fleet_sim.judging.grade import grade_commands
from fleet_sim.judging.stored import InfluxPlace, window_rows
from fleet_sim.judging.terms import gateway_terms
from fleet_sim.judging.verify import Comparison, compare
from fleet_sim.ledger.expected import Policy, Readouts, readouts
from fleet_sim.ledger.reading import Ledger
from fleet_wire.control_messages import NO_CHANGE
from tests.proofs.proof import Findings
from tests.servers.gateway import Gateway

WARM, COOL = 5.0, 4.0
"""The limits at which `Hot` of `field.RULES` fires and clears."""


def judge_history(findings: Findings, gateway: Gateway, ledger: Ledger, report: Mapping[str, Any]) -> None:
    """Compare every window of the local history with the ledger."""
    rows = window_rows(gateway.query("windows"))
    take_comparison(findings, compare(ledger, gateway_terms(report), rows, "history"))


def judge_influx(findings: Findings, place: InfluxPlace, ledger: Ledger, report: Mapping[str, Any]) -> None:
    """Compare every window in InfluxDB, of all tiers, with the ledger."""
    terms = gateway_terms(report)
    take_comparison(findings, compare(ledger, terms, influx_of_run(ledger, terms, place), "InfluxDB"))


def take_comparison(findings: Findings, found: Comparison) -> None:
    """Add the findings of a comparison; to have judged nothing is a failure too."""
    findings.acknowledged += found.readings
    findings.windows += found.windows
    findings.lost += found.lost
    findings.double += found.double
    findings.wrong += found.wrong
    for example in found.examples:
        findings.show(f"{found.source}: {example}")
    if not found.windows:
        findings.forbid("nothing judged", f"{found.source} held no window of the run")
    for reason, windows in found.not_judged.items():
        findings.forbid("windows not judged", f"{found.source}: {windows} {reason}", windows)


def judge_identities(findings: Findings, report: Mapping[str, Any]) -> None:
    """Check the sums that delivery.md promises of the counters, in total and for each listed device."""
    for sentence in broken_identities(report["messages"], report["values"]):
        findings.forbid("identity broken", sentence)


def broken_identities(messages: Mapping[str, int], values: Mapping[str, int]) -> list[str]:
    """Return a sentence for each sum that does not hold."""
    broken = []
    if messages["received"] != sum(
        messages[name] for name in ("new", "duplicate", "not_known", "quarantined")
    ):
        broken.append(f"messages: {dict(messages)}")
    parts = values["accepted"] + values["too_late"] + values["bad"] + values["refused"]
    if values["values"] != parts or values["late_merged"] > values["accepted"]:
        broken.append(f"values: {dict(values)}")
    return broken


def judge_devices(findings: Findings, gateway: Gateway) -> None:
    """Check the sums of every device."""
    for device in gateway.ask(do="devices"):
        for sentence in broken_identities(device["counters"], device["counters"]):
            findings.forbid("identity broken", f"{device['device']}: {sentence}")


def judge_alerts(findings: Findings, rows: Sequence[Mapping[str, Any]]) -> None:
    """Check that no alert takes a step twice under one id, or begins before the previous one has ended.

    A notice that comes again, or later than what it tells, is no step.
    """
    rows = [row for row in rows if row["event"] not in NO_CHANGE]
    ids = {row["id"] for row in rows}
    findings.alerts += len(ids)
    steps = Counter((row["id"], row["event"], row["level"], row["at"]) for row in rows)
    ends = Counter(row["id"] for row in rows if row["state"] == "resolved")
    for step, times in [*steps.items(), *ends.items()]:
        if times > 1:
            findings.alerts_repeated += 1
            findings.show(f"alert step {times} times: {step}")
    _judge_lives(findings, rows)


def _judge_lives(findings: Findings, rows: Sequence[Mapping[str, Any]]) -> None:
    living: dict[tuple[str, str], str] = {}
    for row in rows:
        key = (row["rule"], row["subject"])
        if row["state"] == "firing" and living.setdefault(key, row["id"]) != row["id"]:
            findings.alerts_repeated += 1
            findings.show(f"a second alert while one is firing: {dict(row)}")
        elif row["state"] == "resolved" and living.pop(key, None) != row["id"]:
            findings.alerts_lost += 1
            findings.show(f"resolved without firing: {dict(row)}")


def judge_hot(findings: Findings, rows: Sequence[Mapping[str, Any]], ledger: Ledger) -> None:
    """Check that `Hot` fired for each device as often as its acknowledged readings demand."""
    found = Counter(
        row["subject"] for row in {row["id"]: row for row in rows if row["rule"] == "Hot"}.values()
    )
    least, most = expected_hot(ledger)
    for device in sorted(found.keys() | most.keys()):
        missing = max(0, least[device] - found[device])
        repeated = max(0, found[device] - most[device])
        findings.alerts_lost += missing
        findings.alerts_repeated += repeated
        if missing or repeated:
            findings.show(
                f"{device}: {least[device]} to {most[device]} alerts by its readings, {found[device]} stored"
            )


def expected_hot(ledger: Ledger) -> tuple[Counter[str], Counter[str]]:
    """Count how often `Hot` must, and how often it may fire for each device.

    A device that was away sends live readings first and its buffer afterwards, and no rule goes back in time. So what
    was acknowledged and sent once, when it was made, must have been judged; what was sent later or again, or not
    acknowledged, may have been. In a sequence of which some readings are left out no rule fires more often.
    """
    readings = readouts(ledger, "heat", Policy())
    sends = ledger.tables["sends"]
    later = set(zip(sends["device"].tolist(), sends["boot"].tolist(), sends["seq"].tolist(), strict=True))
    messages = zip(readings.device.tolist(), readings.boot.tolist(), readings.seq.tolist(), strict=True)
    live = readings.sure & (readings.sent > 0) & [message not in later for message in messages]
    return _times_hot(ledger, readings.rows(live)), _times_hot(ledger, readings)


def _times_hot(ledger: Ledger, readings: Readouts) -> Counter[str]:
    times: Counter[str] = Counter()
    firing: set[str] = set()
    for number, value in zip(readings.device.tolist(), readings.value.tolist(), strict=True):
        device = ledger.devices[number].id
        if value > WARM and device not in firing:
            firing.add(device)
            times[device] += 1
        elif value < COOL:
            firing.discard(device)
    return times


def judge_commands(findings: Findings, rows: Sequence[Mapping[str, Any]], ledger: Ledger) -> None:
    """Check that devices executed nothing twice, and that no two commands of a device share a number."""
    found = grade_commands(ledger)
    findings.commands += found.executed
    findings.executed_twice += found.executed_twice
    numbered = {(row["device"], row["n"], row["id"]) for row in rows if row["n"] is not None}
    for number, ids in Counter((device, n) for device, n, _ in numbered).items():
        if ids > 1:
            findings.forbid("two commands of one number", f"{number}")


def judge_log(findings: Findings, gateway: Gateway) -> None:
    """Check that the gateway's log holds no traceback."""
    words = gateway.log.read_text(errors="replace") if gateway.log.exists() else ""
    tracebacks = words.count("Traceback (most recent call last)")
    if tracebacks:
        findings.tracebacks += tracebacks
        findings.show(words[words.index("Traceback (most") :][:2000])


def judge_all(
    findings: Findings,
    gateway: Gateway,
    ledger: Ledger,
    report: Mapping[str, Any],
    influx: InfluxPlace | None = None,
) -> None:
    """Compare everything that does not depend on the fault."""
    judge_identities(findings, report)
    judge_devices(findings, gateway)
    judge_history(findings, gateway, ledger, report)
    if influx is not None:
        judge_influx(findings, influx, ledger, report)
    alerts = gateway.query("alerts")
    judge_alerts(findings, alerts)
    judge_hot(findings, alerts, ledger)
    judge_commands(findings, gateway.query("commands"), ledger)
    judge_log(findings, gateway)
