"""Buckets that cannot be written to at present, each with the reason and the time of its next try."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Final

MOST_NAMED: Final = 5


@dataclass(slots=True)
class _Hold:
    reason: str
    until: float
    delays: Iterator[float]


@dataclass(slots=True)
class HeldBuckets:
    """Held buckets; times are monotonic seconds.

    A bucket stays known until a write to it succeeds, so that its delays keep growing.
    """

    _holds: dict[str, _Hold] = field(default_factory=dict)

    def hold(self, bucket: str, reason: str, now: float, fresh: Iterator[float]) -> None:
        """Hold a bucket for the next of its delays; `fresh` are the delays of one that is not held yet."""
        delays = self._holds[bucket].delays if bucket in self._holds else fresh
        self._holds[bucket] = _Hold(reason, now + next(delays), delays)

    def release(self, bucket: str) -> None:
        """Forget a bucket: a write to it succeeded."""
        self._holds.pop(bucket, None)

    def closed(self, now: float) -> frozenset[str]:
        """Return the buckets that are not due for a try yet."""
        return frozenset(bucket for bucket, hold in self._holds.items() if hold.until > now)

    def wait(self, now: float) -> float | None:
        """Return the seconds until the next try of a closed bucket, None if none is closed."""
        return min((hold.until - now for hold in self._holds.values() if hold.until > now), default=None)

    def sentences(self) -> list[str]:
        """Return a sentence for each of the first five buckets, and how many more there are."""
        lines = [f"bucket '{bucket}': {hold.reason}" for bucket, hold in sorted(self._holds.items())]
        more = len(lines) - MOST_NAMED
        return lines if more <= 0 else [*lines[:MOST_NAMED], f"and {more} more"]
