"""The network delays, trickles, resets, falls silent or swallows everything, between each pair that communicates.

    fleet ══proxy══ broker ─── gateway                                the devices' pair
    fleet ─────────  ″  ══proxy══ telemetry session, control session ─┐
                                                              gateway ┤  the gateway's pairs
    InfluxDB ══════════════════════════════════════════════════proxy══┘

Broken: at each pair every fault `count` times, one after another in a random order, at all pairs at the same time. (A
sample has each fault once, at one pair or another.) A black hole lasts longer than the keep-alive, and passes on what
it held back when it ends. A fault that affected nothing is repeated and does not count.

Compared with the ledgers: windows in the history and in InfluxDB, alerts, commands, counters. The alerts retained at
the broker must be those that fire.

Failures: anything lost, double or wrong; a fault that affected nothing, or after which a pair does not recover within
90 s; an error that only asyncio reported.
"""

from __future__ import annotations

import asyncio
import random
import re
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import aiomqtt

from fleet_sim.judging.stored import InfluxPlace
from fleet_sim.ledger.reading import Ledger
from fleet_wire.topics import alert_topic
from tests.proofs.ground.field import RULES, Fleet, scenario_text, settled, wait_settled
from tests.proofs.ground.judging import (
    judge_alerts,
    judge_all,
    judge_commands,
    judge_devices,
    judge_history,
    judge_identities,
    judge_log,
)
from tests.proofs.ground.proxy import Fault, FaultKind, Proxy
from tests.proofs.ground.sabotaged import Sabotage
from tests.proofs.ground.sections import FAST_COMMANDS, tiers
from tests.proofs.proof import Findings, Proof, Setting
from tests.servers.broker import Broker
from tests.servers.gateway import Gateway
from tests.servers.influx import Influx
from tests.servers.process import ServerFailed, wait_until

ROUND = 5
DEVICES = 60
EVERY = ("2s", "4s", "12s")
KEEP_ALIVE = 2
"""Seconds, of devices and of the gateway."""
HOLDS = {
    FaultKind.DELAY: (1.0, 3.0),
    FaultKind.TRICKLE: (1.0, 3.0),
    FaultKind.RESET: (0.3, 1.5),
    FaultKind.SILENCE: (0.5, 2.0),
    FaultKind.BLACK_HOLE: (2.6 * KEEP_ALIVE, 4.0 * KEEP_ALIVE),
}
"""Seconds. Mosquitto drops a silent client after one and a half keep-alives, clients the broker after two at most."""
AFFECTED_WITHIN = 40.0
"""Seconds, more than any back-off: silence meets only a connection that is made."""
TRIES = 3
SETTLE = 30.0
"""Seconds, so that receipts arrive too; a sample does not wait for them."""
RECOVERED_WITHIN = 90.0
STATUS_AGE = 1.1
RETAINED = 60.0
TELEMETRY = {"allowed_lateness": "1s", "idle_close": "4s"}
SHORT_SETTLING = Sabotage(
    constants=(
        ("edge_gateway.mqtt.source:SETTLED", 3.0),
        ("edge_gateway.mqtt.control_session:SETTLED", 3.0),
    )
)
"""Reset the back-off after a shorter connection, so that a long run does not mostly wait."""


@dataclass(slots=True)
class Pair:
    """Two parties that communicate through a proxy.

    Attributes:
        targets: chooses the connections that a fault affects.
        recovered: whether the two communicate again.
    """

    name: str
    proxy: Proxy
    rng: random.Random
    targets: Callable[[random.Random, FaultKind], Callable[[bytes], bool]]
    recovered: Callable[[], bool]


@dataclass(slots=True)
class PairOutcome:
    """Faults injected at one pair, seconds to recover from each, and what went wrong."""

    faults: list[str] = field(default_factory=list)
    recoveries: list[float] = field(default_factory=list)
    failures: list[str] = field(default_factory=list)


def run(setting: Setting) -> None:
    """Inject every fault `count` times at every pair, in rounds of fresh gateways and fleets."""
    influx = setting.influx()
    broker = setting.broker()
    for times in setting.rounds(ROUND):
        _round(setting, broker, influx, times)


