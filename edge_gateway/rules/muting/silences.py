"""Silences: notices of some alerts are muted until a time, because an operator says so.

One that was given a duration runs by monotonic time, which setting the clock does not move; one that was given a time
ends once that is certainly reached. So a clock that nobody has confirmed ends none early.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import msgspec

from edge_gateway.rules.muting.subject import Mute
from fleet_config.match import Match

if TYPE_CHECKING:
    from collections.abc import Iterator

    from edge_gateway.records.inputs import Moment
    from edge_gateway.rules.muting.subject import AlertSubject

MOST_SILENCES: Final = 100
"""Silences at a time."""


class Silence(msgspec.Struct, frozen=True):
    """One silence.

    Attributes:
        id: its number, by which it is ended; no other silence of this spool had it.
        match: globs by `alert`, `level`, `subject`, site, device, type and tags, which must all fit.
        commands: commands are muted as well, but for those that end what earlier ones began.
        why, by: the operator's reason, and the operator.
        since, until: wall ms; `until` is an estimate where `ends` counts.
        ends: monotonic ms at which it ends, None if it ends at `until`.
    """

    id: int
    match: dict[str, list[str]]
    commands: bool
    why: str
    by: str
    since: int
    until: int
    ends: int | None = None

    def is_over(self, moment: Moment) -> bool:
        """Whether its end is certainly reached."""
        if self.ends is not None:
            return moment.monotonic >= self.ends
        return (moment.trusted or moment.least is not None) and moment.at_least >= self.until


class Silences:
    """The silences in force, by number."""

    def __init__(self) -> None:
        self._silences: dict[int, Silence] = {}
        self._matches: dict[int, Match] = {}
        self._given = 0

    def __len__(self) -> int:
        return len(self._silences)

    def __iter__(self) -> Iterator[Silence]:
        return iter(self._silences.values())

    def add(self, silence: Silence) -> Silence:
        """Let a silence begin; it is returned with its number."""
        self._given += 1
        numbered = msgspec.structs.replace(silence, id=self._given)
        self._put(numbered)
        return numbered

    def _put(self, silence: Silence) -> None:
        self._silences[silence.id] = silence
        self._matches[silence.id] = Match.of(silence.match)

    def end(self, number: int) -> Silence | None:
        """End a silence, and return it; None if there is none of this number."""
        self._matches.pop(number, None)
        return self._silences.pop(number, None)

    def end_due(self, moment: Moment) -> list[Silence]:
        """End the silences that are over."""
        over = [one for one in self if one.is_over(moment)]
        for one in over:
            self.end(one.id)
        return over

    def muting(self, subject: AlertSubject) -> Iterator[Mute]:
        """Those that mute an alert."""
        for number, match in self._matches.items():
            if subject.fits(match):
                yield Mute(f"silence {number}", self._silences[number].commands)

    def snapshot(self) -> dict[str, Any]:
        return {"given": self._given, "silences": [msgspec.to_builtins(one) for one in self]}

    def restore(self, state: dict[str, Any]) -> None:
        self._given = state["given"]
        for one in msgspec.convert(state["silences"], list[Silence]):
            self._put(one)
