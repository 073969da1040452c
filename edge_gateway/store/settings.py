"""The store's settings, fixed while it is open."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from edge_gateway.store.outbox import SinkBudget

FOR_EVER: Final = -(1 << 63)


@dataclass(frozen=True, slots=True)
class StoredTier:
    """A tier: window length (ms), bucket, and how long (ms) the bucket keeps points, 0 for ever."""

    every: int
    bucket: str
    keep: int

    def oldest(self, at: int) -> int:
        """Return the earliest time of a point that the bucket accepts at wall time `at`, both in ms."""
        return at - self.keep if self.keep else FOR_EVER


@dataclass(frozen=True, slots=True)
class StoreSettings:
    """Settings of the store.

    Attributes:
        tiers: from the base up.
        p95_metrics: metrics whose windows have a p95.
        forwarded: names of the tags that go to the sinks.
        sinks: the sinks that have an outbox.
        history_keep: age in ms at which windows, alerts, commands and events are removed, 0 for never.
        history_max_bytes: size above which the oldest windows are removed.
        quarantine_max_bytes: size above which quarantined messages are evicted.
    """

    tiers: tuple[StoredTier, ...]
    p95_metrics: frozenset[str] = frozenset()
    forwarded: tuple[str, ...] = ()
    sinks: tuple[SinkBudget, ...] = ()
    history_keep: int = 30 * 86_400_000
    history_max_bytes: int = 1 << 30
    quarantine_max_bytes: int = 100 << 20
