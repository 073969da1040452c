"""From when on windows are complete, after a part of the state was lost."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from edge_gateway.records.inputs import ClockConfirmed, Moment, StateLost, Trim

if TYPE_CHECKING:
    from edge_gateway.fold.effects import Effects
    from edge_gateway.windows.ever_closed import EverClosedTiers

ALWAYS = -(1 << 62)
NEVER = 1 << 62


@dataclass(slots=True)
class Completeness:
    """Windows that start before `since` (wall ms) are partial, because an earlier state is lost.

    Attributes:
        since: see above.
        unsure: the least that time could be if the wall clock was not sure of it; None if it was.
        untold: a start found something lost, and `StateLost` has not come yet: no window is complete until it does.
    """

    since: int = ALWAYS
    unsure: int | None = None
    untold: bool = False

    @property
    def whole_from(self) -> int:
        """Windows that start earlier (wall ms) are partial."""
        return NEVER if self.untold else self.since

    def lost(self, moment: Moment) -> None:
        """Note that the state before this moment is lost."""
        self.since, self.unsure, self.untold = moment.wall, moment.least, False

    def correct(self, moment: Moment) -> None:
        """Move `since` to the right time: `moment.wall` is it now, and `moment.least` advanced with monotonic time."""
        if self.unsure is not None:
            self.since, self.unsure = moment.wall - (moment.at_least - self.unsure), None

    def snapshot(self) -> dict[str, Any]:
        return {"since": self.since, "unsure": self.unsure, "untold": self.untold}

    def restore(self, state: dict[str, Any]) -> None:
        self.since, self.unsure, self.untold = state["since"], state["unsure"], state["untold"]


def note_history(
    given: StateLost | Trim | ClockConfirmed, whole: Completeness, ever: EverClosedTiers, effects: Effects
) -> None:
    """Note what is lost or trimmed from here on, or correct what was noted while the wall clock was not sure."""
    moment = given.moment
    match given:
        case StateLost():
            whole.lost(moment)
            effects.frozen, effects.unsure = moment.wall, moment.least
        case Trim():
            ever.trim(given.cuts, moment.least)
            effects.cuts, effects.unsure = tuple(given.cuts), moment.least
        case ClockConfirmed():
            whole.correct(moment)
            effects.confirmed = moment.wall, moment.at_least
            ever.confirm(*effects.confirmed)
    ever.lose_before(whole.since)
