"""The expected content of windows, computed from the ledger alone: count, sum, min, max, first and last.

Sums are correctly rounded (`math.fsum`), so they do not depend on order. First and last are by (time, value). Nothing
here knows how the gateway computes the same figures.
"""

import math
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from fractions import Fraction
from itertools import combinations
from typing import Any, NamedTuple, Self

import numpy as np
import numpy.typing as npt

from fleet_sim.ledger.reading import Ledger, Readings, Table

__all__ = [
    "Facts",
    "Policy",
    "Readouts",
    "acked_rows",
    "facts_of",
    "possible",
    "readouts",
    "sent_rows",
    "windows",
]

Ints = npt.NDArray[np.int64]
Bools = npt.NDArray[np.bool_]
Floats = npt.NDArray[np.float64]

LEAST_QUALITY = 0.5
MOST_UNSURE = 8
"""Windows with more unacknowledged readings are not judged: at most 2⁸ combinations are tried."""


@dataclass(frozen=True, slots=True)
class Facts:
    """The figures of one window of one series; the sum is infinite, of either sign, where it is beyond all doubles."""

    count: int
    sum: float
    min: float
    max: float
    first: float
    last: float


@dataclass(frozen=True, slots=True)
class Policy:
    """Which values of a metric count, as the gateway's status publishes it."""

    low: float = -math.inf
    high: float = math.inf
    missing: tuple[float, ...] = ()
    rated: bool = False

    @classmethod
    def of(cls, published: Mapping[str, Any] | None) -> Self:
        if not published:
            return cls()
        low, high = published.get("range") or (None, None)
        return cls(
            low=-math.inf if low is None else float(low),
            high=math.inf if high is None else float(high),
            missing=tuple(float(code) for code in published.get("missing") or ()),
            rated=bool(published.get("rate")),
        )

    def counts(self, values: Floats) -> Bools:
        """Return bool[k]: values that are finite, within the range, and not a missing code."""
        kept: Bools = np.isfinite(values) & (values >= self.low) & (values <= self.high)
        return kept & ~np.isin(values, self.missing) if self.missing else kept


class Readouts(NamedTuple):
    """The values of one metric that must or may be stored, ordered by (device, ts, value).

    Those marked `sure` were acknowledged by the broker and must be stored; the others were only sent, and may be.
    """

    device: Ints
    ts: Ints
    value: Floats
    sure: Bools
    boot: Ints
    seq: Ints
    sent: Ints

    def rows(self, chosen: Any) -> "Readouts":
        return Readouts(*(column[chosen] for column in self))


def acked_rows(ledger: Ledger, group: Readings) -> Bools:
    """Return bool[rows]: rows whose message has a successful PUBACK."""
    acks = ledger.tables["acks"]
    good = acks["code"] < 0x80  # noqa: PLR2004 - MQTT: reason codes from 0x80 are failures
    return _among(group.table, {name: acks[name][good] for name in ("device", "boot", "seq")})


def sent_rows(ledger: Ledger, group: Readings) -> Bools:
    """Return bool[rows]: rows whose message was sent, at once or later from the buffer."""
    return (group.table["sent"] > 0) | _among(group.table, ledger.tables["sends"].columns)


def _among(table: Table, wanted: Mapping[str, Ints]) -> Bools:
    """Return bool[rows]: rows of `table` whose (device, boot, seq) is in `wanted`."""
    boots = np.unique(np.concatenate([table["boot"], wanted["boot"]]))
    return np.isin(_message(table.columns, boots), _message(wanted, boots))


def _message(columns: Mapping[str, Ints], boots: Ints) -> Ints:
    """Encode each (device, boot, seq) as one integer: boot by its index in `boots`, seq in the low 40 bits."""
    pair = columns["device"] * boots.size + np.searchsorted(boots, columns["boot"])
    return (pair << 40) | columns["seq"]


def readouts(ledger: Ledger, metric: str, policy: Policy) -> Readouts:
    """Return every value of `metric` in the run that must or may be stored."""
    parts = [
        _of_group(ledger, group, group.numbers.index(metric), policy)
        for group in ledger.groups
        if metric in group.numbers
    ]
    joined = Readouts(*(np.concatenate(columns) for columns in zip(*parts, strict=True)))
    return joined.rows(np.lexsort((joined.value, joined.ts, joined.device)))


def _of_group(ledger: Ledger, group: Readings, metric: int, policy: Policy) -> Readouts:
    values = group.values[metric]
    quality = group.quality.get(group.numbers[metric])
    trusted = np.ones(values.size, dtype=bool) if quality is None else quality >= LEAST_QUALITY
    acked = acked_rows(ledger, group)
    rows = group.present(metric) & group.intact() & trusted & policy.counts(values)
    rows &= acked | sent_rows(ledger, group)
    table = group.table
    return Readouts(
        table["device"], table["ts"], values, acked, table["boot"], table["seq"], table["sent"]
    ).rows(rows)


def windows(readings: Readouts, every_ms: int) -> list[tuple[int, int, slice]]:
    """Cut ordered readings into (device, window start in ms, rows)."""
    if readings.ts.size == 0:
        return []
    start = readings.ts - readings.ts % every_ms
    cuts = np.flatnonzero((np.diff(readings.device) != 0) | (np.diff(start) != 0)) + 1
    begins = [0, *cuts.tolist()]
    ends = [*begins[1:], readings.ts.size]
    return [(int(readings.device[a]), int(start[a]), slice(a, b)) for a, b in zip(begins, ends, strict=True)]


def facts_of(values: Sequence[float]) -> Facts:
    """Return the facts of one window from its values, ordered by (time, value)."""
    return Facts(len(values), _sum_of(values), min(values), max(values), values[0], values[-1])


def _sum_of(values: Sequence[float]) -> float:
    with suppress(OverflowError):
        return math.fsum(values)
    with suppress(OverflowError):  # `fsum` raises also where only its way to the sum is beyond all doubles
        return float(sum(map(Fraction, values)))
    return math.inf


def possible(values: Sequence[float], sure: Sequence[bool]) -> list[Facts] | None:
    """Return every allowed outcome: all sure values, with or without each of the others.

    None if too many are unsure. An empty outcome has no facts and is left out.
    """
    unsure = [row for row, certain in enumerate(sure) if not certain]
    if len(unsure) > MOST_UNSURE:
        return None
    outcomes = []
    for size in range(len(unsure), -1, -1):
        for chosen in combinations(unsure, size):
            kept = [value for row, value in enumerate(values) if sure[row] or row in chosen]
            if kept:
                outcomes.append(facts_of(kept))
    return outcomes
