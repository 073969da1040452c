"""Compare the windows that left in a replay with those that a journal record says left."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any, Final

import numpy as np
from numpy.typing import NDArray

from edge_gateway.records.window_block import Key as WindowKey
from edge_gateway.records.window_block import keys
from edge_gateway.windows.closed import Closed, TierBlock

if TYPE_CHECKING:
    from edge_gateway.fold.effects import Effects
    from edge_gateway.records.store_effects import Array, ClosedWindows, StoreEffects

Ints = NDArray[np.int64]
Key = tuple[int, ...]
"""What it is of, the tier (of windows only), the series, and the time in ms."""

_NUMBERS, _STATES, _LATE, _LATE_STATES = range(4)
_WHAT: Final = ("numbers", "texts", "late numbers", "late texts")
_OF_NUMBERS: Final = ("series", "start", "count", "high", "mid", "low")
_OF_STATES: Final = ("series", "start", "changes", "first_at", "last_at")
_WIDTH: Final = 9
"""Columns of a row: what, tier, series, time, then what else is compared of it."""


def difference(made: Sequence[Effects], recorded: StoreEffects, *, lacks: bool = False) -> str:
    """Return what left otherwise than recorded, or came otherwise late; "" if nothing did.

    Args:
        made: the effects of folding an input again, in one part or several.
        recorded: what the record says that the input led to.
        lacks: whether the fold may lack readings: windows may be missing or have fewer of them, but none may be added.
    """
    one, other = _rows(made), _rows([recorded])
    if lacks:
        return _named(_added(one, other))
    if one.shape == other.shape and (one == other).all():
        return ""
    differ = set(map(tuple, one.tolist())) ^ set(map(tuple, other.tolist()))
    return _named(min(differ, default=tuple(max(one, other, key=len)[0].tolist())))


def unrecorded(made: Sequence[Effects], recorded: StoreEffects) -> Closed:
    """Return the base windows that left in a replay, and that are not recorded or have fewer readings there.

    Their record is lost. Of coarser windows nothing is returned: what they lack, the base windows tell.
    """
    numbers = [one for effects in made for one in effects.windows]
    states = [one for effects in made for one in effects.states]
    return Closed(
        tuple(_beyond(numbers, recorded.windows, "count")), tuple(_beyond(states, recorded.states, "changes"))
    )


def _beyond(
    made: Sequence[ClosedWindows], recorded: Sequence[ClosedWindows], size: str
) -> Iterator[TierBlock]:
    sizes: dict[WindowKey, int] = {}
    for one in recorded:
        if one.tier == 0:
            sizes |= zip(keys(one.rows), one.rows[size].tolist(), strict=True)
    for one in made:
        sized = zip(keys(one.rows), one.rows[size].tolist(), strict=True)
        beyond = np.array([many > sizes.get(key, -1) for key, many in sized], np.bool_)
        if one.tier == 0 and beyond.any():
            yield TierBlock(0, one.block.take(beyond))


def _added(made: Ints, recorded: Ints) -> Key:
    """Return the first window or late reading that is not recorded, or not with so many readings; () for none."""
    held = _counts(recorded)
    for key, count in _counts(made).items():
        if key not in held or (key[0] == _NUMBERS and count > held[key]):
            return key
    return ()


def _counts(rows: Ints) -> dict[Key, int]:
    """Return the number of readings of each window of numbers; of others, only that they are there."""
    counts: dict[Key, int] = {}
    for what, tier, series, at, count, *_ in rows.tolist():
        key = what, tier if what in {_NUMBERS, _STATES} else 0, series, at
        counts[key] = counts.get(key, 0) + count
    return counts


def _named(row: Key) -> str:
    if not row:
        return ""
    what, tier, series, at = row[:4]
    return f"{_WHAT[what]} of series {series} at {at}" + (f", tier {tier}" if what <= _STATES else "")


def _rows(parts: Sequence[Effects | StoreEffects]) -> Ints:
    """Return everything that left or came late as sorted rows."""
    found = [rows for effects in parts for rows in _of(effects)]
    joined = np.concatenate([np.empty((0, _WIDTH), np.int64), *found])
    return joined[np.lexsort(joined.T[::-1])]


def _of(effects: Effects | StoreEffects) -> Iterator[Ints]:
    for numbers in effects.windows:
        yield _columns(_NUMBERS, numbers.tier, *(numbers.rows[name] for name in _OF_NUMBERS), numbers.kind)
    for texts in effects.states:
        yield _columns(_STATES, texts.tier, *(texts.rows[name] for name in _OF_STATES), texts.kind)
    for what, late in ((_LATE, effects.late), (_LATE_STATES, effects.late_states)):
        if late is not None:
            yield _columns(what, late.tiers, late.series, late.ts)


def _columns(what: int, tier: int | Array, series: Array, *more: Any) -> Ints:
    """Return rows of _WIDTH columns, zeros behind those given; a number stands for a column of it."""
    rows = np.zeros((len(series), _WIDTH), np.int64)
    for place, column in enumerate((what, tier, series, *more)):
        rows[:, place] = column
    return rows
