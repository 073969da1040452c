"""What the last line of the log says."""

from __future__ import annotations

import pytest

from edge_gateway.service.farewell import farewell
from edge_gateway.status.report import Backlog, SinkStatus, SpoolParts, SpoolStatus

STOPPED = "stopped: record 7 and all before it are on disk; left for the next start: "


def spool(*, record: int, checkpoint: int) -> SpoolStatus:
    return SpoolStatus(
        record=record,
        committed=7,
        journal_bytes=0,
        checkpoint=checkpoint,
        uncommitted=record - 7,
        unstored=0,
        recovered_in_ms=1,
        bytes=SpoolParts(0, 0, 0, 0),
        max_bytes=1,
        reserve=True,
    )


@pytest.mark.parametrize(
    ("record", "checkpoint", "waiting", "left"),
    [
        (7, 7, {}, "nothing"),
        (7, 7, {"influx": 0}, "nothing"),
        (7, 7, {"influx": 1}, "1 line for influx"),
        (7, 5, {"b": 1_200, "a": 2}, "2 records to replay, 2 lines for a, 1,200 lines for b"),
        (8, 7, {}, "the messages of 1 record not on disk, which the broker sends again"),
    ],
)
def test_what_is_on_disk_and_what_is_left(
    record: int, checkpoint: int, waiting: dict[str, int], left: str
) -> None:
    sinks = {name: SinkStatus(waiting=Backlog(lines=lines)) for name, lines in waiting.items()}
    assert farewell(spool(record=record, checkpoint=checkpoint), sinks) == STOPPED + left
