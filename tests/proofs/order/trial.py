"""One history through the real fold, journal and store, split at random, compared with the oracle.

history ─┬─▶ batches of any size, ticks, commits, late job, checkpoints, crashes ─▶ store, counters, receipts
         └─▶ oracle, one message at a time ──────────────────────────────────────▶ must be the same
"""

from __future__ import annotations

import json
import random
import sqlite3
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from fractions import Fraction
from itertools import groupby
from pathlib import Path
from typing import Any

import msgpack
import numpy as np

from edge_gateway.fold.effects import Effects
from edge_gateway.journal.spool import STORE
from edge_gateway.records.inputs import Moment
from edge_gateway.records.window_block import STATE_ROW, WINDOW_ROW
from tests.gateway.fleet.imbalance import imbalance
from tests.proofs.ground.inside import Inside, configuration
from tests.proofs.ground.plain_messages import HOUR, SITE, START
from tests.proofs.order.histories import Arrival, History, Reading
from tests.proofs.order.oracle import Oracle, OracleSettings, WindowId
from tests.proofs.proof import Findings
from tests.stored_rows import named_rows

KEEP = HOUR
EVERY = (2_000, 6_000, 18_000)
RULES = """\
version: 1
groups:
- name: order
  rules:
  - {alert: Hot, expr: heat, above: 5, clear: 4, severity: warning}
"""
SECTIONS: dict[str, Any] = {
    "gateway": {"tags": ["line"]},
    "windows": [{"every": f"{every // 1000}s", "bucket": f"b{every}", "keep": "30d"} for every in EVERY],
    "time": {"allowed_lateness": "1s", "idle_close": "3s"},
    "metrics": {"level": {"range": [-50, 50], "missing": [-40]}},
    "history": {"keep": "1h"},
}
ORACLE_SETTINGS = OracleSettings(
    every=EVERY,
    earliest=1_577_836_800_000,
    skew=300_000,
    ranges={"level": (-50.0, 50.0)},
    missing={"level": -40.0},
    hot=5.0,
    cool=4.0,
    young=300_000,
)
IN_BOTH = ("received", "new", "duplicate", "not_known", "conflicts", "values", "bad", "stamped")


LAST_BOOT = 1 << 41
AHEAD = 50
"""Number of the first reading of the last boot of each device."""


