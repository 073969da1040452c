"""Compares the ledger of a run with stored windows, by arithmetic alone.

Counted are readings that are lost or counted twice, and windows that are wrong.
"""

import math
import time
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import numpy as np

from fleet_config.counting import counted
from fleet_config.durations import format_duration
from fleet_sim.judging.closing import CLOSING_TAKES_MS, Closing
from fleet_sim.judging.moments import at_second
from fleet_sim.judging.not_proven import OFFLINE, Span, excuse, is_pending, lacks, spans, went_on
from fleet_sim.judging.stored import WindowKey
from fleet_sim.judging.terms import Terms, Tier
from fleet_sim.ledger.expected import Facts, Policy, Readouts, possible, readouts, windows
from fleet_sim.ledger.reading import Ledger

__all__ = ["MOST_EXAMPLES", "Comparison", "Wrong", "compare", "ranges"]

MOST_EXAMPLES = 10
ASTRAY_MS = 60_000
"""How long after its sending a reading may arrive and be stamped by the gateway."""
NOT_CLOSED = "not closed yet"


@dataclass(frozen=True, slots=True)
class Wrong:
    """A stored window that differs from what the ledger says; None: it is stored or expected on one side only."""

    key: WindowKey
    expected: Facts | None
    stored: Facts | None
    messages: str

    def __str__(self) -> str:
        device, metric, every, start = self.key
        where = f"{device} {metric}, {format_duration(every)} from {at_second(start)}"
        return f"{where}: {_difference(self.expected, self.stored)}; {self.messages}"


@dataclass(slots=True)
class Comparison:
    """The result. `lost` and `double` count readings, of the shortest windows alone.

    `readings` are the numbers that the broker acknowledged and windows must hold; those in the windows compared are
    `judged`. `missing` are those of the wrong windows that are not stored. `not_judged` counts windows by the reason.
    """

    source: str = ""
    readings: int = 0
    judged: int = 0
    windows: int = 0
    lost: int = 0
    double: int = 0
    wrong: int = 0
    missing: int = 0
    foreign: int = 0
    not_judged: dict[str, int] = field(default_factory=dict)
    examples: list[Wrong] = field(default_factory=list)
    closing_ms: float | None = None
    """No open window closes before this time (ms since 1970); None: no window is open."""
    closed_ms: float | None = None
    """The first of the open windows must be stored by this time (ms since 1970)."""

    @property
    def ok(self) -> bool:
        return not (self.lost or self.double or self.wrong)

    @property
    def inconclusive(self) -> bool:
        """Whether no window was judged although there are numbers to find."""
        return self.readings > 0 and not self.windows

    def measures(self) -> dict[str, float]:
        """Return the measures that a scenario may set expectations for."""
        return {
            "delivery.lost": self.lost,
            "delivery.duplicate": self.double,
            "windows.wrong": self.wrong,
            "windows.missing": self.missing,
        }

    def may_change_by(self, until_ms: float) -> bool:
        """Return whether another comparison before `until_ms` (ms since 1970) can give another result."""
        closes = self.closing_ms is not None and self.closing_ms <= until_ms
        return not self.ok or closes or OFFLINE in self.not_judged

    def set_aside(self, reason: str) -> None:
        self.not_judged[reason] = self.not_judged.get(reason, 0) + 1

    def as_dict(self) -> dict[str, Any]:
        return {
            "source": self.source,
            "readings": self.readings,
            "judged": self.judged,
            "windows": self.windows,
            "lost": self.lost,
            "double": self.double,
            "wrong_windows": self.wrong,
            "missing_windows": self.missing,
            "foreign_windows": self.foreign,
            "not_judged": self.not_judged,
            "inconclusive": self.inconclusive,
            "next_close": None if self.closing_ms is None else round(self.closing_ms),
            "examples": [str(example) for example in self.examples],
        }


