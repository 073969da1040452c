"""Read time zones from the machine's tz database, as `Zones` that rules need no file for."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from functools import lru_cache
from typing import TYPE_CHECKING, Final
from zoneinfo import ZoneInfo

from edge_gateway.rules.language import zones

if TYPE_CHECKING:
    from collections.abc import Mapping

    from edge_gateway.rules.language.zones import Change

FIRST_YEAR, LAST_YEAR = 2000, 2100
"""Years whose changes are read; before and after them a zone stays as it was."""
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_MS: Final = timedelta(milliseconds=1)
_STEP: Final = timedelta(days=5)
"""No zone changes its offset and back within fewer days."""


def read_zones(default: str | None, of_site: Mapping[str, str]) -> zones.Zones:
    """The zones of these names: that of all sites, and those of some. ValueError for a name that the machine lacks."""
    name = default or zones.UTC
    names = sorted({name, *of_site.values()} - {zones.UTC})
    return zones.Zones(name, dict(of_site), {each: zone_changes(each) for each in names})


@lru_cache(maxsize=64)
def zone_changes(name: str) -> tuple[Change, ...]:
    """The changes of a zone of the IANA database. ValueError: the machine has none of this name."""
    try:
        zone = ZoneInfo(name)
    except (OSError, ValueError, KeyError):
        told = "the tz database of this machine has no zone of this name; write one like Europe/Berlin"
        raise ValueError(f"'{name}': {told}, or install tzdata") from None
    moment, end = datetime(FIRST_YEAR, 1, 1, tzinfo=UTC), datetime(LAST_YEAR, 1, 1, tzinfo=UTC)
    found = [(0, _offset(zone, moment))]
    while moment < end:
        later = moment + _STEP
        if _offset(zone, later) != found[-1][1]:
            found.append((_change(zone, moment, later), _offset(zone, later)))
        moment = later
    return tuple(found)


def _offset(zone: ZoneInfo, moment: datetime) -> int:
    ahead = moment.astimezone(zone).utcoffset()
    assert ahead is not None
    return ahead // _MS


def _change(zone: ZoneInfo, before: datetime, after: datetime) -> int:
    """The first second, in ms since 1970, that has the offset of `after`."""
    new = _offset(zone, after)
    while after - before > timedelta(seconds=1):
        middle = before + timedelta(seconds=(after - before) // timedelta(seconds=2))
        before, after = (before, middle) if _offset(zone, middle) == new else (middle, after)
    return (after - _EPOCH) // _MS