class Trial:
    """A gateway that gets one history; `chance` splits it into batches and commits."""

    def __init__(self, place: Path, rules: dict[str, Any], chance: random.Random, findings: Findings) -> None:
        self.place = place
        self.chance = chance
        self.findings = findings
        self.inside = Inside(place, configuration(place, **SECTIONS), START)
        self.oracle = Oracle(ORACLE_SETTINGS)
        self.wrong: list[str] = []
        self.now = START
        self.inside.reload(self._moment(), rules)

    def _moment(self) -> Moment:
        return Moment(self.now, self.now - START, monotonic=self.now - START)

    def run(self, given: History) -> list[str]:
        """Play a history; return a sentence for each difference from the oracle."""
        self._deliver(given.arrivals)
        self._settle()
        self._judge("at the end")
        if self.chance.random() < 0.3:
            self._send_after_trim(given)
        self.inside.close()
        return self.wrong

    # --- playing the history

    def _deliver(self, arrivals: Sequence[Arrival]) -> None:
        for at, group in groupby(arrivals, key=lambda one: one.at):
            self.now = max(self.now, at)
            self._deliver_at_once(list(group))
            if self.chance.random() < 0.3:
                self._check_receipts([self.inside.tick(self._moment())])
            self._maintain_or_crash()

    def _deliver_at_once(self, arrivals: list[Arrival]) -> None:
        """Deliver what arrives at one time, in one or more batches."""
        while arrivals:
            size = self.chance.choice((1, 2, 5, 1_000))
            piece, arrivals = arrivals[:size], arrivals[size:]
            for one in piece:
                self.oracle.take(Arrival(self.now, one.message))
            self._check_receipts(
                self.inside.deliver(self._moment(), [one.message.delivery() for one in piece])
            )

    def _maintain_or_crash(self) -> None:
        """Commit, merge late readings, write a checkpoint, crash, or do nothing."""
        match self.chance.randrange(40):
            case 0:
                self.inside.checkpoint()
            case 1:
                self._crash()
            case 2 | 3 | 4:
                self.inside.late(self.chance.choice((1, 1 << 30)))
            case low if low < 20:
                self.inside.commit(apply=self.chance.random() < 0.7)

    def _crash(self) -> None:
        """Crash and recover; what was not committed is delivered again, as by the broker."""
        if self.chance.random() < 0.5:
            self.inside.commit(apply=False)
        for again in self.inside.crash():
            self.inside.fold(again)
        self.findings.faults["restart"] += 1

    def _check_receipts(self, found: Sequence[Effects]) -> None:
        for effects in found:
            for message in effects.outgoing:
                if message.topic.endswith("/receipt"):
                    self._judge_receipt(message.topic.split("/")[3], msgpack.unpackb(message.payload))

    def _settle(self) -> None:
        """Let time pass until everything is closed and every due receipt is sent."""
        for step in (1_000, 4_000, 5_000, 6_000, 6_000, 20_000, 40_000, 600_000, 6_000, 6_000, 6_000):
            self.now += step
            for _ in range(3):
                self._check_receipts([self.inside.tick(self._moment())])
            self.inside.commit()
            self.inside.late()
        windows = self.inside.pipeline.windows
        if windows.open_readings or windows.open_coarser or windows.pending:
            self.wrong.append(
                f"not settled: {windows.open_readings} readings, {windows.open_coarser} windows"
            )

    def _send_after_trim(self, given: History) -> None:
        """Trim the history, and deliver late readings for windows that are gone and for some that are not.

        The devices are silent before for longer than ever. What comes of that time comes in order, as a device keeps
        it, so that no window of it is closed too soon.
        """
        self.now += 24 * KEEP
        devices = sorted(self.oracle.devices)
        numbers = {name: iter((AHEAD, *range(AHEAD))) for name in devices}
        self._deliver([self._reading(name, numbers, self.now) for name in devices])
        self._settle()
        self.now += KEEP // 2
        before = self.now - KEEP
        self.inside.trim(self._moment())
        self.oracle.trim(before)
        old = [
            one.message.ts for one in given.arrivals if isinstance(one.message, Reading) and one.message.ts
        ]
        times = [
            *self.chance.choices(old or [before], k=8),
            before - 1,
            before,
            before + 10_000,
            self.now - KEEP // 4,
        ]
        chosen = [(self.chance.choice(devices), at) for at in sorted(times)]
        late = [self._reading(name, numbers, at) for name, at in chosen if not self._begins_silence(name, at)]
        self._deliver(late)
        self._settle()
        self.findings.faults["late after its row is gone"] += len(late)
        self._judge("after its row is gone")

    def _begins_silence(self, name: str, at: int) -> bool:
        """Whether what is new of a device's silence begins within the same coarse window.

        There, a late reading finds a row or does not, depending on whether a kept one has come and closed meanwhile.
        """
        return at // EVERY[-1] == self.oracle.devices[name].new_from // EVERY[-1]

    def _reading(self, name: str, numbers: Mapping[str, Iterator[int]], ts: int) -> Arrival:
        """Return a reading of one last boot; those after the first have lower numbers, so that none is a clock step."""
        site = self.oracle.devices[name].site if name in self.oracle.devices else SITE
        heat = {"heat": self.chance.uniform(-10, 10)}
        return Arrival(self.now, Reading(name, site, LAST_BOOT, next(numbers[name]), ts, heat))

    # --- comparing with the oracle

    def _judge_receipt(self, name: str, told: dict[str, Any]) -> None:
        """Compare a receipt with what the oracle has of that boot now."""
        boot = self.oracle.devices[name].boots.get(told["boot"])
        self.findings.measured["receipts"] = self.findings.measured.get("receipts", 0) + 1
        said = (told["from"], told["upto"], [tuple(gap) for gap in told["missing"]])
        expected = boot and (0, boot.top, boot.ranges())
        if said != expected:
            self.wrong.append(f"receipt of {name}: {told}, expected {expected}")

    def _judge(self, when: str) -> None:
        before = len(self.wrong)
        self._judge_windows()
        self._judge_counters()
        rows = self.inside.rows("alerts")
        told = [
            row for row in rows if (row["event"], row["cause"]) != ("released", "time")
        ]  # what flapped is quiet
        steps = [(row["subject"], row["event"], row["state"], row["at"]) for row in told]
        alerts = [step for step in steps if step[2] in {"firing", "resolved"}]
        if Counter(alerts) != Counter(self.oracle.alerts):
            missing, more = _difference(self.oracle.alerts, alerts)
            self.wrong.append(f"alerts: missing {missing}, not expected {more}")
        self.wrong[before:] = [f"{when}: {sentence}" for sentence in self.wrong[before:]]

    def _judge_windows(self) -> None:
        stored: dict[WindowId, list[tuple[Any, ...]]] = {}
        for place, labels, revision, facts in stored_windows(self.place):
            stored.setdefault(place, []).append((labels, facts))
            if revision:
                self.findings.measured["corrected windows"] = (
                    self.findings.measured.get("corrected windows", 0) + 1
                )
        self.findings.windows += len(self.oracle.windows)
        for place, expected in self.oracle.windows.items():
            allowed = (
                expected.labels if place.every > EVERY[0] else expected.labels[:1]
            ) + expected.after_clock_step
            named = [(kind, tags.get("line", "unknown")) for kind, tags in allowed]
            found = stored.pop(place, [])
            if len(found) != 1 or found[0][0] not in named or not expected.agrees(found[0][1]):
                self.wrong.append(f"{place}: stored {found}, expected {named} {expected.facts()}")
        for place, found in stored.items():
            self.wrong.append(f"{place}: stored {found}, expected nothing")

    def _judge_counters(self) -> None:
        pipeline = self.inside.pipeline
        for name, device in self.oracle.devices.items():
            number = pipeline.registry.find(name)
            if number is None:
                self.wrong.append(f"{name} is not known")
                continue
            told = pipeline.admission.describe(number)
            counters = told["counters"]
            for counter in (
                *IN_BOTH,
                "lost_at_device",
                "clock_steps",
                "small_clock_steps",
                "quarantined",
                "accepted",
            ):
                if counters[counter] != device.counters[counter]:
                    self.wrong.append(
                        f"{name}: {counter} {counters[counter]}, expected {device.counters[counter]}"
                    )
            gaps = [(number, *gap) for number, boot in device.boots.items() for gap in boot.ranges()]
            if sorted(told["gaps"]) != sorted(gaps):
                self.wrong.append(f"{name}: gaps {told['gaps']}, expected {gaps}")
        self._judge_totals()

    def _judge_totals(self) -> None:
        totals = self.inside.pipeline.admission.accounting.totals()
        expected = self.oracle.all_counters()
        for counter in IN_BOTH:
            if totals[counter] != expected[counter]:
                self.wrong.append(f"in all: {counter} {totals[counter]}, expected {expected[counter]}")
        if imbalance(self.inside.pipeline.admission.accounting):
            self.wrong.append("an identity does not hold")
        late = totals["too_late"] + self.inside.store.facts().counters.get("late_too_late", 0)
        if late != expected["too late"]:
            self.wrong.append(f"too late {late}, expected {expected['too late']}")
        aside = {
            "sequence_conflict": expected["conflicts"],
            "wrong_site": self.oracle.totals["quarantined"] + expected["statuses refused"],
        }
        kept = Counter(row["reason"] for row in self.inside.rows("quarantine"))
        if kept != Counter(aside):
            self.wrong.append(f"quarantined {dict(kept)}, expected {aside}")


