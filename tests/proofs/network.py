"""A network that delays, trickles, resets, is silent or swallows all, between each pair that talks.

    fleet ══proxy══ broker ─── gateway                                the devices' pair
    fleet ─────────  ″  ══proxy══ telemetry session, control session ─┐
                                                              gateway ┤  the gateway's pairs
    InfluxDB ══════════════════════════════════════════════════proxy══┘

At each pair every trouble comes `count` times, one after another in a random order; the pairs have theirs at the same
time. (A sample has each trouble once, at one pair or another.) A black hole lasts longer than the keep-alive, and what
it held back comes out of it when it ends. A trouble that touched nothing does not count. What is held in the end is
compared with the ledgers, alerts fired as the readings say, and what the broker retains of alerts is what fires.
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
from tests.proofs.ground.proxy import Kind, Proxy, Trouble
from tests.proofs.ground.sabotaged import Sabotage
from tests.proofs.proof import Proof, Setting, Tally
from tests.servers.broker import Broker
from tests.servers.gateway import Gateway
from tests.servers.influx import Influx
from tests.servers.process import ServerFailed, wait_until

ROUND = 5
DEVICES = 60
KEEP_ALIVE = 2
"""Seconds, of devices and of the gateway."""
HOLDS = {
    Kind.DELAY: (1.0, 3.0),
    Kind.TRICKLE: (1.0, 3.0),
    Kind.RESET: (0.3, 1.5),
    Kind.SILENCE: (0.5, 2.0),
    Kind.BLACK_HOLE: (2.6 * KEEP_ALIVE, 4.0 * KEEP_ALIVE),
}
"""Seconds; Mosquitto gives a client up after one and a half keep-alives, the clients after two at the latest."""
ENTERED = 20.0
TRIES = 3
SETTLE = 30.0
"""Seconds for receipts, too, which a sample can do without."""
WELL = 90.0
LOOKS_FRESH = 1.1
RETAINED = 60.0
TELEMETRY = {"allowed_lateness": "1s", "idle_close": "4s"}
COMMANDS = {"per_device": "600/m", "total": "1000/s"}
SOON_SETTLED = Sabotage(constants=(("edge_gateway.mqtt.source:SETTLED", 3.0),))
"""A connection that holds for so long starts the back-off anew: else a proof of hours would mostly wait."""


@dataclass(slots=True)
class Pair:
    """Two who talk through a proxy; `of` chooses whom a trouble is of, `well` says that they talk again."""

    name: str
    proxy: Proxy
    rng: random.Random
    of: Callable[[random.Random, Kind], Callable[[bytes], bool]]
    well: Callable[[], bool]


@dataclass(slots=True)
class Bouts:
    """What happened at one pair."""

    faults: list[str] = field(default_factory=list)
    recoveries: list[float] = field(default_factory=list)
    missed: list[str] = field(default_factory=list)


def run(setting: Setting) -> None:
    """Rounds of fresh gateways and fleets."""
    influx = setting.influx()
    broker = setting.broker()
    left = setting.count
    while left:
        times = min(ROUND, left)
        left -= times
        _round(setting, broker, influx, times)
        setting.tally.runs += 1
        told = f"{setting.tally.faults.total()} troubles, {setting.tally.acknowledged:,} readings"
        setting.say(f"{told}, lost {setting.tally.lost}, double {setting.tally.double}")


def _round(setting: Setting, broker: Broker, influx: Influx, times: int) -> None:
    number = setting.tally.runs
    place = InfluxPlace(influx.url, influx.org, influx.token)
    host, port = influx.url.removeprefix("http://").split(":")
    with (
        Proxy(broker.host, broker.port, seed=setting.rng.randrange(1 << 31)) as to_devices,
        Proxy(broker.host, broker.port, seed=setting.rng.randrange(1 << 31)) as to_gateway,
        Proxy(host, int(port), seed=setting.rng.randrange(1 << 31)) as to_influx,
    ):
        plain = _gateway(setting, broker.url, f"gw-plain-{number}")
        tried = _gateway(setting, f"mqtt://{to_gateway.host}:{to_gateway.port}", f"gw-tried-{number}")
        url = f"http://{to_influx.host}:{to_influx.port}"
        buckets = [influx.fresh_bucket() for _ in range(3)]
        tried.reconfigure(
            influx={**setting.forwarding(influx, url), "timeout": "3s"}, windows=_windows(buckets)
        )
        for gateway in (plain, tried):
            gateway.start(ready=False, sabotage=SOON_SETTLED)
        for gateway in (plain, tried):
            gateway.wait_for(lambda report: report["broker"]["connected"], within=WELL)
        moving = _fleet(setting, to_devices, f"gw-plain-{number}-site", keep_alive=KEEP_ALIVE)
        still = _fleet(setting, broker, f"gw-tried-{number}-site")
        with moving, still:
            pairs = [
                _pair(setting, "devices", to_devices, _some_devices, lambda: _all_up(moving)),
                _pair(setting, "telemetry session", to_gateway, _telemetry, lambda: _connected(tried)),
                _pair(setting, "control session", to_gateway, _control, lambda: _linked(to_gateway)),
                _pair(setting, "InfluxDB", to_influx, _anybody, lambda: _writes(tried)),
            ]
            _torment(setting, pairs, times)
            wait_until(lambda: _all_up(moving), WELL, "all devices are connected")
        _judge_moving(setting, plain, moving.ledger)
        _judge_tried(setting, tried, still.ledger, place)
        _judge_retained(setting, broker, tried)
        for gateway in (plain, tried):
            judge_asyncio(setting.tally, gateway.log)
            gateway.kill()


def _gateway(setting: Setting, url: str, name: str) -> Gateway:
    gateway = setting.gateway(
        url,
        name,
        mqtt={"url": url, "keepalive": f"{KEEP_ALIVE}s"},
        windows=_windows(["base", "mid", "top"]),
        time=TELEMETRY,
        commands=COMMANDS,
    )
    gateway.write_rules(RULES)
    return gateway


def _windows(buckets: list[str]) -> list[dict[str, str]]:
    return [
        {"every": every, "bucket": bucket, "keep": "30d"}
        for every, bucket in zip(("2s", "4s", "12s"), buckets, strict=True)
    ]


def _fleet(setting: Setting, at: Broker | Proxy, site: str, keep_alive: int = 60) -> Fleet:
    text = scenario_text(site, devices=DEVICES, every="500ms", seed=setting.rng.randrange(1 << 31))
    settle = SETTLE / 6 if setting.quick else SETTLE
    return Fleet(at, setting.place("run"), text, keep_alive=keep_alive, settle=settle)


# --- who is meant, and whether they are well


def _pair(
    setting: Setting,
    name: str,
    proxy: Proxy,
    of: Callable[[random.Random, Kind], Callable[[bytes], bool]],
    well: Callable[[], bool],
) -> Pair:
    return Pair(name, proxy, random.Random(setting.rng.randrange(1 << 31)), of, well)


def _some_devices(rng: random.Random, kind: Kind) -> Callable[[bytes], bool]:
    """Half of them, or for a trickle, which is much work, some."""
    chosen = set(rng.sample(range(DEVICES), DEVICES // (10 if kind is Kind.TRICKLE else 2)))
    return lambda first: bool(
        (found := re.search(rb"-site-([0-9]{4})", first)) and int(found[1]) % DEVICES in chosen
    )


def _telemetry(_rng: random.Random, _kind: Kind) -> Callable[[bytes], bool]:
    return lambda first: b":control" not in first


def _control(_rng: random.Random, _kind: Kind) -> Callable[[bytes], bool]:
    return lambda first: b":control" in first


def _anybody(_rng: random.Random, _kind: Kind) -> Callable[[bytes], bool]:
    return lambda _first: True


def _all_up(fleet: Fleet) -> bool:
    return fleet.all_up()


def _connected(gateway: Gateway) -> bool:
    return bool(_asked(gateway).get("broker", {}).get("connected"))


def _linked(proxy: Proxy) -> bool:
    """Whether the control connection reaches the broker."""
    return any(b":control" in link.first and link.server is not None for link in list(proxy.links))


def _writes(gateway: Gateway) -> bool:
    report = _asked(gateway)
    return bool(report) and not report["sinks"]["influx"].get("problem")


def _asked(gateway: Gateway) -> dict[str, Any]:
    try:
        answer: dict[str, Any] = gateway.ask(do="status")
    except (OSError, TimeoutError):
        return {}
    return answer


# --- the troubles


def _torment(setting: Setting, pairs: list[Pair], times: int) -> None:
    with ThreadPoolExecutor(len(pairs)) as threads:
        done = list(threads.map(_bouts, pairs, _plan(setting, pairs, times)))
    for pair, bouts in zip(pairs, done, strict=True):
        setting.tally.faults.update(bouts.faults)
        setting.tally.recoveries += bouts.recoveries
        for sentence in bouts.missed:
            setting.tally.forbid("trouble without effect", f"{pair.name}: {sentence}")


def _plan(setting: Setting, pairs: list[Pair], times: int) -> list[list[Kind]]:
    """The troubles of each pair in a random order; a sample has each trouble once, at one pair or another."""
    plans = [list(Kind) * times for _ in pairs]
    if setting.quick:
        plans = [[] for _ in pairs]
        for place, kind in enumerate(setting.rng.sample(list(Kind), len(Kind))):
            plans[place % len(plans)].append(kind)
    for plan in plans:
        setting.rng.shuffle(plan)
    return plans


def _bouts(pair: Pair, kinds: list[Kind]) -> Bouts:
    bouts = Bouts()
    for kind in kinds:
        if not any(_bout(pair, kind, bouts) for _ in range(TRIES)):
            bouts.missed.append(f"{kind.value}: nothing was there to be touched")
    return bouts


def _bout(pair: Pair, kind: Kind, bouts: Bouts) -> bool:
    """One trouble, and the time until they talk again; whether it touched anything."""
    with pair.proxy.trouble(kind, pair.of(pair.rng, kind)) as trouble:
        _entered(trouble)
        time.sleep(pair.rng.uniform(*HOLDS[kind]))
    began = time.monotonic()
    time.sleep(LOOKS_FRESH)
    try:
        wait_until(pair.well, WELL, f"{pair.name} well after {kind.value}")
    except ServerFailed as failed:
        bouts.missed.append(str(failed))
    if trouble.touched:
        bouts.faults.append(f"{pair.name}: {kind.value}")
        bouts.recoveries.append(time.monotonic() - began)
    return trouble.touched > 0


def _entered(trouble: Trouble) -> None:
    end = time.monotonic() + ENTERED
    while not trouble.touched and time.monotonic() < end:
        time.sleep(0.02)


# --- the judgement


def _judge_moving(setting: Setting, gateway: Gateway, ledger: Ledger) -> None:
    """Devices that were away send live readings before buffered ones, so that no rule sees all of them in order."""
    tally, report = setting.tally, wait_settled(gateway, ledger)
    judge_identities(tally, report)
    judge_devices(tally, gateway)
    judge_history(tally, gateway, ledger, report)
    judge_alerts(tally, gateway.query("alerts"))
    judge_commands(tally, gateway.query("commands"), ledger)
    judge_log(tally, gateway)


def _judge_tried(setting: Setting, gateway: Gateway, ledger: Ledger, place: InfluxPlace) -> None:
    wait_settled(gateway, ledger)
    report = gateway.wait_for(
        lambda report: settled(report) and report["sinks"]["influx"]["waiting"]["lines"] < DEVICES,
        within=WELL,
    )
    judge_all(setting.tally, gateway, ledger, report, place)


def judge_asyncio(tally: Tally, log: Path) -> None:
    """No connection ended in a way that nobody took notice of."""
    for line in log.read_text(errors="replace").splitlines():
        if "ERROR   asyncio:" in line:
            tally.forbid("error nobody took", line)


def _judge_retained(setting: Setting, broker: Broker, gateway: Gateway) -> None:
    """The broker retains the alerts that fire and no other, as soon as the control session has said so."""
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
        setting.tally.forbid(
            "retained alert wrong", f"{topic} {'fires' if topic in fires else 'is still retained'}"
        )


async def _retained(broker: Broker, gateway: str) -> set[str]:
    """Retained messages come before one that is published after the subscription."""
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
    "delay, trickle, reset, silence, black hole between each pair",
    "of each at each pair",
    full=20,
    quick=1,
    run=run,
)
