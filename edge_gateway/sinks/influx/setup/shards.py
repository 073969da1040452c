"""The shard length that fits a bucket's retention.

InfluxDB chooses it when it creates a bucket, and keeps it when the retention changes; templates cannot set it. A bucket
whose retention grows from a day to two years would end up with 17,520 shards of an hour, each with its own files.
"""

from typing import Final

from edge_gateway.sinks.influx.setup.facts import Facts

MOST: Final = 1_000
"""Up to this many shards of a bucket are left as they are while its retention does not change."""
_HOUR: Final = 3_600
_DAY: Final = 24 * _HOUR
_EVER: Final = 3_650 * _DAY
"""The retention assumed for a bucket that keeps for ever."""


def fitting(keeps: int) -> int:
    """Return the shard length (s) that InfluxDB 2 chooses for a retention (s, 0 for ever)."""
    if not keeps or keeps >= 180 * _DAY:
        return 7 * _DAY
    return _DAY if keeps >= 2 * _DAY else _HOUR


def count(keeps: int, shards: int) -> int:
    """Return how many shards of this length (s) a bucket with this retention ends up with."""
    return -(-(keeps or _EVER) // shards)


def misfit(wanted: Facts, found: Facts) -> bool:
    """Tell whether an apply changes a bucket's shard length: if the retention changes, or there would be too many."""
    if wanted.keeps is None or not found.shards or found.shards == fitting(wanted.keeps):
        return False
    return wanted.keeps != found.keeps or count(wanted.keeps, found.shards) > MOST
