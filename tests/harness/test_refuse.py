"""The proof of refusals sees what it forbids: silence, what is never over, bad ends, and readings of nobody."""

from __future__ import annotations

import subprocess
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import msgpack
import pytest

from fleet_sim.ledger.reading import Ledger
from tests.proofs.proof import Servers, Setting
from tests.proofs.refuse import acl, crowding, sites, trial
from tests.proofs.refuse.sites import WindowId, quarantined
from tests.servers.gateway import Gateway


@pytest.fixture
def setting(tmp_path: Path) -> Setting:
    return Setting(tmp_path, count=1, seed=1, servers=Servers(tmp_path), say=lambda _: None)


def with_problems(*problems: tuple[str, str]) -> Gateway:
    """A stand-in for a gateway with these problems, which neither go nor are joined by others."""
    report = {"problems": [{"code": code, "text": text} for code, text in problems]}

    def wait_for(holds: Callable[[dict[str, Any]], bool], within: float) -> dict[str, Any]:
        if not holds(report):
            raise AssertionError(f"not within {within} s")
        return report

    return cast("Gateway", SimpleNamespace(wait_for=wait_for))


def that_ends_with(status: int | None, words: str = "") -> Gateway:
    """A stand-in for a gateway that stops with this exit status; with None it hangs."""

    def stop() -> int:
        if status is None:
            raise subprocess.TimeoutExpired("gateway", 60)
        return status

    return cast("Gateway", SimpleNamespace(stop=stop, kill=lambda: None, words=lambda: words))


def test_a_refusal_without_a_problem_counts_as_silent(setting: Setting) -> None:
    trial.must_report(setting, with_problems(("refused", "Not Authorised: …")), "the ACL", "authorised")
    assert setting.findings.ok
    trial.must_report(setting, with_problems(("disk", "full")), "the ACL", "authorised")
    assert setting.findings.forbidden == {"silent": 1}


def test_a_lasting_problem_is_never_over(setting: Setting) -> None:
    trial.must_clear(setting, with_problems(("disk", "full")), "the ACL", "authorised")
    assert setting.findings.ok
    trial.must_clear(setting, with_problems(("refused", "not authorised")), "the ACL", "authorised")
    assert setting.findings.forbidden == {"never over": 1}


def test_a_gateway_that_ignores_sigterm_or_ends_with_an_error_is_counted(setting: Setting) -> None:
    trial.must_stop(setting, that_ends_with(0), "calm")
    assert setting.findings.ok
    trial.must_stop(setting, that_ends_with(1), "an error")
    trial.must_stop(setting, that_ends_with(None), "a hang")
    assert setting.findings.forbidden == {"stops badly": 1, "does not stop": 1}


def ledger_of(*executed: str) -> Ledger:
    rows = [{"device": 0, "id": one, "outcome": "done"} for one in executed]
    return cast("Ledger", SimpleNamespace(of_kind=lambda kind: rows if kind == "executed" else []))


def test_a_command_reported_done_but_not_executed_or_stuck_as_sent_is_counted(setting: Setting) -> None:
    acl.judge_done(setting, [{"id": "a", "state": "done"}, {"id": "b", "state": "refused"}], ledger_of("a"))
    assert setting.findings.ok
    acl.judge_done(setting, [{"id": "c", "state": "done"}, {"id": "d", "state": "sent"}], ledger_of("a"))
    assert setting.findings.forbidden == {"done and not executed": 1, "silent": 1}


def foreign(
    device: str, reason: str = sites.FOREIGN, kind: str = "telemetry", **message: Any
) -> dict[str, Any]:
    return {
        "topic": f"fleet/v1/moves/{device}/{kind}",
        "payload": msgpack.packb(message).hex(),
        "reason": reason,
    }


def test_readings_in_quarantine_are_counted_once_by_window_with_their_samples() -> None:
    one = foreign("d", ts=3_999, m={"heat": 1.0, "door": "open"}, s=[[1, {"heat": 2.0, "level": 3.0}]])
    rows = [
        one,
        one,
        foreign("d", reason="sequence_conflict", ts=3_999, m={"heat": 1.0}),
        foreign("d", kind="ack", ts=3_999, m={"heat": 1.0}),
    ]
    assert quarantined(rows, 2_000) == {
        WindowId("d", "heat", 2_000): 1,
        WindowId("d", "heat", 4_000): 1,
        WindowId("d", "level", 4_000): 1,
    }


@pytest.mark.parametrize("kind", ["metrics", "texts", "both"])
def test_invented_metrics_and_texts_never_repeat(kind: str) -> None:
    seen: set[str] = set()
    for message in crowding.invented_messages(kind, 5):
        new = {name for name in message["m"] if name.startswith("x")}
        new |= {value for value in message["m"].values() if isinstance(value, str)}
        assert len(new) == crowding.NAMES_A_MESSAGE * (2 if kind == "both" else 1)
        assert not new & seen
        seen |= new


def test_an_acl_without_a_grant_lacks_that_line_alone(tmp_path: Path) -> None:
    acl.write_acl(tmp_path / "whole")
    acl.write_acl(tmp_path / "less", but="alerts")
    whole, less = ((tmp_path / name).read_text().splitlines() for name in ("whole", "less"))
    assert [line for line in whole if line not in less] == [acl.GRANTS["alerts"]]
