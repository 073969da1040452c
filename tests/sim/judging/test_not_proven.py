"""What verify cannot prove: of a gateway that is offline, at the edges of a run, and before the gateway's floor."""

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from fleet_sim.judging.not_proven import taken_over
from fleet_sim.judging.stored import WindowKey
from fleet_sim.judging.terms import gateway_terms
from fleet_sim.judging.verify import Comparison, compare
from fleet_sim.ledger.expected import Facts
from fleet_sim.ledger.reading import Table
from tests.sim.judging.small_runs import BASE, STATUS, Row, both_tiers, judged, ledger_of, naive, steady

OFFLINE = "the gateway is offline"
EDGE = "may hold readings of another run"
FLOOR = "before the gateway's floor: stored as partial"


def judged_by(
    directory: Path, rows: list[Row], stored: Mapping[WindowKey, Facts], **status: Any
) -> Comparison:
    return compare(ledger_of(directory, rows), gateway_terms(STATUS | status), stored, "test")


# --- offline


def test_an_offline_gateway_has_neither_lost_nor_passed(tmp_path: Path) -> None:
    """Its broker holds the messages; nothing that it did not store is lost yet."""
    result = judged_by(tmp_path, steady(), {}, state="offline", at=BASE - 1_000)
    assert (result.lost, result.wrong, result.windows, result.readings) == (0, 0, 0, 60)
    assert result.not_judged == {OFFLINE: 14}
    assert (result.ok, result.inconclusive) == (True, True)


def test_what_was_stored_before_it_went_offline_is_judged(tmp_path: Path) -> None:
    rows = steady()
    stored = naive(rows[:30], 5000)
    del stored[min(stored)]
    result = judged_by(tmp_path, rows, stored, state="offline", at=BASE + 30_000)
    assert (result.lost, result.wrong, result.windows) == (5, 1, 6)
    assert not result.inconclusive


def test_a_gateway_that_came_back_answers_for_everything(tmp_path: Path) -> None:
    rows = steady()
    stored = naive(rows, 5000)
    del stored[min(stored)], stored[max(stored)]
    result = judged_by(tmp_path, rows, stored, state="offline", at=BASE - 1_000)
    assert (result.lost, result.not_judged) == (10, {})


def test_readings_are_what_the_broker_acknowledged(tmp_path: Path) -> None:
    rows = [*steady(9), Row(9, BASE + 9_000, 1.0, acked=False)]
    terms = gateway_terms(STATUS | {"time": {"idle_close": 3000}})
    result = compare(ledger_of(tmp_path, rows), terms, {}, "test", now_ms=BASE + 9_500)
    assert (result.readings, result.judged, result.inconclusive) == (9, 0, True)


def test_a_run_without_acknowledged_numbers_is_no_puzzle(tmp_path: Path) -> None:
    assert not judged(tmp_path, [row._replace(acked=False) for row in steady(10)], {}).inconclusive


# --- the edges


def test_two_runs_within_one_window_are_not_counted_twice(tmp_path: Path) -> None:
    first = steady(7)
    second = [Row(n, BASE + 8_000 + 1000 * n, 5.0 + n) for n in range(7)]
    stored = both_tiers(first + second)
    for name, rows in (("first", first), ("second", second)):
        result = judged(tmp_path / name, rows, stored)
        assert (result.ok, result.double) == (True, 0), result.examples
        assert result.not_judged == {EDGE: 2}, "the window of 5 s that both share, and the minute"


def test_a_window_inside_the_run_proves_what_is_double(tmp_path: Path) -> None:
    rows = steady()
    for device in (0, 1):
        mine = [row._replace(device=device) for row in rows]
        result = judged(tmp_path / str(device), mine, both_tiers([*mine, mine[7]]))
        assert (result.double, result.wrong) == (1, 1)
        assert result.not_judged == {EDGE: 1}, "the minute began before the run"


@pytest.mark.parametrize(("figure", "wrong"), [("min", 25.0), ("max", -25.0)])
@pytest.mark.parametrize("edge", [BASE - 1_000, BASE + 59_000])
def test_no_other_run_explains_figures_that_leave_out_readings_of_this_one(
    tmp_path: Path, edge: int, figure: str, wrong: float
) -> None:
    rows = [row._replace(ts=row.ts + 2_000) for row in steady()]
    start = (edge + 2_000) // 5000 * 5000
    stored = both_tiers([*rows, Row(98, start, 30.0), Row(99, start + 4_999, 30.0)])
    key = WindowKey("d0", "temperature", 5000, start)
    stored[key] = replace(stored[key], **{figure: wrong})  # type: ignore[arg-type]
    assert key in {each.key for each in judged(tmp_path, rows, stored).examples}


def overlapping() -> tuple[list[Row], list[Row]]:
    """Return the rows of two fleets with the same ids: each sends a while in turn, and both measure all the time."""
    first = [row._replace(sent=row.seq < 22, acked=row.seq < 22) for row in steady()]
    second = [Row(n, BASE + 2_500 + 1000 * n, 9.0 - n / 2, sent=n >= 18, acked=n >= 18) for n in range(60)]
    return first, second


