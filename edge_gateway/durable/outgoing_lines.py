"""What the store sends: windows, alerts and late readings as lines, into the outbox of every sink.

A point older than its bucket keeps is not sent, because the database would refuse it; it is counted.
"""

from collections.abc import Iterable, Sequence
from typing import Final

import numpy as np

from edge_gateway.durable.effects import AlertChange
from edge_gateway.durable.names import Names
from edge_gateway.durable.outbox import NOT_CARRIED, Outbox
from edge_gateway.durable.settings import Tier
from edge_gateway.durable.tallies import Tallies
from edge_gateway.durable.window_kinds import unpacked
from edge_gateway.durable.window_table import Packed
from edge_gateway.sinks.line_protocol import prefix, render_alert, render_late, render_states, render_windows

MOST_PREFIXES: Final = 400_000
"""Rendered prefixes that are kept; beyond that they are rendered again."""


class OutgoingLines:
    """Renders within the store's transactions; without a sink it does nothing."""

    def __init__(self, outbox: Outbox, names: Names, tallies: Tallies, tiers: Sequence[Tier]) -> None:
        self._outbox = outbox
        self._names = names
        self._tallies = tallies
        self._tiers = tiers
        self._prefixes: dict[tuple[str, int], bytes] = {}
        self.of_texts = TextLines(self)

    def windows(self, tier: int, windows: Packed, at: int) -> None:
        """Send windows of numbers as they now stand."""
        sent = self.young(tier, windows, at)
        if sent is not None:
            block = unpacked(sent)
            lines = render_windows(self.prefixes("sensor", sent), block.rows, block.tails)
            self.put(tier, lines, len(sent), at)

    def partial(self, tier: int, windows: Packed, at: int) -> None:
        """Send windows of which an earlier part is lost, to their own measurement in the base bucket."""
        sent = self.young(tier, windows, at) if tier == 0 else None
        if sent is not None:
            block = unpacked(sent)
            lines = render_windows(self.prefixes("sensor_partial", sent), block.rows, block.tails)
            self._outbox.put(self._tiers[0].bucket, NOT_CARRIED, lines, len(sent), at)

    def late(self, series: int, ts: int, value: float, at: int) -> None:
        """Send a reading that cannot be merged any more."""
        if self._outbox.sinks and ts >= at - self._tiers[0].keep:
            line = render_late(self.prefix("sensor_late", series), value, ts)
            self._outbox.put(self._tiers[0].bucket, NOT_CARRIED, line, 1, at)

    def alerts(self, changes: Iterable[AlertChange]) -> None:
        """Send alert transitions."""
        if not self._outbox.sinks:
            return
        for change in changes:
            line = render_alert(change)
            self._outbox.put(self._tiers[0].bucket, NOT_CARRIED, line, 1, change.at)

    def raw(self, lines: bytes, at: int) -> None:
        """Send complete lines of the gateway's own."""
        self._outbox.put(self._tiers[0].bucket, NOT_CARRIED, lines, lines.count(b"\n"), at)

    def young(self, tier: int, windows: Packed, at: int) -> Packed | None:
        """The windows that their bucket still takes; None where there is nothing to send."""
        if not self._outbox.sinks or not len(windows):
            return None
        kept = np.flatnonzero(windows.rows["start"] >= at - self._tiers[tier].keep)
        self._tallies.add("points_beyond_retention", len(windows) - len(kept))
        if len(kept) == len(windows):
            return windows
        tails = {i: windows.tails[place] for i, place in enumerate(kept.tolist()) if place in windows.tails}
        return Packed(windows.rows[kept], tails) if len(kept) else None

    def put(self, tier: int, lines: bytes, count: int, at: int) -> None:
        """Queue lines of a tier's bucket."""
        self._outbox.put(self._tiers[tier].bucket, tier, lines, count, at)

    def prefixes(self, measurement: str, windows: Packed) -> list[bytes]:
        """Measurement and tags of each row."""
        return [self.prefix(measurement, series) for series in windows.rows["series"].tolist()]

    def prefix(self, measurement: str, series: int) -> bytes:
        key = (measurement, series)
        known = self._prefixes.get(key)
        if known is None:
            if len(self._prefixes) >= MOST_PREFIXES:
                self._prefixes.clear()
            labels = self._names.identity(series).labels()
            known = self._prefixes[key] = prefix(measurement, labels)
        return known

    def text(self, number: int) -> str:
        """What a text's number stands for."""
        return self._names.text(number)


class TextLines:
    """Renders windows of texts, and texts that came too late."""

    def __init__(self, lines: OutgoingLines) -> None:
        self._lines = lines

    def windows(self, tier: int, windows: Packed, at: int) -> None:
        """Send windows of texts as they now stand."""
        sent = self._lines.young(tier, windows, at)
        if sent is not None:
            texts = [self._lines.text(number) for number in sent.rows["last"].tolist()]
            lines = render_states(self._lines.prefixes("sensor_state", sent), sent.rows, texts)
            self._lines.put(tier, lines, len(sent), at)

    def late(self, series: int, ts: int, value: float, at: int) -> None:
        """A text that came too late is counted and not sent: its measurement holds numbers."""
