"""Hostile messages among good ones through the real fold, with exact accounting after every batch.

fuzz ──┐
       ├─▶ attacked gateway ─▶ effects ─▶ journal ─▶ store ─▶ restart, as from a crash
good ──┤            ▲
       └─▶ calm gateway: windows, alerts and counters of the good devices are the same, bit for bit
"""

from __future__ import annotations

import random
import re
import time
import traceback
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from edge_gateway.fold.effects import Effects
from edge_gateway.fold.pipeline import Pipeline
from edge_gateway.records import codec
from edge_gateway.records.inputs import Moment
from edge_gateway.status.collect import Now, Reporter
from edge_gateway.status.counters import Counters
from edge_gateway.status.report import as_plain
from edge_gateway.store.line_protocol import render_gateway
from fleet_wire.control_messages import encode_gateway_status
from tests.gateway.fleet.imbalance import imbalance
from tests.gateway.status.reports import BROKER, CLOCK, SPOOL
from tests.proofs.ground.field import RULES
from tests.proofs.ground.inside import GATEWAY, Inside, configuration, later, rules_of
from tests.proofs.hostile.fuzz import Fuzz, Hostile, counts_as_telemetry
from tests.proofs.hostile.fuzz_bytes import is_a_map, real, table, text, whole
from tests.proofs.proof import Findings

SITE = "pair"
START = 1_760_000_000_000
GOOD = tuple(f"good-{number:02d}" for number in range(20))
LIMITS: dict[str, Any] = {"devices": 300, "series": 1_200, "strings": 1_000, "quarantine": "20MiB"}
SECTIONS: dict[str, Any] = {
    "gateway": {"tags": ["region", "zone"]},
    "windows": [
        {"every": "2s", "bucket": "base", "keep": "3650d"},
        {"every": "6s", "bucket": "mid", "keep": "3650d"},
    ],
    "time": {"allowed_lateness": "1s", "idle_close": "3s"},
    "metrics": {"level": {"range": [-1e6, 1e6], "missing": [-200], "p95": True}, "p": {"rate": "1/s"}},
    "limits": LIMITS,
}
BATCHES = (1, 10, 300, 1_000, 1_000, 1_000)
STEP = 200
"""Milliseconds from batch to batch."""
MOST_CPU = 3.0
"""Seconds of processor time a batch of at most a thousand messages may take; a watchdog would wait longer."""
_takes_telemetry = re.compile(r"fleet/v1/[A-Za-z0-9_-]{1,64}/[A-Za-z0-9_-]{1,64}/telemetry").fullmatch

Window = tuple[str, str, int, int]


@dataclass(slots=True)
class GoodDevices:
    """Twenty well-behaved devices."""

    chance: random.Random
    values: int = 0
    """The number of values sent, all of them good."""
    _seq: dict[str, int] = field(default_factory=lambda: dict.fromkeys(GOOD, 0))

    def births(self) -> list[Hostile]:
        return [Hostile(_topic(name, "status"), self._birth(), "good") for name in GOOD]

    def _birth(self) -> bytes:
        tags = table([(text("region"), text("north")), (text("zone"), text("z1"))])
        pairs = {
            "state": text("online"),
            "type": text("probe"),
            "tags": tags,
            "boot": whole(1),
            "next": whole(0),
        }
        return table([(text(key), value) for key, value in pairs.items()])

    def messages(self, now: int) -> list[Hostile]:
        """Return the messages of a fifth of them."""
        return [self._one(name, now) for name in self.chance.sample(GOOD, 4)]

    def introductions(self, now: int) -> list[Hostile]:
        """Return messages with every text they will ever send, for use before the tables are full."""
        return [self._one(name, now, door) for door in ("open", "closed") for name in GOOD]

    def _one(self, name: str, now: int, door: str = "") -> Hostile:
        seq = self._seq[name]
        self._seq[name] = seq + 1
        values = [("heat", real(self.chance.uniform(-12, 12))), ("level", real(self.chance.gauss(50, 30)))]
        pairs = [(text("boot"), whole(1)), (text("seq"), whole(seq)), (text("ts"), whole(now - 5))]
        values.append(("door", text(door or self.chance.choice(("open", "closed")))))
        self.values += len(values)
        good = table([*pairs, (text("m"), table([(text(key), value) for key, value in values]))])
        return Hostile(_topic(name, "telemetry"), good, "good")


