"""InfluxDB is killed, frozen and restarted under load, and gives every answer a write can get.

    fleet ─▶ gateway "answered" ─▶ proxy: one chosen answer after another ─┐
                                                                           ├─▶ InfluxDB, killed, frozen, restarted
    fleet ─▶ gateway "refused" ──▶ proxy: some lines are damaged on the way┘   which refuses what is bad

Broken: the server, `count` times; for the gateway "answered" also each answer, a fifth as often, and writes that the
server gets after their retry, when a late reading has corrected a point of them. For the gateway "refused" damaged
lines (400), states where another type was stored first (422), and points older than the bucket's retention (422).

Compared with the fleets' ledgers: every window in InfluxDB and in the history, alerts, commands, counters. For
"refused", what is stored and what is in quarantine together must be what was sent.

Failures: anything lost, double or wrong; a good line in quarantine, or a line twice; points out of order, unless they
are corrections; what a point said before its correction; two requests in flight; Retry-After not kept, waits over 30 s
or without jitter; no PUBACKs while the server is frozen.
"""

from __future__ import annotations

import re
import sqlite3
import time
from collections import Counter
from collections.abc import Iterable, Sequence
from contextlib import closing
from dataclasses import dataclass
from typing import Any

from edge_gateway.journal.spool import STORE
from fleet_sim.cli.judging import influx_of_run
from fleet_sim.judging.stored import InfluxPlace, WindowKey
from fleet_sim.judging.terms import gateway_terms
from fleet_sim.judging.verify import compare
from fleet_sim.ledger.expected import Facts
from tests.proofs.ground.field import RULES, Fleet, forwarded, scenario_text, wait_settled
from tests.proofs.ground.http_proxy import ANSWERS, LONGEST_WAIT, SLACK, HttpProxy, chosen_answer
from tests.proofs.ground.judging import (
    judge_all,
    judge_commands,
    judge_devices,
    judge_history,
    judge_identities,
    judge_log,
    take_comparison,
)
from tests.proofs.ground.sabotaged import Sabotage
from tests.proofs.ground.sections import FAST_COMMANDS, tiers
from tests.proofs.ground.write_order import devices_sending_late
from tests.proofs.proof import Findings, Proof, Setting, Unavailable
from tests.servers.broker import Broker
from tests.servers.gateway import Gateway
from tests.servers.influx import Influx
from tests.servers.process import wait_until

ROUND = 25
PER_ANSWER = 5
"""Kills for each time every answer is given once."""
SAMPLE = 5
DEVICES = 40
EVERY = ("2s", "4s", "12s")
TIMEOUT = 3.0
"""Seconds the gateway waits for an answer."""
FROZEN = (2.5, 5.0)
PATIENCE = 120.0
MACHINE_LAG = 5.0
"""Seconds by which a busy machine may be late."""
NS = 1_000_000  # a millisecond, as lines have it
HOUR, WEEK = 3_600_000, 7 * 24 * 3_600_000
DAMAGED = re.compile(rb"-site-00[0-9]3,.*metric=heat,")
OLD_DEVICE = "-site-0005"
OLD_FAULT = """\
faults:
- {kind: clock_skew, match: {device: "SITE-0005"}, offset: -2h}
"""
LATE_FAULT = """\
faults:
- {kind: late_batch, match: {share: 50%}, hold: 6s}
"""
LATE_WRITES = 15
"""One after the other, so that some have points of devices that send late: their windows are corrected."""
HURRIED = Sabotage(
    constants=(
        ("edge_gateway.store.corrections:REPEAT_AFTER", 8_000),
        ("edge_gateway.service.maintenance:TRIM_EVERY", 1),
    )
)
"""Send corrected points again after seconds instead of minutes; late writes come sooner than that."""
DISRUPTIONS = ("kill", "freeze", "restart")


@dataclass(slots=True)
class Pipeline:
    """One gateway with its fleet, the proxy in front of InfluxDB, and its buckets."""

    gateway: Gateway
    fleet: Fleet
    proxy: HttpProxy
    buckets: Sequence[str]


def run(setting: Setting) -> None:
    """Disrupt the server `count` times, in rounds of fresh gateways, fleets and buckets."""
    influx = setting.influx()
    if influx.runner is None:
        raise Unavailable("the server at INFLUX_URL was not started here, so it is not killed")
    broker = setting.broker()
    for disruptions in setting.rounds(ROUND):
        _round(setting, broker, influx, disruptions)


