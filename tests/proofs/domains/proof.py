"""Fleets of each shipped profile under its shipped rules: each fault must raise its alert, and nothing else may.

    profile + faults of `<domain>.yaml` ── simulated hours in a minute ── broker ── gateway with rules/<domain>.yaml
                                                                                        │
    ledger: faults, excursions, doors ──────────────── grade ──────────────── alerts of the history

Broken: nothing but the devices. The runs begin at one moment of a summer, so that all are alike. Simulated time passes
faster than the gateway waits, so the silence of devices is not judged here; the rules' own tests do that.

Failures: a fault whose alert did not come, at its level and in time; an alert that neither a fault nor an excursion
explains; a rule that nothing here must raise.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import groupby, islice
from pathlib import Path
from typing import Any

import yaml

from fleet_config.durations import parse_duration
from fleet_config.yaml_source import parse_yaml
from fleet_sim.devices.endpoint import Endpoint
from fleet_sim.judging.grade import Alert, grade
from fleet_sim.ledger.reading import Ledger, read_ledger
from fleet_sim.runtime.deployment import RunOptions
from fleet_sim.runtime.fleet import FleetRun
from fleet_sim.scenario.loading import read_scenario
from tests.proofs.ground.field import wait_settled
from tests.proofs.ground.judging import judge_log
from tests.proofs.proof import Findings, Proof, Setting
from tests.servers.broker import Broker
from tests.servers.gateway import Gateway

HERE = Path(__file__).parent
ROOT = HERE.parents[2]
START = 1_781_049_600_000
"""A day in June, ms since 1970."""
KEEP = "3650d"
SETTLE = 60.0


def run(setting: Setting) -> None:
    """Grade so many domains, all of them in turn, or some of them drawn."""
    domains = sorted(path.stem for path in HERE.glob("*.yaml"))
    chosen = setting.rng.sample(domains, setting.count) if setting.count < len(domains) else domains
    for domain in chosen:
        _grade(setting, domain)
        setting.findings.runs += 1
        setting.say(f"{domain}: {setting.findings.alerts} alerts, {setting.findings.alerts_lost} missed")


def _grade(setting: Setting, domain: str) -> None:
    course = yaml.safe_load((HERE / f"{domain}.yaml").read_text())
    profile = yaml.safe_load((ROOT / "fleet_sim" / "profiles" / f"{domain}.yaml").read_text())
    rules = (ROOT / "rules" / f"{domain}.yaml").read_text()
    broker = setting.broker()
    gateway = _gateway(setting, broker, domain, profile, course)
    gateway.write_rules(rules)
    gateway.start()
    ledger = _run_fleet(setting, broker, scenario_of(profile, course), course)
    wait_settled(gateway, ledger)
    alerts = gateway.query("alerts")
    judge(setting.findings, ledger, alerts, course, yaml.safe_load(rules))
    judge_log(setting.findings, gateway)
    gateway.kill()
    broker.kill()


def scenario_of(profile: Mapping[str, Any], course: Mapping[str, Any]) -> str:
    """Return the text of a profile's scenario with the faults of a course in place of its own."""
    own: dict[str, Any] = {key: value for key, value in profile.items() if key not in {"broker", "expect"}}
    changes = {"count": course["devices"]} | ({"interval": course["every"]} if "every" in course else {})
    own["fleet"] = {name: group | changes for name, group in profile["fleet"].items()}
    own["phases"] = [{"name": "steady", "for": f"{course['hours']}h"}]
    own["faults"] = course["faults"]
    return yaml.safe_dump(own, allow_unicode=True)


def _gateway(
    setting: Setting, broker: Broker, domain: str, profile: Mapping[str, Any], course: Mapping[str, Any]
) -> Gateway:
    named = [group["site"] for group in profile["fleet"].values()]
    sites = {site for each in named for site in ([each] if isinstance(each, str) else each)}
    return setting.gateway(
        broker,
        f"gw-{domain}",
        gateway={"id": f"gw-{domain}", "sites": sorted(sites)},
        windows=[{"every": "1m", "bucket": "b", "keep": KEEP}],
        history={"keep": KEEP},
        metrics=course.get("metrics", {}),
    )


