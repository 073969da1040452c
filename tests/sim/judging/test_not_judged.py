"""What verify sets aside because nothing that is stored could be called wrong, and how long it waits."""

import time
from pathlib import Path
from typing import Any

import pytest

from fleet_sim.cli import judging
from fleet_sim.judging.stored import WindowKey
from fleet_sim.judging.terms import gateway_terms
from fleet_sim.judging.verify import compare
from fleet_sim.ledger.expected import Facts
from tests.sim.judging.small_runs import BASE, STATUS, Row, both_tiers, judged, ledger_of, naive, steady


@pytest.mark.parametrize("unsure", [{"acked": False}, {"code": 0x97}])
def test_a_reading_without_a_good_puback_may_be_stored_or_not(tmp_path: Path, unsure: dict[str, Any]) -> None:
    rows = steady()
    unsure_rows = [*rows[:7], rows[7]._replace(**unsure), *rows[8:]]
    assert judged(tmp_path / "with", unsure_rows, both_tiers(rows)).ok
    assert judged(tmp_path / "without", unsure_rows, both_tiers(rows[:7] + rows[8:])).ok
    assert not judged(tmp_path / "twice", unsure_rows, both_tiers([*rows, rows[7]])).ok


def test_many_unsure_readings_are_set_aside_not_guessed(tmp_path: Path) -> None:
    rows = [row._replace(acked=False) for row in steady(10)]
    result = judged(tmp_path, rows, {})
    assert result.ok
    assert result.not_judged == {"too many readings without a PUBACK": 1}, "the minute holds ten"


def test_a_time_the_gateway_does_not_believe_spoils_only_where_it_may_land(tmp_path: Path) -> None:
    rows = steady()
    early = Row(60, 1_000_000, 5.0)
    ledger = ledger_of(tmp_path, [*rows, early])
    group = ledger.groups[0]
    group.table["sent"][-1] = (BASE + 30_500) * 1000
    stamped = Row(60, BASE + 31_000, 5.0)
    result = compare(ledger, gateway_terms(STATUS), both_tiers([*rows, stamped]), "test")
    assert result.ok
    assert result.not_judged["may hold readings stamped on arrival"] == 8


def test_of_a_killed_run_only_what_its_ledger_knows_is_judged(tmp_path: Path) -> None:
    rows, unknown = steady(58), steady(64)[58:]
    ledger = ledger_of(tmp_path, rows, killed=True)
    result = compare(ledger, gateway_terms(STATUS), both_tiers([*rows, *unknown]), "test")
    assert result.ok
    assert result.windows == 12, "eleven of 5 s and the first minute"
    assert result.not_judged == {"after the end of the killed run's ledger": 2}
    lost = compare(ledger, gateway_terms(STATUS), both_tiers(rows[1:]), "test")
    assert lost.lost == 1


def test_a_window_that_cannot_be_closed_yet_is_judged_only_where_it_is_stored(tmp_path: Path) -> None:
    rows = steady(58)
    ledger = ledger_of(tmp_path, rows)
    terms = gateway_terms(STATUS | {"time": {"allowed_lateness": 2000, "idle_close": 3000}})
    stored = naive(rows, 5000)
    early = compare(ledger, terms, {}, "test", now_ms=BASE + 58_000)
    assert (early.windows, early.not_judged) == (0, {"not closed yet": 14})
    middle = compare(ledger, terms, stored, "test", now_ms=BASE + 70_000)
    assert (middle.wrong, middle.lost) == (1, 0), "the minute that ended at 40 s should be there"
    assert middle.not_judged == {"not closed yet": 1}, "the minute that ends at 100 s"
    late = compare(ledger, terms, stored, "test", now_ms=BASE + 120_000)
    assert (late.wrong, late.lost) == (2, 0), "both minutes should be there by now"
    stored[next(iter(stored))] = Facts(99, 1.0, 1.0, 1.0, 1.0, 1.0)
    assert compare(ledger, terms, stored, "test", now_ms=BASE + 58_000).wrong == 1


def test_later_than_kept_is_named_apart(tmp_path: Path) -> None:
    late = Row(60, BASE - 100_000_000, 5.0)
    ledger = ledger_of(tmp_path, [*steady(), late])
    ledger.groups[0].table["sent"][-1] = BASE * 1000
    result = compare(ledger, gateway_terms(STATUS), both_tiers([*steady(), late]), "test")
    assert result.ok
    assert result.not_judged == {"sent later than the window is kept": 1}


def test_nothing_is_waited_for_that_cannot_close_in_time(tmp_path: Path) -> None:
    """The hour that the run began has closed long after the patience ends; until then looking again tells nothing."""
    status = STATUS | {
        "windows": [*STATUS["windows"], {"every": 3_600_000, "bucket": "c", "keep": None}],
        "time": STATUS["time"] | {"idle_close": 30_000},
    }
    rows = steady()
    ledger, terms = ledger_of(tmp_path, rows), gateway_terms(status)
    last = rows[-1].ts
    end_of_hour = BASE // 3_600_000 * 3_600_000 + 3_600_000
    result = compare(ledger, terms, both_tiers(rows), "test", now_ms=last + 40_000)
    assert (result.ok, result.not_judged) == (True, {"not closed yet": 1})
    assert result.closing_ms == pytest.approx(end_of_hour + 30_000, abs=1)
    assert not result.may_change_by(end_of_hour)
    assert result.may_change_by(end_of_hour + 30_001)
    early = compare(ledger, terms, {}, "test", now_ms=last + 1_000)
    assert early.closing_ms == pytest.approx(last + 30_000, abs=1), "the base windows close first"
    base = min(key.every for key in both_tiers(rows))
    stored = both_tiers(rows).items()
    begun = {key: facts for key, facts in stored if key.every > base or key.start + base <= last}
    assert len(begun) < len(stored)
    open_ = compare(ledger, terms, begun, "test", now_ms=last + 1_000)
    assert open_.closing_ms == pytest.approx(last + 30_000, abs=1), "silence closes it, not its end"
    wrong = compare(ledger, terms, both_tiers(rows[1:]), "test", now_ms=last + 40_000)
    assert wrong.may_change_by(0), "what is wrong may become right"


def test_verify_does_not_wait_in_vain(tmp_path: Path) -> None:
    now = int(time.time()) * 1000
    rows = [Row(n, now - 100_000 + 1000 * n, 1.0) for n in range(10)]
    decades = {"every": 86_400_000 * 10_000, "bucket": "c", "keep": None}  # the next one begins in 2052
    terms = gateway_terms(STATUS | {"windows": [STATUS["windows"][0], decades]})
    ledger = ledger_of(tmp_path, rows)
    reads = []

    def read() -> dict[WindowKey, Facts]:
        reads.append(1)
        return naive(rows, 5000)

    result = judging.compared(ledger, terms, "test", read, patience=600.0)
    assert (result.ok, len(reads)) == (True, 1)