def _topic(device: str, kind: str) -> str:
    return f"fleet/v1/{SITE}/{device}/{kind}"


@dataclass(slots=True)
class GoodOutput:
    """A gateway's output for the good devices: rows of windows without internal numbers, and alert steps."""

    windows: dict[Window, list[bytes]] = field(default_factory=dict)
    alerts: list[tuple[Any, ...]] = field(default_factory=list)

    def take(self, pipeline: Pipeline, effects: Effects) -> None:
        columns: list[Any] = [*effects.windows, *effects.states]
        for closed in columns:
            self._rows(pipeline, closed.tier, closed.rows, closed.versions)
        for step in effects.alerts:
            if step.subject.startswith("good-"):
                self.alerts.append(
                    (step.id, step.rule, step.subject, step.state, step.level, step.value, step.at)
                )

    def _rows(self, pipeline: Pipeline, tier: int, rows: Any, versions: Any) -> None:
        registry = pipeline.registry
        devices = registry.series_device[rows["series"]].tolist()
        for place, device in enumerate(devices):
            if not registry.device_name[device].startswith("good-"):
                continue
            row = rows[place : place + 1].copy()
            metric = registry.metric_names[int(registry.series_metric[int(row["series"][0])])]
            key = (registry.device_name[device], metric, tier, int(row["start"][0]))
            row["series"] = 0
            if "changes" in (row.dtype.names or ()):
                _name_codes(pipeline, row)
            identity = repr(registry.tags_of(int(versions[place])))
            self.windows.setdefault(key, []).append(row.tobytes() + identity.encode())


def _name_codes(pipeline: Pipeline, row: Any) -> None:
    """Replace the codes of texts, which differ between the gateways, by numbers that depend on the text alone."""
    for end in ("first", "last"):
        row[end] = int.from_bytes(pipeline.registry.strings.text(int(row[end][0])).encode()[:7], "big")


