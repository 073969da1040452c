"""Grading: what must be found, what must not, and how long it took."""

from pathlib import Path
from typing import Any

import pytest

from fleet_sim.judging.grade import Alert, Label, grade, grade_alerts, grade_commands, labels_of, send_times
from fleet_sim.judging.moments import at_second
from fleet_sim.ledger.reading import Ledger, read_ledger
from fleet_sim.ledger.writing import LedgerWriter
from fleet_sim.scenario.expectations import EXPECTABLE

T = 1_700_000_000_000
HOT = Label("frz-1", T + 10_000, T + 60_000, "heat_up", rule="TooWarm", within=20_000, level="critical")


def fired(
    at: int,
    *,
    subject: str = "frz-1",
    rule: str = "TooWarm",
    alert: str = "a1",
    level: str = "critical",
    event: str = "firing",
) -> Alert:
    return Alert(alert, rule, level, "firing", subject, T + at, event)


def test_an_alert_in_time_is_a_hit() -> None:
    result = grade_alerts([HOT], [fired(25_000)], end_ms=T + 100_000)
    assert result.ok
    rule = result.rules["TooWarm"]
    assert (rule.expected, rule.missed, rule.fired, rule.false) == (1, 0, 1, 0)
    assert (rule.precision, rule.recall) == (1.0, 1.0)


@pytest.mark.parametrize(
    "alerts",
    [
        [],
        [fired(30_001)],
        [fired(25_000, subject="frz-2")],
        [fired(25_000, rule="Other")],
        [fired(25_000, level="warning")],
        [fired(2_000), Alert("a1", "TooWarm", "critical", "resolved", "frz-1", T + 5_000, "resolved")],
    ],
)
def test_too_late_elsewhere_too_weak_or_over_before_is_a_miss(alerts: list[Alert]) -> None:
    result = grade_alerts([HOT], alerts, end_ms=T + 100_000)
    assert result.missed == 1
    assert result.rules["TooWarm"].recall == 0.0
    assert "missed: TooWarm on frz-1" in result.examples[0]


def test_an_alert_that_was_on_already_counts() -> None:
    assert grade_alerts([HOT], [fired(2_000)], end_ms=T + 100_000).missed == 0


@pytest.mark.parametrize("event", ["released", "repeat", "reminder"])
def test_what_is_told_again_or_later_counts_for_nothing(event: str) -> None:
    told = [fired(25_000), *[fired(25_001, event=event)] * 2]
    result = grade_alerts([HOT], told, end_ms=T + 100_000)
    assert (result.ok, result.rules["TooWarm"].fired) == (True, 1)
    assert grade_alerts([HOT], told[1:], end_ms=T + 100_000).missed == 1


def test_an_escalation_in_time_counts_as_its_highest_level() -> None:
    rising = [fired(12_000, level="warning"), fired(20_000)]
    assert grade_alerts([HOT], rising, end_ms=T + 100_000).missed == 0


def test_a_label_whose_time_is_not_over_is_open() -> None:
    result = grade_alerts([HOT], [], end_ms=T + 29_999)
    assert (result.missed, result.open) == (0, 1)


def test_an_alert_of_a_graded_rule_without_any_cause_is_false() -> None:
    alerts = [
        fired(25_000),
        fired(25_000, subject="frz-9", alert="a2"),
        fired(25_000, rule="Ungraded", alert="a3"),
    ]
    result = grade_alerts([HOT], alerts, end_ms=T + 100_000)
    assert result.false == 1
    assert result.rules["TooWarm"].precision == 0.5
    assert result.examples == [
        f"false: TooWarm on frz-9 at {at_second(T + 25_000)}: nothing was wrong that explains it"
    ]


def test_an_episode_or_another_fault_on_the_device_is_a_cause() -> None:
    labels = [HOT, Label("frz-9", T + 24_000, T + 26_000, "episode temperature")]
    assert (
        grade_alerts(
            labels, [fired(25_000), fired(25_000, subject="frz-9", alert="a2")], end_ms=T + 10**6
        ).false
        == 0
    )


def test_alerts_after_the_end_are_neither_false_nor_a_detection() -> None:
    """The fleet is over: what its devices are silent about says nothing of what was wrong with them."""
    silent = [fired(40_000 + 120_000, alert="a5"), fired(160_000, subject="frz-2", alert="a6")]
    late = HOT._replace(within=360_000)
    for alerts in ([], silent, silent * 2):
        result = grade_alerts([late], alerts, end_ms=T + 40_000)
        assert (result.missed, result.false, result.open, result.repeated) == (0, 0, 1, 0)
        assert result.measures() == grade_alerts([late], [], end_ms=T + 40_000).measures()
    escalated = [fired(20_000, level="warning"), fired(160_000)]
    assert grade_alerts([HOT], escalated, end_ms=T + 40_000).missed == 1


def test_what_an_alert_did_after_the_end_does_not_change_what_it_was() -> None:
    resolved = Alert("a1", "TooWarm", "critical", "resolved", "frz-1", T + 500_000, "resolved")
    assert grade_alerts([HOT], [fired(25_000), resolved], end_ms=T + 100_000).ok


