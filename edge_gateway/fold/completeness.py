"""From when on windows are complete, after a part of the state was lost."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from edge_gateway.records.inputs import Moment

ALWAYS = -(1 << 62)


@dataclass(slots=True)
class Completeness:
    """Windows that start before `since` (wall ms) are partial, because an earlier state is lost.

    `unsure`: the least that time could be if the wall clock was not sure of it; None if it was.
    """

    since: int = ALWAYS
    unsure: int | None = None

    def lost(self, moment: Moment) -> None:
        """Note that the state before this moment is lost."""
        self.since, self.unsure = moment.wall, moment.least

    def correct(self, moment: Moment) -> None:
        """Move `since` to the right time: `moment.wall` is it now, and `moment.least` advanced with monotonic time."""
        if self.unsure is not None:
            self.since, self.unsure = moment.wall - (moment.at_least - self.unsure), None

    def snapshot(self) -> dict[str, Any]:
        return {"since": self.since, "unsure": self.unsure}

    def restore(self, state: dict[str, Any]) -> None:
        self.since, self.unsure = state["since"], state["unsure"]
