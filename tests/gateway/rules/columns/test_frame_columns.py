"""The columns of a frame: expressions where they are asked for, ranges and tags by device."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np

from edge_gateway.rules.columns.frame_columns import FrameColumns, Histories, RowSubset, column_table
from edge_gateway.rules.columns.inputs import Inputs
from edge_gateway.rules.columns.program import Program
from edge_gateway.rules.language.analysis import Range
from edge_gateway.rules.language.ruleset import Level, Rule
from tests.gateway.rules.fleet import T0, Fleet, Row

SUM = Rule(name="S", group="g", expr="t + u", levels=(Level("info", limit=1.0),))
MEAN = Rule(name="M", group="g", expr="avg_over_time(t, 1m)", levels=(Level("info", limit=1.0),))


class Reader:
    def __init__(self, *rules: Rule) -> None:
        self.fleet = Fleet()
        self.program = Program(rules, self.fleet.registry.strings)
        self.inputs = Inputs(self.program.inputs, self.fleet.registry, np.full(9, 60_000))
        self.histories = Histories(self.program.symbols)

    def columns(self, *rows: Row) -> FrameColumns:
        frame = self.fleet.frame(list(rows))
        self.inputs.make_room(self.fleet.registry.devices)
        return FrameColumns(self.inputs.rows_of(frame), self.inputs, self.histories)

    def means(self, columns: FrameColumns) -> list[float]:
        everywhere = RowSubset(columns, np.arange(len(columns.rows.at)), (0,))
        return [float(mean) for mean in everywhere.ranged(0, "avg_over_time")]


def readings(*values: float, device: str = "d") -> list[Row]:
    return [Row(device, T0 + 1000 * number, {"t": value}) for number, value in enumerate(values)]


def test_inputs_are_the_first_columns() -> None:
    reader = Reader(SUM)
    columns = reader.columns(Row("d", T0, {"t": 1.0}), Row("d", T0 + 1, {"u": 2.0}))
    none = np.zeros(0, np.int64)
    table = column_table(columns, reader.program.expressions, none, none)
    both = np.array([0, 1])
    np.testing.assert_array_equal(table.values(both, both), [1.0, 2.0])
    assert table.sees(both, np.array([1, 1])).tolist() == [False, True]


def test_an_expression_is_computed_on_rows_with_any_of_its_inputs() -> None:
    reader = Reader(SUM)
    columns = reader.columns(
        Row("d", T0, {"t": 1.0}), Row("d", T0 + 1, {"u": 2.0}), Row("d", T0 + 2, {"x": 5.0})
    )
    number, rows = reader.program.first_expression, np.array([0, 1, 2, 2])
    table = column_table(columns, reader.program.expressions, np.full(4, number), rows)
    np.testing.assert_array_equal(table.values(np.full(3, number), rows[:3]), [math.nan, 3.0, math.nan])
    assert table.sees(np.full(3, number), rows[:3]).tolist() == [True, True, False]


def test_an_expression_that_no_row_triggers_is_not_computed() -> None:
    reader = Reader(SUM)
    columns = reader.columns(Row("d", T0, {"x": 1.0}))
    number = np.array([reader.program.first_expression])
    table = column_table(columns, reader.program.expressions, number, np.array([0]))
    assert table.sees(number, np.array([0])).tolist() == [False]


def test_joins_and_ranges_are_computed_once() -> None:
    reader = Reader(SUM, MEAN)
    reader.fleet.device("d")
    reader.histories.enrol(0, np.array([0]))
    columns = reader.columns(*readings(1.0, 3.0))
    assert columns.joined(0) is columns.joined(0)
    assert reader.means(columns) == [1.0, 2.0]
    assert reader.means(columns) == [1.0, 2.0], "a second look must not add the rows again"


def test_only_enrolled_devices_have_histories() -> None:
    reader = Reader(MEAN)
    for name in ("c", "d", "e"):
        reader.fleet.device(name)
    reader.histories.enrol(0, np.array([1]))
    reader.histories.enrol(0, np.array([1]))
    columns = reader.columns(*readings(5.0, device="c"), *readings(1.0, 3.0), *readings(7.0, device="e"))
    np.testing.assert_array_equal(reader.means(columns), [math.nan, 1.0, 2.0, math.nan])


def test_a_forgotten_history_is_empty() -> None:
    reader = Reader(MEAN)
    reader.fleet.device("d")
    reader.histories.enrol(0, np.array([0]))
    reader.means(reader.columns(*readings(1.0, 3.0)))
    reader.histories.forget(np.array([0, 99]))
    assert reader.means(reader.columns(*readings(9.0))) == [9.0]


def test_histories_are_taken_over_where_they_are_kept() -> None:
    reader, kept, dropped = Reader(MEAN), Reader(MEAN), Reader(MEAN)
    reader.fleet.device("d")
    reader.histories.enrol(0, np.array([0]))
    reader.means(reader.columns(*readings(1.0)))
    kept.histories.take_over(reader.histories, {Range("t", 60_000, "sums")})
    dropped.histories.take_over(reader.histories, set())
    later = Row("d", T0 + 1000, {"t": 3.0})
    assert kept.means(kept.columns(later)) == [2.0]
    np.testing.assert_array_equal(dropped.means(dropped.columns(later)), [math.nan])


def test_a_snapshot_restores_the_histories_that_are_still_wanted() -> None:
    reader, again, other = Reader(MEAN), Reader(MEAN), Reader(replace(MEAN, expr="avg_over_time(t, 2m)"))
    reader.fleet.device("d")
    reader.histories.enrol(0, np.array([0]))
    reader.means(reader.columns(*readings(1.0)))
    for each in (again, other):
        each.histories.restore(reader.histories.snapshot())
    assert again.means(again.columns(Row("d", T0 + 1000, {"t": 3.0}))) == [2.0]
    np.testing.assert_array_equal(other.means(other.columns(Row("d", T0 + 1000, {"t": 3.0}))), [math.nan])


def test_tags_by_device() -> None:
    reader = Reader(Rule(name="T", group="g", expr="t > 1 and tag.zone == 'a'", levels=(Level("info"),)))
    reader.fleet.born("d", zone="a")
    reader.fleet.born("e")
    registry = reader.fleet.registry
    reader.histories.learn_tags({"zone"}, [0, 1], registry)
    codes = [registry.strings.code("a"), registry.strings.code("unknown")]
    assert reader.histories.tag("zone", np.array([0, 1])).tolist() == codes
    assert reader.histories.texts() == set(codes)
    columns = reader.columns(*readings(5.0), *readings(5.0, device="e"))
    subset = RowSubset(columns, np.array([1, 0]), (0,))
    assert subset.tag("zone").tolist() == codes[::-1]
    assert subset.value(0).tolist() == [5.0, 5.0]


def test_a_late_value_is_seen_by_the_rows_after_it() -> None:
    reader = Reader(MEAN)
    reader.fleet.device("d")
    reader.histories.enrol(0, np.array([0]))
    reader.means(reader.columns(*readings(1.0)))
    columns = reader.columns(
        Row("d", T0 + 9_000, {"t": 3.0}), Row("d", T0 + 5_000, {"t": 8.0}), Row("d", T0 + 9_500, {"t": 0.0})
    )
    assert reader.means(columns) == [2.0, 4.0, 3.0]


def test_a_late_value_alone_is_put_into_its_history() -> None:
    reader = Reader(MEAN)
    reader.fleet.device("d")
    reader.histories.enrol(0, np.array([0]))
    first = reader.columns(Row("d", T0 + 9_000, {"t": 1.0}))
    reader.means(first)
    reader.inputs.remember(first.rows)
    reader.columns(Row("d", T0 + 5_000, {"t": 5.0})).settle()
    assert reader.means(reader.columns(Row("d", T0 + 9_500, {"t": 3.0}))) == [3.0]


def test_a_range_ends_at_the_now_of_the_rule_that_reads_it() -> None:
    reader = Reader(
        replace(MEAN, expr="avg_over_time(t, 1m)"), replace(MEAN, name="B", expr="avg_over_time(t, 1m) + u")
    )
    reader.fleet.device("d")
    reader.histories.enrol(0, np.array([0]))
    first = reader.columns(Row("d", T0, {"t": 1.0}), Row("d", T0 + 80_000, {"u": 0.0}))
    reader.means(first)
    reader.inputs.remember(first.rows)
    late = reader.columns(Row("d", T0 + 40_000, {"t": 3.0}))
    row = np.array([0])
    assert RowSubset(late, row, (0,)).ranged(0, "avg_over_time").tolist() == [2.0]
    assert RowSubset(late, row, (0, 1)).ranged(0, "avg_over_time").tolist() == [3.0]


def test_the_first_value_of_a_metric_may_lie_before_the_range() -> None:
    reader = Reader(replace(MEAN, expr="avg_over_time(t, 10s) + u"))
    reader.fleet.device("d")
    reader.histories.enrol(0, np.array([0]))
    reader.inputs.remember(reader.columns(Row("d", T0 + 30_000, {"u": 0.0})).rows)
    late = RowSubset(reader.columns(Row("d", T0 + 20_000, {"t": 3.0})), np.array([0]), (0, 1))
    np.testing.assert_array_equal(late.ranged(0, "avg_over_time"), [math.nan])
