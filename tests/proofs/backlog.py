"""InfluxDB is away for three days, and the gateway for an hour; both backlogs are worked off.

    72 h of readings by the devices' time ──▶ gateway ──▶ blocks of the history, which the outbox refers to
                                 the history keeps 18 h ──▶ outbox over its budget, `merge` ··▶ InfluxDB comes back
    1 h of readings queued in the broker ──▶ another gateway comes back, while live readings go on

Broken: the connection to InfluxDB during 72 h of readings, with a history that keeps a quarter of them, and an outbox
that is too small for the rest; and another gateway for an hour, while the broker queues. `count` is the length of both
in hundredths. The second absence is within the first: the history is trimmed once a minute.

Compared: every window in InfluxDB and in the history with what the readings, a plain function of device and number,
imply. In InfluxDB the coarsest tier must be complete; of the others exactly as many windows may be missing as lines
were counted as merged. In the history exactly as many may be missing as were counted as trimmed, all of them older
than it keeps.

Failures: a wrong or missing window; a merge or a trim counted wrongly, or a line dropped instead of merged; an outbox
beyond its budget, or one that never reached it; the broker's backlog
drained at less than 20 times the live rate, without a reported lag, or with growing memory; a command for a reading
that is too old; a device called silent whose messages wait in the queue.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Sequence
from typing import Any

from fleet_sim.judging.stored import InfluxPlace, WindowKey, influx_windows, window_rows
from fleet_sim.ledger.expected import Facts
from tests.proofs.ground.field import settled, stored
from tests.proofs.ground.judging import judge_identities, judge_log
from tests.proofs.ground.memory import MB, Watch, most_resident
from tests.proofs.ground.stream import Arrived, Commands, Publisher, Stream, take_windows
from tests.proofs.proof import Proof, Setting
from tests.servers.broker import Broker
from tests.servers.gateway import Gateway

MINUTE, HOUR = 60_000, 3_600_000
EVERY = (MINUTE, 10 * MINUTE, HOUR)
AWAY_HOURS = 72
PATIENCE = 600.0
LIVE_SHARE = 20
FLAT = 24 * MB
ENOUGH_LOOKS = 20
"""Samples, a tenth of a second apart; in a shorter drain the program is still starting."""
MAX_AGE = 60_000
SILENT = 10_000
MOST_UNDER_WAY = 5_000
BUDGET = 300_000
PARCEL = 40_000
"""Bytes of the outbox: less than half of what the history lets go, and a parcel that is being sent."""
KEPT = 4
"""The history keeps one part in so many of the absence."""
RULES = f"""\
version: 1
groups:
- name: backlog
  rules:
  - alert: Hot
    expr: heat
    above: 9
    clear: 7
    severity: critical
    commands: [{{name: cool, args: {{value: 1}}, on: [firing], cooldown: 0s, expires: 60s}}]
  - {{alert: Silent, no_data: {{after: {SILENT // 1000}s, metric: heat, severity: critical}}}}
"""


def run(setting: Setting) -> None:
    """Run both absences at `count` hundredths of their length."""
    share = min(1.0, setting.count / 100)
    influx_away(setting, share, meanwhile=lambda: broker_away(setting, share))


# --- the gateway is away, and the broker queues


def broker_away(setting: Setting, share: float) -> None:
    """Queue an hour of 100 devices at one reading a second each."""
    broker = setting.broker()
    gateway = _gateway(setting, broker, "gw-hour", ("5s", "10s", "20s"))
    gateway.start()
    rounds = round(3600 * share)
    stream = Stream("gw-hour-site", 100, _now() - rounds * 1000, 1000)
    with Publisher(broker, "hour") as publisher:
        publisher.publish(stream.message(device, 0) for device in range(stream.devices))
        publisher.settle()
        gateway.wait_for(lambda report: report["messages"]["new"] == stream.devices)
        gateway.stop()
        setting.findings.faults["gateway away"] += 1
        publisher.publish(
            stream.message(device, seq) for seq in range(1, rounds) for device in range(stream.devices)
        )
        publisher.settle()
        setting.say(f"{stream.devices * rounds:,} messages wait in the broker")
        live = Live(stream, rounds, publisher)
        with live, Commands(broker, stream) as commands, Watch(lambda: gateway.pid, every=0.1) as watch:
            _drain(setting, gateway, stream, rounds)
            _judge_memory(setting, watch)
            time.sleep(SILENT / 1000 * 1.2)  # long enough for a device to be called silent
            alerts = gateway.query("alerts")
    _judge_alerts(setting, alerts)
    report = gateway.wait_for(settled, within=PATIENCE)
    _judge_windows(setting, gateway, stream, live.rounds)
    _judge_commands(setting, stream, commands.arrived)
    judge_identities(setting.findings, report)
    judge_log(setting.findings, gateway)


class Live:
    """Keep the same devices sending, one reading a second each, from a thread."""

    def __init__(self, stream: Stream, first: int, publisher: Publisher) -> None:
        self.rounds = first
        self._stream = stream
        self._publisher = publisher
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._work, name="live")

    def __enter__(self) -> None:
        self._thread.start()

    def __exit__(self, *_: object) -> None:
        self._ended.set()
        self._thread.join()
        self._publisher.settle()

    def _work(self) -> None:
        """Send a round once its last reading's time has come, so that no reading is in the future."""
        stream = self._stream
        while not self._ended.is_set():
            due = stream.at(stream.devices - 1, self.rounds) - _now()
            if due > 0 and self._ended.wait(due / 1000):
                break
            self._publisher.publish(stream.message(device, self.rounds) for device in range(stream.devices))
            self.rounds += 1


def _drain(setting: Setting, gateway: Gateway, stream: Stream, rounds: int) -> None:
    """Start the gateway and wait until it has caught up; it must report its lag meanwhile."""
    lags: list[int] = []

    def caught_up(report: dict[str, Any]) -> bool:
        lags.append(report["broker"]["lag"])
        return bool(report["broker"]["caught_up"] and report["messages"]["new"] >= stream.devices * rounds)

    began = time.monotonic()  # includes the start: a small backlog is drained before the gateway answers
    setting.findings.recoveries.append(_timed(gateway.start))
    gateway.wait_for(caught_up, within=PATIENCE)
    took = time.monotonic() - began
    rate = stream.devices * rounds / took
    ratio = rate * stream.every / 1000 / stream.devices
    setting.findings.measured |= {
        "drained_per_s": round(rate),
        "times_live_rate": round(ratio),
        "most_lag_s": round(max(lags) / 1000, 1),
    }
    if max(lags) <= 0:
        setting.findings.forbid("lag not reported", f"{lags}")
    if ratio < LIVE_SHARE:
        setting.findings.forbid("drained too slowly", f"{ratio:.0f} times the live rate")
    setting.say(f"drained in {took:.1f} s, {ratio:.0f} times the live rate")


def _judge_memory(setting: Setting, watch: Watch) -> None:
    """Check that the second half of the drain needs no more memory than the first."""
    samples = watch.samples
    half = len(samples) // 2
    grown = most_resident(samples[half:]) - most_resident(samples[:half])
    setting.findings.measured["drain_mb"] = round(most_resident(samples) / MB)
    if half < ENOUGH_LOOKS:
        return
    setting.findings.measured["drain_grown_mb"] = round(grown / MB, 1)
    if grown > FLAT:
        setting.findings.forbid(
            "memory not flat", f"{grown / MB:.0f} MB more in the second half of the drain"
        )


def _judge_alerts(setting: Setting, alerts: list[dict[str, Any]]) -> None:
    """Check that no device was called silent, and that some alert fired, so that there are commands to judge."""
    findings = setting.findings
    findings.alerts += len({row["id"] for row in alerts})
    silent = [row for row in alerts if row["rule"] == "Silent"]
    if silent:
        findings.forbid("false silence", f"{silent[0]}", len(silent))
    if not any(row["rule"] == "Hot" for row in alerts):
        findings.forbid("nothing judged", "no alert fired, though readings were over the limit")


def _judge_commands(setting: Setting, stream: Stream, commands: Sequence[Arrived]) -> None:
    """Check that only fresh readings caused commands; a command names its alert, and the alert its reading."""
    for command in commands:
        setting.findings.commands += 1
        age = command.at - stream.at(command.device, command.seq)
        if age > MAX_AGE + MOST_UNDER_WAY:
            setting.findings.forbid("stale command", f"{command}, {age} ms after its reading")


def _judge_windows(setting: Setting, gateway: Gateway, stream: Stream, sent: int) -> None:
    found = window_rows(gateway.query("windows"))
    for every in sorted({key.every for key in found}):
        held = {key: facts for key, facts in found.items() if key.every == every}
        take_windows(setting.findings, stream.windows(every, sent), held, "history")
    setting.findings.acknowledged += stream.devices * sent * len(stream.values(0, 0))


# --- InfluxDB is away, and the outbox fills


def influx_away(setting: Setting, share: float, meanwhile: Callable[[], None]) -> None:
    """Send 72 h of 20 devices, one reading a minute by their own clocks, while the database does not answer.

    It stays away until what the history lets go has filled the outbox; `meanwhile` something else can be done.
    """
    influx = setting.influx()
    broker = setting.broker()
    buckets = [influx.fresh_bucket() for _ in range(3)]
    gateway = _gateway(setting, broker, "gw-days", ("1m", "10m", "1h"), buckets)
    budget, keep = round(BUDGET * share) + PARCEL, round(AWAY_HOURS * 60 * share / KEPT)
    gateway.reconfigure(
        influx={**setting.forwarding(influx), "max_bytes": f"{budget}B", "on_full": "merge"},
        history={"keep": f"{keep}m"},
    )
    rounds = round(AWAY_HOURS * 60 * share)
    stream = Stream("gw-days-site", 20, _hour(_now()) - rounds * MINUTE, MINUTE)
    setting.findings.faults["InfluxDB away"] += 1
    with influx.paused():
        gateway.start()
        with Publisher(broker, "days") as publisher:
            publisher.publish(
                stream.message(device, seq) for seq in range(rounds + 1) for device in range(stream.devices)
            )
            publisher.settle()
        report = gateway.wait_for(lambda report: _closed(report, stream, rounds), within=PATIENCE)
        setting.say(f"{report['sinks']['influx']['waiting']['lines']:,} lines wait")
        meanwhile()
        report = gateway.wait_for(lambda report: stored(report) and _merged(report) > 0, within=PATIENCE)
        _judge_waiting(setting, report, budget)
    began = time.monotonic()
    with Publisher(broker, "days-live") as publisher:
        live = Stream("gw-days-site", 1, _now(), MINUTE, prefix="live")
        publisher.publish([live.message(0, 0)])
        publisher.settle()
    report = gateway.wait_for(lambda report: _sent(report, stream, rounds), within=PATIENCE)
    setting.findings.measured["influx_drained_s"] = round(time.monotonic() - began, 1)
    _judge_influx(setting, gateway, InfluxPlace(influx.url, influx.org, influx.token), buckets, stream)
    _judge_history(setting, gateway, stream, keep * MINUTE)
    judge_identities(setting.findings, report)
    judge_log(setting.findings, gateway)


def _closed(report: dict[str, Any], stream: Stream, rounds: int) -> bool:
    """Whether everything has arrived, and only readings after the last full hour are in open windows."""
    last = stream.devices * len(stream.values(0, 0))
    return bool(
        report["messages"]["new"] >= stream.devices * (rounds + 1)
        and report["fleet"]["open_readings"] <= last
        and stored(report)
    )


def _sent(report: dict[str, Any], stream: Stream, rounds: int) -> bool:
    return (
        report["messages"]["new"] > stream.devices * (rounds + 1)
        and not report["fleet"]["open_readings"]
        and stored(report)
        and not report["sinks"]["influx"]["waiting"]["lines"]
    )


def _merged(report: dict[str, Any]) -> int:
    return int(report["counters"].get("outbox_merged_lines", 0))


def _judge_waiting(setting: Setting, report: dict[str, Any], budget: int) -> None:
    waiting = report["sinks"]["influx"]["waiting"]
    setting.findings.measured |= {"outbox_bytes": waiting["bytes"], "outbox_budget": budget}
    if waiting["bytes"] > budget:
        setting.findings.forbid("outbox beyond its budget", f"{waiting}, budget {budget}")
    setting.say(
        f"{waiting['lines']:,} lines wait in {waiting['bytes']:,} bytes, {_merged(report):,} are merged"
    )


def _judge_influx(
    setting: Setting, gateway: Gateway, place: InfluxPlace, buckets: Sequence[str], stream: Stream
) -> None:
    """Compare the windows before the last full hour: missing lines must have been counted as merged."""
    findings, report = setting.findings, gateway.ask(do="status")
    rounds = _rounds(report, stream)
    gone = 0
    for every, bucket in zip(EVERY, buckets, strict=True):
        beyond = every == MINUTE  # after the last full hour only base windows are closed
        end = stream.start + (rounds + beyond) * MINUTE
        found = influx_windows(place, bucket, every, _hour(stream.start), end)
        held = {key: facts for key, facts in found.items() if _of(key, stream)}
        expected = stream.windows(every, rounds + beyond)
        gone += take_windows(findings, expected, held, "InfluxDB", complete=every == HOUR)
    _judge_merged(setting, report, gone)
    findings.acknowledged += stream.devices * rounds * len(stream.values(0, 0))


def _judge_history(setting: Setting, gateway: Gateway, stream: Stream, keep: int) -> None:
    """Compare the history: missing windows must be older than `keep` ms, and counted as trimmed."""
    findings = setting.findings
    report, found = _history(gateway)
    rounds, trimmed, gone = _rounds(report, stream), report["counters"].get("history_trimmed", 0), 0
    for every in EVERY:
        sent = rounds + (every == MINUTE)
        end = stream.start + sent * MINUTE
        of_tier = {key: found[key] for key in found if key.every == every and key.start < end}
        held = {key: facts for key, facts in of_tier.items() if _of(key, stream)}
        expected = stream.windows(every, sent)
        gone += take_windows(findings, expected, held, "history", complete=False)
        if early := [key for key in expected.keys() - held.keys() if key.start >= _now() - keep]:
            findings.forbid("trimmed too early", f"{early[0]}", len(early))
    findings.measured |= {"windows_trimmed": gone}
    if gone != trimmed:
        findings.forbid("trim miscounted", f"{gone} windows are missing, {trimmed} were counted as trimmed")


def _history(gateway: Gateway) -> tuple[dict[str, Any], dict[WindowKey, Facts]]:
    """Return the windows of the history with a report of a time between two trims."""
    report = gateway.ask(do="status")
    while True:
        found, before = window_rows(gateway.query("windows")), report
        report = gateway.ask(do="status")
        if report["counters"].get("history_trimmed", 0) == before["counters"].get("history_trimmed", 0):
            return report, found


def _rounds(report: dict[str, Any], stream: Stream) -> int:
    """Return how many readings each device has sent before the last full hour."""
    return int(report["messages"]["new"] // stream.devices - 1)


def _of(key: WindowKey, stream: Stream) -> bool:
    return key.device.startswith(stream.prefix)


def _judge_merged(setting: Setting, report: dict[str, Any], gone: int) -> None:
    findings, counters = setting.findings, report["counters"]
    merged, dropped = _merged(report), counters.get("outbox_dropped_lines", 0)
    findings.measured |= {"windows_merged": gone, "merged_lines": merged}
    if dropped:
        findings.forbid("dropped by merge", f"{dropped} lines that no coarser tier covers")
    if gone != merged:
        findings.forbid(
            "merge miscounted", f"{gone} windows are missing, {merged} lines were counted as merged"
        )


# --- common


def _gateway(
    setting: Setting,
    broker: Broker,
    name: str,
    every: Sequence[str],
    buckets: Sequence[str] = ("base", "mid", "top"),
) -> Gateway:
    gateway = setting.gateway(
        broker,
        name,
        windows=[
            {"every": one, "bucket": bucket, "keep": f"{30 * (place + 1)}d"}
            for place, (one, bucket) in enumerate(zip(every, buckets or ["base", "mid", "top"], strict=True))
        ],
        commands={"per_device": "600/m", "total": "1000/s", "max_reading_age": f"{MAX_AGE // 1000}s"},
    )
    gateway.write_rules(RULES)
    return gateway


def _timed(call: Callable[[], object]) -> float:
    began = time.monotonic()
    call()
    return time.monotonic() - began


def _hour(at: int) -> int:
    return at - at % HOUR


def _now() -> int:
    return time.time_ns() // 1_000_000


PROOF = Proof(
    "backlog",
    "InfluxDB is away for 72 h of readings; an hour of readings waits in the broker",
    "hundredths of that time",
    full=100,
    quick=10,
    run=run,
)
