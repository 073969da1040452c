"""Record rules: what is derived, for whom, and what stays of it."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from edge_gateway.columns.frame import Frame
from edge_gateway.rules.columns.record_rules import Records
from edge_gateway.rules.language.ruleset import Rule, RuleSet
from tests.gateway.rules.fleet import T0, Fleet, Row


def record(name: str, expr: str, **changes: Any) -> Rule:
    return Rule(name=name, group="g", record=True, expr=expr, **changes)


class Recorder:
    def __init__(self, *rules: Rule, fleet: Fleet | None = None) -> None:
        self.fleet = fleet or Fleet()
        self.records = Records(RuleSet(rules).records, self.fleet.registry, 60_000)

    def extend(self, *rows: Row) -> Frame:
        return self.records.extend(self.fleet.frame(list(rows)))

    def derived(self, second: int, device: str = "d", **values: Any) -> dict[str, float]:
        """What one reading derives, by name."""
        frame = self.extend(Row(device, T0 + second * 1000, values))
        registry = self.fleet.registry
        names = [registry.metric_names[metric] for metric in registry.series_metric[frame.series].tolist()]
        found = dict(zip(names, frame.value.tolist(), strict=True))
        return {name: value for name, value in found.items() if name not in values}


def test_records_may_need_records_in_any_order() -> None:
    recorder = Recorder(record("twice", "half * 4"), record("half", "t / 2"))
    assert recorder.derived(0, t=6) == {"half": 3.0, "twice": 12.0}
    assert recorder.derived(1, u=6) == {}


def test_a_measured_value_of_the_same_name_is_kept() -> None:
    recorder = Recorder(record("half", "t / 2"))
    assert recorder.derived(0, t=6, half=9) == {}


def test_a_device_that_measures_a_record_is_told_until_it_is_forgotten() -> None:
    recorder = Recorder(record("half", "t / 2"))
    recorder.derived(0, "a", t=6)
    assert recorder.records.measured() == []
    recorder.derived(1, "b", half=9)
    told = ["b: it measures half, which is a record; rename the record"]
    assert recorder.records.measured() == told
    assert recorder.derived(2, "b", t=6) == {"half": 3.0}
    assert recorder.records.measured() == told
    recorder.records.forget(np.array([recorder.fleet.device("b")]))
    assert recorder.records.measured() == []


def test_a_late_value_of_its_name_is_told_too_and_one_of_a_device_without_the_record_is_not() -> None:
    recorder = Recorder(record("half", "t / 2", match=({"device": ["a"]},)))
    recorder.derived(100, "a", t=6)
    recorder.derived(100, "b", half=1)
    assert recorder.records.measured() == []
    recorder.derived(50, "a", half=1)
    assert recorder.records.measured() == ["a: it measures half, which is a record; rename the record"]


def test_what_cannot_be_computed_is_not_recorded() -> None:
    recorder = Recorder(record("ratio", "t / u"), record("sum", "t + v"))
    assert recorder.derived(0, t=6, u=0) == {}


def test_quality_is_that_of_the_worst_measured_value_of_the_row() -> None:
    recorder = Recorder(record("sum", "t + u"))
    frame = recorder.fleet.frame([Row("d", T0, {"t": 1, "u": 2}), Row("d", T0 + 1, {"t": 3})])
    frame.quality[:] = (900, 400, 800)
    extended = recorder.records.extend(frame)
    assert extended.value.tolist() == [1, 2, 3, 3, 5]
    assert extended.quality.tolist() == [900, 400, 800, 400, 800]


def test_a_late_value_is_computed_from_its_own_row_and_without_ranges() -> None:
    recorder = Recorder(record("sum", "t + u"), record("mean", "avg_over_time(t, 1m)"))
    recorder.derived(100, t=1, u=1)
    assert recorder.derived(50, t=5) == {}
    assert recorder.derived(60, t=5, u=2) == {"sum": 7.0}
    assert recorder.derived(110, t=3) == {"mean": 3.0, "sum": 4.0}, "the mean of 1, 5, and 3"


def test_a_value_older_than_another_metrics_is_joined_like_any() -> None:
    recorder = Recorder(record("sum", "t + u"), record("mean", "avg_over_time(u, 1m)"))
    recorder.derived(100, t=1)
    assert recorder.derived(90, u=2) == {"sum": 3.0, "mean": 2.0}
    assert recorder.derived(95, u=4) == {"sum": 5.0, "mean": 3.0}


@pytest.mark.parametrize("together", [False, True])
def test_a_computed_value_older_than_the_newest_of_its_record_is_late(together: bool) -> None:
    """It corrects the ranges of the record, and is no last value."""
    rules = record("total", "t + u"), record("less", "total - v"), record("mean", "avg_over_time(total, 1m)")
    recorder = Recorder(*rules)
    rows = [Row("d", T0 + second * 1000, values) for second, values in
            ((100, {"t": 1, "u": 1}), (110, {"t": 2}), (105, {"u": 5, "v": 0}))]  # fmt: skip
    frames = [rows] if together else [[row] for row in rows]
    last = [recorder.extend(*frame) for frame in frames][-1]
    own = last.value[last.row == last.rows - 1].tolist()
    assert own == [5.0, 0.0, 7.0, 3.0], "u, v, a late total, and less, which is of the newest total"
    assert recorder.derived(120, v=1) == {"less": 2.0}
    assert recorder.derived(130, t=4) == {"total": 9.0, "less": 8.0, "mean": 5.25}, (
        "the mean of 2, 3, 7 and 9"
    )


def test_a_computed_value_that_is_too_old_to_count_is_unknown_at_once() -> None:
    long = {"t": 600_000, "u": 600_000, "v": 600_000}
    recorder = Recorder(record("total", "t + u", lookbacks=long), record("gap", "total - v"))
    recorder.derived(200, v=1)
    assert recorder.derived(100, t=1, u=1) == {"total": 2.0}


def test_rules_follow_the_tags_of_a_device() -> None:
    recorder = Recorder(record("half", "t / 2", match=({"line": ["L1"]},)))
    recorder.fleet.born("d", line="L1")
    assert recorder.derived(0, t=6) == {"half": 3.0}
    recorder.fleet.born("d", line="L2")
    assert recorder.derived(1, t=6) == {}


def test_tags_and_texts_in_expressions() -> None:
    recorder = Recorder(record("on", "clamp(t, 0, 1)"), record("sum", "t + u"))
    recorder.fleet.born("d")
    assert recorder.derived(0, t=6) == {"on": 1.0}
    assert recorder.records.texts() == set()


def test_a_forgotten_device_gets_a_series_of_its_own_again() -> None:
    recorder = Recorder(record("sum", "t + u"))
    recorder.derived(100, t=1, u=1)
    recorder.records.forget(np.array([0]))
    assert recorder.derived(1, t=6) == {}
    assert recorder.derived(2, u=1) == {"sum": 7.0}


def test_after_a_clock_step_last_values_count_on_and_ranges_start_anew() -> None:
    recorder = Recorder(record("sum", "t + u"), record("count", "count_over_time(t, 1m)"))
    recorder.derived(100, t=1, u=1)
    recorder.records.rewind(np.array([0]), np.array([-95_000]))
    assert recorder.derived(6, t=6) == {"sum": 7.0, "count": 1.0}


def test_state_is_taken_over_where_the_expression_is_the_same() -> None:
    old = Recorder(record("a", "avg_over_time(t, 1m)"), record("b", "avg_over_time(t, 2m)"))
    old.derived(0, t=2)
    new = Recorder(
        record("a", "avg_over_time(t, 1m)"), record("b", "avg_over_time(t, 2m) * 1"), fleet=old.fleet
    )
    new.records.take_over(old.records)
    assert new.derived(1, t=4) == {"a": 3.0, "b": 4.0}


def test_a_snapshot_goes_on_alike() -> None:
    rules = (record("mean", "avg_over_time(t, 1m)"), record("sum", "t + u"))
    one = Recorder(*rules)
    one.derived(0, t=2, u=1)
    two = Recorder(*rules, fleet=one.fleet)
    two.records.restore(one.records.snapshot())
    assert two.derived(1, t=4) == {"mean": 3.0, "sum": 5.0}


def test_without_records_or_rows_the_frame_is_returned() -> None:
    recorder = Recorder()
    frame = recorder.fleet.frame([Row("d", T0, {"t": 1})])
    assert recorder.records.extend(frame) is frame
    empty = Recorder(record("a", "t"))
    nothing = empty.fleet.frame([])
    assert empty.records.extend(nothing) is nothing