def _round(setting: Setting, broker: Broker, influx: Influx, times: int) -> None:
    number = setting.findings.runs
    place = InfluxPlace(influx.url, influx.org, influx.token)
    host, port = influx.url.removeprefix("http://").split(":")
    with (
        Proxy(broker.host, broker.port, seed=setting.rng.randrange(1 << 31)) as to_devices,
        Proxy(broker.host, broker.port, seed=setting.rng.randrange(1 << 31)) as to_gateway,
        Proxy(host, int(port), seed=setting.rng.randrange(1 << 31)) as to_influx,
    ):
        direct = _gateway(setting, broker.url, f"gw-direct-{number}")
        proxied = _gateway(setting, f"mqtt://{to_gateway.host}:{to_gateway.port}", f"gw-proxied-{number}")
        url = f"http://{to_influx.host}:{to_influx.port}"
        buckets = [influx.fresh_bucket() for _ in range(3)]
        proxied.reconfigure(
            influx={**setting.forwarding(influx, url), "timeout": "3s"}, windows=tiers(EVERY, buckets)
        )
        for gateway in (direct, proxied):
            gateway.start(ready=False, sabotage=SHORT_SETTLING)
        for gateway in (direct, proxied):
            gateway.wait_for(lambda report: report["broker"]["connected"], within=RECOVERED_WITHIN)
        proxied_fleet = _fleet(setting, to_devices, f"gw-direct-{number}-site", keep_alive=KEEP_ALIVE)
        direct_fleet = _fleet(setting, broker, f"gw-proxied-{number}-site")
        with proxied_fleet, direct_fleet:
            pairs = [
                _pair(setting, "devices", to_devices, _some_devices, lambda: _fleet_up(proxied_fleet)),
                _pair(setting, "telemetry session", to_gateway, _telemetry, lambda: _connected(proxied)),
                _pair(
                    setting, "control session", to_gateway, _control, lambda: _control_connected(to_gateway)
                ),
                _pair(setting, "InfluxDB", to_influx, _every_client, lambda: _forwards(proxied)),
            ]
            _inject_at_all_pairs(setting, pairs, times)
            wait_until(lambda: _fleet_up(proxied_fleet), RECOVERED_WITHIN, "all devices are connected")
        _judge_proxied_fleet(setting, direct, proxied_fleet.ledger)
        _judge_proxied_gateway(setting, proxied, direct_fleet.ledger, place)
        _judge_retained(setting, broker, proxied)
        for gateway in (direct, proxied):
            judge_asyncio(setting.findings, gateway.log)
            gateway.kill()


def _gateway(setting: Setting, url: str, name: str) -> Gateway:
    gateway = setting.gateway(
        url,
        name,
        mqtt={"url": url, "keepalive": f"{KEEP_ALIVE}s"},
        windows=tiers(EVERY, ["base", "mid", "top"]),
        time=TELEMETRY,
        commands=FAST_COMMANDS,
    )
    gateway.write_rules(RULES)
    return gateway


def _fleet(setting: Setting, at: Broker | Proxy, site: str, keep_alive: int = 60) -> Fleet:
    text = scenario_text(site, devices=DEVICES, every="500ms", seed=setting.rng.randrange(1 << 31))
    settle = SETTLE / 2 if setting.quick else SETTLE
    return Fleet(at, setting.place("run"), text, keep_alive=keep_alive, settle=settle)


# --- the pairs: whom a fault affects, and whether they have recovered


def _pair(
    setting: Setting,
    name: str,
    proxy: Proxy,
    targets: Callable[[random.Random, FaultKind], Callable[[bytes], bool]],
    recovered: Callable[[], bool],
) -> Pair:
    return Pair(name, proxy, random.Random(setting.rng.randrange(1 << 31)), targets, recovered)


