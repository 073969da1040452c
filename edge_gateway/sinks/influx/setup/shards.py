"""How long the shards of a bucket are, by what it keeps.

InfluxDB chooses that when it makes a bucket and leaves it when the retention changes; templates cannot say it. A bucket
of a day that comes to keep two years would go on with shards of an hour, 17,520 of them, each with files of its own.
"""

from typing import Final

from edge_gateway.sinks.influx.setup.facts import Facts

MOST: Final = 1_000
"""Shards of a bucket that are let be, where its retention is not changed."""
_HOUR: Final = 3_600
_DAY: Final = 24 * _HOUR
_EVER: Final = 3_650 * _DAY
"""What is reckoned with for a bucket that keeps for ever."""


def fitting(keeps: int) -> int:
    """Seconds of the shards of a new bucket that keeps so many seconds, 0 for ever: as InfluxDB 2 chooses them."""
    if not keeps or keeps >= 180 * _DAY:
        return 7 * _DAY
    return _DAY if keeps >= 2 * _DAY else _HOUR


def count(keeps: int, shards: int) -> int:
    """How many shards of so many seconds a bucket comes to have."""
    return -(-(keeps or _EVER) // shards)


def misfit(wanted: Facts, found: Facts) -> bool:
    """Whether an apply gives a bucket other shards: it changes the retention, or there would be too many."""
    if wanted.keeps is None or not found.shards or found.shards == fitting(wanted.keeps):
        return False
    return wanted.keeps != found.keeps or count(wanted.keeps, found.shards) > MOST
