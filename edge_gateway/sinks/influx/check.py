"""Check whether InfluxDB accepts writes, without writing a point.

A write that contains only a comment is answered like one of points: 204, or 401, 403 and 404 for a token without
write access and a missing bucket. Listing the buckets would not do: a read-only token sees them too.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from edge_gateway.sinks.influx.writer import InfluxWriter
from edge_gateway.sinks.outcomes import Step, decide, wall_seconds
from fleet_wire.printable import printable

COMMENT: Final = b"# edge-gateway doctor\n"


async def faults_of_writing(writer: InfluxWriter, buckets: Sequence[str]) -> list[str]:
    """Return the faults that prevent writing to the buckets, each once; a fault of the server ends the check."""
    held: dict[str, list[str]] = {}
    for bucket in buckets:
        decision = decide(await writer.write(bucket, COMMENT), 1, wall_seconds())
        if decision.step is Step.HOLD:
            held.setdefault(decision.reason, []).append(f"'{printable(bucket)}'")
        elif decision.step is not Step.ACCEPT:
            return [decision.reason]
    return [f"bucket {', '.join(named)}: {reason}" for reason, named in held.items()]
