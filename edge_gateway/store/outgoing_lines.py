"""Render windows, alerts and late readings as lines into the outbox of every sink.

A point older than its bucket's retention is not sent, because the database would refuse it; it is counted. What no
window takes is kept in the store too, of any age and without a sink.
"""

from collections.abc import Sequence
from typing import Final, Protocol

import numpy as np

from edge_gateway.records.alerts import Transition
from edge_gateway.records.store_effects import Stamp
from edge_gateway.records.window_block import WindowBlock
from edge_gateway.store.block_table import BlockTable
from edge_gateway.store.counters import StoreCounters
from edge_gateway.store.kept_apart import KeptApart
from edge_gateway.store.line_protocol import (
    WHY,
    prefix,
    render_alert,
    render_late,
    render_states,
    render_windows,
)
from edge_gateway.store.names import Ids as Ints
from edge_gateway.store.names import NameTables
from edge_gateway.store.outbox import MOST_BYTES, NOT_CARRIED, Outbox, Reference, Render
from edge_gateway.store.prefix_cache import PrefixCache
from edge_gateway.store.settings import StoredTier
from edge_gateway.windows.reduce import Readings

TOO_LATE: Final = "late"
"""The window is closed and not stored, so that it cannot be corrected."""
SHARE: Final = "share"
"""The device sends more late readings than its share."""
NOT_KNOWN: Final = "unknown"
"""It may have counted before: the message, which is forgotten, or readings of a window that is stored though the state
that is left had it open. Whoever adds readings back leaves these out."""
LOST: Final = "lost"
"""Earlier readings of the window were in a state that is lost."""
REPEATED: Final = "again"
"""Something of the window may have been sent before, and is not stored any more."""
FIELDS_BYTES: Final = 320
"""Most bytes of a window's line behind its prefix: eight numbers of up to 24, two of up to 20, and names."""
MOST_PREFIXES: Final = 400_000
"""Rendered prefixes that are cached; above this the cache is emptied."""


class WindowLines(Protocol):
    """Receives closed windows of one kind, and those that may lack earlier readings."""

    def windows(self, tier: int, windows: WindowBlock, at: Stamp) -> None: ...
    def block(self, tier: int, what: Reference, windows: WindowBlock, at: Stamp) -> None: ...
    def partial(self, tier: int, windows: WindowBlock, at: Stamp, why: str) -> None: ...


