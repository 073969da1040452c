"""A problem of the gateway is an alert that fires, resolves, and leaves nothing retained."""

from __future__ import annotations

from edge_gateway.fold.messages import Message
from edge_gateway.mqtt.own_alerts import OwnAlerts
from edge_gateway.records.alerts import ALERT_COLUMNS, by_urgency
from edge_gateway.service.http import health_of
from edge_gateway.status.catalogue import Problem
from edge_gateway.status.problem import Gravity
from edge_gateway.status.problems import Problems
from fleet_wire.control_messages import decode_alert
from fleet_wire.topics import parse_alert_topic
from tests.gateway.status.reports import report_of

NOW = 1_760_000_000_000


def test_a_problem_is_one_alert_that_fires_and_resolves() -> None:
    sent: list[Message] = []
    problems = Problems(lambda: NOW)
    alerts = OwnAlerts("gw", problems, sent.extend, lambda: NOW + 5_000)
    problems.changed = alerts.follow
    problems.raise_(Problem.DISK, "No space left on device")
    problems.raise_(Problem.DISK, "No space left on device")
    assert len(sent) == 1
    fired = decode_alert(sent[0].payload)
    assert (fired.rule, fired.level, fired.state, fired.subject) == ("disk", "critical", "firing", "_gateway")
    assert sent[0].retain
    assert alerts.firing() == [sent[0]]
    assert parse_alert_topic(sent[0].topic) == ("gw", "_", "_gateway", "disk")
    problems.clear(Problem.DISK)
    resolved = decode_alert(sent[1].payload)
    assert (resolved.id, resolved.state, resolved.at) == (fired.id, "resolved", NOW + 5_000)
    assert not sent[1].retain
    assert (sent[2].payload, sent[2].retain) == (b"", True)
    assert alerts.firing() == []


def test_a_firing_problem_is_read_as_the_alert_of_a_rule_is() -> None:
    problems = Problems(lambda: NOW)
    alerts = OwnAlerts("gw", problems, lambda _: None, lambda: NOW)
    problems.raise_(Problem.BROKER_DROPPED, "7 messages")
    problems.raise_(Problem.RULES, "broken")
    alerts.follow()
    (row,) = alerts.rows()
    assert tuple(row) == ALERT_COLUMNS
    assert (row["rule"], row["level"], row["subject"], row["site"]) == ("rules", "critical", "_gateway", "_")
    assert (row["at"], row["value"]) == (NOW, None)
    assert row["annotations"] == {"summary": "the rules in force are kept: broken"}


def test_an_alert_has_the_text_that_its_problem_has_now() -> None:
    sent: list[Message] = []
    problems = Problems(lambda: NOW)
    alerts = OwnAlerts("gw", problems, sent.extend, lambda: NOW)
    problems.changed = alerts.follow
    problems.raise_(Problem.BROKER, "it closed the connection")
    problems.raise_(Problem.BROKER, "it refused the connection")
    (row,) = alerts.rows()
    assert row["annotations"] == {"summary": "it refused the connection"}
    (retained,) = alerts.firing()
    assert decode_alert(retained.payload).annotations == {"summary": "it refused the connection"}


def test_texts_that_change_often_are_told_once_a_look_and_the_last_one_always() -> None:
    sent: list[Message] = []
    problems = Problems(lambda: NOW)
    alerts = OwnAlerts("gw", problems, sent.extend, lambda: NOW)
    problems.changed = alerts.follow
    for number in range(50):
        problems.raise_(Problem.BROKER, f"try {number}")
        problems.raise_(Problem.DISK, "full")
        problems.clear(Problem.DISK)
    of_broker = [one for one in sent if one.topic.endswith("/broker")]
    assert len(of_broker) == 1, "the problem began once"
    sent.clear()
    for _ in range(2):
        alerts.retell()
    (told,) = sent
    assert (told.topic, told.retain) == (of_broker[0].topic, True)
    first, last = decode_alert(of_broker[0].payload), decode_alert(told.payload)
    assert last.annotations == {"summary": "try 49"}
    assert (last.id, last.state, last.at) == (first.id, "firing", first.at)


def test_alerts_and_problems_are_listed_in_one_order() -> None:
    at = [NOW]
    problems = Problems(lambda: at[0])
    alerts = OwnAlerts("gw", problems, lambda _: None, lambda: at[0])
    raised = (Problem.LATE_SHARE, Problem.RULES, Problem.BIRTHS_CUT, Problem.BROKER)
    for at[0], problem in enumerate(raised, start=NOW):
        problems.raise_(problem)
        alerts.follow()
    assert [row["rule"] for row in sorted(alerts.rows(), key=by_urgency)] == [one.code for one in problems]


def test_two_problems_are_two_alerts_and_a_second_time_is_a_new_one() -> None:
    sent: list[Message] = []
    at = [NOW]
    problems = Problems(lambda: at[0])
    alerts = OwnAlerts("gw", problems, sent.extend, lambda: at[0])
    problems.changed = alerts.follow
    problems.raise_(Problem.BROKER, "away")
    problems.raise_(Problem.RULES, "broken")
    problems.clear(Problem.BROKER)
    at[0] += 1
    problems.raise_(Problem.BROKER, "away again")
    ids = {decode_alert(one.payload).id for one in sent if one.payload}
    assert len(ids) == 3


def test_a_notice_is_no_alert_and_a_problem_that_grows_graver_becomes_one() -> None:
    sent: list[Message] = []
    problems = Problems(lambda: NOW)
    alerts = OwnAlerts("gw", problems, sent.extend, lambda: NOW)
    problems.changed = alerts.follow
    problems.raise_(Problem.CONTROL_SUBSCRIPTIONS, "the broker's own counter", Gravity.NOTICE)
    assert not sent
    problems.raise_(Problem.CONTROL_SUBSCRIPTIONS, "the command topic", Gravity.WARNING)
    assert decode_alert(sent[0].payload).state == "firing"


def test_a_failure_is_critical_and_a_change_of_gravity_one_of_the_level() -> None:
    sent: list[Message] = []
    problems = Problems(lambda: NOW)
    alerts = OwnAlerts("gw", problems, sent.extend, lambda: NOW)
    problems.changed = alerts.follow
    for gravity in (Gravity.WARNING, Gravity.FAILURE, Gravity.WARNING):
        problems.raise_(Problem.BOUND_DEVICES, "nearly used up", gravity)
    told = [decode_alert(one.payload) for one in sent]
    assert [(one.level, one.state) for one in told] == [
        ("warning", "firing"),
        ("critical", "firing"),
        ("warning", "firing"),
    ]
    assert len({one.id for one in told}) == 1


def test_only_failures_make_the_health_check_fail() -> None:
    problems = Problems(lambda: NOW)
    problems.raise_(Problem.BROKER_DROPPED, "7 messages")
    problems.raise_(Problem.DEVICES_UNHEARD, "frz-1 sends nothing usable")
    warning = {"code": "devices_unheard", "since": NOW, "text": "frz-1 sends nothing usable"}
    answer: dict[str, object] = {"state": "online", "problems": [], "warnings": [warning]}
    assert health_of(report_of(problems=tuple(problems))) == (answer, 200)
    problems.raise_(Problem.DISK, "no space left")
    failure = {"code": "disk", "since": NOW, "text": "nothing is acknowledged: no space left"}
    unhealthy = answer | {"problems": [failure]}
    assert health_of(report_of(problems=tuple(problems))) == (unhealthy, 503)
