"""Compares the ledger of a run with stored windows, by arithmetic alone.

Counted are readings that are lost or counted twice, and windows that are wrong.
"""

import math
import time
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from fleet_sim.judging.stored import StoredUnreadable, WindowKey
from fleet_sim.ledger.expected import Facts, Policy, Readouts, possible, readouts, windows
from fleet_sim.ledger.reading import Ledger

__all__ = ["NOT_CLOSED", "Comparison", "Tier", "TimeLimits", "Wrong", "compare", "gateway_terms", "ranges"]

MOST_EXAMPLES = 10
CLOSING_TAKES_MS = 2_000
"""From the time at which a window is due to close until it is stored, at most."""
ASTRAY_MS = 60_000
"""How long after its sending a reading may arrive and be stamped by the gateway."""
NOT_CLOSED = "not closed yet"


@dataclass(frozen=True, slots=True)
class Tier:
    """Windows of one length, and for how long they are kept (None: for ever)."""

    every_ms: int
    bucket: str
    keep_ms: int | None


@dataclass(frozen=True, slots=True)
class TimeLimits:
    """The gateway's limits in ms: which device times it replaces by its own, and when it closes windows."""

    earliest_ms: int
    max_future_skew_ms: int
    allowed_lateness_ms: int = 0
    idle_close_ms: int = 0


@dataclass(frozen=True, slots=True)
class Terms:
    """How a gateway counts, from its retained status."""

    gateway: str
    tiers: tuple[Tier, ...]
    time: TimeLimits
    policies: Mapping[str, Policy]
    too_late: int
    not_known: int


@dataclass(frozen=True, slots=True)
class Wrong:
    """A stored window that differs from what the ledger says; None: it is stored or expected on one side only."""

    key: WindowKey
    expected: Facts | None
    stored: Facts | None
    messages: str

    def __str__(self) -> str:
        found = "nothing" if self.stored is None else _in_words(self.stored)
        wanted = "nothing" if self.expected is None else _in_words(self.expected)
        where = f"{self.key.device} {self.key.metric} {self.key.every // 1000}s window at {self.key.start}"
        return f"{where}: expected {wanted}, stored {found}; {self.messages}"


@dataclass(slots=True)
class Comparison:
    """The result. `lost` and `double` count readings, of the shortest windows alone.

    `missing` are those of the wrong windows that are not stored. `not_judged` counts windows by the reason.
    """

    source: str = ""
    readings: int = 0
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

    @property
    def ok(self) -> bool:
        return not (self.lost or self.double or self.wrong)

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
        return not self.ok or (self.closing_ms is not None and self.closing_ms <= until_ms)

    def set_aside(self, reason: str) -> None:
        self.not_judged[reason] = self.not_judged.get(reason, 0) + 1

    def as_dict(self) -> dict[str, Any]:
        return {
            "source": self.source,
            "readings": self.readings,
            "windows": self.windows,
            "lost": self.lost,
            "double": self.double,
            "wrong_windows": self.wrong,
            "missing_windows": self.missing,
            "foreign_windows": self.foreign,
            "not_judged": self.not_judged,
            "next_close": None if self.closing_ms is None else round(self.closing_ms),
            "examples": [str(example) for example in self.examples],
        }


def gateway_terms(status: Mapping[str, Any]) -> Terms:
    """Read from a gateway's retained status how it counts.

    Raises:
        StoredUnreadable: the status does not say.
    """
    name = str(status.get("gateway", ""))
    try:
        return _terms(name, status)
    except (KeyError, TypeError, ValueError, OverflowError, AttributeError):
        raise StoredUnreadable(
            f"the status of gateway '{name}' does not say how it computes windows; "
            "run the fleet again with a gateway of this version"
        ) from None


def _terms(name: str, status: Mapping[str, Any]) -> Terms:
    limits = status.get("time") or {}
    tiers = tuple(
        Tier(int(row["every"]), str(row.get("bucket") or ""), _or_none(row.get("keep")))
        for row in status["windows"]
    )
    if not tiers or min(tier.every_ms for tier in tiers) <= 0:
        raise ValueError
    return Terms(
        gateway=name,
        tiers=tiers,
        time=TimeLimits(
            earliest_ms=int(limits.get("earliest") or 0),
            max_future_skew_ms=int(limits.get("max_future_skew") or 300_000),
            allowed_lateness_ms=int(limits.get("allowed_lateness") or 0),
            idle_close_ms=int(limits.get("idle_close") or 0),
        ),
        policies={name: Policy.of(row) for name, row in (status.get("metrics") or {}).items()},
        too_late=int((status.get("values") or {}).get("too_late") or 0),
        not_known=int((status.get("messages") or {}).get("not_known") or 0),
    )


