"""The largest packet the broker takes: as CONNACK says, or as connections that end teach where it says nothing."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from fleet_wire.errors import PACKET_TOO_LARGE

UNLIMITED = 268_435_455 + 5
"""What MQTT itself allows."""
LEAST_LEARNED = 512
"""Bytes: a network that breaks under packets smaller than this is not short of room for them."""
ENDS_TO_LEARN = 3
"""Connections in a row that ended with large packets unanswered, until these are held to be why."""
LEARNED_FOR = 3_600.0
"""Seconds for which what was learned holds; then the full size is tried again."""


@dataclass(slots=True)
class PacketLimit:
    """Bytes a packet may have. `clock` in seconds, monotonic."""

    clock: Callable[[], float]
    _announced: int = UNLIMITED
    _learned: int = UNLIMITED
    _learned_at: float = 0.0
    _ends: int = 0

    @property
    def max_bytes(self) -> int:
        if self._learned < UNLIMITED and self.clock() - self._learned_at > LEARNED_FOR:
            self._learned = UNLIMITED
        return min(self._announced, self._learned)

    @property
    def known(self) -> bool:
        """Whether there is any bound but MQTT's own."""
        return self.max_bytes < UNLIMITED

    def connected(self, announced: int | None) -> None:
        """A connection began, and the broker said so much, or nothing."""
        self._announced = announced or UNLIMITED

    def answered(self) -> None:
        """The broker took something: it does not end connections at once."""
        self._ends = 0

    def lost(self, reason: int | None, unanswered: int) -> None:
        """A connection ended; its largest packet without an answer had `unanswered` bytes, 0 where there was none."""
        if unanswered <= LEAST_LEARNED:
            return
        self._ends += 1
        if reason == PACKET_TOO_LARGE or self._ends >= ENDS_TO_LEARN:
            self._learned, self._learned_at, self._ends = max(unanswered - 1, LEAST_LEARNED), self.clock(), 0