def test_readings_of_a_fleet_with_the_same_ids_are_not_called_double(tmp_path: Path) -> None:
    """Between the readings of one, too: a fleet that was put out measures, but no longer sends."""
    first, second = overlapping()
    stored = both_tiers([row for row in first + second if row.sent])
    for name, rows in (("first", first), ("second", second)):
        result = judged(tmp_path / name, rows, stored)
        assert (result.double, result.wrong) == (0, 0), [str(each) for each in result.examples]
        assert result.not_judged[EDGE] >= 2, "the windows of 5 s that both share, and the minutes"
        assert result.windows > 0, "those before, or after, which are its own"


def test_of_a_device_that_was_taken_over_no_window_proves_what_is_double(tmp_path: Path) -> None:
    rows = steady()
    theirs = Row(60, BASE + 20_500, 3.0)
    stored = both_tiers([*rows, theirs])
    del stored[WindowKey("d0", "temperature", 5000, BASE + 40_000)]
    ledger = ledger_of(tmp_path, rows)
    assert compare(ledger, gateway_terms(STATUS), stored, "test").double == 1
    ledger.notes["taken_over"] = [{"k": "taken_over", "device": 0, "at": BASE * 1000}]
    assert taken_over(ledger) == {"d0"}
    result = compare(ledger, gateway_terms(STATUS), stored, "test")
    assert (result.double, result.lost, result.wrong) == (0, 5, 1), "what is not stored is lost nevertheless"
    assert result.not_judged == {EDGE: 2}


@pytest.mark.parametrize(("others", "comings", "double"), [(True, 2, 0), (True, 1, 1), (False, 2, 1)])
def test_a_device_that_won_its_connection_back_from_another_client_proves_nothing_either(
    tmp_path: Path, others: bool, comings: int, double: int
) -> None:
    """A bad network alone excuses nothing."""
    rows = steady()
    ledger = ledger_of(tmp_path, rows)
    came = ([0] * comings, range(comings), [1] * comings)
    ledger.tables["links"] = Table(
        {name: np.array(column) for name, column in zip(("device", "at", "up"), came, strict=True)}
    )
    ledger.notes["taken_over"] = [{"k": "taken_over", "device": 1, "at": BASE * 1000}] * others
    found = compare(ledger, gateway_terms(STATUS), both_tiers([*rows, Row(60, BASE + 20_500, 3.0)]), "test")
    assert found.double == double


def test_too_few_are_lost_at_the_edge_as_well(tmp_path: Path) -> None:
    rows = steady()
    assert judged(tmp_path, rows, both_tiers(rows[1:])).lost == 1


def test_windows_before_a_device_came_belong_to_another_run(tmp_path: Path) -> None:
    late = [row._replace(device=1) for row in steady()[30:]]
    rows = steady() + late
    stored = both_tiers(rows)
    stored[WindowKey("d1", "temperature", 5000, BASE + 10_000)] = Facts(1, 1.0, 1.0, 1.0, 1.0, 1.0)
    result = judged(tmp_path, rows, stored)
    assert (result.double, result.foreign) == (0, 1)


# --- the floor


def test_windows_before_the_floor_are_not_lost(tmp_path: Path) -> None:
    rows = steady()
    stored = both_tiers(rows)
    del stored[WindowKey("d0", "temperature", 5000, BASE + 5_000)]
    short = WindowKey("d0", "temperature", 5000, BASE + 10_000)
    stored[short] = replace(stored[short], count=3)
    result = judged_by(tmp_path / "before", rows, stored, store={"floor": BASE + 15_000})
    assert (result.ok, result.lost) == (True, 0)
    assert result.not_judged == {FLOOR: 2}
    after = judged_by(tmp_path / "after", rows, stored, store={"floor": BASE + 10_000})
    assert (after.lost, after.not_judged) == (2, {FLOOR: 1})


def test_before_the_floor_too_many_are_double_nevertheless(tmp_path: Path) -> None:
    rows = steady()
    result = judged_by(tmp_path, rows, both_tiers([*rows, rows[7]]), store={"floor": BASE + 60_000})
    assert result.double == 1


def test_of_an_offline_gateway_a_long_window_of_a_simulated_time_is_not_lost(tmp_path: Path) -> None:
    """The device fell silent long before the gateway stopped, but its minute was not over then."""
    rows, day = steady(10), 86_400_000
    ledger = ledger_of(tmp_path, rows)
    ledger.groups[0].table["sent"][:] += day * 1000
    status = STATUS | {"time": {"idle_close": 2_000}, "state": "offline", "at": BASE + day + 18_000}
    result = compare(ledger, gateway_terms(status), naive(rows, 5000), "test")
    assert (result.wrong, result.not_judged) == (0, {OFFLINE: 1})
