"""The judges see what they are to see."""

from pathlib import Path
from typing import Any

import pytest

from fleet_sim.judging.verify import Comparison
from fleet_sim.ledger.expected import Facts
from tests.proofs.ground import judging
from tests.proofs.ground.stream import Stream, take_windows
from tests.proofs.proof import Findings
from tests.sim.judging.small_runs import Row, ledger_of


def step(
    state: str, *, alert: str = "a1", at: int = 1, level: str = "critical", event: str = ""
) -> dict[str, Any]:
    return {
        "id": alert, "rule": "Hot", "subject": "d1", "event": event or state, "state": state,
        "level": level, "at": at,
    }  # fmt: skip


def judged(*rows: dict[str, Any]) -> Findings:
    findings = Findings()
    judging.judge_alerts(findings, rows)
    return findings


def test_alerts_that_fire_and_resolve_once_are_right() -> None:
    findings = judged(step("firing"), step("resolved", at=2), step("firing", alert="a2", at=3))
    assert findings.ok
    assert findings.alerts == 2


def test_what_is_told_again_or_later_is_no_step() -> None:
    told = [step("firing", at=2, event=event) for event in ("repeat", "released", "reminder")]
    assert judged(step("firing"), *told, step("resolved", at=3), step("resolved", at=4, event="released")).ok


def test_a_transition_reported_twice_is_repeated() -> None:
    assert judged(step("firing"), step("firing")).alerts_repeated == 1


def test_a_second_alert_while_one_is_firing_is_repeated() -> None:
    assert judged(step("firing"), step("firing", alert="a2", at=2)).alerts_repeated == 1


def test_an_alert_that_resolves_without_firing_is_lost() -> None:
    assert judged(step("resolved")).alerts_lost == 1


@pytest.mark.parametrize(
    ("late", "least"), [({}, 1), ({"sent": False}, 0), ({"again": True}, 0), ({"acked": False}, 0)]
)
def test_only_what_was_acknowledged_and_sent_once_when_it_was_made_must_raise_an_alert(
    tmp_path: Path, late: dict[str, bool], least: int
) -> None:
    heat = [0.0, 6.0, 7.0, 0.0, 9.0, 0.0]
    hot = {1: late, 2: late}
    rows = [Row(seq, 1_000 * seq, value, **hot.get(seq, {})) for seq, value in enumerate(heat)]
    ledger = ledger_of(tmp_path, rows, metric="heat")

    def judged_hot(times: int) -> Findings:
        findings = Findings()
        stored = [step("firing", alert=f"a{number}") | {"subject": "d0"} for number in range(times)]
        judging.judge_hot(findings, stored, ledger)
        return findings

    assert [judged_hot(times).alerts_lost for times in (0, 1, 2, 3)] == [1 + least, least, 0, 0]
    assert [judged_hot(times).alerts_repeated for times in (0, 1, 2, 3)] == [0, 0, 0, 1]


def test_a_comparison_that_judged_nothing_or_left_windows_out_has_not_held() -> None:
    for found in (Comparison(), Comparison(windows=3, not_judged={"open": 1})):
        findings = Findings()
        judging.take_comparison(findings, found)
        assert not findings.ok


@pytest.mark.parametrize(
    ("messages", "values"),
    [
        ({"received": 5, "new": 3, "duplicate": 1, "not_known": 0, "quarantined": 0}, {}),
        ({}, {"values": 9}),
        ({}, {"late_merged": 9}),
    ],
)
def test_a_broken_sum_of_messages_or_values_is_noticed(
    messages: dict[str, int], values: dict[str, int]
) -> None:
    right_messages = {"received": 4, "new": 3, "duplicate": 1, "not_known": 0, "quarantined": 0}
    right = {"values": 6, "accepted": 3, "late_merged": 1, "too_late": 1, "bad": 1, "refused": 1}
    assert not judging.broken_identities(right_messages, right)
    assert len(judging.broken_identities(right_messages | messages, right | values)) == 1


def test_windows_that_lack_a_reading_hold_one_twice_or_belong_to_nobody_are_wrong() -> None:
    stream = Stream("site", 2, start=60_000, every=1_000)
    expected = stream.windows(10_000, rounds=25)
    assert sum(facts.count for facts in expected.values()) == 2 * 2 * 25
    key, facts = next(iter(expected.items()))

    def found(**changed: Any) -> Findings:
        findings = Findings()
        fields = ("count", "sum", "min", "max", "first", "last")
        now = Facts(*(changed.get(name, getattr(facts, name)) for name in fields))
        take_windows(findings, expected, {**expected, key: now}, "history")
        return findings

    assert found().ok
    assert found(count=facts.count - 1).lost == 1
    assert found(count=facts.count + 2).double == 2
    assert found(sum=facts.sum + 1e-9).wrong == 1
    findings = Findings()
    take_windows(findings, expected, {**expected, key._replace(device="nobody"): facts}, "history")
    assert findings.wrong == 1


def test_missing_windows_are_lost_unless_they_may_be_given_up() -> None:
    stream = Stream("site", 1, start=0, every=1_000)
    expected = stream.windows(10_000, rounds=10)
    findings = Findings()
    assert take_windows(findings, expected, {}, "history", complete=False) == len(expected)
    assert findings.ok
    take_windows(findings, expected, {}, "history")
    assert findings.lost == 20
