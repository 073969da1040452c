"""When windows close: by the time of their devices, whatever the wall clock says."""

from pathlib import Path
from typing import Any

import pytest

from fleet_sim.judging.closing import CLOSING_TAKES_MS, Closing
from fleet_sim.judging.stored import WindowKey
from fleet_sim.judging.terms import gateway_terms
from fleet_sim.judging.verify import Comparison, compare
from fleet_sim.ledger.reading import Ledger
from tests.sim.judging.small_runs import BASE, STATUS, Row, ledger_of, naive, steady

MINUTE, IDLE, LATENESS = 60_000, 30_000, 2_000
TERMS = gateway_terms(STATUS | {"time": {"idle_close": IDLE, "allowed_lateness": LATENESS}})
NEXT_MINUTE = (BASE // MINUTE + 1) * MINUTE


def simulated(directory: Path, rows: list[Row], *, ended: int, speed: float) -> Ledger:
    """Record a run that sent these rows at `speed`, and the last at the wall time `ended` (ms)."""
    ledger = ledger_of(directory, rows)
    last = max(row.ts for row in rows)
    for table, column in ((ledger.groups[0].table, "sent"), (ledger.tables["acks"], "at")):
        times = ledger.groups[0].table["ts"]
        table[column][:] = (ended + (times - last) / speed) * 1000
    return ledger


def looked(ledger: Ledger, rows: list[Row], now: int) -> Comparison:
    """Compare with a gateway that has stored every base window, and no minute."""
    return compare(ledger, TERMS, naive(rows, 5000), "test", now_ms=now)


@pytest.mark.parametrize(("ago", "speed"), [(15 * MINUTE, 60.0), (1_200 * MINUTE, 1.0)])
def test_a_window_of_a_simulated_time_is_open_until_the_device_has_passed_its_end(
    tmp_path: Path, ago: int, speed: float
) -> None:
    rows = steady(10)
    ended = BASE + ago
    ledger = simulated(tmp_path, rows, ended=ended, speed=speed)
    left = NEXT_MINUTE - rows[-1].ts
    assert left > 0
    for now in (ended + 1_000, ended + IDLE + LATENESS + 3_000, ended + IDLE + left):
        found = looked(ledger, rows, now)
        assert (found.wrong, found.not_judged) == (0, {"not closed yet": 1}), now - ended
        assert found.closing_ms == pytest.approx(ended + IDLE + left, abs=1)
    late = looked(ledger, rows, ended + IDLE + left + LATENESS + CLOSING_TAKES_MS + 1)
    assert (late.wrong, late.missing, late.lost) == (1, 1, 0), "it should be stored by now"


def test_a_window_that_its_device_has_passed_must_be_stored_when_silence_has_closed_the_rest(
    tmp_path: Path,
) -> None:
    rows = steady(58)
    ledger = simulated(tmp_path, rows, ended=BASE + 86_400_000, speed=60.0)
    found = looked(ledger, rows, BASE + 86_400_000 + IDLE + LATENESS + CLOSING_TAKES_MS + 1)
    assert [example.key.start for example in found.examples] == [NEXT_MINUTE - MINUTE]
    assert found.not_judged == {"not closed yet": 1}, "the minute in which the run ended"


def test_each_device_has_its_own_time(tmp_path: Path) -> None:
    rows = steady(58) + steady(10, device=1)
    ledger = ledger_of(tmp_path, rows)
    closing = Closing.of(ledger, TERMS)
    quick, slow = (WindowKey(device, "temperature", MINUTE, NEXT_MINUTE - MINUTE) for device in ("d0", "d1"))
    silent = rows[57].ts + IDLE
    assert closing.silent_from == pytest.approx(silent, abs=1)
    assert closing.earliest_ms(quick) == pytest.approx(silent, abs=1), "it went on beyond the minute"
    assert closing.earliest_ms(slow) == pytest.approx(silent + NEXT_MINUTE - rows[-1].ts, abs=1)
    base = WindowKey("d1", "temperature", 5000, BASE + 5000)
    assert closing.earliest_ms(base) == pytest.approx(silent, abs=1), "silence closes base windows at once"


@pytest.mark.parametrize(
    "not_heard", [{"acked": False}, {"void": True}, {"code": 0x87}, {"ts": BASE + 10**9}]
)
def test_only_what_reached_the_gateway_moves_a_devices_time(
    tmp_path: Path, not_heard: dict[str, Any]
) -> None:
    last = Row(10, BASE + 55_000, 1.0)._replace(**not_heard)
    ledger = ledger_of(tmp_path, [*steady(10), last])
    ledger.groups[0].table["sent"][-1] = (BASE + 9_500) * 1000
    assert Closing.of(ledger, TERMS).reached == {"d0": BASE + 9_000}


def test_of_a_clock_that_was_set_back_the_newest_reading_counts(tmp_path: Path) -> None:
    back = [Row(20 + n, BASE + 3_000 + 1000 * n, 1.0) for n in range(3)]
    assert Closing.of(ledger_of(tmp_path, steady(20) + back), TERMS).reached == {"d0": BASE + 5_000}


def test_of_a_run_that_nothing_acknowledged_no_window_is_open(tmp_path: Path) -> None:
    closing = Closing.of(ledger_of(tmp_path, [row._replace(acked=False) for row in steady(3)]), TERMS)
    assert closing.latest_ms(WindowKey("d0", "temperature", MINUTE, NEXT_MINUTE)) < 0