def test_a_fault_that_was_due_after_the_end_is_open_whatever_fired() -> None:
    for alerts in ([], [fired(2_000)]):
        result = grade_alerts([HOT], alerts, end_ms=T + 9_999)
        assert (result.open, result.not_begun, result.missed) == (1, 1, 0)
        assert sum(rule.expected for rule in result.rules.values()) == 0
    assert grade_alerts([HOT], [], end_ms=T + 10_000).not_begun == 0


@pytest.mark.parametrize(
    ("cause", "metric", "false"),
    [
        ({"metric": "temperature"}, "temperature", 0),
        ({"metric": "temperature"}, "door", 1),
        ({"metric": "temperature"}, None, 0),
        ({"metric": "door", "rule": "TooWarm"}, "temperature", 0),
        ({"metric": "door", "rule": "DoorOpen"}, "temperature", 1),
        ({}, "door", 0),
        ({"rule": "Silent"}, "door", 0),
    ],
)
def test_a_fault_of_a_metric_is_the_cause_of_alerts_of_its_rule_and_metric_alone(
    cause: dict[str, Any], metric: str | None, false: int
) -> None:
    """A fault of a device or of its link, which has no metric, may cause any."""
    labels = [HOT, Label("frz-9", T + 24_000, T + 26_000, "fault", **cause)]
    alerts = [fired(25_000), fired(25_000, subject="frz-9", alert="a2")._replace(metric=metric)]
    assert grade_alerts(labels, alerts, end_ms=T + 100_000).false == false


def test_the_same_transition_told_twice_is_repeated() -> None:
    alerts = [fired(25_000), fired(25_000), fired(26_000, level="warning", alert="a2", subject="x", rule="U")]
    assert grade_alerts([HOT], alerts, end_ms=T + 100_000).repeated == 1


def graded_ledger(directory: Path, notes: list[tuple[str, dict[str, Any]]]) -> Ledger:
    with LedgerWriter(directory) as ledger:
        ledger.header({"start_ms": T, "started_us": T * 1000, "speed": 1.0})
        columns = ledger.group("freezer", ["t"])
        ledger.devices(0, 0, [{"id": "frz-1", "site": "s", "type": "f", "tags": {}}])
        for seq, sent in ((0, T * 1000), (1, 0)):
            for name, value in (("device", 0), ("boot", 7), ("seq", seq), ("ts", T), ("sent", sent)):
                getattr(columns, name).append(value)
            columns.flags.append(0)
            columns.present.append(1)
            columns.values[0].append(1.0)
        ledger.table("sends").extend((0, 7, 1, T * 1000 + 900, 0, 0, 7, 1, T * 1000 + 5_000, 1))
        for kind, facts in notes:
            ledger.note(kind, **facts)
        ledger.end("finished", {"at": (T + 100_000) * 1000})
    return read_ledger(directory)


def test_alerts_of_an_earlier_run_in_the_history_are_not_graded(tmp_path: Path) -> None:
    fault = {
        "number": 0, "kind": "heat_up", "devices": ["frz-1"], "from": T + 10_000, "until": T + 60_000,
        "expect": {"rule": "TooWarm", "within": 20_000, "level": None},
    }  # fmt: skip
    ledger = graded_ledger(tmp_path, [("fault", fault)])
    assert grade(ledger, [fired(-50_000, alert="old"), fired(15_000)]).ok
    assert grade(ledger, [fired(500, alert="early"), fired(15_000)]).false == 1


HEAT: dict[str, Any] = {
    "number": 0, "kind": "heat_up", "metric": "temperature", "devices": ["frz-1"], "from": T + 10_000,
    "until": 1 << 62, "expect": {"rule": "TooWarm", "within": 360_000, "level": None},
}  # fmt: skip


def test_a_run_is_graded_alike_at_once_and_minutes_later(tmp_path: Path) -> None:
    """Settling takes as long as the broker likes, and at speed 60 each second of it is a simulated minute."""
    ledger = graded_ledger(tmp_path, [("fault", HEAT), ("over", {"at": T + 30_000})])
    silence = fired(80_000, alert="a7", level="warning")
    at_once, later = grade(ledger, []), grade(ledger, [silence])
    assert at_once == later
    assert (later.open, later.false, later.missed) == (1, 0, 0)


def test_a_killed_run_ends_with_what_it_sent_last(tmp_path: Path) -> None:
    ledger = graded_ledger(tmp_path, [("fault", HEAT)])
    ledger.end = None
    result = grade(ledger, [fired(80_000)])
    assert (result.open, result.not_begun) == (1, 1)


def test_labels_name_the_metric_that_is_disturbed(tmp_path: Path) -> None:
    episode = {
        "group": "freezer",
        "row": 0,
        "metric": "t",
        "from_ms": T,
        "until_ms": T + 1,
        "level": "warning",
    }
    labels = labels_of(graded_ledger(tmp_path, [("fault", HEAT), ("episode", episode)]))
    assert [label.metric for label in labels] == ["temperature", "t"]