class OutgoingLines:
    """Used inside the store's transactions; sends nothing if there is no sink."""

    def __init__(
        self,
        outbox: Outbox,
        names: NameTables,
        counters: StoreCounters,
        tiers: Sequence[StoredTier],
        apart: KeptApart,
    ) -> None:
        self._outbox = outbox
        self.apart = apart
        self._names = names
        self._counters = counters
        self._tiers = tiers
        self._prefixes: dict[tuple[str, str], PrefixCache] = {}
        self._texts: dict[int, str] = {}
        self.of_texts = TextLines(self)

    def windows(self, tier: int, windows: WindowBlock, at: Stamp) -> None:
        """Send windows of numbers; `at` is when they came."""
        sent = self.within_retention(tier, windows, at)
        if sent is not None:
            self.put(tier, self.rendered(sent), len(sent), at)

    def block(self, tier: int, what: Reference, windows: WindowBlock, at: Stamp) -> None:
        """Send windows of numbers, the last ones of a block, whose lines are rendered when a sink takes them.

        They are rendered at once if they may be more than a request carries.

        Args:
            tier: 0 is the base.
            what: where they are.
            windows: the windows themselves, by start.
            at: when they came.
        """
        sent = self.within_retention(tier, windows, at)
        if sent is None:
            return
        series = sent.rows["series"]
        if self._with_prefixes("sensor", series).total_bytes(series) + FIELDS_BYTES * len(sent) > MOST_BYTES:
            self.put(tier, self.rendered(sent), len(sent), at)
            return
        first = what.skip + len(windows) - len(sent)
        self._outbox.put_block(self._tiers[tier].bucket, tier, Reference(what.block, first), len(sent), at)

    def rendered(self, windows: WindowBlock) -> bytes:
        """Return the lines of windows of numbers."""
        return render_windows(self.prefixes("sensor", windows.rows["series"]), windows)

    def partial(self, tier: int, windows: WindowBlock, at: Stamp, why: str) -> None:
        """Send windows that may lack earlier readings to `sensor_partial`; `why` is LOST, NOT_KNOWN or REPEATED.

        After a loss only base windows are sent: every coarser one in progress lacks readings, which the base tells.
        A window may have several such parts, so the time of a point is that of the first reading in it.
        """
        if not is_told_apart(tier, why):
            return
        self.apart.windows(self.every(tier), windows, why)
        sent = self.within_retention(tier, windows, at)
        if sent is not None:
            prefixes = self.prefixes("sensor_partial", sent.rows["series"], why=why)
            lines = render_windows(prefixes, sent, time="first_at")
            self._outbox.put(self._tiers[tier].bucket, NOT_CARRIED, lines, len(sent), at)

    def late(self, series: Ints, readings: Readings, nth: Ints, at: Stamp, why: str) -> None:
        """Send readings that are merged nowhere to `sensor_late`.

        Args:
            series: the store's numbers.
            readings: as many; their own series are not used.
            nth: the number of each within its ms, which keeps readings of one time apart.
            at: when they came.
            why: one of TOO_LATE, SHARE, NOT_KNOWN.
        """
        self.apart.late(series, readings, why)
        if not self._outbox.sinks:
            return
        sent = np.flatnonzero(readings.ts >= self._tiers[0].oldest(at.judging))
        self._counters.add("points_beyond_retention", len(readings) - len(sent))
        prefixes = self.prefixes("sensor_late", series[sent], why=why)
        columns = (column[sent].tolist() for column in (readings.value, readings.ts, nth))
        lines = b"".join(map(render_late, prefixes, *columns))
        self._outbox.put(self._tiers[0].bucket, NOT_CARRIED, lines, len(sent), at)

    def alerts(self, transitions: Sequence[Transition], at: Stamp) -> None:
        """Send alert transitions."""
        if self._outbox.sinks:
            sent = [one for one in transitions if one.at >= self._tiers[0].oldest(at.judging)]
            self._counters.add("points_beyond_retention", len(transitions) - len(sent))
            lines = b"".join(map(render_alert, sent))
            self._outbox.put(self._tiers[0].bucket, NOT_CARRIED, lines, len(sent), at)

    def raw(self, lines: bytes, at: Stamp) -> None:
        """Send complete lines about the gateway itself."""
        self._outbox.put(self._tiers[0].bucket, NOT_CARRIED, lines, lines.count(b"\n"), at)

    def within_retention(self, tier: int, windows: WindowBlock, at: Stamp) -> WindowBlock | None:
        """Return the windows that their bucket still accepts; None if there is nothing to send."""
        if not self._outbox.sinks or not len(windows):
            return None
        kept = np.flatnonzero(windows.rows["start"] >= self._tiers[tier].oldest(at.judging))
        self._counters.add("points_beyond_retention", len(windows) - len(kept))
        if len(kept) == len(windows):
            return windows
        return windows.take(kept) if len(kept) else None

    def every(self, tier: int) -> int:
        """Return the length of a tier's windows in ms."""
        return self._tiers[tier].every

    def put(self, tier: int, lines: bytes, count: int, at: Stamp) -> None:
        """Queue lines of a tier's bucket."""
        self._outbox.put(self._tiers[tier].bucket, tier, lines, count, at)

    def prefixes(self, measurement: str, series: Ints, *, why: str = "") -> list[bytes]:
        """Return measurement and tags of each row, rendered; `why` is a tag more."""
        return self._with_prefixes(measurement, series, why).texts(series)

    def _with_prefixes(self, measurement: str, series: Ints, why: str = "") -> PrefixCache:
        """Return the cache of a measurement, with the prefixes of these series in it."""
        known = self._prefixes.setdefault((measurement, why), PrefixCache())
        missing = known.missing(series)
        if len(known) + len(missing) > MOST_PREFIXES:
            known.clear()
            missing = known.missing(series)
        tag = f",{WHY}={why}".encode() if why else b""
        for number, identity in (self._names.identities(missing) if missing else {}).items():
            known.put(number, prefix(measurement, identity.labels()) + tag)
        return known

    def texts(self, numbers: Ints) -> list[str]:
        """Return the texts behind the store's text numbers."""
        missing = [number for number in set(numbers.tolist()) if number not in self._texts]
        if missing:
            self._texts |= self._names.texts(sorted(missing))
        return [self._texts[number] for number in numbers.tolist()]


class TextLines:
    """The same for windows of texts."""

    def __init__(self, lines: OutgoingLines) -> None:
        self._lines = lines

    def windows(self, tier: int, windows: WindowBlock, at: Stamp) -> None:
        """Send windows of texts; `at` is when they came."""
        sent = self._lines.within_retention(tier, windows, at)
        if sent is not None:
            self._lines.put(tier, self.rendered(sent), len(sent), at)

    def block(self, tier: int, what: Reference, windows: WindowBlock, at: Stamp) -> None:  # noqa: ARG002
        """Send windows of texts, as lines: texts are few, and of any length."""
        self.windows(tier, windows, at)

    def rendered(self, windows: WindowBlock) -> bytes:
        """Return the lines of windows of texts."""
        texts = self._lines.texts(windows.rows["last"])
        return render_states(
            self._lines.prefixes("sensor_state", windows.rows["series"]), windows.rows, texts
        )

    def partial(self, tier: int, windows: WindowBlock, at: Stamp, why: str) -> None:  # noqa: ARG002
        """Send nothing, as `sensor_partial` holds numbers; windows of texts are only kept."""
        if is_told_apart(tier, why):
            first, last = (self._lines.texts(windows.rows[end]) for end in ("first", "last"))
            self._lines.apart.states(self._lines.every(tier), windows, first, last, why)

    def late(self, series: Ints, readings: Readings, nth: Ints, at: Stamp, why: str) -> None:  # noqa: ARG002
        """Send nothing, as `sensor_late` holds numbers; texts are only kept. A text is the number of its reading."""
        texts = self._lines.texts(readings.value.astype(np.int64))
        self._lines.apart.late_texts(series, readings.ts, texts, why)


def is_told_apart(tier: int, why: str) -> bool:
    """Whether a refused window says more than its base windows do: see `OutgoingLines.partial`."""
    return tier == 0 or why == REPEATED


def renderer(lines: OutgoingLines, blocks: BlockTable) -> Render:
    """Return what renders the lines of blocks of numbers for an outbox."""

    def render(what: Reference) -> bytes:
        return lines.rendered(blocks.read(what.block).windows.take(slice(what.skip, None)))

    return render
