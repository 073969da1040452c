"""Lives over a real broker to a gateway that is killed meanwhile and forwards to a real InfluxDB."""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

from tests.proofs.forget.lives import Birth, Message, Pause, Retire, Step, Trim, life
from tests.proofs.forget.oracle import Place, Point, Told, Truth
from tests.proofs.forget.trial import EVERY, counters_of, identity_of
from tests.proofs.ground.field import forwarded, settled
from tests.proofs.ground.judging import judge_identities, judge_log
from tests.proofs.ground.raw_client import RawClient
from tests.proofs.proof import Setting
from tests.servers.gateway import Gateway
from tests.servers.influx import Influx

TEN_YEARS_S = 315_360_000
AT_ONCE = 40
DELAY = 60_000
"""The longest a message waits while the gateway is down, in ms."""


def over_a_broker(setting: Setting, *, devices: int = 4, steps: int = 12) -> None:
    """Play lives one after the other, and kill the gateway twice; then compare what InfluxDB holds."""
    influx, broker = setting.influx(), setting.broker()
    buckets = {every: influx.fresh_bucket(shard_s=TEN_YEARS_S) for every in EVERY}
    windows = [
        {"every": f"{every // 1000}s", "bucket": bucket, "keep": "3650d"} for every, bucket in buckets.items()
    ]
    name = f"gw-forget-{setting.findings.runs}"
    sections = {"gateway": {"id": name, "sites": ["+"]}, "influx": setting.forwarding(influx)}
    gateway = setting.gateway(broker.url, name, windows=windows, **sections)
    gateway.start()
    truth = Truth(EVERY, delay=DELAY, redelivered=True)
    given = [
        step
        for number in range(devices)
        for step in shifted(list(life(setting.rng, f"dev-{number}", window=EVERY[0], steps=steps)))
    ]
    kills = {len(given) // 3, 2 * len(given) // 3}
    with RawClient(broker.host, broker.port, "devices") as client:
        for at in range(0, len(given), AT_ONCE):
            _send(gateway, client, truth, given[at : at + AT_ONCE])
            if kills & set(range(at, at + AT_ONCE)):
                gateway.kill()
                setting.findings.faults["kill"] += 1
                gateway.start(ready=setting.rng.random() < 0.5)
    _judge(setting, gateway, influx, buckets, truth)
    gateway.kill()
    broker.kill()


def shifted(steps: list[Step]) -> Iterator[Step]:
    """Move a life so that its last message is of now; windows keep their readings."""
    newest = max(step.ts for step in steps if isinstance(step, Message) and step.ts is not None)
    by = (time.time_ns() // 1_000_000 - newest) // EVERY[-1] * EVERY[-1]
    moved: dict[Message, Message] = {}
    for step in steps:
        match step:
            case Message(ts=int(ts)):
                yield moved.setdefault(step, replace(step, ts=ts + by))
            case Birth(ts=int(ts)):
                yield replace(step, ts=ts + by)
            case _:
                yield step


def _send(gateway: Gateway, client: RawClient, truth: Truth, steps: list[Step]) -> None:
    """Publish what is sent; waits are left out, and an operator drops the device where it would be retired."""
    messages: list[Message | Birth] = []
    for step in steps:
        match step:
            case Message() | Birth():
                messages.append(step)
            case Retire(device):
                _publish(client, truth, messages)
                messages = []
                gateway.run("devices", "forget", device, status=None)
            case Pause() | Trim():
                pass
    _publish(client, truth, messages)


def _publish(client: RawClient, truth: Truth, messages: list[Message | Birth]) -> None:
    now = time.time_ns() // 1_000_000
    for message in messages:
        if isinstance(message, Birth):
            truth.birth(message)
        else:
            truth.arrive(message, now)
    deliveries = [message.delivery() for message in messages]
    client.publish_all([(topic.encode(), payload) for topic, payload in deliveries])


def _judge(setting: Setting, gateway: Gateway, influx: Influx, buckets: dict[int, str], truth: Truth) -> None:
    findings, arrived = setting.findings, truth.arrivals.total()
    report = gateway.wait_for(
        lambda said: said["messages"]["received"] >= arrived and settled(said) and forwarded(said),
        within=180,
    )
    for every, bucket in buckets.items():
        for row in _rows(influx, bucket, "sensor"):
            truth.write(_place(row, every), _point(row))
        for row in _rows(influx, bucket, "sensor_partial"):
            truth.write_part(_place(row, every), _point(row))
    for row in _rows(influx, buckets[EVERY[0]], "sensor_late"):
        truth.tell(Told(row["device"], row["metric"], int(row["ms"]), float(row["value"]), row["why"]))
    counters = counters_of(report["messages"], report["values"]["too_late"], report["counters"])
    for sentence in truth.judge(_quarantined(gateway), counters):
        findings.forbid("differs from what was sent", sentence)
    judge_identities(findings, report)
    judge_log(findings, gateway)
    findings.acknowledged += report["messages"]["new"]
    findings.windows += len(truth.written)
    findings.faults["life over a broker"] += 1


def _quarantined(gateway: Gateway) -> list[tuple[Any, ...]]:
    rows = gateway.query("quarantine")
    return [identity_of(row["topic"], bytes.fromhex(row["payload"])) for row in rows]


def _place(row: dict[str, str], every: int) -> Place:
    at = int(row["ms"])
    return Place(row["device"], row["metric"], every, at - at % every)


def _point(row: dict[str, str]) -> Point:
    return Point(int(row["count"]), float(row["sum"]))


def _rows(influx: Influx, bucket: str, measurement: str) -> list[dict[str, str]]:
    return influx.query(
        f'from(bucket: "{bucket}") |> range(start: 0) |> filter(fn: (r) => r._measurement == "{measurement}")'
        ' |> pivot(rowKey: ["_time"], columnKey: ["_field"], valueColumn: "_value")'
        " |> map(fn: (r) => ({r with ms: int(v: r._time) / 1000000})) |> group()"
    )
