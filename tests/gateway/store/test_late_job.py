"""Late readings: what is stored in the end equals what would have been stored had they come in time."""

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edge_gateway.records.store_effects import BEHIND, ClosedWindows, Stamp, StoreEffects, both
from edge_gateway.records.window_block import WINDOW_ROW, WindowBlock
from edge_gateway.store import late_job
from edge_gateway.store.counters import StoreCounters
from edge_gateway.store.coverage import Coverage
from edge_gateway.store.database import Store
from edge_gateway.store.late_job import LateJob
from edge_gateway.store.names import NameTables
from edge_gateway.store.outgoing_lines import TOO_LATE
from edge_gateway.store.row_checksum import checked
from edge_gateway.store.schema import open_store
from edge_gateway.store.series_use import SeriesUse
from edge_gateway.store.window_kinds import number_windows
from edge_gateway.windows.merge import sums
from edge_gateway.windows.reduce import Readings, rows_of_values
from tests.gateway.store.fleet import (
    DAY,
    MINUTE,
    SETTINGS,
    T0,
    TIERS,
    Reading,
    closed,
    closed_states,
    columns,
    late,
    late_states,
    name,
    named,
    texts,
)
from tests.gateway.store.stored import lines, merge_all, opened, table, trim

HOUR = 60 * MINUTE
H0 = T0 - T0 % HOUR


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    one = opened(tmp_path, floor=H0)
    yield one
    one.close()


def stored(store: Store) -> dict[tuple[int, int, int], tuple[int, bytes, bytes]]:
    """(tier, start, series) -> (revision, row without its series and p95, tail)."""
    size = WINDOW_ROW.itemsize
    found = {}
    for tier, start, series, revision, blob in table(store, "window"):
        data = checked(blob, start, series)
        assert data is not None
        found[tier, start, series] = (revision, data[8:size], data[size:])
    return found


def on_time(readings: list[Reading]) -> list[ClosedWindows]:
    return [closed(tier, readings, p95=True) for tier in range(3)]


readings = st.tuples(
    st.integers(0, 3),
    st.integers(H0, H0 + 2 * HOUR - 1),
    st.floats(-1e12, 1e12).map(lambda value: value + 0.0) | st.sampled_from([1e300, -1e300, 1e-200]),
)


@settings(max_examples=40, deadline=None)
@given(
    in_time=st.lists(readings, max_size=30), too_slow=st.lists(readings, max_size=30), cuts=st.integers(1, 4)
)
def test_late_readings_end_in_the_rows_that_all_readings_at_once_give(
    tmp_path_factory: pytest.TempPathFactory, in_time: list[Reading], too_slow: list[Reading], cuts: int
) -> None:
    directory = tmp_path_factory.mktemp("late")
    with_p95 = replace(SETTINGS, p95_metrics=frozenset({"temperature"}))
    apart = opened(directory / "apart", with_p95, floor=H0)
    whole = opened(directory / "whole", with_p95, floor=H0)
    apart.apply([(1, [named(windows=tuple(on_time(in_time)))])])
    for number in range(cuts):
        apart.apply([(2 + number, [StoreEffects(T0, late=late(too_slow[number::cuts]))])])
        merge_all(apart)
    whole.apply([(1, [named(windows=tuple(on_time(in_time + too_slow)))])])
    got, expected = stored(apart), stored(whole)
    assert got.keys() == expected.keys()
    assert {key: row[1:] for key, row in got.items()} == {key: row[1:] for key, row in expected.items()}
    assert apart.facts().counters.get("late_merged", 0) == len(too_slow)
    assert newest_lines(lines(apart)) == newest_lines(lines(whole))
    apart.close()
    whole.close()


def newest_lines(sent: list[str]) -> dict[tuple[str, str], str]:
    """What a database keeps of lines: the last fields of each series and time."""
    return {(line.split(" ")[0], line.rpartition(" ")[2]): line for line in sent}


