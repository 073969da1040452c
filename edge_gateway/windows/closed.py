"""Closed windows by tier."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from edge_gateway.records.window_block import Rows, WindowBlock, keys
from edge_gateway.windows.merge import MergeBlocks, merge_blocks, merge_state_blocks, united

Bools = NDArray[np.bool_]


class TierBlock(NamedTuple):
    """Closed windows of one tier, each once; 0 is the base.

    `again` says which of the rows are of windows that may have been closed before; None for none.
    """

    tier: int
    block: WindowBlock
    again: Bools | None = None

    @property
    def rows(self) -> Rows:
        return self.block.rows


@dataclass(frozen=True, slots=True)
class Closed:
    """Closed windows. A window may close again later with new readings only: its rows then merge.

    Attributes:
        numbers: WINDOW_ROWs, at most one entry per tier, tiers ascending.
        states: STATE_ROWs, likewise.
    """

    numbers: Sequence[TierBlock] = ()
    states: Sequence[TierBlock] = ()

    def __bool__(self) -> bool:
        return bool(self.numbers or self.states)


class Harvest:
    """Collects closed rows by tier; `again` says which rows of a block may have been closed before, None for none."""

    def __init__(self) -> None:
        self._numbers = _Collected(merge_blocks)
        self._states = _Collected(merge_state_blocks)

    def numbers(self, tier: int, block: WindowBlock, again: Bools | None = None) -> None:
        self._numbers.add(tier, block, again)

    def states(self, tier: int, block: WindowBlock, again: Bools | None = None) -> None:
        self._states.add(tier, block, again)

    def closed(self) -> Closed:
        """Return everything collected, each window once."""
        return Closed(tuple(self._numbers.united()), tuple(self._states.united()))


class _Collected:
    """Blocks of one kind of row by tier."""

    def __init__(self, merge: MergeBlocks) -> None:
        self._merge = merge
        self._parts: dict[int, list[TierBlock]] = {}

    def add(self, tier: int, block: WindowBlock, again: Bools | None) -> None:
        if len(block):
            self._parts.setdefault(tier, []).append(TierBlock(tier, block, again))

    def united(self) -> Iterator[TierBlock]:
        for tier, parts in sorted(self._parts.items()):
            whole = united([part.block for part in parts], self._merge)
            yield TierBlock(tier, whole, _again(whole, parts))


def _again(whole: WindowBlock, parts: Sequence[TierBlock]) -> Bools | None:
    """Return which windows may have been closed before; one that closes here for the first time was not."""
    if all(part.again is None for part in parts):
        return None
    known_new = [part.block if part.again is None else part.block.take(~part.again) for part in parts]
    first = {key for block in known_new for key in keys(block.rows)}
    return np.array([key not in first for key in keys(whole.rows)], np.bool_)
