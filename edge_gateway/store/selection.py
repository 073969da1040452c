"""Which rows of the history to read."""

from dataclasses import dataclass
from typing import Final

LARGEST: Final = 1 << 62
"""Beyond all starts."""


@dataclass(frozen=True, slots=True)
class RowSelection:
    """Which rows to read: times in [since, until) ms, None for open; None for any name; at most `limit`, 0 for all."""

    device: str | None = None
    metric: str | None = None
    since: int | None = None
    until: int | None = None
    limit: int = 0
