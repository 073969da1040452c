"""How fast commands are sent: a token bucket for each device, and one for the gateway. Times are monotonic ms."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from fleet_config.durations import RateSpec

LEAST_BUCKETS = 64
"""Buckets are first searched for full ones at this number, then each time it doubles."""


@dataclass(slots=True)
class Bucket:
    """A token bucket; its level is computed when asked for. Times are monotonic ms."""

    tokens: float
    at: int

    @classmethod
    def full(cls, rate: RateSpec, at: int) -> Bucket:
        return cls(_capacity(rate), at)

    def level(self, rate: RateSpec, now: int) -> float:
        """Return the number of tokens at `now`."""
        filled = self.tokens + max(0, now - self.at) * rate.count / rate.per_ms
        return min(_capacity(rate), filled)

    def take(self, rate: RateSpec, now: int) -> None:
        """Use one token."""
        self.tokens, self.at = self.level(rate, now) - 1.0, now


def _capacity(rate: RateSpec) -> float:
    return float(max(rate.count, 1))


class CommandRates:
    """The buckets of all devices and of the gateway; a device without one has a full one."""

    def __init__(self, per_device: RateSpec, total: RateSpec) -> None:
        self.per_device = per_device
        self.total = total
        self._buckets: dict[str, Bucket] = {}
        self._total = Bucket.full(total, 0)

    def take(self, device: str, now: int) -> bool:
        """Use one token of the device's bucket and one of the gateway's; False if either has none."""
        bucket = self._buckets.get(device) or Bucket.full(self.per_device, now)
        if bucket.level(self.per_device, now) < 1.0 or self._total.level(self.total, now) < 1.0:
            return False
        bucket.take(self.per_device, now)
        self._buckets[device] = bucket
        self._total.take(self.total, now)
        if len(self._buckets) >= LEAST_BUCKETS and len(self._buckets).bit_count() == 1:
            self._forget_full(now)
        return True

    def _forget_full(self, now: int) -> None:
        full, buckets = _capacity(self.per_device), self._buckets
        self._buckets = {
            device: bucket for device, bucket in buckets.items() if bucket.level(self.per_device, now) < full
        }

    def snapshot(self) -> dict[str, Any]:
        return {
            "buckets": {device: [bucket.tokens, bucket.at] for device, bucket in self._buckets.items()},
            "total": [self._total.tokens, self._total.at],
        }

    def restore(self, state: Mapping[str, Any]) -> None:
        self._buckets = {device: Bucket(*level) for device, level in state["buckets"].items()}
        self._total = Bucket(*state["total"])