def test_a_correction_is_a_new_revision_in_every_tier_that_is_told(store: Store) -> None:
    windows = tuple(closed(tier, [(1, H0 + 5, 1.0)]) for tier in range(3))
    store.apply([(1, [named(windows=windows)])])
    lines(store)
    store.apply([(2, [StoreEffects(T0, late=late([(1, H0 + 7, 9.0)], tiers=0b101))])])
    assert store.facts().late_pending == 1
    assert merge_all(store) == 1
    revisions = {tier: revision for (tier, _, _), (revision, _, _) in stored(store).items()}
    assert revisions == {0: 1, 1: 0, 2: 1}
    sent = lines(store)
    assert len(sent) == 2
    assert all("count=2i" in line and line.endswith(f" {H0}000000") for line in sent)


def test_no_row_at_or_after_the_floor_becomes_a_new_one_and_before_it_a_late_line(store: Store) -> None:
    told = late([(1, H0, 1.0), (1, H0 - 1, 2.0), (2, H0 + HOUR, 3.0)], tiers=0b1)
    store.apply([(1, [named(late=told)])])
    assert merge_all(store) == 3
    assert sorted(start for _, start, _ in stored(store)) == [H0, H0 + HOUR]
    counters = store.facts().counters
    assert (counters["late_merged"], counters["late_too_late"]) == (2, 1)
    (too_late,) = [line for line in lines(store) if line.startswith("sensor_late")]
    assert too_late.endswith(f",why=late value=2.0 {H0 - 1}000001"), "the second of its record"


def test_what_is_over_its_device_s_share_is_sent_as_it_is_and_merged_nowhere(store: Store) -> None:
    windows = tuple(closed(tier, [(1, H0 + 5, 1.0)]) for tier in range(3))
    store.apply([(1, [named(windows=windows)])])
    lines(store)
    told = both(late([(1, H0 + 6, 8.0)], tiers=0), late([(1, H0 + 7, 9.0)]))
    store.apply([(2, [StoreEffects(T0, late=told, late_states=late_states([(2, H0, 0.0)], tiers=0))])])
    assert store.facts().late_pending == 1
    merge_all(store)
    sent = lines(store)
    (over,) = [line for line in sent if line.startswith("sensor_late")]
    assert over.endswith(f",why=share value=8.0 {H0 + 6}000000")
    assert all("count=2i" in line for line in sent if line is not over)


def test_before_the_floor_a_stored_row_is_still_corrected(store: Store) -> None:
    old = H0 - 3 * HOUR
    store.apply(
        [(1, [named(windows=(closed(0, [(1, old, 1.0)]),), late=late([(1, old + 1, 2.0)], tiers=0b1))])]
    )
    merge_all(store)
    assert stored(store)[0, old, 2][0] == 1
    assert "late_too_late" not in store.facts().counters


def test_what_waits_is_merged_before_its_window_is_trimmed(store: Store) -> None:
    """Afterwards it would make a new window, and the point would lose the readings it had."""
    now = H0 + 31 * DAY
    store.apply([(1, [named(windows=(closed(1, [(1, H0, 1.0), (1, H0 + 40 * DAY, 1.0)]),))])])
    store.apply([(2, [StoreEffects(H0, late=late([(1, H0 + 1, 5.0)], tiers=0b10))])])
    trim(store, now)
    assert store.late_pending == 0
    assert [start for _, start, _ in stored(store)] == [H0 + 40 * DAY]
    assert "count=2i" in lines(store)[-1]


def test_a_reading_of_a_window_that_was_trimmed_is_told_and_merged_nowhere(store: Store) -> None:
    store.apply([(1, [named(at=H0, late=late([(1, H0 + 1, 5.0)], tiers=BEHIND))])])
    assert store.late_pending == 0
    assert stored(store) == {}
    (line,) = lines(store)
    assert line.startswith("sensor_late,")
    assert ",why=late value=5.0 " in line


