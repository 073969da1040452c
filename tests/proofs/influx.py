"""InfluxDB killed, frozen and restarted under load, and every answer it may give to a write.

    fleet ─▶ gateway "answered" ─▶ proxy: one chosen answer after another ─┐
                                                                           ├─▶ InfluxDB, killed, frozen, restarted
    fleet ─▶ gateway "refused" ──▶ proxy: some lines are damaged on the way┘   which refuses what it must refuse

The first gateway meets each answer a fifth as often as the server meets its end; in the end everything is stored once.
Of the second one the server refuses what is damaged (400), states where a field of another type was first (422) and
what is older than its bucket keeps (422): these lines are in quarantine, each once, and all others are stored. Points
of a series are accepted in the order of time, one request is in flight, Retry-After is kept, and no wait is longer
than 30 s. Meanwhile devices get their PUBACKs, alerts fire and commands are executed as their readings say.
"""

from __future__ import annotations

import re
import time
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from fleet_sim.cli.judging import influx_of_run
from fleet_sim.judging.stored import InfluxPlace, WindowKey
from fleet_sim.judging.verify import compare, gateway_terms
from fleet_sim.ledger.expected import Facts
from tests.proofs.ground.field import RULES, Fleet, forwarded, scenario_text, wait_settled
from tests.proofs.ground.http_proxy import LONGEST, SLACK, TWISTS, HttpProxy, twist
from tests.proofs.ground.judging import (
    judge_all,
    judge_commands,
    judge_devices,
    judge_history,
    judge_identities,
    judge_log,
    take_comparison,
)
from tests.proofs.proof import Proof, Setting, Tally, Unavailable
from tests.servers.broker import Broker
from tests.servers.gateway import Gateway
from tests.servers.influx import Influx
from tests.servers.process import wait_until

ROUND = 25
EACH = 5
"""So many kills, freezes and restarts to one of each answer."""
SAMPLE = 5
DEVICES = 40
EVERY = ("2s", "4s", "12s")
TIMEOUT = 3.0
"""Seconds the gateway waits for an answer."""
FROZEN = (2.5, 5.0)
PATIENCE = 120.0
LAG = 5.0
"""Seconds this machine may be late."""
HOUR, WEEK = 3_600_000, 7 * 24 * 3_600_000
DAMAGED = re.compile(rb"-site-00[0-9]3,.*metric=heat,")
OLD_DEVICE = "-site-0005"
OLD = """\
faults:
- {kind: clock_skew, match: {device: "SITE-0005"}, offset: -2h}
"""
ENDS = ("kill", "freeze", "restart")


@dataclass(slots=True)
class Lane:
    """A gateway at work, from its fleet to its proxy."""

    gateway: Gateway
    fleet: Fleet
    proxy: HttpProxy
    buckets: Sequence[str]


def run(setting: Setting) -> None:
    """Rounds of fresh gateways, fleets and buckets."""
    influx = setting.influx()
    if influx.runner is None:
        raise Unavailable("a server given by INFLUX_URL is not ours to kill")
    broker = setting.broker()
    left = setting.count
    while left:
        ends = min(ROUND, left)
        left -= ends
        _round(setting, broker, influx, ends)
        setting.tally.runs += 1
        told = f"{setting.tally.faults.total()} faults, {setting.tally.acknowledged:,} readings"
        setting.say(f"{told}, lost {setting.tally.lost}, double {setting.tally.double}")


