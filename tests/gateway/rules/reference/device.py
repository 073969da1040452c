"""What a device has sent, as rules see it: its clock, the newest reading of each metric, and all samples."""

from __future__ import annotations

from bisect import bisect_left
from dataclasses import dataclass, field
from typing import NamedTuple

from tests.gateway.rules.reference.expressions import Value

LOOKBACK = 300_000
SMALL_STEP = 5_000


class Message(NamedTuple):
    """A message of one sample, with the moment it arrives: wall and listening clock, ms."""

    device: str
    site: str
    seq: int
    ts: int
    values: dict[str, Value | bool]
    wall: int
    listening: int


class Birth(NamedTuple):
    """A birth that names these metrics, and the next seq."""

    device: str
    site: str
    metrics: tuple[str, ...]
    next_seq: int
    wall: int
    listening: int


class Seen(NamedTuple):
    """The newest reading of a metric."""

    at: int
    seq: int
    value: Value


@dataclass
class Device:
    """`following`: above every seq that it is known to have given, by its messages and births: what fills a gap below
    is no step of its clock. `newest`: its clock. `now_read`: the newest time rules have taken; `heard`: the listening
    clock then.
    """

    name: str
    site: str
    lookbacks: dict[str, int]
    seqs: set[int] = field(default_factory=set)
    following: int = 0
    newest: int = 0
    now_read: int = 0
    heard: int = 0
    first: int = 0
    old: bool = False
    born: int | None = None
    named: dict[str, int] = field(default_factory=dict)
    seen: dict[str, Seen] = field(default_factory=dict)
    history: dict[str, list[tuple[int, float]]] = field(default_factory=dict)

    def now(self, listening: int) -> int:
        return self.now_read + max(0, listening - self.heard)

    def time_of(self, message: Message) -> int:
        """At which time rules take a new message: a small step back of the clock forgets nothing."""
        highest = message.seq >= self.following
        self.following = max(self.following, message.seq + 1)
        if message.ts > self.newest or (message.ts == self.newest and highest):
            self.newest = message.ts
        elif highest and self.newest - message.ts <= SMALL_STEP:
            return self.newest
        return message.ts

    def take(self, message: Message, at: int) -> set[str]:
        """Take in a reading; the metrics that rules may act on."""
        self.now_read = max(self.now_read, at)
        fresh = set()
        for metric, given in message.values.items():
            value = str(given).lower() if isinstance(given, bool) else given
            last, samples = self.seen.get(metric), self.history.setdefault(metric, [])
            if last is None or (at, message.seq) >= (last.at, last.seq):
                self.seen[metric] = Seen(at, message.seq, value)
                place = len(samples)
                fresh |= {metric} if self.now_read - at <= self.lookback(metric) else set()
            else:
                place = bisect_left(samples, (at,))
            if not isinstance(value, str):
                samples.insert(place, (at, float(value)))
        return fresh

    def lookback(self, metric: str) -> int:
        return self.lookbacks.get(metric, LOOKBACK)

    def known(self, metric: str) -> Value | None:
        last = self.seen.get(metric)
        return None if last is None or self.now_read - last.at > self.lookback(metric) else last.value

    def newest_of(self, metrics: tuple[str, ...]) -> int:
        return max((self.seen[metric].at for metric in metrics if metric in self.seen), default=0)