def _run_fleet(setting: Setting, broker: Broker, text: str, course: Mapping[str, Any]) -> Ledger:
    scenario = read_scenario(parse_yaml(text, "domain.yaml"), overrides=(), env={})
    place = setting.place("run")
    endpoint = Endpoint(broker.host, broker.port)
    options = RunOptions(endpoint, place, start_ms=START, speed=float(course["speed"]), settle=SETTLE)
    asyncio.run(FleetRun(scenario, options).run())
    return read_ledger(place)


# --- the judgement


def judge(
    findings: Findings,
    ledger: Ledger,
    rows: Sequence[Mapping[str, Any]],
    course: Mapping[str, Any],
    rules: Mapping[str, Any],
) -> None:
    """Judge the alerts of a run; `rules` is its rule file as plain data."""
    door = course.get("door")
    found = grade(ledger, [alert_of(row) for row in rows])
    findings.alerts += len({row["id"] for row in rows if row["state"] == "firing"})
    findings.faults.update(fault["kind"] for fault in ledger.of_kind("fault"))
    findings.alerts_lost += found.missed
    findings.alerts_repeated += found.repeated
    if found.false:
        findings.forbid("false alarm", f"{found.false} of them", found.false)
    for example in found.examples:
        findings.show(example)
    if door is not None:
        _judge_doors(findings, ledger, rows, door)
    judged = {*found.rules, *([door["rule"]] if door else ())}
    for name in rules_with_values(rules) - judged:
        findings.forbid("rule not judged", f"no fault must raise {name}")


def alert_of(row: Mapping[str, Any]) -> Alert:
    moment = (row["subject"], row["at"], row["event"])
    return Alert(row["id"], row["rule"], row["level"], row["state"], *moment, row.get("metric"))


def rules_with_values(rules: Mapping[str, Any]) -> set[str]:
    """Return the alerts of a rule file that look at values, not only at silence."""
    each = (rule for group in rules["groups"] for rule in group["rules"])
    return {rule["alert"] for rule in each if "alert" in rule and "expr" in rule}


def _judge_doors(
    findings: Findings, ledger: Ledger, rows: Sequence[Mapping[str, Any]], door: Mapping[str, Any]
) -> None:
    fired = {
        row["id"]: row["subject"] for row in rows if (row["rule"], row["state"]) == (door["rule"], "firing")
    }
    found = Counter(fired.values())
    least, most = expected_open(ledger, door)
    for device in sorted({*found, *most}):
        findings.alerts_lost += max(0, least[device] - found[device])
        if found[device] > most[device]:
            findings.forbid(
                "false alarm", f"{door['rule']} on {device}: {found[device]} times, not {most[device]}"
            )
        elif found[device] < least[device]:
            findings.show(f"missed: {door['rule']} on {device}: {found[device]} times, not {least[device]}")


@dataclass(frozen=True, slots=True)
class Span:
    """Readings of one state in a row: the times of the first and last, and of the next one of another state, in ms."""

    first: int
    last: int
    next: int


def expected_open(ledger: Ledger, door: Mapping[str, Any]) -> tuple[Counter[str], Counter[str]]:
    """Count how often each device's readings must raise an alert of a state that lasts, and how often they may.

    It must if readings say so to the end of the time; it may if the state lasted until another one was read.
    """
    limit = parse_duration(door["for"])
    least, most = Counter[str](), Counter[str]()
    for device, span in _spans(ledger, door["metric"], door["state"]):
        least[device] += span.last - span.first >= limit
        most[device] += span.next - span.first >= limit
    return least, +most


def _spans(ledger: Ledger, metric: str, state: str) -> Iterator[tuple[str, Span]]:
    for group in ledger.groups:
        if metric not in group.texts:
            continue
        codes = group.states[group.texts.index(metric)].tolist()
        table = group.table
        readings = sorted(zip(table["device"].tolist(), table["ts"].tolist(), codes, strict=True))
        for device, own in groupby(readings, key=lambda reading: reading[0]):
            runs = [
                (ledger.strings[code], [ts for _, ts, _ in each])
                for code, each in groupby(own, key=lambda reading: reading[2])
            ]
            for place, (word, times) in enumerate(runs):
                after = next((times[0] for _, times in islice(runs, place + 1, None)), times[-1])
                if word == state:
                    yield ledger.devices[device].id, Span(times[0], times[-1], after)


PROOF = Proof(
    "domains", "faults of every kind that the shipped rules are for", "domains", full=5, quick=1, run=run
)