def compare(
    ledger: Ledger,
    terms: Terms,
    stored: Mapping[WindowKey, Facts],
    source: str,
    *,
    now_ms: float | None = None,
) -> Comparison:
    """Compare every window of every metric of the run with `stored`, as it was read at `now_ms` (None: now).

    A window that is not stored is not judged if it may still have been open then.
    """
    comparing = _Comparing(
        ledger,
        terms,
        stored,
        Comparison(source=source),
        known_until=_known_until(ledger),
        now_ms=time.time() * 1000 if now_ms is None else now_ms,
        closing=Closing.of(ledger, terms),
        spans=spans(ledger, terms.time),
    )
    metrics = dict.fromkeys(metric for group in ledger.groups for metric in group.numbers)
    for metric in metrics:
        comparing.metric(metric)
    comparing.settle_pending()
    comparing.unexpected(metrics)
    return comparing.result


class _Window(NamedTuple):
    """A window to judge; `must` of its readings are acknowledged, so that they have to be in it."""

    key: WindowKey
    found: Facts | None
    allowed: Sequence[Facts]
    must: int
    inside: Readouts


@dataclass(slots=True)
class _Comparing:
    """A comparison in progress; times in ms.

    The ledger knows all readings before `known_until`, and `seen` are their windows. What is stored was read at
    `now_ms`. Of a gateway that said it is offline, windows that lack readings are `pending` until it is known whether
    it `resumed`.
    """

    ledger: Ledger
    terms: Terms
    stored: Mapping[WindowKey, Facts]
    result: Comparison
    known_until: float
    now_ms: float
    closing: Closing
    spans: Mapping[str, Span]
    seen: set[WindowKey] = field(default_factory=set)
    pending: list[_Window] = field(default_factory=list)
    resumed: bool = False

    def metric(self, metric: str) -> None:
        policy = self.terms.policies.get(metric, Policy())
        readings = readouts(self.ledger, metric, policy)
        self.result.readings += int(readings.sure.sum())
        believed = self.terms.time.believe(readings.ts, readings.sent)
        astray = _astray(self.ledger, metric, readings.rows(~believed), self.terms.tiers)
        for tier in self.terms.tiers:
            self._tier(metric, readings.rows(believed), tier, astray, rated=policy.rated)

    def _tier(
        self, metric: str, readings: Readouts, tier: Tier, astray: set[WindowKey], *, rated: bool
    ) -> None:
        values, sure = readings.value.tolist(), readings.sure.tolist()
        for device, start, rows in windows(readings, tier.every_ms):
            key = WindowKey(self.ledger.devices[device].id, metric, tier.every_ms, start)
            self.seen.add(key)
            inside = readings.rows(rows)
            allowed = possible(values[rows], sure[rows])
            reason = _why_not(key, tier, inside, astray, rated=rated)
            if key.start + key.every > self.known_until:
                reason = "after the end of the killed run's ledger"
            if allowed is None or reason:
                self.result.set_aside(reason or "too many readings without a PUBACK")
            else:
                self._judge(_Window(key, self.stored.get(key), allowed, sum(sure[rows]), inside))

    def _may_be_open(self, key: WindowKey) -> bool:
        """Return whether the gateway may still hold a window open; note then when the first of them closes."""
        closed = self.closing.latest_ms(key)
        if closed <= self.now_ms:
            return False
        self.result.closing_ms = min(self.closing.earliest_ms(key), self.result.closing_ms or math.inf)
        self.result.closed_ms = min(closed, self.result.closed_ms or math.inf)
        return True

    def _judge(self, window: _Window) -> None:
        """Compare one window, unless an offline gateway may still store it."""
        if self.terms.offline:
            key, found, inside = window.key, window.found, window.inside
            self.resumed = self.resumed or went_on(key, found, inside, self.terms)
            grace = self.terms.time.idle_close_ms + CLOSING_TAKES_MS
            if lacks(found, window.allowed) and is_pending(key, inside, self.terms, grace):
                self.pending.append(window)
                return
        self._settle(window)

    def settle_pending(self) -> None:
        for window in self.pending:
            if self.resumed:
                self._settle(window)
            else:
                self.result.set_aside(OFFLINE)

    def _settle(self, window: _Window) -> None:
        key, found, allowed, must, inside = window
        if found is None and self._may_be_open(key):
            self.result.set_aside(NOT_CLOSED)
            return
        right = found in allowed or (found is None and not must)
        if not right and (reason := excuse(key, found, allowed, self.terms, self.spans)):
            self.result.set_aside(reason)
            return
        self.result.windows += 1
        if self._is_base(key):
            self.result.judged += must
        if not right:
            self._blame(Wrong(key, allowed[0], found, _messages(inside)), must, allowed)

    def _is_base(self, key: WindowKey) -> bool:
        return key.every == self.terms.tiers[0].every_ms

    def _blame(self, wrong: Wrong, must: int, allowed: Sequence[Facts]) -> None:
        result, held = self.result, wrong.stored.count if wrong.stored else 0
        result.wrong += 1
        result.missing += wrong.stored is None
        if self._is_base(wrong.key):
            result.lost += max(0, must - held)
            result.double += max(0, held - max((facts.count for facts in allowed), default=0))
        if len(result.examples) < MOST_EXAMPLES:
            result.examples.append(wrong)

    def unexpected(self, metrics: Iterable[str]) -> None:
        """Blame stored windows inside a device's span that the ledger does not know; count those of others."""
        known = set(metrics)
        for key, facts in self.stored.items():
            if key in self.seen:
                continue
            begun = key.start + key.every <= self.known_until
            span = self.spans.get(key.device)
            if begun and key.metric in known and span is not None and span.covers(key):
                self._blame(Wrong(key, None, facts, "no such reading"), 0, ())
            else:
                self.result.foreign += 1


