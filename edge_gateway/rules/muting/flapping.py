"""Flapping: the notices of an alert that changes too often are muted until it has been quiet."""

from __future__ import annotations

from typing import Any, Final

import msgspec

from edge_gateway.rules.muting.subject import Key

MOST_CHANGES: Final = 6
"""Changes within SPAN that are still told."""
SPAN: Final = 1_800_000
"""Milliseconds of the listening clock."""
MOST_WATCHED: Final = 20_000
"""Alerts whose changes are remembered. Past it the one that changed longest ago is forgotten."""
FLAPPING: Final = "flapping"
_NO_RANK: Final = -1


class Changes(msgspec.Struct):
    """The last changes of one alert.

    Attributes:
        at: when they were, ms of the listening clock, at most MOST_CHANGES + 1.
        ranks: the rank that each told, _NO_RANK for an end.
        since: when it began to flap, None if it does not.
        peak: while it flaps, the highest rank that was told.
    """

    at: list[int]
    ranks: list[int]
    since: int | None = None
    peak: int = _NO_RANK


class Flapping:
    """The changes of alerts that changed lately, and which of them flap."""

    def __init__(self) -> None:
        self._watched: dict[Key, Changes] = {}
        self._flapping: dict[Key, None] = {}

    def __len__(self) -> int:
        return len(self._flapping)

    def __contains__(self, key: Key) -> bool:
        return key in self._flapping

    def since(self, key: Key) -> int:
        """Since when an alert that flaps does, ms of the listening clock."""
        since = self._watched[key].since
        assert since is not None
        return since

    def change(self, key: Key, rank: int | None, now: int) -> bool:
        """Note a change, to `rank` or, if that is None, the end; return whether it is muted.

        A rank above all that were told since it began to flap, or in the changes that made it flap, is not.
        """
        told = _NO_RANK if rank is None else rank
        changes = self._watched.pop(key, None) or Changes([], [])
        self._watched[key] = changes
        recent = [place for place, at in enumerate(changes.at) if at > now - SPAN][-MOST_CHANGES:]
        changes.at = [*(changes.at[place] for place in recent), now]
        changes.ranks = [*(changes.ranks[place] for place in recent), told]
        if changes.since is None and len(changes.at) <= MOST_CHANGES:
            self._forget_old(now)
            return False
        if changes.since is None:
            changes.since, changes.peak = now, max(changes.ranks[:-1])
            self._flapping[key] = None
        higher = told > changes.peak
        changes.peak = max(changes.peak, told)
        self._forget_old(now)
        return not higher

    def mutes(self, key: Key, rank: int | None) -> bool:
        """Whether an alert flaps, and `rank`, or its end, is not above all that were told meanwhile."""
        return key in self._flapping and (rank is None or rank <= self._watched[key].peak)

    def _forget_old(self, now: int) -> None:
        """Forget alerts that have not changed lately, and the oldest beyond MOST_WATCHED."""
        while True:
            key, changes = next(iter(self._watched.items()))
            over = changes.since is None and changes.at[-1] <= now - SPAN
            if not over and len(self._watched) <= MOST_WATCHED:
                return
            del self._watched[key]
            self._flapping.pop(key, None)

    def end_quiet(self, now: int) -> list[Key]:
        """The alerts that flapped and have been quiet for SPAN by now; they do not flap any more."""
        quiet = [key for key in self._flapping if self._watched[key].at[-1] <= now - SPAN]
        for key in quiet:
            del self._flapping[key], self._watched[key]
        return quiet

    def snapshot(self) -> list[Any]:
        return [[*key, *msgspec.structs.astuple(changes)] for key, changes in self._watched.items()]

    def restore(self, state: list[Any]) -> None:
        for rule, subject, at, ranks, since, peak in state:
            self._watched[rule, subject] = Changes(list(at), list(ranks), since, peak)
        self._flapping = {key: None for key, one in self._watched.items() if one.since is not None}