def _some_devices(rng: random.Random, kind: FaultKind) -> Callable[[bytes], bool]:
    """Choose half of the devices; a tenth for a trickle, which costs much CPU."""
    chosen = set(rng.sample(range(DEVICES), DEVICES // (10 if kind is FaultKind.TRICKLE else 2)))
    return lambda first: bool(
        (found := re.search(rb"-site-([0-9]{4})", first)) and int(found[1]) % DEVICES in chosen
    )


def _telemetry(_rng: random.Random, _kind: FaultKind) -> Callable[[bytes], bool]:
    return lambda first: b":control" not in first


def _control(_rng: random.Random, _kind: FaultKind) -> Callable[[bytes], bool]:
    return lambda first: b":control" in first


def _every_client(_rng: random.Random, _kind: FaultKind) -> Callable[[bytes], bool]:
    return lambda _first: True


def _fleet_up(fleet: Fleet) -> bool:
    return fleet.all_up()


def _connected(gateway: Gateway) -> bool:
    return bool(_status(gateway).get("broker", {}).get("connected"))


def _control_connected(proxy: Proxy) -> bool:
    """Whether the control connection reaches the broker."""
    return any(b":control" in link.first and link.server is not None for link in list(proxy.links))


def _forwards(gateway: Gateway) -> bool:
    report = _status(gateway)
    return bool(report) and not report["sinks"]["influx"].get("problem")


def _status(gateway: Gateway) -> dict[str, Any]:
    try:
        answer: dict[str, Any] = gateway.ask(do="status")
    except (OSError, TimeoutError):
        return {}
    return answer


# --- the faults


def _inject_at_all_pairs(setting: Setting, pairs: list[Pair], times: int) -> None:
    with ThreadPoolExecutor(len(pairs)) as threads:
        done = list(threads.map(_inject_all, pairs, _plan(setting, pairs, times)))
    for pair, outcome in zip(pairs, done, strict=True):
        setting.findings.faults.update(outcome.faults)
        setting.findings.recoveries += outcome.recoveries
        for sentence in outcome.failures:
            setting.findings.forbid("fault without effect or without end", f"{pair.name}: {sentence}")


def _plan(setting: Setting, pairs: list[Pair], times: int) -> list[list[FaultKind]]:
    """Return the faults of each pair in a random order; a sample has each fault once, at one pair or another."""
    plans = [list(FaultKind) * times for _ in pairs]
    if setting.quick:
        plans = [[] for _ in pairs]
        for place, kind in enumerate(setting.rng.sample(list(FaultKind), len(FaultKind))):
            plans[place % len(plans)].append(kind)
    for plan in plans:
        setting.rng.shuffle(plan)
    return plans


def _inject_all(pair: Pair, kinds: list[FaultKind]) -> PairOutcome:
    outcome = PairOutcome()
    for kind in kinds:
        if not any(_inject(pair, kind, outcome) for _ in range(TRIES)):
            outcome.failures.append(f"{kind.value}: it affected nothing")
    return outcome


def _inject(pair: Pair, kind: FaultKind, outcome: PairOutcome) -> bool:
    """Inject one fault, and wait until the pair has recovered; return whether it affected anything."""
    with pair.proxy.fault(kind, pair.targets(pair.rng, kind)) as fault:
        _wait_affected(fault)
        time.sleep(pair.rng.uniform(*HOLDS[kind]))
    began = time.monotonic()
    time.sleep(STATUS_AGE)
    try:
        wait_until(pair.recovered, RECOVERED_WITHIN, f"{pair.name} recovered after {kind.value}")
    except ServerFailed as failed:
        outcome.failures.append(str(failed))
    if fault.affected:
        outcome.faults.append(f"{pair.name}: {kind.value}")
        outcome.recoveries.append(time.monotonic() - began)
    return fault.affected > 0


def _wait_affected(fault: Fault) -> None:
    end = time.monotonic() + AFFECTED_WITHIN
    while not fault.affected and time.monotonic() < end:
        time.sleep(0.02)


# --- the judgement


def _judge_proxied_fleet(setting: Setting, gateway: Gateway, ledger: Ledger) -> None:
    """Do not count alerts: devices that were away send live readings before buffered ones, so rules miss some."""
    findings, report = setting.findings, wait_settled(gateway, ledger)
    judge_identities(findings, report)
    judge_devices(findings, gateway)
    judge_history(findings, gateway, ledger, report)
    judge_alerts(findings, gateway.query("alerts"))
    judge_commands(findings, gateway.query("commands"), ledger)
    judge_log(findings, gateway)


def _judge_proxied_gateway(setting: Setting, gateway: Gateway, ledger: Ledger, place: InfluxPlace) -> None:
    wait_settled(gateway, ledger)
    report = gateway.wait_for(
        lambda report: settled(report) and report["sinks"]["influx"]["waiting"]["lines"] < DEVICES,
        within=RECOVERED_WITHIN,
    )
    judge_all(setting.findings, gateway, ledger, report, place)


def judge_asyncio(findings: Findings, log: Path) -> None:
    """Check that asyncio reported no error that no code handled."""
    for line in log.read_text(errors="replace").splitlines():
        if "ERROR   asyncio:" in line:
            findings.forbid("error reported by asyncio alone", line)


def _judge_retained(setting: Setting, broker: Broker, gateway: Gateway) -> None:
    """Wait until the broker retains exactly the alerts that fire."""
    end = time.monotonic() + RETAINED
    name = gateway.ask(do="status")["gateway"]
    while True:
        fires = {alert_topic(name, a["site"], a["subject"], a["rule"]) for a in gateway.ask(do="alerts")}
        retained = asyncio.run(_retained(broker, name))
        if fires == retained:
            return
        if time.monotonic() > end:
            break
        time.sleep(0.5)
    for topic in sorted(fires ^ retained):
        setting.findings.forbid(
            "retained alert wrong", f"{topic} {'fires' if topic in fires else 'is still retained'}"
        )


async def _retained(broker: Broker, gateway: str) -> set[str]:
    """Return the topics of retained alerts; they arrive before a message published after the subscription."""
    last = f"proof/{gateway}"
    found: set[str] = set()
    async with aiomqtt.Client(broker.host, broker.port, protocol=aiomqtt.ProtocolVersion.V5) as client:
        await client.subscribe([(f"edge/v1/{gateway}/alerts/#", 1), (last, 1)])
        await client.publish(last, b"", qos=1)
        async for message in client.messages:
            if str(message.topic) == last:
                break
            if message.retain and message.payload:
                found.add(str(message.topic))
    return found


PROOF = Proof(
    "network",
    "delay, trickle, reset, silence and black hole between each pair",
    "of each at each pair",
    full=20,
    quick=1,
    run=run,
)
