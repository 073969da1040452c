"""The report is declared once: what is declared is complete, and everything made from it says the same."""

from __future__ import annotations

import json
import re
from typing import Any

import msgspec
import pytest
from jsonschema import Draft202012Validator
from msgspec import Struct

from edge_gateway.cli.tables import status_view
from edge_gateway.fold.settings import FoldSettings, build_pipeline
from edge_gateway.status import report
from edge_gateway.status.collect import MOST_GAPS
from edge_gateway.status.counters import AllCounters, Counters
from edge_gateway.status.fields import declared
from edge_gateway.status.page_tables import counter_rows, problem_rows, status_rows, with_tables
from edge_gateway.status.problem import Gravity
from edge_gateway.status.prometheus import prometheus
from edge_gateway.status.report import GatewayStatus, OpenProblem, Section, as_plain, status_schema
from fleet_wire.drawing import Line, Table
from tests.gateway.fold.test_shares import Sender, fold
from tests.gateway.status.reports import CONFIG, report_of, store_facts


def leaves(plain: Any, path: str = "") -> dict[str, Any]:
    """Every number of a report, by its path joined with `_`."""
    if isinstance(plain, dict):
        return {
            inner: number
            for key, value in plain.items()
            for inner, number in leaves(value, f"{path}_{key}" if path else key).items()
        }
    return {path: plain} if isinstance(plain, (int, float)) else {}


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


@pytest.mark.parametrize("counters", [{"late_too_late": 3, "late_merged": 4, "from_a_newer_program": 1}])
def test_what_the_store_counts_is_in_the_report_and_corrects_the_values(counters: dict[str, int]) -> None:
    made = report_of(facts=store_facts(counters=counters))
    assert (made.counters.late_too_late, made.counters.late_merged) == (3, 4)
    assert (made.values.too_late, made.values.accepted) == (3, -3)
    assert made.values.values == made.values.accepted + made.values.too_late


def test_every_event_the_fold_counts_is_declared() -> None:
    pipeline = build_pipeline("gw", FoldSettings.of(CONFIG))
    for reason in ("bad_topic", "wrong_site", "foreign_site", "too_many_devices"):
        pipeline.registry.count_refused(reason)
    for reason in ("too_many_series", "too_many_texts"):
        pipeline.registry.count_refused(reason, 2)
    counters = report_of(pipeline=pipeline).counters
    assert (counters.refused_bad_topic, counters.refused_too_many_texts) == (1, 2)


def test_what_is_not_declared_cannot_be_counted() -> None:
    with pytest.raises(AttributeError, match="invented"):
        Counters().invented += 1  # type: ignore[attr-defined]


def test_every_field_has_a_meaning() -> None:
    class Silent(Section):
        number: int

    with pytest.raises(TypeError, match=r"Silent.number is declared without a meaning"):
        declared(Silent)
    for section in sections(GatewayStatus):
        assert all(of.meaning for of in declared(section)), section


def sections(root: type[Struct]) -> set[type[Struct]]:
    """The sections the schema names."""
    names = status_schema()["$defs"]
    found = {
        one
        for one in (*vars(report).values(), AllCounters)
        if isinstance(one, type) and one.__name__ in names
    }
    return {root, *(one for one in found if issubclass(one, Struct))}


def test_prometheus_has_every_number_with_help_and_type() -> None:
    made = report_of(counters=Counters(rule_reloads=2))
    text = prometheus(made)
    lines = text.splitlines()
    samples = [line for line in lines if not line.startswith("#")]
    assert len(lines) == 3 * len(samples)
    names = {line.split()[0] for line in samples}
    assert len(names) == len(samples)
    for name in names:
        assert re.search(rf"^# HELP {name} \S.*$", text, re.MULTILINE), name
        assert re.search(rf"^# TYPE {name} (counter|gauge)$", text, re.MULTILINE), name
    paths = {path.removesuffix("_total") for path in (name.removeprefix("edge_gateway_") for name in names)}
    numbers = {path for path in leaves(as_plain(made)) if not path.startswith(("metrics_", "windows_"))}
    assert numbers <= paths
    assert (
        "# TYPE edge_gateway_counters_rule_reloads_total counter\nedge_gateway_counters_rule_reloads_total 2"
        in text
    )
    assert "# TYPE edge_gateway_broker_lag gauge\nedge_gateway_broker_lag 12" in text
    assert "edge_gateway_counters_reading_paused_total 0" in text
    assert "edge_gateway_sinks_influx_waiting_lines 20" in text
    assert "# TYPE edge_gateway_sinks_influx_requests counter" in text
    assert "waiting_until" not in text, "nothing is waited for"


def test_a_person_reads_times_as_times() -> None:
    problem = OpenProblem("rules", "a.yaml is wrong\nb.yaml too", 0, Gravity.FAILURE)
    table, *lines = status_view(as_plain(report_of(problems=(problem,))) | {"of_a_newer_program": 1})
    assert isinstance(table, Table)
    rows = {str(row[0].text): str(row[1].text) for row in table.rows}
    assert "oldest 2023-11-14 22:13:20.000Z" in rows["sink influx"]
    assert "waiting lines 20, " in rows["sink influx"]
    assert [line.text for line in lines if isinstance(line, Line)] == [
        "! rules: a.yaml is wrong",
        "    b.yaml too",
    ]


def test_the_tables_of_the_page_have_a_row_for_everything() -> None:
    fields = {row[0].strip("`") for row in status_rows()}
    assert {"broker.lag", "windows[].every", "sinks.<name>.waiting.bytes", "problems[].gravity"} <= fields
    assert [row[0] for row in counter_rows()][1:] == [f"`{name}`" for name in AllCounters.__struct_fields__]
    assert all(len(row) == 5 and all(row) for row in problem_rows())
    with pytest.raises(ValueError, match="no place for the table of status"):
        with_tables("# A page without tables\n")