def _or_none(value: Any) -> int | None:
    return int(value) if value else None


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
        open_from=_open_from(ledger, terms.time, time.time() * 1000 if now_ms is None else now_ms),
        silent_from=_last_arrival_ms(ledger) + terms.time.idle_close_ms,
        newest_ms=max(
            (float(group.table["ts"].max()) for group in ledger.groups if len(group.table)), default=0.0
        ),
    )
    metrics = dict.fromkeys(metric for group in ledger.groups for metric in group.numbers)
    for metric in metrics:
        comparing.metric(metric)
    comparing.unexpected(metrics)
    return comparing.result


@dataclass(slots=True)
class _Comparing:
    """A comparison in progress; times in ms.

    The ledger knows all readings before `known_until`, and `seen` are their windows. Windows that end after
    `open_from` may still be open. The devices count as silent from `silent_from` on; `newest_ms` is the last device
    time.
    """

    ledger: Ledger
    terms: Terms
    stored: Mapping[WindowKey, Facts]
    result: Comparison
    known_until: float
    open_from: float
    silent_from: float
    newest_ms: float
    seen: set[WindowKey] = field(default_factory=set)

    def metric(self, metric: str) -> None:
        policy = self.terms.policies.get(metric, Policy())
        readings = readouts(self.ledger, metric, policy)
        believed = _believed(readings, self.terms.time)
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
            elif key.start + key.every > self.open_from and key not in self.stored:
                reason = NOT_CLOSED
                self._closes(key)
            if allowed is None or reason:
                self.result.set_aside(reason or "too many readings without a PUBACK")
            else:
                self._judge(key, allowed, sum(sure[rows]), inside)

    def _closes(self, key: WindowKey) -> None:
        """Note the earliest time at which the window can close, given that its device is silent.

        Silence closes base windows; for longer ones the device's time advances from its last reading.
        """
        left = 0.0 if self._is_base(key) else max(0.0, key.start + key.every - self.newest_ms)
        self.result.closing_ms = min(self.silent_from + left, self.result.closing_ms or math.inf)

    def _judge(self, key: WindowKey, allowed: list[Facts], must: int, inside: Readouts) -> None:
        """Compare one window; `must` of its readings are acknowledged, so that they have to be in it."""
        self.result.windows += 1
        if self._is_base(key):
            self.result.readings += must
        found = self.stored.get(key)
        if found not in allowed and (found is not None or must):
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
        """Blame stored windows of the run that the ledger does not know; count those of other devices and times."""
        devices, known = {entry.id for entry in self.ledger.devices}, set(metrics)
        times = [group.table["ts"] for group in self.ledger.groups if len(group.table)]
        if not times:
            return
        first, last = min(int(ts.min()) for ts in times), max(int(ts.max()) for ts in times)
        for key, facts in self.stored.items():
            if key in self.seen:
                continue
            begun = key.start + key.every <= self.known_until
            if begun and key.device in devices and key.metric in known and first < key.start <= last:
                self._blame(Wrong(key, None, facts, "no such reading"), 0, ())
            else:
                self.result.foreign += 1


def _known_until(ledger: Ledger) -> float:
    """Return up to which device time (ms) the ledger knows all readings; a killed run's to its last one."""
    if ledger.end is not None:
        return math.inf
    return max((float(group.table["ts"].max()) for group in ledger.groups if len(group.table)), default=0.0)


def _last_arrival_ms(ledger: Ledger) -> float:
    arrivals = ledger.tables["acks"]["at"]
    return float(arrivals.max()) / 1000 if arrivals.size else -math.inf


def _open_from(ledger: Ledger, limits: TimeLimits, now_ms: float) -> float:
    """Return the end after which a window may still be open at `now_ms` (all ms)."""
    grace = limits.idle_close_ms + CLOSING_TAKES_MS
    if now_ms < _last_arrival_ms(ledger) + grace:
        return -math.inf
    return now_ms - limits.allowed_lateness_ms - grace


def _believed(readings: Readouts, limits: TimeLimits) -> Any:
    """Say for each row whether the gateway accepts its device time; the window of any other cannot be predicted."""
    ahead = readings.ts > readings.sent // 1000 + limits.max_future_skew_ms
    return (readings.ts >= limits.earliest_ms) & ~(ahead & (readings.sent > 0))


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


def _in_words(facts: Facts) -> str:
    return " ".join(f"{name} {getattr(facts, name)!r}" for name in facts.__slots__)
