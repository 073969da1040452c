"""What store, recovery, credentials and watchdog report becomes a problem, and clears."""

from __future__ import annotations

import errno
from functools import partial
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest

from edge_gateway.configuration.credentials import Credentials
from edge_gateway.configuration.model import GatewayConfig
from edge_gateway.records.inputs import Moment
from edge_gateway.recovery.startup import _findings, _store_findings
from edge_gateway.service.gateway import Gateway
from edge_gateway.service.lost_state import LostState
from edge_gateway.service.watchdog import ServiceManager, Watchdog
from edge_gateway.status.catalogue import Problem
from edge_gateway.status.counters import Counters
from edge_gateway.status.problems import Problems

CHECK_DISK = 'Check the disk (free space, SMART, SD card); "After damage" in docs/operate.md has more'
FULL = OSError(errno.ENOSPC, "No space left on device")


class Bare:
    """A gateway that has problems and what raises them, but none of its other parts."""

    def __init__(self, refusal: Exception | None = None) -> None:
        self.refused: list[Exception] = []
        self.folded: list[str] = []
        self.gateway = cast("Any", Gateway.__new__(Gateway))
        self.gateway.problems = Problems(lambda: 0)
        self.gateway.clock = SimpleNamespace(trusted=lambda: True)
        self.gateway._store = SimpleNamespace(refusal=refusal)
        self.gateway._disk_guard = SimpleNamespace(write_failed=self.refused.append)
        self.gateway._engine = SimpleNamespace(
            fold=lambda given: self.folded.append(type(given).__name__), moment=lambda: Moment(0, 0)
        )
        self.gateway.counters = Counters()
        self.gateway.config = SimpleNamespace(spool=SimpleNamespace(path=Path("/spool")))
        self.gateway._startup = SimpleNamespace(findings=[], whole=True, differs=0, stopped_for=0)
        self.gateway._lost = LostState(
            Path("/spool"), False, self.gateway._engine, self.gateway._store, self.gateway.problems
        )

    @property
    def texts(self) -> dict[str, str]:
        return {one.code: one.text for one in self.gateway.problems}


@pytest.mark.problem("raises", "store_stalled")
@pytest.mark.problem("clears", "store_stalled")
def test_a_stalled_store_asks_for_room_and_recovers_when_it_resumes() -> None:
    bare = Bare(FULL)
    bare.gateway._store_event("store_stalled", "database or disk is full")
    assert bare.texts == {"store_stalled": "the store cannot be written: database or disk is full"}
    assert bare.refused == [FULL]
    bare.gateway._store.refusal = None
    bare.gateway._store_event("store_resumed", "")
    assert bare.texts == {}


@pytest.mark.problem("raises", "store_corrupt")
def test_a_store_that_was_salvaged_stays_reported_as_damaged() -> None:
    bare = Bare()
    bare.gateway.problems.raise_(Problem.STORE_CORRUPT, "damaged")
    bare.gateway._store_event("store_salvaged", "all but 3 rows are back")
    assert bare.texts == {"store_corrupt": "all but 3 rows are back"}
    assert not bare.refused


@pytest.mark.problem("raises", "store_lost", "record_refused")
def test_damage_while_the_store_is_in_use_is_reported() -> None:
    bare = Bare()
    bare.gateway._store_event("store_lost", "database disk image is malformed")
    bare.gateway._store_event("record_refused", "record 7: OverflowError: too large")
    assert bare.texts["store_lost"].endswith("made again: database disk image is malformed")
    assert "could not apply record 7: OverflowError" in bare.texts["record_refused"]


