"""What a run ends with: its exit status, and the table."""

import math
from dataclasses import replace
from typing import Any

import pytest

from fleet_sim.cli.outcome import exit_status, judge, result_rows, show_result
from fleet_sim.judging.report import checks_of, unmet
from fleet_sim.scenario.expectations import REQUIRED, Expectation
from tests.sim.results import result


def test_exit_statuses() -> None:
    met, missed, open_ = (
        checks_of({"publish.ack.p99": Expectation("<", limit, f"< {limit}")}, measures)
        for limit, measures in ((5.0, {"publish.ack.p99": 4.0}), (3.0, {"publish.ack.p99": 4.0}), (3.0, {}))
    )
    assert exit_status(result(), met) == 0
    assert exit_status(result(), open_) == 0
    assert exit_status(result(), missed) == 1
    assert exit_status(result(saturated=True), missed) == 4
    assert exit_status(result(refused=5, connects=0), met) == 3
    assert exit_status(result("interrupted"), missed) == 130
    assert exit_status(result("terminated"), met) == 0


@pytest.mark.parametrize(
    ("failed", "name", "said"),
    [
        ({"refused": 5}, "connect.failed", "5 of 1,000 devices never connected: not authorised"),
        ({"gave_up": 1}, "connect.failed", "1 of 1,000 devices gave up: taken over"),
        (
            {"disconnected": 9},
            "connect.failed",
            "9 of 1,000 devices had no connection at the end: cannot reach it",
        ),
        (
            {"refused_messages": 24},
            "publish.refused",
            "24 messages were refused by the broker: not authorised (0x87)",
        ),
        (
            {"unacked": 18, "unsent": 1},
            "delivery.unacknowledged",
            "19 messages were not acknowledged: 18 without PUBACK, 1 never sent",
        ),
    ],
)
def test_a_run_that_failed_says_how_and_is_1_whatever_else_was_expected(
    failed: dict[str, Any], name: str, said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    ended = result(**failed)
    checks = judge(ended, {})
    assert [(check.name, check.passed) for check in checks] == [(name, False)]
    assert exit_status(ended, checks) == 1
    show_result(ended, checks, as_json=False)
    printed = capsys.readouterr()
    assert printed.err.splitlines() == [said]
    assert name in printed.out


def test_a_run_in_which_nothing_failed_is_judged_by_its_scenario_alone() -> None:
    assert judge(result(), {}) == []


def test_a_scenario_may_expect_devices_that_never_connect() -> None:
    ended = result(refused=3)
    expect = {"connect.failed": Expectation("<=", 3.0, "<= 3")}
    assert unmet(REQUIRED, expect, ended.measures) == []
    assert [check.name for check in judge(ended, {})] == ["connect.failed"]


def test_the_table_names_what_is_odd_only_where_there_is_something() -> None:
    ended = result()
    assert "odd" not in dict(result_rows(ended.summary()))
    odd = replace(ended, counters={**ended.counters, "duplicated": 3, "malformed": 1})
    assert dict(result_rows(odd.summary()))["odd"] == "3 duplicated, 1 malformed"


def test_one_of_a_thing_is_told_in_the_singular(capsys: pytest.CaptureFixture[str]) -> None:
    one = result(connects=1, refused=1)
    counters = dict(one.counters) | {"overruns": 1, "resent": 1, "notices": 1}
    show_result(replace(one, counters=counters), [], as_json=False)
    said = capsys.readouterr()
    assert "1 of 1,000 devices never connected: not authorised" in said.err
    for words in ("(1 connect, 0 again)", "1 overrun\n", "1 message sent again", "1 notice\n"):
        assert words in said.out


def test_times_that_were_not_measured_are_none_and_others_are_in_ms() -> None:
    ended = result()
    assert dict(result_rows(ended.summary()))["ack"] == "none"
    measures = {f"publish.ack.{each}": 1.25 for each in ("p50", "p95", "p99", "max")}
    measures["publish.ack.max"] = math.inf
    rows = dict(result_rows(replace(ended, measures=measures).summary()))
    assert rows["ack"] == "p50 1.2ms  p95 1.2ms  p99 1.2ms  max without end"
    assert rows["pacing"] == "lag none, 0 overruns"


def test_refusals_and_saturation_are_said_on_standard_error(capsys: pytest.CaptureFixture[str]) -> None:
    show_result(result(refused=5, saturated=True), [], as_json=False)
    said = capsys.readouterr().err
    assert "5 of 1,000 devices never connected: not authorised" in said
    assert "inconclusive: late; use fewer sensors or a faster machine" in said


def test_json_is_one_object_with_the_expectations(capsys: pytest.CaptureFixture[str]) -> None:
    show_result(result(), checks_of({"a.b": Expectation("<", 1.0, "< 1")}, {"a.b": 2.0}), as_json=True)
    [line] = capsys.readouterr().out.splitlines()
    assert '"expectations"' in line
    assert '"passed": false' in line or '"passed":false' in line
