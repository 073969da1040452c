"""Whether InfluxDB would take what the gateway sends, asked without leaving a point.

A write of nothing but a comment is answered as one of points would be: 204, or 401, 403 and 404 for a token that may
not write and a bucket that is not there. Reading the buckets' list would not do: a token that may only read sees it.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from edge_gateway.sinks.influx.writer import InfluxWriter
from edge_gateway.sinks.outcomes import Step, decide, wall_seconds
from fleet_wire.printable import printable

COMMENT: Final = b"# edge-gateway doctor\n"


async def faults_of_writing(writer: InfluxWriter, buckets: Sequence[str]) -> list[str]:
    """What stands against writing to the buckets, each fault once; one that is not a bucket's ends the look."""
    held: dict[str, list[str]] = {}
    for bucket in buckets:
        decision = decide(await writer.write(bucket, COMMENT), 1, wall_seconds())
        if decision.step is Step.HOLD:
            held.setdefault(decision.reason, []).append(f"'{printable(bucket)}'")
        elif decision.step is not Step.ACCEPT:
            return [decision.reason]
    return [f"bucket {', '.join(named)}: {reason}" for reason, named in held.items()]
