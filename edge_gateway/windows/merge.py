"""Merge rows of the same window into one: bit for bit the same in any order and grouping.

The store keeps a row as bytes (`pack_rows`, `unpack_row`): a little-endian WINDOW_ROW, then its tail if it has one.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Final

import numpy as np
from numpy.typing import NDArray

from edge_gateway.windows.exact_sum import Limbs, add, to_float
from edge_gateway.windows.rows import WINDOW_ROW, Block, Key, Rows, keys
from edge_gateway.windows.tail import NO_TAIL, Tail

MergeBlocks = Callable[[Block, Block], Block]
"""(block, block) -> merged block, where row i of both is of the same window."""

_LEN: Final = WINDOW_ROW.itemsize


def merge_blocks(one: Block, other: Block) -> Block:
    """Merge blocks of the same windows, row by row, including tails; series and start are those of `one`."""
    rows, spilled = _merge_fixed(one.rows, other.rows)
    if not (spilled or one.tails or other.tails):
        return Block(rows)
    tails = {}
    for row, (key, key_of_other) in enumerate(zip(keys(one.rows), keys(other.rows), strict=True)):
        pair = one.tails.get(key, NO_TAIL), other.tails.get(key_of_other, NO_TAIL)
        tail = pair[0].merged(pair[1], spilled.get(row, 0))
        if tail:
            tails[key] = tail
            rows["p95"][row] = p95_of(tail, rows[row])
    return Block(rows, tails)


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


def merge_state_blocks(one: Block, other: Block) -> Block:
    """Merge blocks of STATE_ROWs, which have no tails."""
    return Block(merge_state_rows(one.rows, other.rows))


def united(blocks: Sequence[Block], merge: MergeBlocks) -> Block:
    """Join blocks into one with each window once; if any rows merged, the result is sorted by (series, start)."""
    if len(blocks) == 1:
        return blocks[0]
    joined = np.concatenate([block.rows for block in blocks])
    repeated = _repeated(joined)
    tails = {key: tail for block in blocks for key, tail in block.tails.items()}
    if not repeated.any():
        return Block(joined, tails)
    held: dict[Key, Block] = {}
    sources = np.repeat(np.arange(len(blocks)), [len(block.rows) for block in blocks])
    for at in np.flatnonzero(repeated).tolist():
        one = _one(joined[at : at + 1], blocks[sources[at]].tails)
        key = keys(one.rows)[0]
        held[key] = merge(held[key], one) if key in held else one
        tails.pop(key, None)
    rows = np.concatenate([joined[~repeated], *(block.rows for block in held.values())])
    tails |= {key: tail for block in held.values() for key, tail in block.tails.items()}
    return Block(rows[np.lexsort((rows["start"], rows["series"]))], tails)


def _one(row: Rows, tails: Mapping[Key, Tail]) -> Block:
    key = keys(row)[0]
    return Block(row, {key: tails[key]} if key in tails else {})


_SPREAD: Final = 0x2545F4914F6CDD1D
"""An odd multiplier with well mixed bits (from Vigna's xorshift64*), so that products spread over all 64 bits."""


def _repeated(rows: Rows) -> NDArray[np.bool_]:
    """Return which rows may share their window with another row: all that do, and rarely one that does not."""
    mixed = rows["series"] * np.int64(_SPREAD) + rows["start"]
    ordered = np.sort(mixed)
    return np.isin(mixed, ordered[1:][ordered[1:] == ordered[:-1]])


def pack_rows(rows: Rows, tails: Mapping[int, Tail] | None = None) -> list[bytes]:
    """Return each WINDOW_ROW as bytes followed by its tail; `tails` are by position."""
    data = rows.tobytes()
    packed = [data[at : at + _LEN] for at in range(0, len(data), _LEN)]
    for row, tail in (tails or {}).items():
        packed[row] += tail.pack()
    return packed


def unpack_row(data: bytes) -> Block:
    """Return a block of one row from bytes made by `pack_rows`; bytes too short for a row raise ValueError."""
    rows = np.frombuffer(data, WINDOW_ROW, 1)
    return Block(rows, {keys(rows)[0]: Tail.unpack(data[_LEN:])} if len(data) > _LEN else {})
