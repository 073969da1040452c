"""Closed windows: rows by tier, with their tails."""

from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from edge_gateway.windows.merge import MergeBlocks, merge_blocks, merge_state_blocks, united
from edge_gateway.windows.rows import Block, TierRows, by_position, keys
from edge_gateway.windows.tail import Tail

Bools = NDArray[np.bool_]
Repeats = dict[int, Bools]
"""By tier, which of its rows are of windows that may have been closed before; tiers without such rows have no entry."""


@dataclass(frozen=True, slots=True)
class Closed:
    """Closed windows, each once. A window may close again later with new readings only: its rows then merge.

    Attributes:
        numeric: WINDOW_ROWs, at most one entry per tier, tiers ascending.
        states: STATE_ROWs, likewise.
        tails: the tails of WINDOW_ROWs that have one, by (tier, position in the tier's rows).
        numeric_again: which WINDOW_ROWs may have been closed before.
        states_again: which STATE_ROWs may have been closed before.
    """

    numeric: tuple[TierRows, ...] = ()
    states: tuple[TierRows, ...] = ()
    tails: dict[tuple[int, int], Tail] = field(default_factory=dict)
    numeric_again: Repeats = field(default_factory=dict)
    states_again: Repeats = field(default_factory=dict)

    def __bool__(self) -> bool:
        return bool(self.numeric or self.states)

    def tails_of(self, tier: int) -> dict[int, Tail]:
        """Return the tails of a tier's WINDOW_ROWs by position."""
        return {row: tail for (number, row), tail in self.tails.items() if number == tier}


class Harvest:
    """Collects closed rows by tier; `again` says which rows of a block may have been closed before, None for none."""

    def __init__(self) -> None:
        self._numeric = _Collected(merge_blocks)
        self._states = _Collected(merge_state_blocks)

    def numbers(self, tier: int, block: Block, again: Bools | None = None) -> None:
        self._numeric.add(tier, block, again)

    def states(self, tier: int, block: Block, again: Bools | None = None) -> None:
        self._states.add(tier, block, again)

    def closed(self) -> Closed:
        """Return everything collected, each window once."""
        numeric, states = self._numeric.united(), self._states.united()
        return Closed(
            tuple(TierRows(tier, block.rows) for tier, block in numeric),
            tuple(TierRows(tier, block.rows) for tier, block in states),
            {(tier, row): tail for tier, block in numeric for row, tail in by_position(block).items()},
            self._numeric.again(numeric),
            self._states.again(states),
        )


class _Collected:
    """Blocks of one kind of row by tier."""

    def __init__(self, merge: MergeBlocks) -> None:
        self._merge = merge
        self._blocks: dict[int, list[tuple[Block, Bools | None]]] = {}

    def add(self, tier: int, block: Block, again: Bools | None) -> None:
        if len(block.rows):
            self._blocks.setdefault(tier, []).append((block, again))

    def united(self) -> list[tuple[int, Block]]:
        return [
            (tier, united([block for block, _ in blocks], self._merge))
            for tier, blocks in sorted(self._blocks.items())
        ]

    def again(self, whole: list[tuple[int, Block]]) -> Repeats:
        """Return which rows may have been closed before; a window that closes here for the first time was not."""
        found = {}
        for tier, block in whole:
            parts = self._blocks[tier]
            if any(again is not None for _, again in parts):
                rows = [part.rows if again is None else part.rows[~again] for part, again in parts]
                first = {key for some in rows for key in keys(some)}
                found[tier] = np.array([key not in first for key in keys(block.rows)], np.bool_)
        return found
