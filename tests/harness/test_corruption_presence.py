"""The judge of gateways at work gives each window one verdict, whatever the gateway says of its floor."""

from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from fleet_sim.judging.stored import WindowKey
from fleet_sim.judging.terms import Terms, gateway_terms
from fleet_sim.ledger.expected import Facts
from fleet_sim.ledger.reading import Ledger
from tests.proofs.corruption.presence import (
    UNSTORED_MS,
    JudgedWindows,
    Loss,
    Verdict,
    judge_windows,
    reported_losses,
    take_judged,
)
from tests.proofs.proof import Findings
from tests.sim.judging.small_runs import BASE, STATUS, Row, both_tiers, ledger_of, steady

ROWS = steady()
AFTER = BASE + 30_000
"""When the store was lost; both the start of a base window and inside a longer one."""
STORE_LOST = Loss(0, AFTER)
FLOORED = {**STATUS, "store": {"floor": AFTER}}
KEPT = {key: facts for key, facts in both_tiers(ROWS).items() if key.start + key.every > AFTER}
"""What is stored after the store was lost, but for the longer window that had begun."""


@pytest.fixture
def ledger(tmp_path: Path) -> Ledger:
    return ledger_of(tmp_path, ROWS)


def judged(ledger: Ledger, stored: dict[WindowKey, Facts], *losses: Loss) -> JudgedWindows:
    return judge_windows(ledger, terms(), stored, losses)


def terms() -> Terms:
    return gateway_terms(FLOORED)


def taken(found: JudgedWindows) -> Findings:
    findings = Findings()
    take_judged(findings, found, "history")
    return findings


def counts(found: JudgedWindows) -> dict[str, int]:
    return {verdict.name: many for verdict, many in found.verdicts.items() if many}


def test_right_windows_before_the_floor_are_right(ledger: Ledger) -> None:
    every = both_tiers(ROWS)
    found = judged(ledger, every, STORE_LOST)
    assert counts(found) == {"RIGHT": len(every)}
    findings = taken(found)
    assert findings.ok
    assert (findings.windows, findings.acknowledged) == (len(every), len(ROWS))
    assert findings.measured == {"absent windows": 0}


def test_absent_windows_before_the_floor_are_counted(ledger: Ledger) -> None:
    absent = len(both_tiers(ROWS)) - len(KEPT)
    assert absent >= 6
    found = judged(ledger, KEPT, STORE_LOST)
    assert counts(found) == {"RIGHT": len(KEPT), "REPORTED": absent}
    findings = taken(found)
    assert findings.ok
    assert findings.measured == {"absent windows": absent}


def test_an_absence_that_no_report_explains_is_found(ledger: Ledger) -> None:
    stored = dict(KEPT)
    gone = max(key for key in stored if key.start >= AFTER)
    del stored[gone]
    found = judged(ledger, stored, STORE_LOST)
    assert found.verdicts[Verdict.SILENT] == 1
    findings = taken(found)
    assert findings.forbidden == {"loss not reported": 1}
    assert str(gone.start) in findings.examples[0]


def test_without_any_report_every_absence_is_silent(ledger: Ledger) -> None:
    found = judged(ledger, KEPT)
    assert found.verdicts[Verdict.SILENT] == len(both_tiers(ROWS)) - len(KEPT)
    assert not taken(found).ok


@pytest.mark.parametrize("start", [BASE, BASE + 40_000])
@pytest.mark.parametrize("lacking", [True, False])
def test_a_wrong_window_is_found_on_both_sides_of_the_floor(
    ledger: Ledger, start: int, *, lacking: bool
) -> None:
    stored = both_tiers(ROWS)
    key = WindowKey("d0", "temperature", 5000, start)
    stored[key] = Facts(*(4 if lacking else 6, *(getattr(stored[key], name) for name in FIGURES)))
    found = judged(ledger, stored, STORE_LOST)
    assert counts(found) == {"RIGHT": len(stored) - 1, "WRONG": 1}
    findings = taken(found)
    assert (findings.wrong, findings.double) == (1, int(not lacking))
    assert findings.measured == {"absent windows": 0}
    assert findings.examples


FIGURES = ("sum", "min", "max", "first", "last")


def test_a_window_that_the_ledger_does_not_know_is_wrong(ledger: Ledger) -> None:
    stored = both_tiers(ROWS)
    stored[WindowKey("d1", "temperature", 5000, BASE)] = Facts(2, 1.0, 0.5, 0.5, 0.5, 0.5)
    findings = taken(judged(ledger, stored, STORE_LOST))
    assert (findings.wrong, findings.double) == (1, 2)


def test_nothing_stored_is_no_proof(ledger: Ledger) -> None:
    findings = taken(judged(ledger, {}, Loss(0, BASE + 3_600_000)))
    assert findings.forbidden == {"nothing judged": 1}


def test_readings_without_a_puback_may_be_stored_or_not(tmp_path: Path) -> None:
    rows = [Row(row.seq, row.ts, row.value, acked=row.seq >= 5) for row in ROWS]
    ledger = ledger_of(tmp_path, rows)
    for stored in (both_tiers(rows), both_tiers(rows[5:])):
        assert counts(judged(ledger, stored)) == {"RIGHT": len(stored)}


def test_what_nobody_can_judge_is_no_proof(tmp_path: Path) -> None:
    rows = [Row(row.seq, row.ts, row.value, acked=row.seq >= 10) for row in ROWS]
    stored = both_tiers(rows)
    longer = sum(key.every == 60_000 and key.start <= BASE for key in stored)
    findings = taken(judged(ledger_of(tmp_path, rows), stored))
    assert findings.forbidden == {"windows not judged": longer}


# --- what the log reports


def line(at: int, said: str, level: str = "ERROR") -> str:
    stamp = datetime.fromtimestamp(at / 1000, UTC).isoformat(timespec="milliseconds")
    return f"{stamp} {level:<7} edge_gateway.{said}\n"


def test_a_lost_store_explains_all_that_began_before() -> None:
    (loss,) = reported_losses(line(AFTER, "status: store_corrupt: store.sqlite was missing"), [BASE])
    assert loss.explains(WindowKey("d0", "t", 5000, AFTER - 1))
    assert loss.explains(WindowKey("d0", "t", 5000, 0))
    assert not loss.explains(WindowKey("d0", "t", 5000, AFTER))


def test_a_lost_state_explains_only_windows_that_were_not_stored_yet() -> None:
    kills = [BASE - 60_000, BASE, AFTER + 60_000]
    (loss,) = reported_losses(line(AFTER, "status: state_lost: windows in progress are partial"), kills)
    assert loss.explains(WindowKey("d0", "t", 5000, BASE))
    assert not loss.explains(WindowKey("d0", "t", 5000, BASE - UNSTORED_MS - 5_000))
    assert not loss.explains(WindowKey("d0", "t", 5000, AFTER))


@pytest.mark.parametrize(
    "said",
    [
        "status: checkpoint_corrupt: a damaged checkpoint was set aside in /s/checkpoints: checkpoint-1",
        "status: journal_corrupt: a damaged journal segment was set aside in /s/journal: 1.journal.corrupt-1",
        "gateway: recovered record 56 in 0.15 s",
    ],
)
def test_what_tells_of_no_loss_explains_nothing(said: str) -> None:
    assert not list(reported_losses(line(AFTER, said), [BASE]))


def test_losses_are_found_in_a_log_with_other_lines() -> None:
    log: Any = line(BASE, "run: configuration", "INFO") + line(BASE + 1, "status: store_lost: x") * 2
    assert [loss.until for loss in reported_losses(log, [])] == [BASE + 1] * 2
