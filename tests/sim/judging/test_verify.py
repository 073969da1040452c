"""Verify finds every lost, double and wrong reading, and nothing else."""

import math
from dataclasses import replace
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fleet_sim.judging.stored import WindowKey
from fleet_sim.judging.terms import gateway_terms
from fleet_sim.judging.verify import ranges
from fleet_sim.ledger.expected import Facts, Policy, Readouts, facts_of, possible, windows
from tests.sim.judging.small_runs import BASE, STATUS, Row, both_tiers, judged, naive, steady


def test_what_is_stored_right_is_right(tmp_path: Path) -> None:
    rows = steady() + steady(30, device=2)
    result = judged(tmp_path, rows, both_tiers(rows))
    assert (result.ok, result.readings, result.lost, result.double, result.wrong) == (True, 90, 0, 0, 0)
    assert result.windows == len(both_tiers(rows))
    assert result.foreign == 0


@pytest.mark.parametrize("missing", [0, 17, 59])
def test_one_lost_reading_is_found_and_named(tmp_path: Path, missing: int) -> None:
    rows = steady()
    result = judged(tmp_path, rows, both_tiers(rows[:missing] + rows[missing + 1 :]))
    assert (result.lost, result.double, result.wrong) == (1, 0, 2), "its base window and the merged one"
    start = rows[missing].ts // 5000 * 5000
    named = next(each for each in result.examples if each.key.every == 5000)
    assert named.key == WindowKey("d0", "temperature", 5000, start)
    assert f"boot 9 seq {(start - BASE) // 1000}-{(start - BASE) // 1000 + 4}" in str(named)


def test_a_wrong_window_that_is_not_stored_is_missing(tmp_path: Path) -> None:
    rows = steady()
    stored = both_tiers([*rows[:-1], rows[-1]._replace(value=99.0)])
    del stored[min(stored)]
    measures = judged(tmp_path, rows, stored).measures()
    assert (measures["windows.wrong"], measures["windows.missing"]) == (3, 1)


def test_one_double_reading_is_found(tmp_path: Path) -> None:
    rows = steady()
    result = judged(tmp_path, rows, both_tiers([*rows, rows[3]]))
    assert (result.lost, result.double, result.wrong) == (0, 1, 1), "the minute began before the run"


@pytest.mark.parametrize("field", ["sum", "min", "max", "first", "last"])
def test_one_last_bit_is_found(tmp_path: Path, field: str) -> None:
    rows = steady()
    stored = both_tiers(rows)
    key = WindowKey("d0", "temperature", 5000, BASE + 10_000)
    value = math.nextafter(getattr(stored[key], field), math.inf)
    stored[key] = replace(stored[key], **{field: value})  # type: ignore[arg-type]
    result = judged(tmp_path, rows, stored)
    assert (result.lost, result.double, result.wrong) == (0, 0, 1)


def test_a_lost_window_counts_all_its_readings(tmp_path: Path) -> None:
    rows = steady()
    stored = both_tiers(rows)
    del stored[WindowKey("d0", "temperature", 5000, BASE + 5000)]
    assert judged(tmp_path, rows, stored).lost == 5


def test_a_window_the_ledger_knows_nothing_of_is_double(tmp_path: Path) -> None:
    rows = [row for row in steady() if not 20 <= row.seq < 25]
    stored = both_tiers(rows)
    stored[WindowKey("d0", "temperature", 5000, BASE + 20_000)] = Facts(1, 1.0, 1.0, 1.0, 1.0, 1.0)
    stored[WindowKey("d9", "temperature", 5000, BASE + 20_000)] = Facts(1, 1.0, 1.0, 1.0, 1.0, 1.0)
    result = judged(tmp_path, rows, stored)
    assert (result.double, result.wrong, result.foreign) == (1, 1, 1)


@pytest.mark.parametrize(
    "odd",
    [
        {"void": True},
        {"acked": False, "sent": False},
        {"value": math.nan},
        {"value": math.inf},
        {"value": 85.1},
        {"value": -2.0},
        {"quality": 0.49},
    ],
)
def test_what_must_not_count_is_not_expected(tmp_path: Path, odd: dict[str, Any]) -> None:
    rows = steady()
    odd_rows = [*rows[:7], rows[7]._replace(**odd), *rows[8:]]
    assert judged(tmp_path, odd_rows, both_tiers(rows[:7] + rows[8:])).ok


@pytest.mark.parametrize("fine", [{"value": 85.0}, {"quality": 0.5}])
def test_what_must_count_is_expected(tmp_path: Path, fine: dict[str, Any]) -> None:
    rows = [row._replace(**fine) if row.seq == 7 else row for row in steady()]
    assert judged(tmp_path, rows, both_tiers(rows)).ok


values_ = st.floats(-1e9, 1e9, allow_nan=False)


@settings(deadline=None)
@given(
    st.lists(st.tuples(st.integers(0, 2), st.integers(0, 40_000), values_), min_size=1, max_size=60),
    st.sampled_from([1000, 5000, 60_000]),
)
def test_windows_equal_a_naive_computation(rows: list[tuple[int, int, float]], every: int) -> None:
    device, ts, value = (np.array(column) for column in zip(*rows, strict=True))
    order = np.lexsort((value, ts, device))
    blank = np.zeros(len(rows), dtype=np.int64)
    readings = Readouts(device[order], ts[order], value[order], blank == 0, blank, blank, blank)
    found = {
        WindowKey(f"d{d}", "temperature", every, start): facts_of(readings.value[cut].tolist())
        for d, start, cut in windows(readings, every)
    }
    assert found == naive([Row(0, t, v, d) for d, t, v in rows], every)


@settings(deadline=None)
@given(st.lists(st.tuples(values_, st.booleans()), min_size=1, max_size=8))
def test_possible_outcomes_are_all_subsets_that_hold_what_is_sure(rows: list[tuple[float, bool]]) -> None:
    outcomes = possible([value for value, _ in rows], [sure for _, sure in rows])
    assert outcomes is not None
    unsure = sum(not sure for _, sure in rows)
    assert len(outcomes) == 2**unsure - (unsure == len(rows))
    assert outcomes[0] == facts_of([value for value, _ in rows])
    assert min(facts.count for facts in outcomes) == max(1, len(rows) - unsure)


@settings(deadline=None)
@given(st.sets(st.integers(0, 200), max_size=80))
def test_ranges_are_the_same_numbers(numbers: set[int]) -> None:
    found = ranges(sorted(numbers))
    assert {n for first, last in found for n in range(first, last + 1)} == numbers
    assert all(b[0] > a[1] + 1 for a, b in pairwise(found))


def test_the_policy_is_read_from_the_status() -> None:
    assert Policy.of(None) == Policy()
    assert Policy.of({"range": [0, None], "missing": [-200]}) == Policy(0.0, math.inf, (-200.0,))
    assert gateway_terms(STATUS).tiers[1].keep_ms is None
    ever = {"every": 60_000, "bucket": "b", "keep": 0}
    assert gateway_terms(STATUS | {"windows": [ever]}).tiers[0].keep_ms is None
