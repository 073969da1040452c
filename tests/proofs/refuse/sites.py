"""A site is taken from one gateway and given to another: every reading counts at one of them, and only one commands.

What the broker had queued for the first one, and what its old subscription still brings, is in the quarantine of the
first as `foreign_site`, where an operator can export it.
"""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Iterable, Mapping
from typing import Any, NamedTuple

import msgpack

from fleet_sim.judging.grade import send_times
from fleet_sim.judging.stored import window_rows
from fleet_sim.judging.terms import gateway_terms
from fleet_sim.judging.verify import compare
from fleet_sim.ledger.expected import Policy, readouts
from fleet_sim.ledger.reading import Ledger
from tests.proofs.ground.field import settled
from tests.proofs.ground.judging import judge_identities, judge_log, take_comparison
from tests.proofs.proof import Setting
from tests.proofs.refuse.trial import (
    WITHIN,
    honest_fleet,
    make_gateway,
    must_report,
    wait_accepted,
)
from tests.servers.gateway import Gateway

FOREIGN = "foreign_site"
METRICS = ("heat", "level")


class WindowId(NamedTuple):
    """The identity of a base window; `start` in ms."""

    device: str
    metric: str
    start: int


def run(setting: Setting, name: str) -> None:
    """Move a site while both its devices and those of another send."""
    broker = setting.broker()
    stays, moves = f"{name}-stays", f"{name}-moves"
    first = make_gateway(setting, broker, name, gateway={"id": f"{name}-1", "sites": [stays, moves]})
    second = make_gateway(setting, broker, name, gateway={"id": f"{name}-2", "sites": [moves]})
    first.start()
    end = setting.rng.choice([first.kill, first.stop])
    with (
        honest_fleet(setting, broker, stays) as staying,
        honest_fleet(setting, broker, moves) as moving,
    ):
        wait_accepted(first)
        end()
        moved_at = time.time_ns() // 1_000_000
        first.reconfigure(gateway={"id": f"{name}-1", "sites": [stays]})
        first.start()
        second.start()
        must_report(setting, first, "a site taken away", FOREIGN, moves)
        wait_accepted(first)
        wait_accepted(second)
    for gateway in (first, second):
        judge_identities(setting.findings, gateway.wait_for(settled, within=WITHIN))
    _judge_staying(setting, first, staying.ledger, stays)
    _judge_moving(setting, first, second, moving.ledger)
    _judge_commands(setting, first, second, moving.ledger, moved_at)
    for gateway in (first, second):
        judge_log(setting.findings, gateway)
        gateway.kill()
    setting.findings.faults["site taken away"] += 1


def _judge_staying(setting: Setting, gateway: Gateway, ledger: Ledger, site: str) -> None:
    rows = [row for row in gateway.query("windows") if row["device"].startswith(site)]
    terms = gateway_terms(gateway.ask(do="status"))
    take_comparison(setting.findings, compare(ledger, terms, window_rows(rows), "history of what stays"))


def _judge_moving(setting: Setting, first: Gateway, second: Gateway, ledger: Ledger) -> None:
    every = int(first.ask(do="status")["windows"][0]["every"])
    findings = setting.findings
    quarantined_counts = quarantined(first.query("quarantine"), every)
    windows = [
        row for gateway in (first, second) for row in gateway.query("windows") if row["every"] == every
    ]
    held: Counter[WindowId] = Counter()
    for row in windows:
        held[WindowId(row["device"], row["metric"], row["start"])] += row["count"]
    for place, count in expected_counts(ledger, every).items():
        findings.windows += 1
        findings.acknowledged += count
        if held[place] > count:
            findings.double += held[place] - count
            findings.show(f"{place}: {count} sent, {held[place]} counted by both together")
        elif held[place] + quarantined_counts[place] < count:
            findings.lost += count - held[place] - quarantined_counts[place]
            findings.show(
                f"{place}: {count} sent, {held[place]} counted, {quarantined_counts[place]} in quarantine"
            )


def _judge_commands(setting: Setting, first: Gateway, second: Gateway, ledger: Ledger, moved_at: int) -> None:
    """Check that every command is of one of the two, and those for readings after the move of the second."""
    mine, other = ({row["id"] for row in gateway.query("commands")} for gateway in (first, second))
    arrivals = [row for row in ledger.of_kind("command") if row.get("boot") is not None]
    causes = send_times(ledger, [(row["device"], row["boot"], row["seq"]) for row in arrivals])
    for row, caused_at in zip(arrivals, causes, strict=True):
        setting.findings.commands += 1
        if row["id"] not in mine | other:
            setting.findings.forbid("command of neither gateway", f"{row}")
        if row["id"] in mine and caused_at is not None and caused_at // 1000 > moved_at:
            setting.findings.forbid("command of the old gateway after the move", f"{row}")


def expected_counts(ledger: Ledger, every: int) -> Counter[WindowId]:
    """Count the acknowledged readings of each base window of numbers."""
    found: Counter[WindowId] = Counter()
    for metric in METRICS:
        readings = readouts(ledger, metric, Policy())
        columns = (readings.device.tolist(), readings.ts.tolist(), readings.sure.tolist())
        for device, at, sure in zip(*columns, strict=True):
            if sure:
                found[WindowId(ledger.devices[device].id, metric, at // every * every)] += 1
    return found


def quarantined(rows: Iterable[Mapping[str, Any]], every: int) -> Counter[WindowId]:
    """Count the readings of each base window in the quarantine, decoded by another msgpack library."""
    found: Counter[WindowId] = Counter()
    seen: set[bytes] = set()
    for row in rows:
        raw = bytes.fromhex(row["payload"])
        parts = row["topic"].split("/")
        if FOREIGN not in row["reason"] or parts[-1] != "telemetry" or raw in seen:
            continue
        seen.add(raw)
        message = msgpack.unpackb(raw)
        samples = [(message["ts"], message["m"])]
        samples += [(message["ts"] + after, values) for after, values in message.get("s", ())]
        for at, values in samples:
            for metric in METRICS:
                if metric in values:
                    found[WindowId(parts[-2], metric, at // every * every)] += 1
    return found
