"""End to end: histories over a real broker to a gateway that is killed meanwhile, and a gateway that starts in 1970."""

from __future__ import annotations

import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import Any

from tests.proofs.ground.field import RULES, WITHIN, Fleet, scenario_text, settled, wait_settled
from tests.proofs.ground.judging import judge_devices, judge_history, judge_identities, judge_log
from tests.proofs.ground.plain_messages import START
from tests.proofs.ground.raw_client import RawClient
from tests.proofs.ground.sections import FAST_COMMANDS
from tests.proofs.order.histories import Arrival, Birth, History, Reading, Will, history
from tests.proofs.order.oracle import Device, Oracle
from tests.proofs.order.trial import ORACLE_SETTINGS, SECTIONS, stored_windows
from tests.proofs.proof import Findings, Setting, Unavailable
from tests.servers.gateway import Gateway

EVERY = (2_000, 6_000)
AGO = 600_000
"""How long ago a history begins, in ms, so that its newest times are not in the future."""
AT_ONCE = 40
TEN_YEARS_S = 315_360_000
FAULTS = """\
faults:
- {kind: duplicate, p: 5%}
- {kind: reorder, p: 5%, by: 12}
- {kind: late_batch, match: {share: 20%}, after: 1s, for: 6s, hold: 4s}
"""
RULES_OF_1970 = """\
version: 1
groups:
- name: order
  rules:
  - alert: Hot
    expr: heat
    above: 5
    severity: warning
    commands:
    - {name: cool, args: {value: 1}, on: [firing], cooldown: 0s, expires: 5m, confirm: {within: 4m, retries: 1}}
"""


def now_ms() -> int:
    return time.time_ns() // 1_000_000


def shifted(given: History, name: str, since: int) -> Iterator[Arrival]:
    """Shift a history to begin at `since`, rename its devices, and leave out what would be stamped on arrival."""
    for one in given.arrivals:
        said = one.message
        mine: dict[str, Any] = {"device": f"{name}-{said.device}", "site": f"{name}-{said.site}"}
        if isinstance(said, Will):
            yield Arrival(one.at, replace(said, **mine))
        elif isinstance(said, Birth):
            ts = None if said.ts is None else max(0, said.ts - START + since)
            yield Arrival(one.at, replace(said, ts=ts, **mine))
        elif (
            said.ts is not None
            and ORACLE_SETTINGS.earliest < said.ts < one.at + ORACLE_SETTINGS.skew - 30_000
        ):
            yield Arrival(one.at, replace(said, ts=said.ts - START + since, **mine))


