"""Problems of devices seen on delivery: quarantined messages, implausible times, repeated messages."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from edge_gateway.fleet.arrivals.boot_mark import CONFLICT, DUPLICATE, NEW
from edge_gateway.fleet.limits import Refusal
from edge_gateway.fleet.timestamps import NO_TIME
from edge_gateway.fleet.watch.streaks import Streaks
from edge_gateway.fleet.watch.troubled_topics import TroubledTopics
from fleet_wire.topics import STATUS

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from edge_gateway.columns.frame import IntColumn
    from edge_gateway.fleet.decoders.decoded import Decoded, Messages
    from edge_gateway.fleet.registry import Registry
    from edge_gateway.records.inputs import Batch


class DeliveryWatch:
    """Watches every delivery. While all is well, a batch costs a few column comparisons.

    Attributes:
        troubles: topics whose newest messages were quarantined.
        times: streaks of messages whose time is implausible or older than `max_reading_age` (ms) on arrival; the
            streak's values are the time and the arrival.
        repeats: streaks of duplicate messages; the streak's values are boot and seq.
    """

    def __init__(self, registry: Registry, max_reading_age: int) -> None:
        self._registry = registry
        self._max_reading_age = max_reading_age
        self.troubles = TroubledTopics()
        self.times = Streaks()
        self.repeats = Streaks()

    def observe(
        self,
        batch: Batch,
        decoded: Decoded,
        fate: NDArray[np.int8],
        own: IntColumn,
        refused: Iterable[tuple[int, str]],
    ) -> None:
        """Note what became of a batch.

        Args:
            batch: all deliveries.
            decoded: the decoded telemetry.
            fate: each message's verdict, or a number above CONFLICT if its content is refused.
            own: the newest plausible device time of each message, ms; NO_TIME if it has none.
            refused: (position in the batch, reason) of each quarantined delivery.
        """
        messages, now, reasons = decoded.messages, batch.moment.listening, dict(refused)
        if reasons or self.troubles.touches(batch.topics):
            strangers = {one.index for one in decoded.rejected if one.device < 0}
            good = messages.index[fate < CONFLICT].tolist()
            self._note_topics(batch, good, reasons, strangers)
        self._note_repeats(messages, fate, now)
        if batch.moment.trusted:
            self._note_times(messages, fate, own, batch)
        elif self.times.on:
            self.times.clear()  # whether they are wrong is not known any more

    def _note_topics(
        self, batch: Batch, good: list[int], reasons: dict[int, str], strangers: set[int]
    ) -> None:
        """Note in arrival order the quarantined messages, and the accepted ones on topics in trouble."""
        topics = batch.topics
        bad = {topics[place] for place in reasons}
        mended = [place for place in good if topics[place] in bad or topics[place] in self.troubles]
        for place in sorted([*reasons, *mended]):
            if place in reasons:
                known = place not in strangers
                self.troubles.quarantined(topics[place], reasons[place], batch.moment.listening, known=known)
            else:
                self.troubles.accepted(topics[place])

    def _note_repeats(self, messages: Messages, fate: NDArray[np.int8], now: int) -> None:
        if self.repeats.on or fate.any():  # NEW is 0: every message is new
            taken = fate < CONFLICT
            columns = (messages.device[taken], fate[taken] == DUPLICATE)
            self.repeats.note(*columns, now, messages.boot[taken], messages.seq[taken])

    def _note_times(self, messages: Messages, fate: NDArray[np.int8], own: IntColumn, batch: Batch) -> None:
        wrong = own < batch.moment.wall - self._max_reading_age  # NO_TIME is, too
        if self.times.on or wrong.any():
            wrong &= messages.ts != NO_TIME
            new = fate == NEW
            said = np.where(own == NO_TIME, messages.ts, own)[new]
            arrival = np.full(len(said), batch.moment.wall, np.int64)
            self.times.note(messages.device[new], wrong[new], batch.moment.listening, said, arrival)

    def quarantined(self, site: str, device: str, kind: str, reason: str) -> None:
        """Note that a birth, will or ack was quarantined."""
        number = self._registry.find(device)
        known = number is not None and self._registry.device_site[number] == site
        self.troubles.quarantined(
            _topic(site, device, kind), reason, self._registry.presence.now, known=known
        )

    def accepted(self, site: str, device: str, kind: str) -> None:
        """Note that a birth, will or ack was accepted."""
        if len(self.troubles):
            self.troubles.accepted(_topic(site, device, kind))

    def registered(self, devices: IntColumn) -> bool:
        """Note devices that are registered now; return whether the birth of one had been refused for lack of room."""
        if not len(self.troubles):
            return False
        sites, names = self._registry.device_site, self._registry.device_name
        topics = [_topic(sites[one], names[one], STATUS) for one in devices.tolist()]
        refused = [topic for topic in topics if self.troubles.reason(topic) == Refusal.DEVICES.value]
        for topic in refused:
            self.troubles.accepted(topic)
        return bool(refused)

    def forget(self, devices: IntColumn) -> None:
        """Forget retired devices."""
        self.times.forget(devices)
        self.repeats.forget(devices)

    def snapshot(self) -> dict[str, Any]:
        return {name: getattr(self, name).snapshot() for name in _PARTS}

    def restore(self, state: dict[str, Any]) -> None:
        for name in _PARTS:
            getattr(self, name).restore(state[name])


_PARTS: Sequence[str] = ("troubles", "times", "repeats")


def _topic(site: str, device: str, kind: str) -> str:
    return f"fleet/v1/{site}/{device}/{kind}"