def _round(setting: Setting, broker: Broker, influx: Influx, ends: int) -> None:
    with HttpProxy(influx.url) as plain, HttpProxy(influx.url, damage=damaged) as damaging:
        answered = _lane(setting, broker, influx, plain, "answered")
        refused = _lane(setting, broker, influx, damaging, "refused")
        _spoil(influx, refused.buckets)
        _start_both(answered.gateway, refused.gateway)
        with answered.fleet, refused.fleet:
            _answer(setting, answered, max(1, ends // EACH))
            for how in _ends(setting, ends):
                _end(setting, influx, (answered, refused), how)
        place = InfluxPlace(influx.url, influx.org, influx.token)
        _judge_answered(setting.tally, answered, place)
        _judge_refused(setting.tally, refused, place)
        for lane in (answered, refused):
            _judge_order(setting.tally, lane.proxy)
            lane.gateway.kill()


def _start_both(*gateways: Gateway) -> None:
    """Subscribed before a fleet sends: what a broker gets for a session it does not know yet comes late."""
    for gateway in gateways:
        gateway.start(ready=False)
    for gateway in gateways:
        gateway.wait_for(lambda report: report["broker"]["connected"], within=PATIENCE)


def _lane(setting: Setting, broker: Broker, influx: Influx, proxy: HttpProxy, kind: str) -> Lane:
    """A gateway whose base bucket keeps for an hour where there is to be something to refuse."""
    name = f"gw-{kind}-{setting.tally.runs}"
    keeps = (3600 if kind == "refused" else 0, 0, 0)
    buckets = [influx.fresh_bucket(retention_s=seconds, shard_s=seconds) for seconds in keeps]
    gateway = setting.gateway(
        broker,
        name,
        windows=[
            {"every": every, "bucket": bucket, "keep": "30d"}
            for every, bucket in zip(EVERY, buckets, strict=True)
        ],
        influx={**setting.forwarding(influx, proxy.url), "timeout": f"{TIMEOUT:g}s"},
        commands={"per_device": "600/m", "total": "1000/s"},
        time={"allowed_lateness": "3s", "idle_close": "4s"},
    )
    gateway.write_rules(RULES)
    faults = OLD.replace("SITE", f"{name}-site") if kind == "refused" else ""
    text = scenario_text(
        f"{name}-site",
        devices=DEVICES,
        every="500ms",
        seed=setting.rng.randrange(1 << 31),
        faults=faults,
    )
    return Lane(gateway, Fleet(broker, setting.place("run"), text), proxy, buckets)


# --- what the server must refuse


def damaged(line: bytes) -> bytes:
    """What comes to the server of a line: of some series without the value of its first field."""
    return line.replace(b" count=", b" count", 1) if DAMAGED.search(line) else line


def _spoil(influx: Influx, buckets: Sequence[str]) -> None:
    """In all shards of the run but the coarsest bucket's the field `last` of states is a number."""
    now = time.time_ns() // 1_000_000
    for bucket, times in ((buckets[0], (now, now + HOUR)), (buckets[1], (now - 2 * HOUR, now, now + WEEK))):
        for at in times:
            influx.write(bucket, f"sensor_state,device=spoiler,metric=door,site=spoiler last=1.5 {at}")


# --- what happens


def _answer(setting: Setting, lane: Lane, times: int) -> None:
    """Each answer so often, in a random order; mostly with a success between two."""
    names = list(TWISTS) * times
    setting.rng.shuffle(names)
    for name in names[:SAMPLE] if setting.quick else names:
        lane.proxy.twist(twist(name, setting.rng))
        if setting.rng.random() < 0.8:
            wait_until(lambda: not lane.proxy.twists_left and _at_ease(lane), PATIENCE, f"{name} is got over")
    wait_until(lambda: not lane.proxy.twists_left and _at_ease(lane), PATIENCE, "all answers are got over")
    setting.tally.faults.update(lane.proxy.used)


def _at_ease(lane: Lane) -> bool:
    """Whether it has had a success since its last failure."""
    try:
        return not lane.gateway.ask(do="status")["sinks"]["influx"]["problem"]
    except (OSError, TimeoutError):
        return False


def _ends(setting: Setting, count: int) -> list[str]:
    """As many of each, in a random order."""
    first = setting.rng.randrange(len(ENDS))
    ends = [ENDS[(first + number) % len(ENDS)] for number in range(count)]
    setting.rng.shuffle(ends)
    return ends


def _end(setting: Setting, influx: Influx, lanes: Sequence[Lane], how: str) -> None:
    time.sleep(setting.rng.expovariate(1 / 0.5))
    setting.tally.faults[how] += 1
    if how == "kill":
        influx.kill()
        time.sleep(setting.rng.uniform(0, 2))
        influx.start()
    elif how == "restart":
        influx.restart()
    else:
        _freeze(setting, influx, lanes)
    began = time.monotonic()
    wait_until(lambda: all(map(_at_ease, lanes)), PATIENCE, f"both write again after a {how}")
    setting.tally.recoveries.append(time.monotonic() - began)


def _freeze(setting: Setting, influx: Influx, lanes: Sequence[Lane]) -> None:
    """The server answers nobody; devices are answered all the same."""
    before = [_acknowledged(lane) for lane in lanes]
    with influx.paused():
        time.sleep(setting.rng.uniform(*FROZEN))
        after = [_acknowledged(lane) for lane in lanes]
    for lane, earlier, later in zip(lanes, before, after, strict=True):
        if later <= earlier:
            setting.tally.forbid("acknowledging stopped", f"{lane.gateway.directory.name}: at {earlier}")


def _acknowledged(lane: Lane) -> int:
    return 0 if lane.fleet.seen is None else lane.fleet.seen.acked


# --- the judgement


def _judge_answered(tally: Tally, lane: Lane, place: InfluxPlace) -> None:
    report = _drained(lane)
    judge_all(tally, lane.gateway, lane.fleet.ledger, report, place)
    for row in _refusals(lane):
        tally.forbid("good line in quarantine", f"{row['reason']}: {row['text']}")
    judge_waits(tally, lane.proxy)


def _drained(lane: Lane) -> dict[str, Any]:
    wait_settled(lane.gateway, lane.fleet.ledger)
    return lane.gateway.wait_for(forwarded, within=PATIENCE)


def _refusals(lane: Lane) -> list[dict[str, Any]]:
    return [row for row in lane.gateway.query("quarantine") if row["topic"].startswith("influx/")]


def _judge_refused(tally: Tally, lane: Lane, place: InfluxPlace) -> None:
    """What is stored and what is in quarantine make up what the ledger says, and nothing is in both."""
    report, ledger = _drained(lane), lane.fleet.ledger
    judge_identities(tally, report)
    judge_devices(tally, lane.gateway)
    judge_history(tally, lane.gateway, ledger, report)
    judge_commands(tally, lane.gateway.query("commands"), ledger)
    judge_log(tally, lane.gateway)
    refused = _refusals(lane)
    for status in ("400", "422"):
        tally.faults[f"{status} by the server"] += lane.proxy.answers[int(status)]
    terms = gateway_terms(report)
    stored = influx_of_run(ledger, terms, place)
    every = {tier.bucket: tier.every_ms for tier in terms.tiers}
    aside = quarantined_windows(refused, every)
    for key in stored.keys() & aside.keys():
        tally.forbid("stored and refused", f"{key}")
    take_comparison(tally, compare(ledger, terms, {**stored, **aside}, "InfluxDB and quarantine"))
    judge_quarantine(tally, refused, lane.buckets)
    judge_states(tally, refused, lane.gateway.query("states"), lane.buckets, every)
    counted = report["counters"].get("influx_refused_points", 0)
    if counted != len(refused):
        tally.forbid("refusals miscounted", f"{counted} counted, {len(refused)} lines in quarantine")


def quarantined_windows(rows: Iterable[dict[str, Any]], every: dict[str, int]) -> dict[WindowKey, Facts]:
    """The windows of numbers among lines in quarantine; `every` is a bucket's length in ms."""
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
            found[WindowKey(tag["device"], tag["metric"], length, int(at))] = Facts(
                int(value["count"]), *(value[name] for name in ("sum", "min", "max", "first", "last"))
            )
    return found


def judge_quarantine(tally: Tally, rows: Sequence[dict[str, Any]], buckets: Sequence[str]) -> None:
    """Only what had to be refused, and each line once."""
    for row in rows:
        bucket = row["topic"].removeprefix("influx/")
        if not must_be_refused(row["text"].encode(), buckets.index(bucket)):
            tally.forbid("good line in quarantine", f"{row['topic']}, {row['reason']}: {row['text']}")
    for line, times in Counter((row["topic"], row["text"]) for row in rows).items():
        if times > 1:
            tally.forbid("line twice in quarantine", f"{line}")


def must_be_refused(line: bytes, tier: int) -> bool:
    """Whether the server has to refuse this line of a tier's bucket."""
    old = tier == 0 and OLD_DEVICE.encode() in line
    state = tier < 2 and line.startswith(b"sensor_state,")
    return old or state or bool(DAMAGED.search(line))


def judge_states(
    tally: Tally,
    refused: Sequence[dict[str, Any]],
    states: Sequence[dict[str, Any]],
    buckets: Sequence[str],
    every: dict[str, int],
) -> None:
    """The finer tiers' windows of states are in quarantine, all of them."""
    lines = [
        (row["topic"].removeprefix("influx/"), row["text"].strip().split(" "))
        for row in refused
        if row["text"].startswith("sensor_state,")
    ]
    aside = {(bucket, _tag(words[0], "device"), int(words[-1])) for bucket, words in lines}
    length = {every[bucket]: bucket for bucket in buckets[:2]}
    held = {(length[row["every"]], row["device"], row["start"]) for row in states if row["every"] in length}
    for window in sorted(held ^ aside):
        tally.forbid("state not in quarantine", f"{window} is {'stored' if window in held else 'unknown'}")


def _tag(head: str, name: str) -> str:
    return next(part.partition("=")[2] for part in head.split(",") if part.startswith(f"{name}="))


def _judge_order(tally: Tally, proxy: HttpProxy) -> None:
    for sentence in proxy.order.breaks:
        tally.forbid("out of order", sentence)
    if proxy.most_open > 1:
        tally.forbid("requests at once", f"{proxy.most_open} were in flight")


def judge_waits(tally: Tally, proxy: HttpProxy) -> None:
    """Retry-After is kept, no wait is longer than it need be, and no two gateways would wait alike."""
    for wait in proxy.waits:
        if wait.seconds < wait.least - SLACK:
            tally.forbid("Retry-After not kept", f"{wait.seconds:.2f} s of {wait.least:.2f}")
        if wait.seconds > max(LONGEST, wait.least) + LAG:
            tally.forbid("waited too long", f"{wait.seconds:.1f} s after {wait.after}")
    free = {round(wait.seconds, 2) for wait in proxy.waits if not wait.least}
    if len(free) == 1 and len(proxy.waits) > EACH:
        tally.forbid("no jitter", f"{len(proxy.waits)} waits of {free.pop()} s")


PROOF = Proof(
    "influx",
    "InfluxDB killed, frozen, restarted; every answer to a write",
    "kills, freezes and restarts, each answer a fifth of it",
    full=100,
    quick=1,
    run=run,
)
