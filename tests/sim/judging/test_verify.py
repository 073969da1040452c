"""Verify finds every lost, double and wrong reading, and nothing else."""

import json
import math
import sys
import time
from collections import defaultdict
from collections.abc import Callable, Sequence
from dataclasses import replace
from itertools import pairwise
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fleet_sim.cli import judging, main
from fleet_sim.judging.stored import (
    StoredUnreadable,
    WindowKey,
    history_from_command,
    history_from_file,
    window_rows,
)
from fleet_sim.judging.verify import Comparison, compare, gateway_terms, ranges
from fleet_sim.ledger.expected import Facts, Policy, Readouts, facts_of, possible, windows
from fleet_sim.ledger.reading import Ledger, read_ledger
from fleet_sim.ledger.writing import VOID, LedgerWriter

BASE = 1_700_000_000_000
STATUS: dict[str, Any] = {
    "gateway": "gw",
    "windows": [
        {"every": 5000, "bucket": "a", "keep": 86_400_000},
        {"every": 60_000, "bucket": "b", "keep": None},
    ],
    "time": {"earliest": 1_577_836_800_000, "max_future_skew": 300_000},
    "metrics": {"temperature": {"unit": "°C", "range": [-40, 85], "missing": [-2.0]}},
    "values": {"too_late": 0},
}


class Row(NamedTuple):
    seq: int
    ts: int
    value: float
    device: int = 0
    sent: bool = True
    acked: bool = True
    code: int = 0
    void: bool = False
    quality: float | None = None


def ledger_of(directory: Path, rows: Sequence[Row], *, killed: bool = False) -> Ledger:
    with LedgerWriter(directory) as ledger:
        ledger.header({"name": "t"})
        columns = ledger.group("probe", ["temperature"])
        ledger.devices(0, 0, [{"id": f"d{i}", "site": "s", "type": "probe", "tags": {}} for i in range(3)])
        for row in rows:
            for name, value in (
                ("device", row.device), ("boot", 9), ("seq", row.seq), ("ts", row.ts),
                ("sent", row.ts * 1000 if row.sent else 0), ("flags", VOID if row.void else 0), ("present", 1),
            ):  # fmt: skip
                getattr(columns, name).append(value)
            columns.values[0].append(row.value)
            if row.quality is not None:
                columns.doubt("temperature", [row.quality])
            if row.acked:
                ledger.table("acks").extend((row.device, 9, row.seq, row.ts * 1000 + 1, row.code))
        ledger.note("status", gateway="gw", status=STATUS)
        if not killed:
            ledger.end("finished", {"at": BASE * 1000})
    return read_ledger(directory)