def test_send_times_are_of_the_first_sending_from_wherever_it_was_sent(tmp_path: Path) -> None:
    ledger = graded_ledger(tmp_path, [])
    causes = [(0, 7, 1), (0, 7, 0), (0, 7, 2), (0, 8, 0)]
    assert send_times(ledger, causes) == [T * 1000 + 900, T * 1000, None, None]


def test_latency_is_from_the_sending_of_the_cause_to_the_arrival_of_the_notice(tmp_path: Path) -> None:
    notice = {
        "device": 0,
        "id": "n",
        "alert": "a1",
        "rule": "TooWarm",
        "level": "critical",
        "subject": "frz-1",
        "boot": 7,
    }
    notes = [
        ("notice", {**notice, "state": "firing", "seq": 0, "at": T * 1000 + 42_000}),
        ("notice", {**notice, "state": "firing", "seq": 0, "at": T * 1000 + 99_000}),
        ("notice", {**notice, "state": "resolved", "seq": 1, "at": T * 1000 + 77_000}),
    ]
    latency = grade(graded_ledger(tmp_path, notes)).latency
    assert (latency.count, latency.p50) == (1, 42_000.0)


def test_a_command_brings_its_alert_with_it(tmp_path: Path) -> None:
    """Where rules send commands and no notices, the command is what tells the device; the earlier of both counts."""
    command = {
        "device": 0, "id": "c", "n": 1, "name": "cool", "decision": "execute", "alert": "a1", "rule": "TooWarm",
        "boot": 7, "seq": 0, "at": T * 1000 + 30_000,
    }  # fmt: skip
    notice = {
        "device": 0, "id": "n", "alert": "a1", "rule": "TooWarm", "state": "firing", "boot": 7, "seq": 0,
        "at": T * 1000 + 42_000,
    }  # fmt: skip
    answer = {"device": 0, "id": "c", "at": T * 1000 + 80_000}
    silent = command | {"id": "by hand", "n": 2, "alert": None, "boot": None, "seq": None}
    notes = [("notice", notice), ("command", command), ("command", silent), ("answered", answer)]
    result = grade(graded_ledger(tmp_path, notes))
    assert (result.latency.count, result.latency.p50) == (1, 30_000.0)
    measures = result.measures()
    for name, expected in (("alerts.latency", 30.0), ("commands.latency", 30.0), ("commands.ack", 50.0)):
        assert [measures[f"{name}.{each}"] for each in ("p50", "p90", "p95", "p99", "max")] == [expected] * 5
    assert measures.keys() <= EXPECTABLE, "a scenario may expect each"


def test_commands_are_counted_by_what_became_of_them(tmp_path: Path) -> None:
    def came(name: str, at: int, decision: str = "execute") -> tuple[str, dict[str, Any]]:
        return "command", {
            "device": 0,
            "id": name,
            "n": 1,
            "at": at,
            "decision": decision,
            "boot": 7,
            "seq": 0,
        }

    def did(name: str, outcome: str = "done") -> tuple[str, dict[str, Any]]:
        return "executed", {"device": 0, "id": name, "outcome": outcome, "at": 0}

    start = T * 1000
    result = grade_commands(
        graded_ledger(
            tmp_path,
            [
                came("a", start + 1000), came("a", start + 3000, "repeat"), did("a"),
                ("answered", {"device": 0, "id": "a", "at": start + 1500}),
                came("b", start + 2000), did("b"), did("b"),
                came("c", start + 2000), did("c", "rejected"),
                came("d", start + 2000), did("d", "failed"),
            ],
        )
    )  # fmt: skip
    assert (result.received, result.executed, result.executed_twice) == (4, 2, 1)
    assert (result.rejected, result.failed, result.repeated, result.unanswered) == (1, 1, 1, 3)
    assert (result.ack.count, result.ack.p50) == (1, 500.0)
    assert (result.latency.count, result.latency.most) == (4, 2000.0)


def test_labels_come_from_faults_and_episodes_and_the_observer_hears_the_alerts(tmp_path: Path) -> None:
    fault = {
        "number": 0, "kind": "heat_up", "devices": ["frz-1"], "from": T + 10_000, "until": T + 60_000,
        "expect": {"rule": "TooWarm", "within": 20_000, "level": None},
    }  # fmt: skip
    alert = {
        "event": "firing",
        "id": "a1",
        "rule": "TooWarm",
        "level": "critical",
        "state": "firing",
        "subject": "frz-1",
        "raised": T + 15_000,
    }
    episode = {
        "group": "freezer", "row": 0, "metric": "t", "from_ms": T + 70_000, "until_ms": T + 80_000, "level": "warning",
    }  # fmt: skip
    second = {**alert, "id": "a2", "raised": T + 75_000}
    stale = {**alert, "id": "a0", "raised": T - 75_000, "retained": True}
    result = grade(
        graded_ledger(
            tmp_path,
            [
                ("fault", fault), ("episode", episode), ("alert", {**alert, "retained": False}),
                ("alert", {**second, "retained": False}), ("alert", stale),
            ],
        )
    )  # fmt: skip
    assert result.ok
    assert (result.rules["TooWarm"].expected, result.rules["TooWarm"].fired) == (1, 2)
    assert result.measures()["alerts.recall"] == 1.0