def over_a_broker(setting: Setting, *, histories: int = 15) -> None:
    """Send several histories at once, and kill the gateway twice meanwhile."""
    broker, findings = setting.broker(), setting.findings
    name = f"gw-order-{findings.runs}"
    since = now_ms() - AGO
    given = [one for place in range(histories) for one in shifted(history(setting.rng), f"h{place}", since)]
    given.sort(key=lambda one: one.at)
    gateway, buckets = _gateway(setting, broker.url, name)
    gateway.start()
    oracle = Oracle(replace(ORACLE_SETTINGS, every=EVERY))
    kills = {len(given) // 3, 2 * len(given) // 3}
    with RawClient(broker.host, broker.port, "devices") as client:
        for at in range(0, len(given), AT_ONCE):
            piece = given[at : at + AT_ONCE]
            for one in piece:
                oracle.take(Arrival(now_ms(), one.message))
            client.publish_all(
                [(topic.encode(), payload) for topic, payload in (one.message.delivery() for one in piece)]
            )
            if kills & set(range(at, at + AT_ONCE)):
                gateway.kill()
                findings.faults["kill"] += 1
                gateway.start(ready=setting.rng.random() < 0.5)
    _judge(findings, gateway, oracle)
    _judge_points(setting, gateway, buckets)
    findings.runs += 1
    gateway.kill()
    broker.kill()


def _gateway(setting: Setting, url: str, name: str) -> tuple[Gateway, list[str]]:
    """Return a gateway that forwards to InfluxDB if there is one, and its buckets."""
    sections = {key: value for key, value in SECTIONS.items() if key not in {"history", "gateway"}}
    sections["gateway"] = {"id": name, "sites": ["+"], "tags": ["line"]}
    sections["windows"] = SECTIONS["windows"][: len(EVERY)]
    buckets: list[str] = []
    try:
        influx = setting.influx()
        buckets = [influx.fresh_bucket(shard_s=TEN_YEARS_S) for _ in EVERY]
        sections["windows"] = [
            {**window, "bucket": bucket} for window, bucket in zip(sections["windows"], buckets, strict=True)
        ]
        sections["influx"] = setting.forwarding(influx)
    except Unavailable as error:
        setting.findings.measured["points"] = f"not run: {error}"
    return setting.gateway(url, name, **sections), buckets


def _judge(findings: Findings, gateway: Gateway, oracle: Oracle) -> None:
    """Compare windows, counters and gaps with the oracle; the broker may have delivered some messages twice."""
    expected = oracle.all_counters()
    report = gateway.wait_for(
        lambda said: settled(said) and said["messages"]["new"] >= expected["new"], within=120
    )
    corrected = 0
    found: dict[Any, list[Any]] = {}
    for place, labels, revision, facts in stored_windows(gateway.spool):
        found.setdefault(place, []).append((labels, facts))
        corrected += bool(revision)
    findings.measured["corrected windows, end to end"] = (
        findings.measured.get("corrected windows, end to end", 0) + corrected
    )
    findings.windows += len(oracle.windows)
    findings.acknowledged += expected["accepted"]
    for place, window in oracle.windows.items():
        stored = found.pop(place, [])
        if len(stored) != 1 or not window.agrees(stored[0][1]):
            findings.wrong += 1
            findings.show(f"{place}: stored {stored}, expected {window.facts()}")
    for place, stored in found.items():
        findings.wrong += 1
        findings.show(f"{place}: stored {stored}, expected nothing")
    for name, device in oracle.devices.items():
        _judge_device(findings, gateway, name, device)
    judge_identities(findings, report)
    judge_devices(findings, gateway)
    judge_log(findings, gateway)


def _judge_device(findings: Findings, gateway: Gateway, name: str, device: Device) -> None:
    (told,) = (row for row in gateway.ask(do="devices", device=name) if row["site"] == device.site)
    for sentence in miscounted(told["counters"], device):
        findings.forbid("miscounted", f"{name}: {sentence}")
    gaps = sorted((number, *gap) for number, boot in device.boots.items() for gap in boot.ranges())
    if sorted(tuple(gap) for gap in told["gaps"]) != gaps:
        findings.forbid("wrong gaps", f"{name}: {told['gaps']}, expected {gaps}")


def miscounted(told: Mapping[str, int], device: Device) -> Iterator[str]:
    """Yield a sentence for each counter of a device that is wrong.

    When the messages reached the gateway is not known. Where a step depends on that, those before it must be counted,
    and there may be more.
    """
    for counter in ("new", "values", "bad", "stamped", "accepted", "lost_at_device"):
        if told[counter] != device.counters[counter]:
            yield f"{counter} {told[counter]}, expected {device.counters[counter]}"
    for counter in ("clock_steps", "small_clock_steps"):
        least = device.steps_at_least[counter]
        if told[counter] < least or (told[counter] > least and not device.clock.by_arrival):
            yield f"{counter} {told[counter]}, expected {least}{' or more' * device.clock.by_arrival}"


def _judge_points(setting: Setting, gateway: Gateway, buckets: list[str]) -> None:
    """Check that each stored window is one point in InfluxDB with the same count."""
    if not buckets:
        return
    gateway.wait_for(lambda said: not said["sinks"]["influx"]["waiting"]["lines"], within=120)
    points: dict[tuple[Any, ...], int] = {}
    for number, bucket in enumerate(buckets):
        rows = setting.influx().query(
            f'from(bucket: "{bucket}") |> range(start: 0) |> filter(fn: (r) => r._measurement == "sensor"'
            ' and r._field == "count") |> map(fn: (r) => ({r with ms: int(v: r._time) / 1000000})) |> group()'
        )
        for row in rows:
            key = (row["device"], row["metric"], EVERY[number], int(row["ms"]))
            if key in points:
                setting.findings.double += 1
                setting.findings.show(f"two points for {key}")
            points[key] = int(row["_value"])
    for place, _, _, facts in stored_windows(gateway.spool):
        if len(facts) > 2 and points.pop(tuple(place), None) != facts[0]:
            setting.findings.wrong += 1
            setting.findings.show(f"InfluxDB has not {facts[0]} readings for {place}")
    for key in points:
        setting.findings.forbid("point without a window", f"{key}")


# --- the simulator's disorder


def simulated(setting: Setting, *, seconds: float = 12.0) -> None:
    """Run a fleet that sends duplicates, out of order and late, and kill the gateway once meanwhile."""
    broker, findings = setting.broker(), setting.findings
    name = f"gw-twice-{findings.runs}"
    windows = SECTIONS["windows"][: len(EVERY)]
    gateway = setting.gateway(broker, name, windows=windows, time=SECTIONS["time"], commands=FAST_COMMANDS)
    gateway.write_rules(RULES)
    gateway.start()
    text = scenario_text(
        f"{name}-site", devices=60, every="500ms", seed=setting.rng.randrange(1 << 31), faults=FAULTS
    )
    fleet = Fleet(broker, setting.place("run"), text)
    with fleet:
        time.sleep(seconds / 2)
        gateway.kill()
        findings.faults["kill"] += 1
        gateway.start()
        time.sleep(seconds / 2)
        with suppress(AssertionError):  # told below
            gateway.wait_for(_in_disorder, within=WITHIN)
    report = wait_settled(gateway, fleet.ledger)
    judge_identities(findings, report)
    judge_devices(findings, gateway)
    judge_history(findings, gateway, fleet.ledger, report)
    judge_log(findings, gateway)
    findings.faults["sent twice by the fleet"] += report["messages"]["duplicate"]
    if not _in_disorder(report):
        findings.forbid("no disorder to judge", f"{report['messages']}, {report['values']}")
    gateway.kill()


def _in_disorder(report: dict[str, Any]) -> bool:
    """Whether repeats came, and readings after their window had closed: of a slow gateway it closes later."""
    return bool(report["messages"]["duplicate"] and report["values"]["late_merged"])


# --- a gateway that starts in 1970


def start_in_1970(setting: Setting) -> None:
    """Start a gateway with a pending command while the clock is not set: readings without a time must wait."""
    broker, findings = setting.broker(), setting.findings
    gateway = setting.gateway(
        broker, "gw-1970", gateway={"id": "gw-1970", "sites": ["past"], "tags": ["line"]}
    )
    gateway.write_rules(RULES_OF_1970)
    gateway.start()
    flag = setting.directory / "in-1970"
    with RawClient(broker.host, broker.port, "devices") as client:
        _send(client, "kept", 0, now_ms(), 9.0)
        gateway.wait_for(lambda said: said["commands"]["pending"] == 1)
        gateway.kill()
        flag.touch()
        gateway.start(under=[sys.executable, "-m", "tests.proofs.ground.far_past", str(flag)])
        own = [("kept", 1, now_ms()), ("ahead", 0, now_ms() + 900_000)]
        for device, seq, ts in own:
            _send(client, device, seq, ts, 1.0)
        for seq in range(5):
            _send(client, "stampless", seq, None, 2.0)
        _judge_past(findings, gateway)
        flag.unlink()
        findings.faults["start in 1970"] += 1
    _judge_present(findings, gateway, Path(gateway.spool))
    gateway.kill()


def _send(client: RawClient, device: str, seq: int, ts: int | None, heat: float) -> None:
    topic, payload = Reading(device, "past", 1, seq, ts, {"heat": heat}).delivery()
    client.publish(topic.encode(), payload)


def _judge_past(findings: Findings, gateway: Gateway) -> None:
    report = gateway.wait_for(
        lambda said: said["messages"]["new"] == 3 and said["broker"]["unacknowledged"], within=60
    )
    if "clock" not in {problem["code"] for problem in report["problems"]}:
        findings.forbid("problem `clock` not reported", f"{report['problems']}")
    if report["store"]["floor"] > ORACLE_SETTINGS.earliest:
        findings.forbid("retention was decided without the time", f"{report['store']}")
    states = {row["state"] for row in gateway.query("commands")}
    if states != {"expired_unknown"}:
        findings.forbid("a command of an earlier start", f"{states}")


def _judge_present(findings: Findings, gateway: Gateway, spool: Path) -> None:
    """Check that readings that waited have the right time once the clock is set, and that none is in 1970."""
    right = now_ms()
    report = gateway.wait_for(lambda said: said["messages"]["new"] == 8 and settled(said), within=90)
    judge_identities(findings, report)
    judge_devices(findings, gateway)
    judge_log(findings, gateway)
    counts: dict[str, int] = {}
    for place, _, _, facts in stored_windows(spool):
        if place.start < right - 120_000:
            findings.forbid("window of a time that never was", f"{place}")
        if place.device == "ahead" and place.start < right + 600_000:
            findings.forbid("a skew was judged without the time", f"{place}")
        if place.every == 2_000:
            counts[place.device] = counts.get(place.device, 0) + facts[0]
    if counts != {"kept": 2, "ahead": 1, "stampless": 5}:
        findings.forbid("readings of 1970", f"{counts}")