def test_a_reading_is_merged_once_whatever_is_repeated(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = opened(tmp_path, floor=H0)
    record = (
        1,
        [
            named(
                windows=(closed(0, [(1, H0, 1.0)]),), late=late([(1, H0 + 1, 2.0), (1, H0 + 2, 3.0)], tiers=1)
            )
        ],
    )
    store.apply([record])
    with monkeypatch.context() as patch:
        patch.setattr(store._outbox, "enforce", lambda: 1 / 0)
        with pytest.raises(ZeroDivisionError):
            store.run_late()
    assert store.late_pending == 2
    store.apply([record])
    merge_all(store)
    store.apply([record])
    assert merge_all(store) == 0
    ((revision, _, _),) = stored(store).values()
    assert revision == 1
    assert "count=3i" in lines(store)[-1]


def test_late_texts_are_merged_too_and_texts_too_late_only_counted(store: Store) -> None:
    one = named(
        [4],
        texts=texts("open", "closed"),
        states=(closed_states(0, [(4, H0, 0)]),),
        late_states=late_states([(4, H0 + 5, 1), (4, H0 - 5 * DAY, 1)]),
    )
    store.apply([(1, [one])])
    assert merge_all(store) == 2
    assert [line.partition(" ")[2] for line in lines(store)] == [
        f'last="open",changes=0i {H0}000000',
        f'last="closed",changes=1i {H0}000000',
    ]
    assert store.facts().counters["late_too_late"] == 1


def test_a_backlog_of_late_readings_is_merged_piece_by_piece(store: Store) -> None:
    many: list[Reading] = [(s, H0 + n * MINUTE, float(n)) for n in range(60) for s in range(50)]
    store.apply([(1, [named(range(50), late=late(many, tiers=1))])])
    assert store.run_late() == 2000
    assert store.run_late() == 1000
    assert len(stored(store)) == 3000


def test_huge_sums_are_exact_after_a_correction(store: Store) -> None:
    store.apply([(1, [named(windows=(closed(0, [(1, H0, 1e300), (1, H0 + 1, 0.1)]),))])])
    store.apply([(2, [StoreEffects(T0, late=late([(1, H0 + 2, -1e300)], tiers=1))])])
    merge_all(store)
    (data,) = [checked(row[4], row[1], row[2]) for row in table(store, "window")]
    assert data is not None
    window = WindowBlock.unpacked([data], WINDOW_ROW)
    assert sums(window.rows, window.tails).tolist() == [0.1]


class Sent:
    """Keeps what a job sends: windows as (tier, start, count, at), readings that came too late as (ts, at)."""

    def __init__(self) -> None:
        self.corrected: list[tuple[int, int, int, int]] = []
        self.too_late: list[tuple[int, int]] = []

    def windows(self, tier: int, windows: WindowBlock, at: Stamp) -> None:
        self.corrected += [(tier, row["start"], row["count"], at.wall) for row in windows.rows]

    def late(
        self, series: np.ndarray[Any, Any], readings: Readings, nth: np.ndarray[Any, Any], at: Stamp, why: str
    ) -> None:
        assert (len(series), len(nth), why) == (len(readings), len(readings), TOO_LATE)
        self.too_late += [(ts, at.wall) for ts in readings.ts.tolist()]


class Job:
    """A job over a store of its own, in which series 1 is `dev-1`; what it stored is complete from `H0` on."""

    def __init__(self, path: Path) -> None:
        self.db, _ = open_store(path / "store.sqlite")
        self.names = NameTables(self.db, ("region",))
        self.names.define([name(1, region="eu")])
        (self.series,) = self.names.ids(np.array([1]), np.array([0])).tolist()
        self.counters, self.use = StoreCounters(self.db), SeriesUse(self.db)
        kind = number_windows(self.db, self.names, self.use)
        self.job = LateJob(self.db, self.names, self.counters, SETTINGS, kind)
        self.sent = Sent()

    def store(self, tier: int, *ts: int) -> None:
        """Store the windows of these times."""
        rows = rows_of_values(TIERS[tier].every, columns([(self.series, at, 1.0) for at in ts]))
        self.job.windows.table.put(tier, rows)

    def add(self, *ts: int, tiers: int, at: int = T0) -> None:
        many = len(ts)
        series, quality, masks = (np.full(many, value) for value in (self.series, 1000, tiers))
        self.job.add(Stamp(at), [series, np.array(ts), np.ones(many), quality, masks, np.arange(many)])

    def run(self, floor: int = H0, frozen: int = 0) -> int:
        return self.job.run(Coverage(floor, frozen), self.sent)


@pytest.fixture
def job(tmp_path: Path) -> Iterator[Job]:
    one = Job(tmp_path)
    yield one
    one.db.close()


def test_a_job_without_late_readings_does_nothing(job: Job) -> None:
    assert job.run() == 0
    assert (job.job.pending, job.counters.values, job.sent.corrected) == (0, {}, [])


def test_a_new_window_is_made_at_the_floor_and_not_before_it(job: Job) -> None:
    job.add(H0 - 1, H0, tiers=0b1)
    assert job.run() == 2
    assert job.sent.corrected == [(0, H0, 1, T0)]
    assert job.sent.too_late == [(H0 - 1, T0)]


def test_a_stored_window_changes_from_the_frozen_time_on_and_not_before_it(job: Job) -> None:
    frozen = H0 - 5 * MINUTE
    job.store(0, frozen, frozen - MINUTE)
    job.add(frozen - 1, frozen, tiers=0b1)
    assert job.run(frozen=frozen) == 2
    assert job.sent.corrected == [(0, frozen, 2, T0)]
    assert job.sent.too_late == [(frozen - 1, T0)]


def test_a_window_that_late_readings_made_counts_as_corrected_from_the_start(job: Job) -> None:
    job.store(0, H0)
    job.add(H0 + 1, H0 + MINUTE, tiers=0b1)
    job.run()
    job.add(H0 + MINUTE, tiers=0b1)
    job.run()
    rows = job.db.execute("SELECT start, revision FROM window ORDER BY start").fetchall()
    assert rows == [(H0, 1), (H0 + MINUTE, 2)]


def test_a_reading_that_one_tier_refuses_is_merged_in_none(job: Job) -> None:
    """The coarsest window is stored without its base window, and the other way round."""
    job.store(2, H0 - 1)
    job.add(H0 - 1, tiers=0b101)
    job.store(0, H0 - 2 * HOUR)
    job.add(H0 - 2 * HOUR + 1, tiers=0b101)
    job.add(H0 + 10 * MINUTE, tiers=0b011)
    assert job.run(floor=H0 + 10 * MINUTE) == 3
    assert job.sent.corrected == [(0, H0 + 10 * MINUTE, 1, T0), (1, H0 + 10 * MINUTE, 1, T0)]
    assert job.sent.too_late == [(H0 - 1, T0), (H0 - 2 * HOUR + 1, T0)]
    assert job.counters.values == {"late_merged": 1, "late_too_late": 2}


def test_a_reading_goes_to_the_tiers_of_its_mask_only(job: Job) -> None:
    job.add(H0, tiers=0b110)
    job.run()
    assert [(tier, count) for tier, _, count, _ in job.sent.corrected] == [(1, 1), (2, 1)]


def test_what_is_merged_at_once_is_bounded_and_the_oldest_come_first(
    job: Job, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(late_job, "AT_ONCE", 2)
    job.add(H0 + MINUTE, tiers=0b1, at=1)
    job.add(H0, tiers=0b1, at=2)
    job.add(H0 + 2 * MINUTE, tiers=0b1, at=3)
    assert (job.run(), job.job.pending) == (2, 1)
    assert job.sent.corrected == [(0, H0, 1, 2), (0, H0 + MINUTE, 1, 2)], "at the time of the last of them"
    assert (job.run(), job.job.pending, job.run()) == (1, 0, 0)
    assert job.db.execute("SELECT COUNT(*) FROM late").fetchone() == (0,)


def test_pending_readings_are_counted_in_the_table_and_go_back_with_a_rollback(job: Job) -> None:
    job.add(H0, H0, tiers=0b1)
    before = job.job.snapshot()
    job.db.execute("BEGIN")
    job.add(H0, tiers=0b1)
    assert job.job.pending == 3
    job.db.execute("ROLLBACK")
    job.job.restore(before)
    assert job.job.pending == 2
    job.db.execute("DELETE FROM late WHERE id = (SELECT MIN(id) FROM late)")
    job.job.recount()
    assert job.job.pending == 1


def test_a_corrected_series_is_in_use_from_the_time_of_its_window(job: Job) -> None:
    job.add(H0 + 400 * DAY, tiers=0b1)
    job.run()
    job.use.prune(H0, job.names, job.counters)
    assert job.db.execute("SELECT id, upto FROM series_use").fetchall() == [(job.series, H0 + 400 * DAY)]
