"""`spool.on_full: drop_oldest`: a journal that is too small drops its oldest records, and the gateway is killed.

    records 1 … n, no checkpoint ─▶ the oldest segments go ─▶ kill ─▶ start: the rest is folded, the hole is told

What the store had applied is there, whole. Windows in progress lack what went: they stand apart, and none counts twice.
"""

from collections import Counter
from pathlib import Path

import pytest

from edge_gateway.journal import spool
from edge_gateway.journal.segments import Journal
from edge_gateway.records.inputs import Moment, StateLost
from edge_gateway.recovery.startup import recover_spool
from edge_gateway.status.catalogue import Problem
from edge_gateway.status.clock import BUILT
from tests.proofs.ground.inside import Inside, configuration, later
from tests.proofs.order.histories import Reading

NOW = BUILT + 10_000_000_000
EVERY = 10_000
MOST, SEGMENT = 40_000, 4_000
Window = tuple[str, int]
"""Device and start, ms."""


class Field:
    """Four devices with a reading a second, each second a record; `sent` counts the readings of each window."""

    def __init__(self, place: Path) -> None:
        windows = [{"every": "10s", "bucket": "a", "keep": "30d"}]
        config = configuration(place, windows=windows, time={"allowed_lateness": "1s"})
        self.inside = Inside(place, config, NOW)
        self.sent: Counter[Window] = Counter()
        self.seconds = 0
        self._narrow(self.inside.journal)

    def _narrow(self, journal: Journal) -> None:
        journal._segment_bytes, journal.max_bytes = SEGMENT, MOST

    @property
    def moment(self) -> Moment:
        return later(Moment(NOW, 0, trusted=True), 1_000 * self.seconds)

    def live(self, seconds: int) -> None:
        for _ in range(seconds):
            at = self.moment.wall
            said = [Reading(f"d{n}", "s", 1, self.seconds, at, {"heat": at / 7 + n}) for n in range(4)]
            self.inside.deliver(self.moment, [one.delivery() for one in said])
            self.sent.update((one.device, at - at % EVERY) for one in said)
            self.seconds += 1
            self._make_room()
            self.inside.commit()

    def _make_room(self) -> None:
        """Drop the oldest segments, as the disk guard does before the same record is written again."""
        journal = self.inside.journal
        while journal.total_bytes > MOST - SEGMENT:
            assert journal.drop_oldest() is not None

    def stored(self, what: str = "windows") -> Counter[Window]:
        found: Counter[Window] = Counter()
        for row in self.inside.rows(what):
            found[row["device"], row["start"]] += row["count"]
        return found


@pytest.fixture
def field(tmp_path: Path) -> Field:
    return Field(tmp_path)


def test_records_that_are_dropped_and_then_missed_by_a_start_cost_windows_in_progress_alone(
    field: Field,
) -> None:
    field.live(500)
    inside = field.inside
    assert inside.journal.dropped_records > 100
    assert inside.journal.total_bytes <= MOST
    before = field.stored()
    assert before == {key: field.sent[key] for key in before}
    inside.close()

    found = recover_spool(inside.place, inside.config, "gw-inside", inside.clock)
    found.journal.close()
    found.store.close()
    gone = inside.journal.dropped_records
    assert found.findings == [
        (
            Problem.RECORDS_LOST,
            f"records of {inside.place / spool.JOURNAL} are missing or could not be read: 1–{gone}",
        )
    ]
    assert not found.whole

    inside.start()
    assert field.stored() == before, "what was stored stays, and nothing of it counts again"
    inside.fold(StateLost(field.moment))  # as the gateway does first after such a start
    field.live(60)
    inside.settle(field.moment)
    whole, partial = field.stored(), field.stored("partial")
    assert all(whole[key] == field.sent[key] for key in whole), "a window is right or stands apart"
    assert all(partial[key] <= field.sent[key] for key in partial)
    missing = {start for device, start in field.sent.keys() - whole.keys()}
    assert len(missing) <= 3, "those that were open when the gateway was killed"
    inside.close()