def _round(setting: Setting, broker: Broker, influx: Influx, disruptions: int) -> None:
    with HttpProxy(influx.url) as plain, HttpProxy(influx.url, damage=damaged) as damaging:
        answered = _pipeline(setting, broker, influx, plain, "answered")
        refused = _pipeline(setting, broker, influx, damaging, "refused")
        _write_conflicting_types(influx, refused.buckets)
        _start_both(answered.gateway, refused.gateway)
        with answered.fleet, refused.fleet:
            _give_answers(setting, answered, max(1, disruptions // PER_ANSWER))
            for how in _disruptions(setting, disruptions):
                _disrupt(setting, influx, (answered, refused), how)
        place = InfluxPlace(influx.url, influx.org, influx.token)
        _judge_answered(setting.findings, answered, place)
        _judge_refused(setting.findings, refused, place)
        for pipeline in (answered, refused):
            _judge_order(setting.findings, pipeline)
            pipeline.gateway.kill()


def _start_both(*gateways: Gateway) -> None:
    """Subscribe before a fleet sends: a broker delivers nothing for a session it does not know yet."""
    for gateway in gateways:
        gateway.start(ready=False, sabotage=HURRIED)
    for gateway in gateways:
        gateway.wait_for(lambda report: report["broker"]["connected"], within=PATIENCE)


def _pipeline(setting: Setting, broker: Broker, influx: Influx, proxy: HttpProxy, kind: str) -> Pipeline:
    """Build a gateway with its fleet; the base bucket of "refused" keeps one hour, and one of its devices is older."""
    name = f"gw-{kind}-{setting.findings.runs}"
    keeps = (3600 if kind == "refused" else 0, 0, 0)
    buckets = [influx.fresh_bucket(retention_s=seconds, shard_s=seconds) for seconds in keeps]
    gateway = setting.gateway(
        broker,
        name,
        windows=tiers(EVERY, buckets),
        influx={**setting.forwarding(influx, proxy.url), "timeout": f"{TIMEOUT:g}s"},
        commands=FAST_COMMANDS,
        time={"allowed_lateness": "3s", "idle_close": "4s"},
    )
    gateway.write_rules(RULES)
    faults = OLD_FAULT.replace("SITE", f"{name}-site") if kind == "refused" else LATE_FAULT
    text = scenario_text(
        f"{name}-site",
        devices=DEVICES,
        every="500ms",
        seed=setting.rng.randrange(1 << 31),
        faults=faults,
    )
    return Pipeline(gateway, Fleet(broker, setting.place("run"), text), proxy, buckets)


# --- what the server must refuse


def damaged(line: bytes) -> bytes:
    """Return the line as it reaches the server: for some series without the value of its first field."""
    return line.replace(b" count=", b" count", 1) if DAMAGED.search(line) else line


def _write_conflicting_types(influx: Influx, buckets: Sequence[str]) -> None:
    """Make the field `last` of states a number in all shards of the run, except in the coarsest bucket."""
    now = time.time_ns() // 1_000_000
    for bucket, times in ((buckets[0], (now, now + HOUR)), (buckets[1], (now - 2 * HOUR, now, now + WEEK))):
        for at in times:
            influx.write(bucket, f"sensor_state,device=spoiler,metric=door,site=spoiler last=1.5 {at}")


# --- what happens


def _give_answers(setting: Setting, pipeline: Pipeline, times: int) -> None:
    """Give each answer `times` times in a random order, mostly with a success between two."""
    names = list(ANSWERS) * times
    setting.rng.shuffle(names)
    for name in names[:SAMPLE] if setting.quick else names:
        pipeline.proxy.answer_next(chosen_answer(name, setting.rng))
        if setting.rng.random() < 0.8:
            wait_until(
                lambda: not pipeline.proxy.answers_left and _forwards(pipeline),
                PATIENCE,
                f"writes succeed after {name}",
            )
    wait_until(
        lambda: not pipeline.proxy.answers_left and _forwards(pipeline),
        PATIENCE,
        "writes succeed after all answers",
    )
    for _ in range(LATE_WRITES):
        pipeline.proxy.answer_next(chosen_answer("late", setting.rng))
        wait_until(
            lambda: not pipeline.proxy.answers_left and _forwards(pipeline),
            PATIENCE,
            "writes succeed after one that comes late",
        )
    wait_until(lambda: not pipeline.proxy.late_left, PATIENCE, "late writes have come")
    setting.findings.faults.update(pipeline.proxy.used)


def _forwards(pipeline: Pipeline) -> bool:
    """Whether the gateway has had a success since its last failure."""
    try:
        return not pipeline.gateway.ask(do="status")["sinks"]["influx"]["problem"]
    except (OSError, TimeoutError):
        return False


def _disruptions(setting: Setting, count: int) -> list[str]:
    """Return `count` disruptions, equally many of each, in a random order."""
    first = setting.rng.randrange(len(DISRUPTIONS))
    disruptions = [DISRUPTIONS[(first + number) % len(DISRUPTIONS)] for number in range(count)]
    setting.rng.shuffle(disruptions)
    return disruptions


def _disrupt(setting: Setting, influx: Influx, pipelines: Sequence[Pipeline], how: str) -> None:
    time.sleep(setting.rng.expovariate(1 / 0.5))
    setting.findings.faults[how] += 1
    if how == "kill":
        influx.kill()
        time.sleep(setting.rng.uniform(0, 2))
        influx.start()
    elif how == "restart":
        influx.restart()
    else:
        _freeze(setting, influx, pipelines)
    began = time.monotonic()
    wait_until(lambda: all(map(_forwards, pipelines)), PATIENCE, f"both write again after a {how}")
    setting.findings.recoveries.append(time.monotonic() - began)


def _freeze(setting: Setting, influx: Influx, pipelines: Sequence[Pipeline]) -> None:
    """Freeze the server for a while, and check that devices still get their PUBACKs."""
    before = [_acknowledged(pipeline) for pipeline in pipelines]
    with influx.paused():
        time.sleep(setting.rng.uniform(*FROZEN))
        after = [_acknowledged(pipeline) for pipeline in pipelines]
    for pipeline, earlier, later in zip(pipelines, before, after, strict=True):
        if later <= earlier:
            setting.findings.forbid(
                "acknowledging stopped", f"{pipeline.gateway.directory.name}: at {earlier}"
            )


def _acknowledged(pipeline: Pipeline) -> int:
    return 0 if pipeline.fleet.seen is None else pipeline.fleet.seen.acked


# --- the judgement


def _judge_answered(findings: Findings, pipeline: Pipeline, place: InfluxPlace) -> None:
    _drained(pipeline)
    wait_until(lambda: not _corrections(pipeline.gateway), PATIENCE, "no corrected point is in doubt")
    report = pipeline.gateway.wait_for(forwarded, within=PATIENCE)
    findings.faults["corrected point sent again"] += report["counters"].get("corrections_repeated", 0)
    judge_all(findings, pipeline.gateway, pipeline.fleet.ledger, report, place)
    for row in _refused_lines(pipeline):
        findings.forbid("good line in quarantine", f"{row['reason']}: {row['text']}")
    judge_waits(findings, pipeline.proxy)


def _drained(pipeline: Pipeline) -> dict[str, Any]:
    wait_settled(pipeline.gateway, pipeline.fleet.ledger)
    return pipeline.gateway.wait_for(forwarded, within=PATIENCE)


def _corrections(gateway: Gateway) -> int:
    """Return how many corrected points may have been overwritten by late writes."""
    with closing(sqlite3.connect(f"file:{gateway.spool / STORE}?mode=ro", uri=True)) as db:
        count: int = db.execute("SELECT COUNT(*) FROM corrected").fetchone()[0]
    return count


def _refused_lines(pipeline: Pipeline) -> list[dict[str, Any]]:
    return [row for row in pipeline.gateway.query("quarantine") if row["topic"].startswith("influx/")]


def _judge_refused(findings: Findings, pipeline: Pipeline, place: InfluxPlace) -> None:
    """Check that stored and quarantined windows together are those of the ledger, and that none is in both."""
    report, ledger = _drained(pipeline), pipeline.fleet.ledger
    judge_identities(findings, report)
    judge_devices(findings, pipeline.gateway)
    judge_history(findings, pipeline.gateway, ledger, report)
    judge_commands(findings, pipeline.gateway.query("commands"), ledger)
    judge_log(findings, pipeline.gateway)
    refused = _refused_lines(pipeline)
    for status in ("400", "422"):
        findings.faults[f"{status} by the server"] += pipeline.proxy.server_statuses[int(status)]
    terms = gateway_terms(report)
    stored = influx_of_run(ledger, terms, place)
    every = {tier.bucket: tier.every_ms for tier in terms.tiers}
    quarantined = quarantined_windows(refused, every)
    for key in stored.keys() & quarantined.keys():
        findings.forbid("stored and refused", f"{key}")
    take_comparison(findings, compare(ledger, terms, {**stored, **quarantined}, "InfluxDB and quarantine"))
    judge_quarantine(findings, refused, pipeline.buckets)
    judge_states(findings, refused, pipeline.gateway.query("states"), pipeline.buckets, every)
    counted = report["counters"].get("influx_refused_points", 0)
    if counted != len(refused):
        findings.forbid("refusals miscounted", f"{counted} counted, {len(refused)} lines in quarantine")


def quarantined_windows(rows: Iterable[dict[str, Any]], every: dict[str, int]) -> dict[WindowKey, Facts]:
    """Return the windows of numbers among quarantined lines; `every` maps a bucket to its window length in ms."""
    found: dict[WindowKey, Facts] = {}
    for row in rows:
        head, fields, at = row["text"].strip().split(" ")
        measurement, *tags = head.split(",")
        if measurement == "sensor":
            tag = dict(pair.split("=") for pair in tags)
            value = {
                name: float(text.rstrip("i")) for name, text in (one.split("=") for one in fields.split(","))
            }
            length = every[row["topic"].removeprefix("influx/")]
            found[WindowKey(tag["device"], tag["metric"], length, int(at) // NS)] = Facts(
                int(value["count"]), *(value[name] for name in ("sum", "min", "max", "first", "last"))
            )
    return found


def judge_quarantine(findings: Findings, rows: Sequence[dict[str, Any]], buckets: Sequence[str]) -> None:
    """Check that only lines the server must refuse are in quarantine, each once."""
    for row in rows:
        bucket = row["topic"].removeprefix("influx/")
        if not must_be_refused(row["text"].encode(), buckets.index(bucket)):
            findings.forbid("good line in quarantine", f"{row['topic']}, {row['reason']}: {row['text']}")
    for line, times in Counter((row["topic"], row["text"]) for row in rows).items():
        if times > 1:
            findings.forbid("line twice in quarantine", f"{line}")


def must_be_refused(line: bytes, tier: int) -> bool:
    """Whether the server has to refuse this line of a tier's bucket."""
    old = tier == 0 and OLD_DEVICE.encode() in line
    state = tier < 2 and line.startswith(b"sensor_state,")
    return old or state or bool(DAMAGED.search(line))


def judge_states(
    findings: Findings,
    refused: Sequence[dict[str, Any]],
    states: Sequence[dict[str, Any]],
    buckets: Sequence[str],
    every: dict[str, int],
) -> None:
    """Check that all windows of states of the two finer tiers are in quarantine."""
    lines = [
        (row["topic"].removeprefix("influx/"), row["text"].strip().split(" "))
        for row in refused
        if row["text"].startswith("sensor_state,")
    ]
    quarantined = {(bucket, _tag(words[0], "device"), int(words[-1]) // NS) for bucket, words in lines}
    length = {every[bucket]: bucket for bucket in buckets[:2]}
    held = {(length[row["every"]], row["device"], row["start"]) for row in states if row["every"] in length}
    for window in sorted(held ^ quarantined):
        findings.forbid("state not in quarantine", f"{window} is {'stored' if window in held else 'unknown'}")


def _tag(head: str, name: str) -> str:
    return next(part.partition("=")[2] for part in head.split(",") if part.startswith(f"{name}="))


def _judge_order(findings: Findings, pipeline: Pipeline) -> None:
    pipeline.proxy.write_order.judge(findings, devices_sending_late(pipeline.fleet.ledger))
    if (most := pipeline.proxy.most_open) > 1:
        findings.forbid("requests at once", f"{most} were in flight")


def judge_waits(findings: Findings, proxy: HttpProxy) -> None:
    """Check that Retry-After is kept, that waits are short enough, and that they have jitter."""
    for wait in proxy.waits:
        if wait.seconds < wait.requested - SLACK:
            findings.forbid("Retry-After not kept", f"{wait.seconds:.2f} s of {wait.requested:.2f}")
        if wait.seconds > max(LONGEST_WAIT, wait.requested) + MACHINE_LAG:
            findings.forbid("waited too long", f"{wait.seconds:.1f} s after {wait.after}")
    free = {round(wait.seconds, 2) for wait in proxy.waits if not wait.requested}
    if len(free) == 1 and len(proxy.waits) > PER_ANSWER:
        findings.forbid("no jitter", f"{len(proxy.waits)} waits of {free.pop()} s")


PROOF = Proof(
    "influx",
    "InfluxDB is killed, frozen, restarted, and gives every answer to a write",
    "kills, freezes and restarts, and a fifth of that for each answer",
    full=100,
    quick=1,
    run=run,
)
