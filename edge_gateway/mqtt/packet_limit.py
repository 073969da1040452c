"""The broker's maximum packet size, announced in CONNACK or inferred from connections that it ends."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from fleet_wire.errors import PACKET_TOO_LARGE

UNLIMITED = 268_435_455 + 5
"""Bytes: the largest packet MQTT can express."""
LEAST_LEARNED = 512
"""Bytes. Connections that break under smaller packets break for another reason."""
ENDS_TO_LEARN = 3
"""Connections in a row that must end with a large packet unacknowledged before its size is taken as the cause."""
LEARNED_FOR = 3_600.0
"""Seconds an inferred limit holds; then the full size is tried again."""


@dataclass(slots=True)
class PacketLimit:
    """The limit in bytes. `clock`: monotonic seconds."""

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
        """Whether there is a limit below MQTT's own."""
        return self.max_bytes < UNLIMITED

    def connected(self, announced: int | None) -> None:
        """Note a new connection and the limit the broker announced, in bytes, if any."""
        self._announced = announced or UNLIMITED

    def answered(self) -> None:
        """Note an acknowledgement, which resets the count of suspicious ends."""
        self._ends = 0

    def lost(self, reason: int | None, unanswered: int) -> None:
        """Note the end of a connection. `unanswered`: bytes of its largest unacknowledged packet, or 0."""
        if unanswered <= LEAST_LEARNED:
            return
        self._ends += 1
        if reason == PACKET_TOO_LARGE or self._ends >= ENDS_TO_LEARN:
            self._learned, self._learned_at, self._ends = max(unanswered - 1, LEAST_LEARNED), self.clock(), 0