def _known_until(ledger: Ledger) -> float:
    """Return up to which device time (ms) the ledger knows all readings; a killed run's to its last one."""
    if ledger.end is not None:
        return math.inf
    return max((float(group.table["ts"].max()) for group in ledger.groups if len(group.table)), default=0.0)


def _astray(ledger: Ledger, metric: str, stamped: Readouts, tiers: Sequence[Tier]) -> set[WindowKey]:
    """Return the windows that readings stamped by the gateway may be in: from their sending to a minute later."""
    return {
        WindowKey(ledger.devices[device].id, metric, tier.every_ms, start)
        for device, sent in zip(stamped.device.tolist(), stamped.sent.tolist(), strict=True)
        for tier in tiers
        for start in range(
            sent // 1000 // tier.every_ms * tier.every_ms, sent // 1000 + ASTRAY_MS, tier.every_ms
        )
    }


def _why_not(key: WindowKey, tier: Tier, inside: Readouts, astray: set[WindowKey], *, rated: bool) -> str:
    """Return why the window cannot be judged; nothing where it can."""
    if rated:
        return "rate-limited metric"
    if key in astray:
        return "may hold readings stamped on arrival"
    if tier.keep_ms is not None and (inside.sent // 1000 > key.start + key.every + tier.keep_ms).any():
        return "sent later than the window is kept"
    return ""


def ranges(numbers: Sequence[int]) -> list[tuple[int, int]]:
    """Merge sorted integers into (first, last) ranges."""
    column = np.asarray(numbers, dtype=np.int64)
    if column.size == 0:
        return []
    cuts = np.flatnonzero(np.diff(column) > 1)
    first = column[np.r_[0, cuts + 1]].tolist()
    last = column[np.r_[cuts, column.size - 1]].tolist()
    return list(zip(first, last, strict=True))


def _messages(rows: Readouts) -> str:
    """Name the messages of one window: `boot 17 seq 100-104, 107`."""
    parts = []
    for boot in np.unique(rows.boot).tolist():
        seqs = ranges(np.unique(rows.seq[rows.boot == boot]).tolist())
        parts.append(f"boot {boot} seq " + ", ".join(f"{a}-{b}" if b > a else f"{a}" for a, b in seqs))
    return "; ".join(parts)


def _difference(expected: Facts | None, stored: Facts | None) -> str:
    """Name the figures that differ; rounded, unless only the digits beyond that differ."""
    if stored is None:
        return f"not stored, expected {counted(expected.count if expected else 0, 'reading')}"
    if expected is None:
        return f"stored {counted(stored.count, 'reading')}, expected none"
    return ", ".join(
        f"{name} {_number(found, wanted)}, expected {_number(wanted, found)}"
        for name in stored.__slots__
        if (found := getattr(stored, name)) != (wanted := getattr(expected, name))
    )


def _number(value: float, other: float) -> str:
    return f"{value:.6g}" if f"{value:.6g}" != f"{other:.6g}" else repr(value)
