"""Time zones as values: when each changes its offset from UTC. They are read from files when rules are loaded."""

from __future__ import annotations

from bisect import bisect_right
from dataclasses import dataclass, field
from typing import Final

UTC: Final = "UTC"
Change = tuple[int, int]
"""(moment in ms since 1970, offset from UTC in ms from then on)."""
_FAR: Final = 1 << 60


@dataclass(frozen=True, slots=True)
class Zone:
    """A time zone; its first change is at or before every moment asked for."""

    changes: tuple[Change, ...] = ((0, 0),)

    def offset(self, moment: int) -> int:
        """What local time is ahead of UTC, ms."""
        place = bisect_right(self.changes, (moment, _FAR)) - 1
        return self.changes[max(place, 0)][1]

    def moment(self, local: int, *, last: bool) -> int:
        """The moment (ms since 1970) of a local time, ms since the local midnight of 1970-01-01.

        A time that clocks show twice is its first or its `last` moment; one that they skip is that of the jump.
        """
        near = range(max(bisect_right(self.changes, (local - _DAY, _FAR)) - 1, 0), len(self.changes))
        skipped = _FAR
        found: list[int] = []
        for place in near:
            begin, offset = self.changes[place]
            if begin > local + _DAY:
                break
            end = self.changes[place + 1][0] if place + 1 < len(self.changes) else _FAR
            moment = local - offset
            if moment < end and (moment >= begin or place == 0):
                found.append(moment)
            elif moment >= end:
                skipped = end
        return (found[-1] if last else found[0]) if found else skipped


_DAY: Final = 86_400_000


@dataclass(frozen=True, slots=True)
class Zones:
    """The zones of sites, by name of the site; `default` is that of all others. `changes`: by name of the zone."""

    default: str = UTC
    of_site: dict[str, str] = field(default_factory=dict)
    changes: dict[str, tuple[Change, ...]] = field(default_factory=dict)

    def name(self, site: str) -> str:
        """The name of a site's zone."""
        return self.of_site.get(site, self.default)

    def zone(self, name: str) -> Zone:
        return Zone(self.changes[name]) if name in self.changes else Zone()


UTC_EVERYWHERE: Final = Zones()
