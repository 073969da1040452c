"""Stored windows as plain dicts, in the form of `edge-gateway query --json`."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final

import numpy as np

from edge_gateway.records.window_block import STATE_ROW, WINDOW_ROW, WindowBlock
from edge_gateway.windows.merge import sums

_PERFECT: Final = 1000.0
"""Quality is stored in thousandths."""
Row = dict[str, Any]
StoredRow = tuple[int, int, bytes]


def window_rows(part: Sequence[StoredRow], names: Mapping[int, Row], every: int) -> Iterator[Row]:
    """Yield windows of numbers.

    Args:
        part: (series, revision, row) of each window, the row without its checksum.
        names: device, metric, site and type of each series.
        every: their length in ms.
    """
    block = WindowBlock.unpacked([data for _, _, data in part], WINDOW_ROW)
    for (series, revision, _), facts in zip(part, described(block, every), strict=True):
        yield {**names[series], **facts, "revision": revision}


def described(block: WindowBlock, every: int) -> Iterator[Row]:
    """Yield what windows of numbers, `every` ms long, hold, without the names of their series."""
    rows, total = block.rows, sums(block.rows, block.tails)
    quality = rows["quality"] / (rows["count"] * _PERFECT)
    for row, whole, good in zip(rows, total.tolist(), quality.tolist(), strict=True):
        p95 = float(row["p95"])
        yield {
            "start": int(row["start"]),
            "every": every,
            "count": int(row["count"]),
            "sum": whole,
            **{name: float(row[name]) for name in ("min", "max", "first", "last")},
            "quality": good,
            "p95": None if np.isnan(p95) else p95,
        }


def state_rows(
    part: Sequence[StoredRow], names: Mapping[int, Row], texts: Mapping[int, str], every: int
) -> Iterator[Row]:
    """Yield windows of texts; `texts` by the store's number, the rest as for `window_rows`."""
    for series, revision, data in part:
        row = np.frombuffer(data, STATE_ROW, 1)[0]
        yield {
            **names[series],
            "start": int(row["start"]),
            "every": every,
            "first": texts[int(row["first"])],
            "last": texts[int(row["last"])],
            "changes": int(row["changes"]),
            "revision": revision,
        }
