"""What closing gives: rows by tier, and the tails of those that have one."""

from dataclasses import dataclass, field

import numpy as np

from edge_gateway.windows.rows import Block, TierRows, by_position
from edge_gateway.windows.tail import Tail


@dataclass(frozen=True, slots=True)
class Closed:
    """Closed windows. A window can come again, with only what is new in it: rows of one window merge.

    Attributes:
        numeric: WINDOW_ROWs, at most one entry a tier, ascending.
        states: STATE_ROWs, likewise.
        tails: by (tier, position in its rows), for the WINDOW_ROWs that have one.
    """

    numeric: tuple[TierRows, ...] = ()
    states: tuple[TierRows, ...] = ()
    tails: dict[tuple[int, int], Tail] = field(default_factory=dict)

    def __bool__(self) -> bool:
        return bool(self.numeric or self.states)

    def tails_of(self, tier: int) -> dict[int, Tail]:
        """Return the tails of a tier's WINDOW_ROWs by position."""
        return {row: tail for (number, row), tail in self.tails.items() if number == tier}


class Harvest:
    """Collects closed rows by tier."""

    def __init__(self) -> None:
        self._numeric: dict[int, list[Block]] = {}
        self._states: dict[int, list[Block]] = {}

    def numbers(self, tier: int, block: Block) -> None:
        if len(block.rows):
            self._numeric.setdefault(tier, []).append(block)

    def states(self, tier: int, block: Block) -> None:
        if len(block.rows):
            self._states.setdefault(tier, []).append(block)

    def closed(self) -> Closed:
        tails: dict[tuple[int, int], Tail] = {}
        for tier, blocks in self._numeric.items():
            at = 0
            for block in blocks:
                tails |= {(tier, at + row): tail for row, tail in by_position(block).items()}
                at += len(block.rows)
        return Closed(_joined(self._numeric), _joined(self._states), tails)


def _joined(blocks: dict[int, list[Block]]) -> tuple[TierRows, ...]:
    return tuple(
        TierRows(tier, parts[0].rows if len(parts) == 1 else np.concatenate([part.rows for part in parts]))
        for tier, parts in sorted(blocks.items())
    )
