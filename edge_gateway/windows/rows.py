"""Closed windows as rows of fixed width with optional tails.

Rows of the same window merge in any order into the same row, bit for bit. The sum is exact:
`high·2⁻¹⁶ + mid·2⁻⁶¹ + low·2⁻¹⁰⁶`, plus a part outside that range in the row's tail (`exact_sum`).
The values or the sketch that a p95 needs are in the tail, too (`sketch`).
"""

from dataclasses import dataclass, field
from typing import Any, Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from edge_gateway.windows.tail import Tail

Rows = NDArray[np.void]

WINDOW_ROW: Final = np.dtype(
    [
        ("series", "<i8"),
        ("start", "<i8"),
        ("count", "<i8"),
        ("high", "<i8"),
        ("mid", "<i8"),
        ("low", "<i8"),
        ("min", "<f8"),
        ("max", "<f8"),
        ("first", "<f8"),
        ("first_at", "<i8"),
        ("last", "<f8"),
        ("last_at", "<i8"),
        ("quality", "<i8"),
        ("p95", "<f8"),
    ]
)
"""Numbers of one series in one window.

`start`, `first_at` and `last_at` are ms; `quality` is the sum of thousandths; `first` and `last` are the least and
greatest by (ts, value); `p95` is NaN where percentiles are off.
"""

STATE_ROW: Final = np.dtype(
    [
        ("series", "<i8"),
        ("start", "<i8"),
        ("last", "<i8"),
        ("last_at", "<i8"),
        ("first", "<i8"),
        ("first_at", "<i8"),
        ("changes", "<i8"),
    ]
)
"""Texts of one series in one window, as codes ordered by (ts, code); `changes` counts neighbours that differ."""

NEVER: Final = -(1 << 62)
"""A time before all others; as a start: no window."""


Key = tuple[int, int]
"""(series, start)"""


@dataclass(frozen=True, slots=True)
class Block:
    """Rows of one tier, and their tails by (series, start)."""

    rows: Rows
    tails: dict[Key, Tail] = field(default_factory=dict)

    def take(self, kept: NDArray[np.bool_]) -> "Block":
        """Return some of the rows, with their tails."""
        rows = self.rows[kept]
        names = set(keys(rows)) if self.tails else set()
        return Block(rows, {key: tail for key, tail in self.tails.items() if key in names})

    def snapshot(self) -> dict[str, Any]:
        tails = [[series, start, tail.pack()] for (series, start), tail in sorted(self.tails.items())]
        return {"rows": self.rows.copy(), "tails": tails}

    @classmethod
    def restored(cls, state: dict[str, Any]) -> "Block":
        tails = {(series, start): Tail.unpack(data) for series, start, data in state["tails"]}
        return cls(state["rows"].copy(), tails)


class TierRows(NamedTuple):
    """Closed rows of one tier; 0 is the base."""

    tier: int
    rows: Rows


def keys(rows: Rows) -> list[Key]:
    """Return (series, start) of each row."""
    return list(zip(rows["series"].tolist(), rows["start"].tolist(), strict=True))


def empty_rows(dtype: np.dtype[Any], count: int) -> Rows:
    """Return `count` rows that stand for no window: their start is NEVER."""
    rows = np.zeros(count, dtype)
    rows["start"] = NEVER
    return rows


def by_position(block: Block) -> dict[int, Tail]:
    """Return the tails of a block by the position of their row."""
    if not block.tails:
        return {}
    return {row: block.tails[key] for row, key in enumerate(keys(block.rows)) if key in block.tails}
