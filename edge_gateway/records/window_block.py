"""Closed windows as rows of fixed width with optional tails.

Rows of the same window merge in any order into the same row, bit for bit. The sum is exact:
`high·2⁻¹⁶ + mid·2⁻⁶¹ + low·2⁻¹⁰⁶`, plus a part outside that range in the row's tail (`exact_sum`).
The values or the sketch that a p95 needs are in the tail, too (`sketch`).
"""

from collections.abc import Sequence
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from edge_gateway.records.tail import Tail

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


Chosen = slice | NDArray[np.bool_] | NDArray[np.int64]
"""Which rows: a slice, a flag of each, or their positions."""


class WindowBlock:
    """Rows of closed windows of one tier, and the tails of those that have one, by position.

    It is the one form of closed windows from the fold to the store; journal and checkpoint keep it as its `snapshot`.
    """

    __slots__ = ("rows", "tails")

    def __init__(self, rows: Rows, tails: dict[int, Tail] | None = None) -> None:
        self.rows = rows
        self.tails = tails or {}

    def __len__(self) -> int:
        return len(self.rows)

    def take(self, chosen: Chosen) -> "WindowBlock":
        """Return some of the rows, with their tails."""
        rows = self.rows[chosen]
        if not self.tails:
            return WindowBlock(rows)
        every = range(len(self.rows))
        places = every[chosen] if isinstance(chosen, slice) else np.array(every)[chosen].tolist()
        return WindowBlock(
            rows, {new: self.tails[old] for new, old in enumerate(places) if old in self.tails}
        )

    def put(self, places: NDArray[np.int64], block: "WindowBlock") -> None:
        """Put the rows of a block, one for each of `places`, with their tails in the place of those that are there."""
        self.rows[places] = block.rows
        if self.tails or block.tails:
            at = places.tolist()
            others = self.tails.keys() - set(at)
            tails = {place: self.tails[place] for place in others}
            self.tails = tails | {at[new]: tail for new, tail in block.tails.items()}

    @classmethod
    def joined(cls, blocks: Sequence["WindowBlock"]) -> "WindowBlock":
        """Return the rows of blocks, at least one, one behind the other."""
        if len(blocks) == 1:
            return blocks[0]
        tails: dict[int, Tail] = {}
        begin = 0
        for block in blocks:
            tails |= {begin + place: tail for place, tail in block.tails.items()}
            begin += len(block)
        return cls(np.concatenate([block.rows for block in blocks]), tails)

    def packed(self) -> list[bytes]:
        """Return each row as its bytes followed by those of its tail."""
        size, data = self.rows.dtype.itemsize, self.rows.tobytes()
        packed = [data[at : at + size] for at in range(0, len(data), size)]
        for place, tail in self.tails.items():
            packed[place] += tail.pack()
        return packed

    @classmethod
    def unpacked(cls, packed: Sequence[bytes], dtype: np.dtype[Any]) -> "WindowBlock":
        """Return the block of what `packed` returned. Its rows are read-only."""
        size = dtype.itemsize
        rows = np.frombuffer(b"".join(data[:size] for data in packed), dtype)
        tails = {place: Tail.unpack(data[size:]) for place, data in enumerate(packed) if len(data) > size}
        return cls(rows, tails)

    def snapshot(self) -> dict[str, Any]:
        """Return a tree of copies; tails are named by series and start."""
        named = keys(self.rows) if self.tails else []
        tails = [[*named[place], tail.pack()] for place, tail in sorted(self.tails.items())]
        return {"rows": self.rows.copy(), "tails": tails}

    @classmethod
    def restored(cls, state: dict[str, Any]) -> "WindowBlock":
        """Return the block that `snapshot` made this tree of."""
        rows = state["rows"].copy()
        packed = {(series, start): data for series, start, data in state["tails"]}
        places = enumerate(keys(rows)) if packed else ()
        return cls(rows, {place: Tail.unpack(packed[key]) for place, key in places if key in packed})


def keys(rows: Rows) -> list[Key]:
    """Return (series, start) of each row."""
    return list(zip(rows["series"].tolist(), rows["start"].tolist(), strict=True))


def empty_rows(dtype: np.dtype[Any], count: int) -> Rows:
    """Return `count` rows that stand for no window: their start is NEVER."""
    rows = np.zeros(count, dtype)
    rows["start"] = NEVER
    return rows
