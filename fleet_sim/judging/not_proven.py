"""Where a stored window that differs from the ledger proves nothing against the gateway.

It may be stored later, or as partial, or hold readings of another run of the same devices. A window that is not wholly
inside the time in which a device sent in this run cannot prove that a reading was counted twice, and no window of a
device can that another client took over, or may have: both sent at the same time.
"""

from collections.abc import Mapping, Sequence
from typing import Final, NamedTuple

import numpy as np

from fleet_sim.judging.stored import WindowKey
from fleet_sim.judging.terms import Terms, TimeLimits
from fleet_sim.ledger.expected import Facts, Readouts, acked_rows, sent_rows
from fleet_sim.ledger.reading import Ledger

__all__ = [
    "ANOTHER_RUN", "FLOOR", "OFFLINE", "Span", "excuse", "is_pending", "lacks", "spans", "taken_over", "went_on",
]  # fmt: skip

OFFLINE: Final = "the gateway is offline"
FLOOR: Final = "before the gateway's floor: stored as partial"
ANOTHER_RUN: Final = "may hold readings of another run"


class Span(NamedTuple):
    """The device times (ms) of the first and the last reading that a device sent in a run."""

    first: int
    last: int

    def covers(self, key: WindowKey) -> bool:
        """Return whether a window is wholly inside."""
        return self.first <= key.start and key.start + key.every - 1 <= self.last


NO_SPAN: Final = Span(1 << 62, -(1 << 62))


def taken_over(ledger: Ledger) -> set[str]:
    """Return the ids of the devices that another client took over during the run."""
    return {ledger.devices[row["device"]].id for row in ledger.of_kind("taken_over")}


def _maybe_shared(ledger: Ledger) -> set[str]:
    """Return the ids that another client may have used during the run.

    Where one took over devices of the fleet, it may have had any other that lost its connection and won it back.
    """
    known = taken_over(ledger)
    if not known:
        return known
    links = ledger.tables["links"]
    comings = np.bincount(links["device"][links["up"] == 1], minlength=len(ledger.devices))
    return known | {ledger.devices[index].id for index in np.flatnonzero(comings > 1).tolist()}


def spans(ledger: Ledger, limits: TimeLimits) -> dict[str, Span]:
    """Return the span of each device that sent anything as the only one of its id.

    Times that a gateway replaces are left out.
    """
    first = np.full(len(ledger.devices), NO_SPAN.first, dtype=np.int64)
    last = np.full(len(ledger.devices), NO_SPAN.last, dtype=np.int64)
    for group in ledger.groups:
        ts = group.table["ts"]
        sent = sent_rows(ledger, group) | acked_rows(ledger, group)
        known = sent & limits.believe(ts, group.table["sent"])
        device = group.table["device"][known]
        np.minimum.at(first, device, ts[known])
        np.maximum.at(last, device, ts[known])
    shared = _maybe_shared(ledger)
    return {
        entry.id: Span(a, b)
        for entry, a, b in zip(ledger.devices, first.tolist(), last.tolist(), strict=True)
        if a <= b and entry.id not in shared
    }


def lacks(found: Facts | None, allowed: Sequence[Facts]) -> bool:
    """Return whether a stored window (None: there is none) holds fewer readings than it may."""
    return found is None or found.count < max(facts.count for facts in allowed)


def excuse(
    key: WindowKey, found: Facts | None, allowed: Sequence[Facts], terms: Terms, spans: Mapping[str, Span]
) -> str:
    """Return why a window that is none of the `allowed` proves nothing; "" if it does."""
    if key.start < terms.floor and lacks(found, allowed):
        return FLOOR
    inside = spans.get(key.device, NO_SPAN).covers(key)
    if found is not None and not inside and any(_has_others(found, facts) for facts in allowed):
        return ANOTHER_RUN
    return ""


def _has_others(found: Facts, own: Facts) -> bool:
    """Return whether a window can be the `own` readings and others, which may be before, after and between them."""
    return found.count > own.count and found.min <= own.min and found.max >= own.max


def is_pending(key: WindowKey, inside: Readouts, terms: Terms, grace_ms: int) -> bool:
    """Return whether an offline gateway may not have stored a window of these readings before it stopped.

    The time of a device passes the end of a window not before as much time has gone by as its last reading is from it.
    """
    left = key.start + key.every - int(inside.ts.max()) + terms.time.allowed_lateness_ms + grace_ms
    return bool((inside.sent == 0).any()) or int(inside.sent.max()) // 1000 + left >= terms.at


def went_on(key: WindowKey, found: Facts | None, inside: Readouts, terms: Terms) -> bool:
    """Return whether a stored window shows that the gateway came back after it said that it is offline.

    It does if it holds readings that were sent later, or if neither time nor silence can have closed it before.
    """
    if found is None:
        return False
    sent = inside.sent // 1000
    closed = min(key.start + key.every, int(sent.max()) + terms.time.idle_close_ms)
    return closed > terms.at or found.count > int((sent <= terms.at).sum())
