"""Closed windows: rows by tier, with their tails."""

from dataclasses import dataclass, field

from edge_gateway.windows.merge import merge_blocks, merge_state_blocks, united
from edge_gateway.windows.rows import Block, TierRows, by_position
from edge_gateway.windows.tail import Tail


@dataclass(frozen=True, slots=True)
class Closed:
    """Closed windows, each once. A window may close again later with new readings only: its rows then merge.

    Attributes:
        numeric: WINDOW_ROWs, at most one entry per tier, tiers ascending.
        states: STATE_ROWs, likewise.
        tails: the tails of WINDOW_ROWs that have one, by (tier, position in the tier's rows).
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
        """Return everything collected, each window once."""
        numeric = [(tier, united(blocks, merge_blocks)) for tier, blocks in sorted(self._numeric.items())]
        states = [(tier, united(blocks, merge_state_blocks)) for tier, blocks in sorted(self._states.items())]
        return Closed(
            tuple(TierRows(tier, block.rows) for tier, block in numeric),
            tuple(TierRows(tier, block.rows) for tier, block in states),
            {(tier, row): tail for tier, block in numeric for row, tail in by_position(block).items()},
        )
