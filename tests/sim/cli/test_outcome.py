"""What a run ends with: its exit status, and the table."""

from dataclasses import replace

import pytest

from fleet_sim.cli.outcome import exit_status, result_rows, show_result
from fleet_sim.judging.report import checks_of
from fleet_sim.scenario.expectations import Expectation
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
    assert exit_status(result(refused=1), met) == 0
    assert exit_status(result("interrupted"), missed) == 130
    assert exit_status(result("terminated"), met) == 0


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
    assert "1 device was refused: not authorised" in said.err
    for words in ("(1 connect, 0 again)", "1 overrun\n", "1 message sent again", "1 notice\n"):
        assert words in said.out


def test_times_that_were_not_measured_are_none_and_others_are_in_ms() -> None:
    ended = result()
    assert dict(result_rows(ended.summary()))["ack"] == "none"
    measures = {f"publish.ack.{each}": 1.25 for each in ("p50", "p95", "p99", "max")}
    rows = dict(result_rows(replace(ended, measures=measures).summary()))
    assert rows["ack"] == "p50 1.2ms  p95 1.2ms  p99 1.2ms  max 1.2ms"
    assert rows["pacing"] == "lag none, 0 overruns"


def test_refusals_and_saturation_are_said_on_standard_error(capsys: pytest.CaptureFixture[str]) -> None:
    show_result(result(refused=5, saturated=True), [], as_json=False)
    said = capsys.readouterr().err
    assert "5 devices were refused: not authorised" in said
    assert "inconclusive: late; use fewer sensors or a faster machine" in said


def test_json_is_one_object_with_the_expectations(capsys: pytest.CaptureFixture[str]) -> None:
    show_result(result(), checks_of({"a.b": Expectation("<", 1.0, "< 1")}, {"a.b": 2.0}), as_json=True)
    [line] = capsys.readouterr().out.splitlines()
    assert '"expectations"' in line
    assert '"passed": false' in line or '"passed":false' in line
