"""The last line of the log: what is on disk, and what the next start has to do."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from edge_gateway.status.report import SinkStatus, SpoolStatus
from fleet_config.counting import counted


def farewell(spool: SpoolStatus, sinks: Mapping[str, SinkStatus]) -> str:
    """Describe how the gateway stopped, from the spool and the sinks as they are at the end."""
    left = ", ".join(_left(spool, sinks)) or "nothing"
    return f"stopped: record {spool.committed} and all before it are on disk; left for the next start: {left}"


def _left(spool: SpoolStatus, sinks: Mapping[str, SinkStatus]) -> Iterator[str]:
    if (lost := spool.record - spool.committed) > 0:
        yield f"the messages of {counted(lost, 'record')} not on disk, which the broker sends again"
    if (uncovered := spool.committed - spool.checkpoint) > 0:
        yield f"{counted(uncovered, 'record')} to replay"
    for name, sink in sorted(sinks.items()):
        if sink.waiting.lines:
            yield f"{counted(sink.waiting.lines, 'line')} for {name}"