@pytest.mark.problem(
    "raises", "journal_corrupt", "records_lost", "checkpoint_corrupt", "records_quarantined", "store_corrupt",
    "store_behind", "replay_differs",
)  # fmt: skip
def test_findings_of_recovery_are_reported() -> None:
    report = SimpleNamespace(set_aside=["1.journal.corrupt-7"], lost=[(3, 5)])
    journal = SimpleNamespace(report=report, first_number=1)
    found = SimpleNamespace(checkpoint=2, skipped_checkpoints=["checkpoint-1"], culprits=2)
    store = SimpleNamespace(
        opened=SimpleNamespace(created=True),
        path=Path("/spool/store.sqlite"),
        applied=9,
        lost_text=lambda: "/spool/store.sqlite: malformed",
    )
    bare = Bare()
    bare.gateway._startup.findings = [
        *_findings(
            Path("/spool"),
            cast("Any", found),
            cast("Any", journal),
            ["record 3: late numbers", "record 4: texts"],
        ),
        *_store_findings(Path("/spool"), cast("Any", store), fresh=False, ahead=False, behind=True),
    ]
    bare.gateway._startup.differs = 2
    bare.gateway._report_start()
    assert bare.gateway.counters.replay_differs == 2
    assert bare.texts == {
        "journal_corrupt": "a damaged journal segment was set aside in /spool/journal: 1.journal.corrupt-7."
        f" {CHECK_DISK}",
        "records_lost": "records of /spool/journal are missing or could not be read: 3–5. Devices that read receipts"
        f" send the messages again, if they still have them. {CHECK_DISK}",
        "checkpoint_corrupt": f"a damaged checkpoint was set aside in /spool/checkpoints: checkpoint-1. {CHECK_DISK}",
        "replay_differs": "the journal and its replay differ: record 3: late numbers, and 1 more record; windows in"
        " progress are partial",
        "records_quarantined": "2 inputs could not be folded; they are in quarantine",
        "store_corrupt": "/spool/store.sqlite: malformed",
        "store_behind": "the store /spool/store.sqlite is from an earlier time than the journal: older windows stay as"
        " they are",
    }
    assert not bare.folded


@pytest.mark.problem("raises", "state_lost", "clock")
def test_a_start_without_its_whole_state_or_a_clock_is_reported_and_folded() -> None:
    bare = Bare()
    bare.gateway._startup.whole = False
    bare.gateway._startup.stopped_for = None
    bare.gateway.clock = SimpleNamespace(trusted=lambda: False)
    bare.gateway._report_start()
    assert bare.texts.keys() == {"state_lost", "clock"}
    assert bare.texts["state_lost"] == (
        "the start could not restore all that /spool held: windows in progress are partial, as `edge-gateway query"
        f" partial` shows. {CHECK_DISK}"
    )
    assert bare.folded == ["StateLost", "ClockUntrusted"]


def test_a_start_after_an_unknown_time_ends_pending_commands_though_the_clock_is_right_now() -> None:
    bare = Bare()
    bare.gateway._startup.stopped_for = None
    bare.gateway._report_start()
    assert not bare.texts
    assert bare.folded == ["ClockUntrusted"]


def test_a_start_under_a_clock_that_nobody_has_confirmed_lets_pending_commands_wait() -> None:
    bare = Bare()
    bare.gateway._engine.moment = lambda: Moment(5, 0, least=4)
    bare.gateway._report_start()
    assert bare.folded == ["ClockUnsure"]


@pytest.mark.problem("raises", "secrets")
@pytest.mark.problem("clears", "secrets")
def test_a_secret_that_cannot_be_used_is_a_warning_until_it_can() -> None:
    bare = Bare()
    credentials = Credentials(GatewayConfig.model_validate({"mqtt": {"url": "mqtt://localhost"}}))
    bare.gateway._credentials = credentials
    credentials.changed = bare.gateway._credentials_changed
    credentials._report("mqtt.password", "no such file: /run/secret")
    assert bare.texts["secrets"].startswith("mqtt.password: no such file: /run/secret")
    credentials._report("mqtt.password", "")
    assert bare.texts == {}


@pytest.mark.problem("raises", "stuck")
@pytest.mark.problem("clears", "stuck")
def test_a_part_without_progress_is_reported_until_it_moves() -> None:
    bare, moved = Bare(), [0.0]
    watchdog = Watchdog(ServiceManager())
    stuck = partial(bare.gateway.problems.update, Problem.STUCK)
    watchdog.started({"writer": lambda: moved[0]}, lambda: "online", stuck)
    later = 10 * watchdog.deadline
    watchdog.check(later)
    watchdog.check(later)
    assert "no progress: writer" in bare.texts["stuck"]
    moved[0] = later
    watchdog.check(later)
    assert bare.texts == {}


@pytest.mark.parametrize("problem", [one for one in Problem if one.entry.latches])
def test_a_latched_problem_clears_only_on_restart(problem: Problem) -> None:
    with pytest.raises(ValueError, match="lasts until the next start"):
        Problems(lambda: 0).clear(problem)
