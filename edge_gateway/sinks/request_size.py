"""How large a request may be, learnt from a server or a proxy that refuses larger ones as too large (413).

refused ─▶ halved until a piece is accepted ─▶ what follows is cut to that size ─▶ after a while: tried whole again
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from time import monotonic
from typing import Final

LEAST: Final = 64 << 10
"""Bytes below which nothing is learnt: what is refused then is refused for something else, such as one long line."""
AGAIN: Final = 600.0
"""Seconds after which larger requests are tried again: the limit may have been raised."""


@dataclass(slots=True)
class RequestSize:
    """The greatest size that was accepted below the smallest that was refused. `timer`: monotonic seconds."""

    timer: Callable[[], float] = monotonic
    _refused: int = 0
    """Bytes of the smallest request that was refused; 0 for none."""
    _accepted: int = 0
    _until: float = 0.0

    def refused(self, size: int) -> None:
        """Note a request of several lines that was too large."""
        if size <= LEAST:
            return
        if not self._refused:
            self._until = self.timer() + AGAIN
        self._refused = min(self._refused or size, size)
        if self._accepted >= size:
            self._accepted = 0

    def accepted(self, size: int) -> None:
        """Note a request that was not too large."""
        if self._refused and size >= self._refused:
            self._refused = 0
        self._accepted = max(self._accepted, size)

    def cut(self, lines: list[bytes]) -> list[list[bytes]]:
        """Cut lines into requests that will be accepted, as far as is known, of about the same size; order is kept."""
        if self._refused and self.timer() >= self._until:
            self._refused = 0
        size = sum(map(len, lines)) if self._refused else 0
        if not self._refused or size < self._refused:
            return [lines]
        most = max(self._accepted, LEAST)
        return list(_pieces(lines, size / -(-size // most), most))


def _pieces(lines: list[bytes], target: float, most: int) -> Iterator[list[bytes]]:
    """Yield pieces that end with the line that reaches `target` bytes, or before the one that would exceed `most`."""
    start = size = 0
    for at, line in enumerate(lines):
        if at > start and (size >= target or size + len(line) > most):
            yield lines[start:at]
            start, size = at, 0
        size += len(line)
    yield lines[start:]