def _difference(wanted: list[Any], found: list[Any]) -> tuple[list[Any], list[Any]]:
    missing, more = Counter(wanted) - Counter(found), Counter(found) - Counter(wanted)
    return sorted(missing.elements()), sorted(more.elements())


def stored_windows(place: Path) -> Iterator[tuple[WindowId, tuple[str, str], int, tuple[Any, ...]]]:
    """Yield (window, (type, tag), revision, facts) of every window in the store, those of states included."""
    db = sqlite3.connect(place / STORE)
    for tier, start, revision, data, device, metric, _, kind, tags in named_rows(db, "window"):
        row = np.frombuffer(data[: WINDOW_ROW.itemsize], WINDOW_ROW)
        ends = tuple(float(row[0][name]) for name in ("min", "max", "first", "last"))
        labels = (kind, json.loads(tags)["line"])
        facts = (int(row[0]["count"]), _sum(row[0]), *ends)
        yield WindowId(device, metric, EVERY[tier], start), labels, revision, facts
    texts: dict[int, str] = dict(db.execute("SELECT id, text FROM text"))
    for tier, start, revision, data, device, metric, _, kind, tags in named_rows(db, "state_window"):
        row = np.frombuffer(data[: STATE_ROW.itemsize], STATE_ROW)[0]
        labels = (kind, json.loads(tags)["line"])
        yield (
            WindowId(device, metric, EVERY[tier], start),
            labels,
            revision,
            (
                texts[int(row["first"])],
                texts[int(row["last"])],
            ),
        )
    db.close()


def _sum(row: Any) -> float:
    """Return the sum that a row states in three parts; Python rounds a fraction to the nearest double."""
    parts = zip(("high", "mid", "low"), (16, 61, 106), strict=True)
    return float(sum(Fraction(int(row[name]), 1 << bits) for name, bits in parts))
