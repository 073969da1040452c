"""Buckets that cannot be written to for now, each with its reason and the time of its next try."""

from collections.abc import Iterator
from dataclasses import dataclass, field

MOST_TOLD = 5


@dataclass(slots=True)
class _Held:
    reason: str
    until: float
    delays: Iterator[float]


@dataclass(slots=True)
class HeldBuckets:
    """Times are monotonic seconds. A bucket stays known until it is written to, so that its waits go on growing."""

    _held: dict[str, _Held] = field(default_factory=dict)

    def hold(self, bucket: str, reason: str, now: float, fresh: Iterator[float]) -> None:
        """Leave a bucket alone for the next of its delays; `fresh` are those of a bucket that is not held yet."""
        delays = self._held[bucket].delays if bucket in self._held else fresh
        self._held[bucket] = _Held(reason, now + next(delays), delays)

    def release(self, bucket: str) -> None:
        """It was written to."""
        self._held.pop(bucket, None)

    def closed(self, now: float) -> frozenset[str]:
        """Those whose next try is still to come."""
        return frozenset(bucket for bucket, held in self._held.items() if held.until > now)

    def wait(self, now: float) -> float | None:
        """Seconds to the next try of any; None where none is closed."""
        return min((held.until - now for held in self._held.values() if held.until > now), default=None)

    def told(self) -> list[str]:
        """A sentence for each of the first five, and how many more there are."""
        lines = [f"bucket '{bucket}': {held.reason}" for bucket, held in sorted(self._held.items())]
        more = len(lines) - MOST_TOLD
        return lines if more <= 0 else [*lines[:MOST_TOLD], f"and {more} more"]