def naive(rows: Sequence[Row], every: int) -> dict[WindowKey, Facts]:
    """The same figures in another way: one dict, plain Python, no order assumed."""
    found: dict[WindowKey, list[tuple[int, float]]] = defaultdict(list)
    for row in rows:
        key = WindowKey(f"d{row.device}", "temperature", every, row.ts // every * every)
        found[key].append((row.ts, row.value))
    return {
        key: Facts(
            len(pairs), math.fsum(v for _, v in pairs), min(v for _, v in pairs), max(v for _, v in pairs),
            min(pairs)[1], max(pairs)[1],
        )
        for key, pairs in found.items()
    }  # fmt: skip


def both_tiers(rows: Sequence[Row]) -> dict[WindowKey, Facts]:
    return naive(rows, 5000) | naive(rows, 60_000)


def steady(count: int = 60, device: int = 0) -> list[Row]:
    return [Row(n, BASE + 1000 * n, math.sin(n) * 20 + 0.1, device) for n in range(count)]


def judged(directory: Path, rows: Sequence[Row], stored: dict[WindowKey, Facts]) -> Comparison:
    return compare(ledger_of(directory, rows), gateway_terms(STATUS), stored, "test")


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
    assert (result.lost, result.double, result.wrong) == (0, 1, 2)


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


def row_of(key: WindowKey, facts: Facts, revision: int = 0) -> dict[str, Any]:
    numbers = {name: getattr(facts, name) for name in ("count", "sum", "min", "max", "first", "last")}
    return {**key._asdict(), **numbers, "revision": revision, "site": "s", "type": "probe", "p95": None}


def test_the_later_revision_of_a_window_counts() -> None:
    key = WindowKey("d0", "temperature", 5000, BASE)
    old, new = Facts(1, 1.0, 1.0, 1.0, 1.0, 1.0), Facts(2, 3.0, 1.0, 2.0, 1.0, 2.0)
    rows = [row_of(key, new, 1), row_of(key, old, 0)]
    assert window_rows(rows) == window_rows(rows[::-1]) == {key: new}


def test_a_row_that_is_no_window_is_refused() -> None:
    with pytest.raises(StoredUnreadable, match="not a window row"):
        window_rows([{"device": "d0"}])


def test_a_command_that_fails_says_what_it_said() -> None:
    quoted = f"{sys.executable} -c 'import sys; sys.exit(\"no history there\")'"
    with pytest.raises(StoredUnreadable, match="status 1: no history there"):
        history_from_command(quoted)
    with pytest.raises(StoredUnreadable, match="cannot run"):
        history_from_command("/nowhere/edge-gateway query windows")


@pytest.fixture
def exit_status(capsys: pytest.CaptureFixture[str]) -> Callable[..., tuple[int, str, str]]:
    def run(*arguments: str) -> tuple[int, str, str]:
        with pytest.raises(SystemExit) as ended:
            main(arguments)
        code = ended.value.code
        said = capsys.readouterr()
        return code if isinstance(code, int) else 1, said.out, said.err

    return run


def test_the_command_line_judges_by_its_exit_status(
    tmp_path: Path, exit_status: Callable[..., tuple[int, str, str]]
) -> None:
    rows = steady()
    ledger_of(tmp_path / "run", rows)
    history = tmp_path / "windows.jsonl"
    stored = both_tiers(rows)
    history.write_text("\n".join(json.dumps(row_of(key, facts)) for key, facts in stored.items()))
    reader = f"{sys.executable} -c 'print(open(\"{history}\").read())'"
    for source in (("--history", str(history)), ("--history-cmd", reader)):
        status, out, _ = exit_status("verify", str(tmp_path / "run"), *source, "--json")
        [result] = json.loads(out)["results"]
        assert (status, result["lost"], result["wrong_windows"], result["windows"]) == (0, 0, 0, 14)
    history.write_text(history.read_text().split("\n", 1)[1])
    status, out, _ = exit_status("verify", str(tmp_path / "run"), "--history", str(history))
    assert status == 1
    assert "lost           5" in out
    assert "boot 9 seq 0-4" in out


def test_verify_says_what_it_lacks(tmp_path: Path, exit_status: Callable[..., tuple[int, str, str]]) -> None:
    ledger_of(tmp_path / "run", steady())
    assert exit_status("verify", str(tmp_path / "run"))[0] == 2
    assert exit_status("verify", str(tmp_path / "none"), "--history", "x")[0] == 2
    status, _, err = exit_status("verify", str(tmp_path / "run"), "--history", str(tmp_path / "x"))
    assert (status, "cannot read" in err) == (2, True)
    with LedgerWriter(tmp_path / "deaf") as ledger:
        ledger.header({})
    status, _, err = exit_status("verify", str(tmp_path / "deaf"), "--history", str(tmp_path / "x"))
    assert status == 2
    assert "the run heard no gateway" in err


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


def test_verify_does_not_wait_in_vain(
    tmp_path: Path,
) -> None:
    now = int(time.time()) * 1000
    rows = [Row(n, now - 100_000 + 1000 * n, 1.0) for n in range(10)]
    day = {"every": 86_400_000, "bucket": "c", "keep": None}
    terms = gateway_terms(STATUS | {"windows": [STATUS["windows"][0], day]})
    ledger = ledger_of(tmp_path, rows)
    reads = []

    def read() -> dict[WindowKey, Facts]:
        reads.append(1)
        return naive(rows, 5000)

    result = judging.compared(ledger, terms, "test", read, patience=600.0)
    assert (result.ok, len(reads)) == (True, 1)


def test_a_line_of_the_history_ends_at_a_line_feed_alone(tmp_path: Path) -> None:
    """A device's type may hold what Python takes for the end of a line."""
    told = tmp_path / "history.jsonl"
    told.write_text('{"type": "a\u2028b\x85c"}\n{"type": "d"}\n', encoding="utf-8")
    assert [row["type"] for row in history_from_file(told)] == ["a\u2028b\x85c", "d"]
    assert len(history_from_command(f"cat {told}")) == 2


@pytest.mark.parametrize(
    "given",
    [
        ("nonsense:8086", "t", "'nonsense:8086' is no address"),
        ("http://localhost:99999", "t", "'http://localhost:99999' is no address"),
        ("http://[::1", "t", "'http://[::1' is no address"),
        ("http://", "t", "'http://' is no address"),
        ("http://localhost:8086", "top\nsecret", "INFLUX_TOKEN holds what no token does"),
    ],
)
def test_a_database_that_cannot_be_asked_is_told(
    tmp_path: Path,
    exit_status: Callable[..., tuple[int, str, str]],
    monkeypatch: pytest.MonkeyPatch,
    given: tuple[str, str, str],
) -> None:
    url, token, told = given
    monkeypatch.setenv("COLUMNS", "200")
    monkeypatch.setenv("INFLUX_TOKEN", token)
    ledger_of(tmp_path / "run", steady())
    status, _, err = exit_status("verify", str(tmp_path / "run"), "--influx-url", url)
    assert status == 2
    assert told in err
    assert "secret" not in err
