"""From when on windows are complete, after a part of the state was lost."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from edge_gateway.fold.closed_windows import for_store
from edge_gateway.records.inputs import ClockConfirmed, Moment, StateLost, Trim
from edge_gateway.records.window_block import WindowBlock
from edge_gateway.windows.closed import Closed, TierBlock

if TYPE_CHECKING:
    from edge_gateway.fleet.registry import Registry
    from edge_gateway.fold.effects import Effects
    from edge_gateway.windows.ever_closed import EverClosedTiers
    from edge_gateway.windows.in_use import InUse

ALWAYS = -(1 << 62)
NEVER = 1 << 62


@dataclass(slots=True)
class Completeness:
    """Windows that start before `since` (wall ms) are partial, because an earlier state is lost.

    Attributes:
        since: see above.
        unsure: the least that time could be if the wall clock was not sure of it; None if it was.
        untold: a start found something lost, and `StateLost` has not come yet: no window is complete until it does.
        unrecorded: base windows that left in a replay and that no record has; they wait for `StateLost`.
    """

    since: int = ALWAYS
    unsure: int | None = None
    untold: bool = False
    unrecorded: Closed = field(default_factory=Closed)

    @property
    def whole_from(self) -> int:
        """Windows that start earlier (wall ms) are partial."""
        return NEVER if self.untold else self.since

    def lost(self, moment: Moment) -> None:
        """Note that the state before this moment is lost."""
        self.since, self.unsure, self.untold = moment.wall, moment.least, False

    def keep_unrecorded(self, left: Closed) -> None:
        """Keep base windows that left in a replay and that no record has, until `take_unrecorded`."""
        if left:
            held, self.untold = self.unrecorded, True
            self.unrecorded = Closed((*held.numbers, *left.numbers), (*held.states, *left.states))

    def take_unrecorded(self) -> Closed:
        """Return what was kept, and keep it no longer."""
        taken, self.unrecorded = self.unrecorded, Closed()
        return taken

    def also_in_use(self, held: InUse) -> InUse:
        """Add the series and texts of what is kept to those that are in use."""
        for one in (*self.unrecorded.numbers, *self.unrecorded.states):
            held.series[one.rows["series"]] = True
        for one in self.unrecorded.states:
            held.texts.update(*(one.rows[end].tolist() for end in ("first", "last")))
        return held

    def correct(self, moment: Moment) -> None:
        """Move `since` to the right time: `moment.wall` is it now, and `moment.least` advanced with monotonic time."""
        if self.unsure is not None:
            self.since, self.unsure = moment.wall - (moment.at_least - self.unsure), None

    def snapshot(self) -> dict[str, Any]:
        return {
            "since": self.since,
            "unsure": self.unsure,
            "untold": self.untold,
            "numbers": [one.block.snapshot() for one in self.unrecorded.numbers],
            "states": [one.block.snapshot() for one in self.unrecorded.states],
        }

    def restore(self, state: dict[str, Any]) -> None:
        self.since, self.unsure, self.untold = state["since"], state["unsure"], state["untold"]
        numbers, states = (
            tuple(TierBlock(0, WindowBlock.restored(block)) for block in state[kind])
            for kind in ("numbers", "states")
        )
        self.unrecorded = Closed(numbers, states)


def note_history(
    given: StateLost | Trim | ClockConfirmed,
    whole: Completeness,
    registry: Registry,
    ever: EverClosedTiers,
    effects: Effects,
) -> None:
    """Note what is lost or trimmed from here on, or correct what was noted while the wall clock was not sure."""
    moment = given.moment
    match given:
        case StateLost():
            left = whole.take_unrecorded()
            effects.windows.extend(for_store(left.numbers, NEVER, registry, ever))
            effects.states.extend(for_store(left.states, NEVER, registry, ever))
            whole.lost(moment)
            effects.frozen, effects.unsure, effects.outbox_old = moment.wall, moment.least, given.copied
        case Trim():
            ever.trim(given.cuts, moment.least)
            effects.cuts, effects.unsure = tuple(given.cuts), moment.least
        case ClockConfirmed():
            whole.correct(moment)
            effects.confirmed = moment.wall, moment.at_least
            ever.confirm(*effects.confirmed)
    ever.lose_before(whole.since)