class PairedGateways:
    """A gateway that gets hostile and good messages, and a second one that gets only the good ones."""

    def __init__(self, place: Path, chance: random.Random, findings: Findings, **sections: Any) -> None:
        self.findings = findings
        self.chance = chance
        self.fuzz = Fuzz(chance, SITE)
        self.good = GoodDevices(random.Random(chance.random()))
        self.now = START
        self.place = place / "attacked"
        rules = rules_of(place, RULES)
        self.gateway, self.calm = (
            Inside(place / name, configuration(place / name, **{**SECTIONS, **sections}), START)
            for name in (self.place.name, "calm")
        )
        self.outputs = {self.gateway: GoodOutput(), self.calm: GoodOutput()}
        for inside in self.outputs:
            inside.reload(self._moment(), rules)
        self.kinds: Counter[str] = Counter()
        self.quarantined: Counter[str] = Counter()
        self.slowest = 0.0
        self.cpu = 0.0
        self._batch(self.good.births(), [])
        self._batch(self.good.introductions(self.now), [])

    def _moment(self) -> Moment:
        return Moment(self.now, self.now - START, monotonic=self.now - START)

    def chunk(self, count: int) -> bool:
        """Send `count` hostile messages in batches of any size; return False if anything raised."""
        while count:
            size = min(count, self.chance.choice(BATCHES))
            count -= size
            self.now += STEP
            hostile = [self.fuzz.message(self.now) for _ in range(size)]
            if not self._batch(self.good.messages(self.now), hostile):
                return False
        return True

    def _batch(self, good: list[Hostile], hostile: list[Hostile]) -> bool:
        both = [*good, *hostile]
        self.chance.shuffle(both)
        mixed = _in_order(both, good)
        before = self._counters()
        started = time.thread_time()
        try:
            found = self._deliver(self.gateway, mixed)
        except Exception:
            self.findings.forbid("exception", traceback.format_exc()[-1500:])
            return False
        spent = time.thread_time() - started
        self.cpu += spent
        self.slowest = max(self.slowest, spent)
        if spent > MOST_CPU:
            told = dict(Counter(one.kind for one in mixed))
            self.findings.forbid("a batch stalled", f"{spent:.1f} s for {len(mixed)} messages: {told}")
        self._account(mixed, found, before)
        self._deliver(self.calm, good)
        self.kinds.update(one.kind for one in hostile)
        for inside in self.outputs:
            inside.commit()
        return True

    def _deliver(self, inside: Inside, messages: Sequence[Hostile]) -> list[Effects]:
        moment = self._moment()
        qos0 = [place for place, one in enumerate(messages) if not one.qos]
        found = inside.deliver(moment, [one[:2] for one in messages], qos0)
        found.append(inside.tick(moment))
        for effects in found:
            self.outputs[inside].take(inside.pipeline, effects)
        return found

    # --- accounting

    def _counters(self) -> Counter[str]:
        return Counter(self.gateway.pipeline.admission.accounting.totals())

    def _account(self, sent: Sequence[Hostile], found: Sequence[Effects], before: Counter[str]) -> None:
        """Check that every message is exactly one of new, duplicate, quarantined, or an accepted status or ack."""
        after = self._counters()
        step = {name: after[name] - before[name] for name in after}
        kept = [one for effects in found for one in effects.quarantined]
        counted = sum(counts_as_telemetry(one.topic) for one in sent)
        aside = sum(counts_as_telemetry(one.topic) for one in kept)
        self.quarantined.update(one.reason[:40] for one in kept)
        if step["received"] != counted or step["quarantined"] != aside:
            self._broken("miscounted", f"{counted} sent, {aside} in quarantine: {step}")
        if step["received"] != sum(step[name] for name in ("new", "duplicate", "not_known", "quarantined")):
            self._broken("identity broken", f"{step}")
        if step["values"] != sum(step[name] for name in ("accepted", "too_late", "bad", "refused")):
            self._broken("identity broken", f"{step}")
        if unbalanced := imbalance(self.gateway.pipeline.admission.accounting):
            self._broken("identity broken", f"of devices {unbalanced[:5]}")
        self._judge_quarantine(sent, [(one.topic, one.payload) for one in kept])
        if any(not one.reason for one in kept):
            self._broken("no reason", "a message is in quarantine without a reason")

    def _judge_quarantine(self, sent: Sequence[Hostile], kept: Sequence[tuple[str, bytes]]) -> None:
        came, aside = Counter(one[:2] for one in sent), Counter(kept)
        for (topic, payload), times in (aside - came).items():
            self._broken("not what was sent", f"{times} x {topic!r} {payload[:80].hex()}")
        for one in sent:
            owed = must_be_quarantined(one)
            if owed and aside[one[:2]] < came[one[:2]]:
                self._broken("let in", f"{one.topic[:80]!r} {one.payload[:80].hex()} ({one.kind})")
            elif one.kind == "good" and aside[one[:2]]:
                self._broken("good message refused", f"{one.topic} {one.payload.hex()}")

    def _broken(self, what: str, example: str) -> None:
        self.findings.forbid(what, example)

    # --- restarts, bounds, and the comparison

    def restart(self) -> None:
        """Crash and recover from the disk, sometimes after a checkpoint; the state must be the same."""
        if self.chance.random() < 0.7:
            self.gateway.checkpoint()
        before = self.gateway.snapshot()
        lost = self.gateway.crash()
        self.findings.faults["restart"] += 1
        if lost or _fold_of(before) != _fold_of(self.gateway.snapshot()):
            self._broken("different state after a restart", f"at {self.now}")

    def judge_bounds(self) -> None:
        """Check that the gateway keeps no more than its bounds allow."""
        registry = self.gateway.pipeline.registry
        derived = registry.devices * len(self.gateway.pipeline.rules.rules.records)
        held = {
            "devices": (registry.devices, LIMITS["devices"]),
            "series": (len(registry.series_device), int(LIMITS["series"]) + derived),
            "strings": (len(registry.strings), LIMITS["strings"]),
            "bytes in quarantine": (self.gateway.store.facts().quarantine_bytes, 20 << 20),
        }
        for name, (has, most) in held.items():
            if has > int(most):
                self._broken("over a bound", f"{name}: {has} of {most}")
        self._judge_report()

    def _judge_report(self) -> None:
        """Check that the report can be encoded and written to InfluxDB, whose integers have 64 bits."""
        gateway = self.gateway
        now = Now("online", self.now, START, "", "", Counters(), (), CLOCK, BROKER, SPOOL, {})
        reporter = Reporter.of(GATEWAY, gateway.config)
        told = as_plain(reporter.report(gateway.pipeline, gateway.store.facts(), now))
        try:
            encode_gateway_status(told)
        except (OverflowError, ValueError) as error:
            self._broken("status that cannot be sent", repr(error))
        if too_large := re.findall(rb"=(\d{20,})i", render_gateway(GATEWAY, told, self.now)):
            self._broken("number that InfluxDB refuses", f"{too_large}")

    def judge_good(self) -> None:
        """Check that the good devices have the same windows and alerts as without hostile ones."""
        moment = self._moment()
        for inside in self.outputs:
            inside.commit()
            _drain(inside, moment, self.outputs[inside])
        attacked, calm = self.outputs[self.gateway], self.outputs[self.calm]
        self.findings.windows += len(calm.windows)
        self.findings.alerts += len({step[0] for step in calm.alerts})
        for key in calm.windows.keys() | attacked.windows.keys():
            if calm.windows.get(key) != attacked.windows.get(key):
                self.findings.wrong += 1
                self.findings.show(f"a good device's window differs from that of the calm gateway: {key}")
        if sorted(calm.alerts) != sorted(attacked.alerts):
            self.findings.alerts_lost += len(set(calm.alerts) - set(attacked.alerts))
            self.findings.alerts_repeated += len(set(attacked.alerts) - set(calm.alerts)) or 1
            self.findings.show("a good device's alerts differ from those of the calm gateway")
        self._judge_good_counters()

    def _judge_good_counters(self) -> None:
        accepted = 0
        for name in GOOD:
            both = []
            for inside in self.outputs:
                number = inside.pipeline.registry.find(name)
                assert number is not None
                both.append(inside.pipeline.admission.accounting.of(number))
            accepted += both[1]["accepted"]
            self.findings.lost += max(0, both[1]["accepted"] - both[0]["accepted"])
            if both[0] != both[1]:
                self._broken("good device's counters differ", f"{name}: {both}")
        self.findings.acknowledged += accepted
        if accepted != self.good.values:
            self._broken("miscounted", f"{self.good.values} good values sent, {accepted} accepted")

    def judge_store(self) -> None:
        """Check that the quarantine in the store equals what the fold put there."""
        counters = self.gateway.store.facts().counters
        stored = sum(1 for _ in self.gateway.rows("quarantine"))
        if counters.get("quarantined", 0) != self.quarantined.total():
            self._broken("miscounted", f"quarantined: store {counters}, fold {self.quarantined.total()}")
        if stored + counters.get("quarantine_dropped", 0) != self.quarantined.total():
            self._broken("miscounted", f"{stored} rows in quarantine: {counters}")

    def close(self) -> None:
        for inside in self.outputs:
            inside.close()


def must_be_quarantined(one: Hostile) -> bool:
    """Whether a message must be quarantined by its topic and size, or because another library reads no map."""
    if not counts_as_telemetry(one.topic):
        return bool(one.payload or one.topic.endswith("/ack")) and is_a_map(one.payload) is False
    return _takes_telemetry(one.topic) is None or len(one.payload) > 65_536 or is_a_map(one.payload) is False


def _in_order(both: Iterable[Hostile], good: Iterable[Hostile]) -> list[Hostile]:
    """Return all messages with the good ones in their original order, since a device sends in order."""
    left = iter(good)
    return [next(left) if one.kind == "good" else one for one in both]


def _drain(inside: Inside, moment: Moment, told: GoodOutput) -> None:
    windows = inside.pipeline.windows
    for _ in range(2_000):
        if not (windows.open_readings or windows.open_coarser or windows.pending):
            return
        moment = later(moment, 1_000)
        told.take(inside.pipeline, inside.tick(moment))
        inside.commit()


def _fold_of(snapshot: bytes) -> bytes:
    """Return the state of the fold alone, without the time of its record."""
    return codec.pack(codec.unpack(snapshot)["fold"])
