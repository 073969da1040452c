"""How a gateway counts, as its retained status says: its windows, its limits of time, and what it lacks."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

from fleet_config.durations import format_duration
from fleet_sim.judging.stored import StoredUnreadable
from fleet_sim.ledger.expected import Policy

__all__ = [
    "NotCounted", "Terms", "Tier", "TimeLimits", "gateway_terms", "not_counted", "rounded_wait",
    "wait_for_windows",
]  # fmt: skip

_STORED_WITHIN_MS = 2_000
_STEP_MS = 10_000


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

    def believe(self, ts: Any, sent: Any) -> Any:
        """Return bool[rows]: whether the gateway takes device times `ts` (ms), `sent` in µs (0: not known)."""
        return (ts >= self.earliest_ms) & ~((sent > 0) & (ts > sent // 1000 + self.max_future_skew_ms))


@dataclass(frozen=True, slots=True)
class Terms:
    """How a gateway counts, from its retained status."""

    gateway: str
    tiers: tuple[Tier, ...]
    time: TimeLimits
    policies: Mapping[str, Policy]
    floor: int = 0
    offline: bool = False
    at: int = 0
    """Windows that start before `floor` may lack readings; it said at `at` whether it is `offline` (both ms)."""


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
        floor=int((status.get("store") or {}).get("floor") or 0),
        offline=status.get("state") == "offline",
        at=int(status.get("at") or 0),
    )


class NotCounted(NamedTuple):
    """What a gateway received during a run and put into no window, by its own count; None: not known."""

    too_late: int | None
    not_known: int | None


def not_counted(statuses: Sequence[Mapping[str, Any]]) -> NotCounted:
    """Return how far a gateway's counters rose between the first and the last status that a run heard of it.

    They count since the spool began. One that is lower at the end began anew, and says nothing of the run.
    """
    first, last = statuses[0], statuses[-1]
    return NotCounted(
        _rise(first, last, "values", "too_late", heard=len(statuses)),
        _rise(first, last, "messages", "not_known", heard=len(statuses)),
    )


def _rise(
    first: Mapping[str, Any], last: Mapping[str, Any], section: str, name: str, *, heard: int
) -> int | None:
    before, after = (int((status.get(section) or {}).get(name) or 0) for status in (first, last))
    return after - before if heard > 1 and after >= before else None


def wait_for_windows(time: TimeLimits) -> str:
    """Return for how long `verify --wait` must wait after a run until a gateway has closed and stored every window."""
    return rounded_wait(time.idle_close_ms + time.allowed_lateness_ms + _STORED_WITHIN_MS)


def rounded_wait(ms: float) -> str:
    """Return a time to wait for what takes so long, as `--wait` reads it: rounded up to ten seconds."""
    return format_duration(math.ceil(ms / _STEP_MS) * _STEP_MS)


def _or_none(value: Any) -> int | None:
    return int(value) if value else None
