"""What rules have seen of a device: the newest reading of each metric, and the samples of each range."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import NamedTuple

from tests.gateway.rules.reference.definitions import ONLINE
from tests.gateway.rules.reference.expressions import Value

LOOKBACK = 300_000

Range = tuple[str, int, str]
"""(metric, ms, family): a history, which functions of one family share."""


class Seen(NamedTuple):
    """The newest reading of a metric: its time (ms), and its place among readings of that time."""

    at: int
    order: tuple[int, int]
    value: Value


@dataclass
class Inputs:
    """`wanted`: the metrics that rules name. `lost`: those unknown since the device went offline, or missed them."""

    wanted: frozenset[str]
    lookbacks: dict[str, int]
    seen: dict[str, Seen] = field(default_factory=dict)
    lost: set[str] = field(default_factory=set)
    ranges: dict[Range, list[tuple[int, float]]] = field(default_factory=dict)

    def lookback(self, metric: str) -> int:
        return self.lookbacks.get(metric, LOOKBACK)

    def take(self, metric: str, reading: Seen) -> bool:
        """Take in a value; whether it is the newest of its metric."""
        last = self.seen.get(metric)
        newest = last is None or reading[:2] >= last[:2]
        for (name, *_), samples in self.ranges.items():
            if name == metric and not isinstance(reading.value, str):
                place = len(samples) if newest else bisect_left(samples, (reading.at,))
                samples.insert(place, (reading.at, float(reading.value)))
        if newest and metric in self.wanted:
            self.seen[metric] = reading
            self.lost.discard(metric)
        return newest

    def known(self, metric: str, now: int) -> Value | None:
        last = self.seen.get(metric)
        is_known = last is not None and metric not in self.lost and now - last.at <= self.lookback(metric)
        return last.value if last is not None and is_known else None

    def newest_of(self, metrics: Iterable[str]) -> int:
        return max((self.seen[metric].at for metric in metrics if metric in self.seen), default=0)

    def samples(self, metric: str, ms: int, family: str, now: int) -> list[tuple[int, float]]:
        return [(at, value) for at, value in self.ranges[metric, ms, family] if now - ms < at <= now]

    def lose(self, metrics: Iterable[str] | None = None) -> set[str]:
        """Lose the values that count while the device is online, of all metrics or some; those that were known."""
        online = {metric for metric in self.wanted if self.lookback(metric) == ONLINE}
        gone = online if metrics is None else online & set(metrics)
        known = gone & self.seen.keys() - self.lost
        self.lost |= gone
        return known

    def set_back(self, by: int) -> None:
        """Follow a clock that was set by so many ms; ranges start anew."""
        self.seen = {metric: one._replace(at=max(one.at + by, 1)) for metric, one in self.seen.items()}
        self.ranges = {key: [] for key in self.ranges}

    def following(
        self, wanted: frozenset[str], lookbacks: dict[str, int], ranges: dict[Range, bool]
    ) -> Inputs:
        """What other rules know: of metrics that both name, and of the ranges marked as kept."""
        return Inputs(
            wanted,
            lookbacks,
            {metric: one for metric, one in self.seen.items() if metric in wanted},
            self.lost & wanted,
            {key: self.ranges.get(key, []) if kept else [] for key, kept in ranges.items()},
        )
