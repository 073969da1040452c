"""What the store sends: windows, alerts and late readings as lines, into the outbox of every sink.

A point older than its bucket keeps is not sent, because the database would refuse it; it is counted.
"""

from collections.abc import Iterable, Sequence
from typing import Final

import numpy as np

from edge_gateway.records.store_effects import AlertChange
from edge_gateway.store.counters import StoreCounters
from edge_gateway.store.line_protocol import prefix, render_alert, render_late, render_states, render_windows
from edge_gateway.store.names import Ids as Ints
from edge_gateway.store.names import NameTables
from edge_gateway.store.outbox import NOT_CARRIED, Outbox
from edge_gateway.store.settings import StoredTier
from edge_gateway.store.window_kinds import unpacked
from edge_gateway.store.window_table import Packed
from edge_gateway.windows.reduce import Readings

MOST_PREFIXES: Final = 400_000
"""Rendered prefixes that are kept; beyond that they are rendered again."""


class OutgoingLines:
    """Renders within the store's transactions; without a sink it does nothing."""

    def __init__(
        self, outbox: Outbox, names: NameTables, counters: StoreCounters, tiers: Sequence[StoredTier]
    ) -> None:
        self._outbox = outbox
        self._names = names
        self._counters = counters
        self._tiers = tiers
        self._prefixes: dict[str, dict[int, bytes]] = {}
        self._texts: dict[int, str] = {}
        self.of_texts = TextLines(self)

    def windows(self, tier: int, windows: Packed, at: int) -> None:
        """Send windows of numbers as they now stand."""
        sent = self.young(tier, windows, at)
        if sent is not None:
            block = unpacked(sent)
            lines = render_windows(self.prefixes("sensor", sent.rows["series"]), block.rows, block.tails)
            self.put(tier, lines, len(sent), at)

    def partial(self, tier: int, windows: Packed, at: int) -> None:
        """Send windows of which an earlier part is lost, to their own measurement in the base bucket."""
        sent = self.young(tier, windows, at) if tier == 0 else None
        if sent is not None:
            block = unpacked(sent)
            lines = render_windows(
                self.prefixes("sensor_partial", sent.rows["series"]), block.rows, block.tails
            )
            self._outbox.put(self._tiers[0].bucket, NOT_CARRIED, lines, len(sent), at)

    def late(self, series: Ints, readings: Readings, at: int) -> None:
        """Send readings that cannot be merged any more; `series` are the store's numbers."""
        if not self._outbox.sinks:
            return
        sent = np.flatnonzero(readings.ts >= self._tiers[0].oldest(at))
        self._counters.add("points_beyond_retention", len(readings) - len(sent))
        prefixes = self.prefixes("sensor_late", series[sent])
        values, times = readings.value[sent].tolist(), readings.ts[sent].tolist()
        lines = b"".join(map(render_late, prefixes, values, times))
        self._outbox.put(self._tiers[0].bucket, NOT_CARRIED, lines, len(sent), at)

    def alerts(self, changes: Iterable[AlertChange], at: int) -> None:
        """Send alert transitions."""
        if self._outbox.sinks:
            told = list(changes)
            sent = [change for change in told if change.at >= self._tiers[0].oldest(at)]
            self._counters.add("points_beyond_retention", len(told) - len(sent))
            lines = b"".join(map(render_alert, sent))
            self._outbox.put(self._tiers[0].bucket, NOT_CARRIED, lines, len(sent), at)

    def raw(self, lines: bytes, at: int) -> None:
        """Send complete lines of the gateway's own."""
        self._outbox.put(self._tiers[0].bucket, NOT_CARRIED, lines, lines.count(b"\n"), at)

    def young(self, tier: int, windows: Packed, at: int) -> Packed | None:
        """The windows that their bucket still takes; None where there is nothing to send."""
        if not self._outbox.sinks or not len(windows):
            return None
        kept = np.flatnonzero(windows.rows["start"] >= self._tiers[tier].oldest(at))
        self._counters.add("points_beyond_retention", len(windows) - len(kept))
        if len(kept) == len(windows):
            return windows
        tails = {i: windows.tails[place] for i, place in enumerate(kept.tolist()) if place in windows.tails}
        return Packed(windows.rows[kept], tails) if len(kept) else None

    def put(self, tier: int, lines: bytes, count: int, at: int) -> None:
        """Queue lines of a tier's bucket."""
        self._outbox.put(self._tiers[tier].bucket, tier, lines, count, at)

    def prefixes(self, measurement: str, series: Ints) -> list[bytes]:
        """Measurement and tags of each row."""
        numbers = series.tolist()
        known = self._prefixes.setdefault(measurement, {})
        missing = set(numbers) - known.keys()
        if missing:
            if len(known) >= MOST_PREFIXES:
                known.clear()
                missing = set(numbers)
            for number, identity in self._names.identities(sorted(missing)).items():
                known[number] = prefix(measurement, identity.labels())
        return [known[number] for number in numbers]

    def texts(self, numbers: Ints) -> list[str]:
        """What texts say, by the store's numbers."""
        missing = set(numbers.tolist()) - self._texts.keys()
        if missing:
            self._texts |= self._names.texts(sorted(missing))
        return [self._texts[number] for number in numbers.tolist()]


class TextLines:
    """Renders windows of texts, and texts that came too late."""

    def __init__(self, lines: OutgoingLines) -> None:
        self._lines = lines

    def windows(self, tier: int, windows: Packed, at: int) -> None:
        """Send windows of texts as they now stand."""
        sent = self._lines.young(tier, windows, at)
        if sent is not None:
            texts = self._lines.texts(sent.rows["last"])
            lines = render_states(self._lines.prefixes("sensor_state", sent.rows["series"]), sent.rows, texts)
            self._lines.put(tier, lines, len(sent), at)

    def late(self, series: Ints, readings: Readings, at: int) -> None:
        """A text that came too late is counted and not sent: its measurement holds numbers."""
