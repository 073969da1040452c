"""The report is declared once, and what is made from it says the same."""

from __future__ import annotations

import json

import msgspec
from jsonschema import Draft202012Validator

from edge_gateway.cli.status_table import status_view
from edge_gateway.status.collect import MOST_GAPS
from edge_gateway.status.counters import Counters
from edge_gateway.status.problem import Gravity
from edge_gateway.status.report import OpenProblem, as_plain, status_schema
from fleet_console.drawing import Line, Table
from tests.gateway.fold.test_shares import Sender, fold
from tests.gateway.status.reports import report_of


def test_a_report_is_as_its_schema_says() -> None:
    pipeline = fold().pipeline
    for seq in (0, 3):
        pipeline.fold(Sender("frz-1", seq).says(seq, t=1.0))
    made = report_of(pipeline=pipeline, counters=Counters(rule_reloads=2))
    plain = json.loads(msgspec.json.encode(as_plain(made)))
    Draft202012Validator(status_schema()).validate(plain)
    assert plain["counters"]["rule_reloads"] == 2
    assert "reading_paused" not in plain["counters"], "a counter of zero is left out"
    assert len(plain["gaps"]["ranges"]) <= MOST_GAPS
    plain["counters"]["of_a_later_version"] = 1
    Draft202012Validator(status_schema()).validate(plain)


def test_a_person_reads_times_as_times() -> None:
    problem = OpenProblem("rules", "a.yaml is wrong\nb.yaml too", 0, Gravity.FAILURE)
    table, *lines = status_view(as_plain(report_of(problems=(problem,))) | {"of_a_newer_program": 1})
    assert isinstance(table, Table)
    rows = {str(row[0].text): str(row[1].text) for row in table.rows}
    assert "oldest of 2023-11-14 22:13:20.000Z" in rows["sink influx"]
    assert "lines waiting 20, " in rows["sink influx"]
    assert [line.text for line in lines if isinstance(line, Line)] == [
        "FAILURE rules since –: a.yaml is wrong",
        "    b.yaml too",
    ]
