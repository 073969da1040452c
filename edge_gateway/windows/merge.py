"""Merge rows of the same window into one: bit for bit the same in any order and grouping."""

from collections.abc import Callable, Mapping, Sequence
from typing import Final

import numpy as np
from numpy.typing import NDArray

from edge_gateway.records.tail import NO_TAIL, Tail
from edge_gateway.records.window_block import Key, Rows, WindowBlock, keys
from edge_gateway.windows.exact_sum import Limbs, add, to_float

MergeBlocks = Callable[[WindowBlock, WindowBlock], WindowBlock]
"""(block, block) -> merged block, where row i of both is of the same window."""


def merge_blocks(one: WindowBlock, other: WindowBlock) -> WindowBlock:
    """Merge blocks of the same windows, row by row, including tails; series and start are those of `one`."""
    rows, spilled = _merge_fixed(one.rows, other.rows)
    if not (spilled or one.tails or other.tails):
        return WindowBlock(rows)
    tails = {}
    for row in sorted({*one.tails, *other.tails, *spilled}):
        mine, others = one.tails.get(row, NO_TAIL), other.tails.get(row, NO_TAIL)
        tail = mine.merged(others, spilled.get(row, 0))
        if tail:
            tails[row] = tail
            rows["p95"][row] = p95_of(tail, rows[row])
    return WindowBlock(rows, tails)


def p95_of(tail: Tail, row: np.void) -> float:
    """Return the p95 from a tail's sketch, clamped to the row's min and max; NaN without a sketch."""
    if tail.sketch is None:
        return float("nan")
    return float(min(max(tail.sketch.p95(), row["min"]), row["max"]))


def _merge_fixed(one: Rows, other: Rows) -> tuple[Rows, dict[int, int]]:
    merged = one.copy()
    merged["count"] += other["count"]
    merged["quality"] += other["quality"]
    (merged["high"], merged["mid"], merged["low"]), spilled = add(limbs_of(one), limbs_of(other))
    merged["min"] = np.minimum(one["min"], other["min"])
    merged["max"] = np.maximum(one["max"], other["max"])
    merged["p95"] = np.nan
    _take_ends(merged, other, "first", "last")
    return merged, spilled


def _take_ends(merged: Rows, other: Rows, value_of_first: str, value_of_last: str) -> None:
    """Take first from `other` where it is earlier than in `merged`, and last where it is later."""
    earlier = _before(other, merged, value_of_first)
    later = _before(merged, other, value_of_last)
    for name, taken in (("first", earlier), ("first_at", earlier), ("last", later), ("last_at", later)):
        merged[name] = np.where(taken, other[name], merged[name])


def _before(one: Rows, other: Rows, end: str) -> NDArray[np.bool_]:
    at = f"{end}_at"
    same: NDArray[np.bool_] = (one[at] == other[at]) & (one[end] < other[end])
    return (one[at] < other[at]) | same


def limbs_of(rows: Rows) -> Limbs:
    return Limbs(rows["high"], rows["mid"], rows["low"])


def sums(rows: Rows, tails: Mapping[int, Tail] | None = None) -> NDArray[np.float64]:
    """Return the sum of each WINDOW_ROW, correctly rounded; infinite where it exceeds the range of a double.

    Args:
        rows: WINDOW_ROWs.
        tails: tails of rows that have one, by position.
    """
    return to_float(limbs_of(rows), {row: tail.huge for row, tail in (tails or {}).items() if tail.huge})


def merge_state_rows(one: Rows, other: Rows) -> Rows:
    """Merge STATE_ROWs of the same windows, row by row; series and start are those of `one`.

    `changes` is exact where one side ended before the other began. Where one side lies within the other, the texts of
    the inner side count as one uninterrupted sequence.
    """
    merged = one.copy()
    begins_first = _state_order(one, other)
    earlier = {name: np.where(begins_first, one[name], other[name]) for name in ("last", "last_at")}
    later = {name: np.where(begins_first, other[name], one[name]) for name in ("first", "last", "last_at")}
    merged["changes"] = one["changes"] + other["changes"] + (earlier["last"] != later["first"])
    within = later["last_at"] < earlier["last_at"]
    merged["changes"] += within & (later["last"] != earlier["last"])
    _take_ends(merged, other, "first", "last")
    return merged


def _state_order(one: Rows, other: Rows) -> NDArray[np.bool_]:
    """Return where `one` comes before `other`, by first, then by last."""
    return _before(one, other, "first") | (~_before(other, one, "first") & ~_before(other, one, "last"))


def merge_state_blocks(one: WindowBlock, other: WindowBlock) -> WindowBlock:
    """Merge blocks of STATE_ROWs, which have no tails."""
    return WindowBlock(merge_state_rows(one.rows, other.rows))


def united(blocks: Sequence[WindowBlock], merge: MergeBlocks) -> WindowBlock:
    """Join blocks into one with each window once; if any rows merged, the result is sorted by (series, start)."""
    joined = WindowBlock.joined(blocks)
    if len(blocks) == 1 or not (repeated := _repeated(joined.rows)).any():
        return joined
    held: dict[Key, WindowBlock] = {}
    again = joined.take(repeated)
    for place, key in enumerate(keys(again.rows)):
        one = again.take(slice(place, place + 1))
        held[key] = merge(held[key], one) if key in held else one
    whole = WindowBlock.joined([joined.take(~repeated), *held.values()])
    return whole.take(np.lexsort((whole.rows["start"], whole.rows["series"])))


_SPREAD: Final = 0x2545F4914F6CDD1D
"""An odd multiplier with well mixed bits (from Vigna's xorshift64*), so that products spread over all 64 bits."""


def _repeated(rows: Rows) -> NDArray[np.bool_]:
    """Return which rows may share their window with another row: all that do, and rarely one that does not."""
    mixed = rows["series"] * np.int64(_SPREAD) + rows["start"]
    ordered = np.sort(mixed)
    return np.isin(mixed, ordered[1:][ordered[1:] == ordered[:-1]])
