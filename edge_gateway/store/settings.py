"""What the store is told once, when it is opened."""

from dataclasses import dataclass
from typing import Final

from edge_gateway.store.outbox import SinkBudget

FOR_EVER: Final = -(1 << 63)


@dataclass(frozen=True, slots=True)
class StoredTier:
    """Windows of one length (ms), their bucket, and how long (ms) the bucket keeps them, 0 for ever."""

    every: int
    bucket: str
    keep: int

    def oldest(self, at: int) -> int:
        """The earliest time of a point that the bucket still takes at wall time `at`; both in ms."""
        return at - self.keep if self.keep else FOR_EVER


@dataclass(frozen=True, slots=True)
class StoreSettings:
    """Tiers from the base up, which metrics have a p95, forwarded tags, sinks, bounds in ms and bytes."""

    tiers: tuple[StoredTier, ...]
    p95_metrics: frozenset[str] = frozenset()
    forwarded: tuple[str, ...] = ()
    sinks: tuple[SinkBudget, ...] = ()
    history_keep: int = 30 * 86_400_000
    history_max_bytes: int = 1 << 30
    quarantine_max_bytes: int = 100 << 20
