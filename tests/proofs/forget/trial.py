"""One life through the real fold, journal and store, and through the oracle."""

from __future__ import annotations

import random
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

import msgpack

from edge_gateway.fold.effects import Effects
from edge_gateway.records.inputs import Moment
from edge_gateway.recovery.startup import INFLUX
from tests.proofs.forget.lives import (
    RETIRE_AFTER,
    Birth,
    Message,
    Pause,
    Reading,
    Retire,
    Step,
    Trim,
)
from tests.proofs.forget.oracle import Counters, Place, Point, Told, Truth
from tests.proofs.ground.inside import Inside, configuration
from tests.proofs.ground.plain_messages import START
from tests.proofs.proof import Findings

EVERY = (2_000, 6_000, 18_000)
SECTIONS: dict[str, Any] = {
    "windows": [{"every": f"{every // 1000}s", "bucket": f"b{every}", "keep": "3650d"} for every in EVERY],
    "time": {"allowed_lateness": "1s", "idle_close": "3s"},
    "history": {"keep": "1h"},
    "limits": {"retire_after": "2h"},
    "influx": {"url": "http://127.0.0.1:1", "org": "edge", "token": "env:HOME"},
}


class Trial:
    """A gateway that gets one life; `chance` splits it into batches, commits and crashes."""

    def __init__(self, place: Path, chance: random.Random, findings: Findings) -> None:
        self.chance = chance
        self.findings = findings
        self.inside = Inside(place, configuration(place, **SECTIONS), START)
        self.truth = Truth(EVERY)
        self.now = START
        self.listening = 0

    def run(self, life: Iterable[Step]) -> list[str]:
        """Play a life; return a sentence for each difference from what was sent."""
        waiting: list[Message | Birth] = []
        for step in life:
            if isinstance(step, Message | Birth):
                waiting.append(step)
                if len(waiting) < self.chance.choice((1, 3, 50)):
                    continue
            self._deliver(waiting)
            waiting = []
            self._let_happen(step)
            self._maintain_or_crash()
        self._deliver(waiting)
        self._settle()
        self._judge()
        self.inside.close()
        return self.truth.wrong

    def _moment(self) -> Moment:
        return Moment(self.now, self.listening)

    # --- playing

    def _deliver(self, messages: list[Message | Birth]) -> None:
        if not messages:
            return
        for message in messages:
            if isinstance(message, Birth):
                self.truth.birth(message)
            else:
                self.truth.arrive(message, self.now)
        self._watch(self.inside.deliver(self._moment(), [one.delivery() for one in messages]))

    def _let_happen(self, step: Step) -> None:
        match step:
            case Pause(length):
                self._pass(length)
            case Trim():
                self._settle()
                self.inside.trim(self._moment())
                self.findings.faults["history trimmed"] += 1
            case Retire():
                self._settle()
                self._pass(RETIRE_AFTER + 1_000)
                self._pass(1_000)
                self.findings.faults["device retired"] += 1

    def _pass(self, length: int) -> None:
        """Let time pass; the gateway hears everything meanwhile."""
        self.now += length
        self.listening += length
        self._watch([self.inside.tick(self._moment())])

    def _settle(self) -> None:
        """Let time pass until everything is closed and merged."""
        for step in (1_000, 4_000, 5_000, 6_000, 6_000, 20_000, 40_000, 6_000, 6_000, 6_000):
            self._pass(step)
            self._pass(0)
            self.inside.commit()
            self.inside.late()
        self._read_lines()

    def _maintain_or_crash(self) -> None:
        """Commit, merge late readings, write a checkpoint, crash, or do nothing."""
        match self.chance.randrange(60):
            case 0:
                self.inside.checkpoint()
            case 1:
                for again in self.inside.crash():
                    self._watch([self.inside.fold(again)])
                self.findings.faults["restart"] += 1
            case 2 | 3 | 4:
                self.inside.late(self.chance.choice((1, 1 << 30)))
            case low if low < 20:
                self.inside.commit(apply=self.chance.random() < 0.7)

    # --- watching

    def _watch(self, found: Iterable[Effects]) -> None:
        for effects in found:
            for message in effects.outgoing:
                if message.topic.endswith("/receipt"):
                    self.truth.receipt(message.topic.split("/")[3], msgpack.unpackb(message.payload))

    def _read_lines(self) -> None:
        """Take what the gateway would write to InfluxDB, in order."""
        while (parcel := self.inside.store.take(INFLUX)) is not None:
            for line in parcel.body.decode().splitlines():
                take_line(self.truth, parcel.bucket, line)
            self.inside.store.done(parcel)

    def _judge(self) -> None:
        admission, stored = self.inside.pipeline.admission, self.inside.store.facts().counters
        totals = admission.accounting.totals()
        too_late = totals["too_late"] + stored.get("late_too_late", 0)
        counted = {**stored, **admission.sequences.totals()}
        self.truth.judge(self._quarantined(), counters_of(totals, too_late, counted))
        self.findings.acknowledged += totals["new"]
        self.findings.windows += len(self.truth.written)
        for name in ("not_known", "duplicate", "conflicts"):
            self.findings.measured[name] = self.findings.measured.get(name, 0) + totals[name]

    def _quarantined(self) -> Iterator[tuple[Any, ...]]:
        for _, one in self.inside.store.quarantined(0, 1 << 30):
            yield identity_of(one.topic, one.payload)


def identity_of(topic: str, payload: bytes) -> tuple[Any, ...]:
    """Return the identity of a message from its delivery."""
    body = msgpack.unpackb(payload)
    ((metric, value),) = body["m"].items()
    bit = round(value * 2**15).bit_length() - 1
    return (topic.split("/")[3], body["boot"], body["seq"], body.get("ts"), Reading(metric, bit))


def counters_of(messages: Mapping[str, int], too_late: int, counted: Mapping[str, int]) -> Counters:
    """Return what the gateway says that it counted; a counter that it does not name is 0."""
    return Counters(
        received=messages["received"],
        new=messages["new"],
        duplicate=messages["duplicate"],
        not_known=messages["not_known"],
        quarantined=messages["quarantined"],
        too_late=too_late,
        windows_refused=counted.get("windows_refused", 0),
        tombstones_dropped=counted.get("tombstones_dropped", 0),
    )


def point_of(values: Mapping[str, str]) -> Point:
    """Return what a line's fields say."""
    return Point(int(values["count"].rstrip("i")), float(values["sum"]))


def take_line(truth: Truth, bucket: str, line: str) -> None:
    """Take one line of line protocol; nothing in it is escaped."""
    head, fields, at = line.split(" ")
    time = int(at) // 10**6
    measurement, *labels = head.split(",")
    tags = dict(label.split("=") for label in labels)
    values = dict(pair.split("=") for pair in fields.split(","))
    device, metric = tags.get("device", ""), tags.get("metric", "")
    if measurement == "sensor":
        truth.write(Place(device, metric, int(bucket[1:]), time), point_of(values))
    elif measurement == "sensor_late":
        truth.tell(Told(device, metric, time, float(values["value"]), tags["why"]))
    elif measurement == "sensor_partial":
        every = int(bucket[1:])
        truth.write_part(Place(device, metric, every, time - time % every), point_of(values))
