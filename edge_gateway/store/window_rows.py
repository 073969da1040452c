"""Stored windows as plain dicts, in the form of `edge-gateway query --json`."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final

import numpy as np

from edge_gateway.store.packing import unpacked
from edge_gateway.store.window_table import Packed
from edge_gateway.windows.merge import sums
from edge_gateway.windows.rows import STATE_ROW, WINDOW_ROW

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
    size = WINDOW_ROW.itemsize
    rows = np.frombuffer(b"".join(data[:size] for _, _, data in part), WINDOW_ROW)
    tails = {place: data[size:] for place, (_, _, data) in enumerate(part) if len(data) > size}
    by_key = unpacked(Packed(rows, tails)).tails
    places = zip(rows["series"].tolist(), rows["start"].tolist(), strict=True)
    total = sums(rows, {place: by_key[key] for place, key in enumerate(places) if key in by_key})
    quality = rows["quality"] / (rows["count"] * _PERFECT)
    for (series, revision, _), row, whole, good in zip(
        part, rows, total.tolist(), quality.tolist(), strict=True
    ):
        p95 = float(row["p95"])
        yield {
            **names[series],
            "start": int(row["start"]),
            "every": every,
            "count": int(row["count"]),
            "sum": whole,
            **{name: float(row[name]) for name in ("min", "max", "first", "last")},
            "quality": good,
            "revision": revision,
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
