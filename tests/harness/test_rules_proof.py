"""The proof of rules notices what a gateway does otherwise, and says the same of the same seed."""

from __future__ import annotations

from pathlib import Path

import pytest

from edge_gateway.columns.frame import IntColumn
from edge_gateway.rules.alerts import reload, single_alert
from edge_gateway.rules.columns import schedules
from tests.gateway.rules.reference.telling import Deeds
from tests.proofs import rules
from tests.proofs.proof import Servers, Setting


def wrong(*seeds: int) -> list[str]:
    return [sentence for seed in seeds for sentence in rules.judge((seed, 1)).wrong]


def test_the_same_seed_makes_the_same_choices_and_a_sample_differs_nowhere(tmp_path: Path) -> None:
    found = []
    for name in "ab":
        with (
            Servers(tmp_path) as servers,
            Setting(tmp_path / name, count=6, seed=3, servers=servers, say=lambda _: None) as setting,
        ):
            rules.run(setting)
            found.append(setting.findings)
    assert found[0] == found[1]
    assert found[0].ok
    assert found[0].runs == found[0].faults["trial"] == 6
    assert found[0].alerts > 10


class _Always:
    def spans_at(self, at: IntColumn) -> tuple[IntColumn, IntColumn]:
        return at, at + schedules.FOREVER


def test_alerts_whose_times_do_not_end_are_noticed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(schedules.Schedules, "_calendar", lambda *_: _Always())
    assert wrong(26, 30)


def test_a_state_that_no_edit_drops_is_noticed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reload, "_evaluates_as", lambda *_: True)
    assert wrong(24, 48, 49, 55, 57, 82)


def test_waits_on_values_that_are_too_old_are_noticed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(single_alert, "end_waits", lambda *_: None)
    assert wrong(14, 51)


def test_an_error_in_a_trial_is_a_finding_and_not_the_end() -> None:
    def broken(seed: int) -> list[Deeds]:
        if seed == 1:
            raise KeyError("no such device")
        return []

    judged = rules.judge((0, 3), broken)
    assert judged.trials == 3
    assert len(judged.wrong) == 1
    assert "seed 1" in judged.wrong[0]
    assert "no such device" in judged.wrong[0]
