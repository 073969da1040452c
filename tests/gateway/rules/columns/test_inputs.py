"""A frame by device and input: what advances state, what is late, and what is joined."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from edge_gateway.rules.columns.inputs import Input, Inputs, lookbacks, shifted
from edge_gateway.rules.columns.rows import Rows
from edge_gateway.rules.language.ruleset import Rule
from tests.gateway.rules.fleet import T0, Fleet, Row

LOOKBACK = 60_000
NUMBERS: tuple[Input, ...] = (("t", False), ("u", False))


class Reader:
    """Inputs of a fleet, fed with frames."""

    def __init__(self, *wanted: Input) -> None:
        self.fleet = Fleet()
        self.inputs = Inputs(wanted or NUMBERS, self.fleet.registry, np.full(3, LOOKBACK))

    def read(self, *rows: tuple[str, int, dict[str, Any]]) -> Rows:
        """(device, seconds, values) as a frame: its rows, which are remembered."""
        found = self.peek(*rows)
        self.inputs.note_first_seen(found)
        self.inputs.remember(found)
        return found

    def peek(self, *rows: tuple[str, int, dict[str, Any]]) -> Rows:
        self.frame = self.fleet.frame([Row(name, T0 + at * 1000, values) for name, at, values in rows])
        self.inputs.make_room(self.fleet.registry.devices)
        return self.inputs.rows_of(self.frame)


def seconds(rows: Rows) -> list[int]:
    return [(at - T0) // 1000 for at in rows.at.tolist()]


def test_rows_are_grouped_by_device_in_order_of_arrival() -> None:
    rows = Reader().read(("b", 1, {"t": 1}), ("a", 1, {"t": 2}), ("b", 3, {"t": 3}), ("c", 1, {"x": 1}))
    assert rows.source.tolist() == [0, 2, 1, 3]
    assert rows.device.tolist() == [0, 0, 1, 2]
    assert rows.start.tolist() == [0, 0, 2, 3]
    assert rows.several
    np.testing.assert_array_equal(rows.column(0), [1, 3, 2, math.nan])
    np.testing.assert_array_equal(rows.column(1), [math.nan] * 4)


def late(rows: Rows) -> list[tuple[int, float]]:
    return list(zip(rows.source[rows.late.row].tolist(), rows.late.value.tolist(), strict=True))


def test_a_value_older_than_the_newest_of_its_input_is_late() -> None:
    reader = Reader()
    reader.read(("a", 10, {"t": 1}))
    rows = reader.peek(("a", 9, {"t": 2}), ("a", 12, {"t": 3}), ("a", 11, {"t": 4}), ("b", 1, {"t": 5}))
    np.testing.assert_array_equal(rows.column(0), [math.nan, 3, math.nan, 5])
    assert late(rows) == [(0, 2.0), (2, 4.0)]
    assert [(at - T0) // 1000 for at in rows.now.tolist()] == [10, 12, 12, 1]


def test_a_value_older_than_those_of_other_metrics_is_the_newest_of_its_own() -> None:
    reader = Reader()
    reader.read(("a", 10, {"t": 1}))
    rows = reader.read(("a", 9, {"u": 2}), ("a", 8, {"u": 3}))
    np.testing.assert_array_equal(rows.column(1), [2, math.nan])
    assert late(rows) == [(1, 3.0)]
    assert (reader.inputs.cursor[0], reader.inputs.last_at[0].tolist()) == (
        T0 + 10_000,
        [T0 + 10_000, T0 + 9_000],
    )


def test_of_one_time_a_lower_seq_is_late_and_across_boots_none_is() -> None:
    reader = Reader()
    reader.read(("a", 10, {"t": 1}), ("a", 10, {"t": 2}))
    reader.peek(("a", 10, {"t": 3}), ("a", 10, {"t": 4}), ("a", 10, {"t": 5}))
    reader.frame.seq, reader.frame.boot = np.array([0, 0, 1]), np.array([1, 2, 2])
    rows = reader.inputs.rows_of(reader.frame)
    assert late(rows) == [(0, 3.0)]
    reader.inputs.remember(rows)
    assert (reader.inputs.boot[0], reader.inputs.last_seq[0].tolist()) == (2, [1, -1])


def test_a_value_older_than_the_lookback_is_unknown_at_once_and_remembered() -> None:
    reader = Reader()
    reader.read(("a", 100, {"t": 1}))
    rows = reader.read(("a", 39, {"u": 2}))
    np.testing.assert_array_equal(rows.column(1), [math.nan])
    np.testing.assert_array_equal(rows.newest(1), [2])
    assert reader.inputs.last_at[0].tolist() == [T0 + 100_000, T0 + 39_000]


def test_rows_with_values_that_rules_pass_over_stand_on_their_own() -> None:
    reader = Reader()
    reader.read(("a", 8, {"t": 1}), ("a", 10, {"u": 1}))
    rows = reader.peek(("a", 7, {"t": 2}), ("a", 8, {"t": 3}), ("a", 7, {"t": 4, "u": 5}))
    passed = reader.inputs.passed_rows(reader.frame, rows)
    assert (passed.source.tolist(), passed.column(0).tolist()) == ([0, 2], [2.0, 4.0])
    assert (passed.start.tolist(), passed.several, passed.in_order) == ([0, 1], False, True)


def test_what_was_computed_on_a_row_stands_beside_what_is_passed_over() -> None:
    reader = Reader(("t", False), ("u", False), ("double", False))
    reader.read(("a", 10, {"u": 1}))
    rows = reader.peek(("a", 9, {"t": 2, "u": 3}))
    rows.add(2, np.array([0]), np.array([4.0]))
    passed = reader.inputs.passed_rows(reader.frame, rows)
    assert [passed.column(number).tolist() for number in range(3)] == [[2.0], [3.0], [4.0]]


def test_every_value_with_a_time_counts() -> None:
    reader = Reader()
    reader.read(("a", 10, {"t": 1}))
    rows = reader.read(("a", 10, {"u": 3}), ("a", 10, {"u": 4}), ("a", 10, {"t": 5}))
    np.testing.assert_array_equal(rows.column(0), [math.nan, math.nan, 5])
    np.testing.assert_array_equal(rows.column(1), [3, 4, math.nan])
    assert rows.has_any((0,), np.arange(3)).tolist() == [False, False, True]
    assert rows.has_any((0, 1), np.arange(3)).tolist() == [True, True, True]
    assert reader.inputs.last[0].tolist() == [5, 4]


def test_rows_are_taken_at_the_time_for_rules_and_those_never_taken_keep_their_own() -> None:
    reader = Reader()
    reader.read(("a", 10, {"t": 1}))
    reader.peek(("a", 9, {"t": 2}), ("a", 8, {"t": 3}), ("a", 11, {"t": 4}))
    reader.frame.at = np.array([T0 + 10_000, -1, -1])
    rows = reader.inputs.rows_of(reader.frame)
    assert (rows.source.tolist(), seconds(rows)) == ([0], [10])
    passed = reader.inputs.passed_rows(reader.frame, rows)
    assert (passed.source.tolist(), seconds(passed)) == ([1, 2], [8, 11])


def test_times_follow_a_clock_that_was_set_and_any_next_time_is_in_order() -> None:
    reader = Reader()
    reader.read(("a", 100, {"t": 1}), ("b", 100, {"u": 1}))
    reader.inputs.shift(np.array([0]), np.array([-90_000]))
    assert reader.inputs.first_seen[:2].tolist() == [T0 + 10_000, T0 + 100_000]
    assert reader.inputs.last_at[0].tolist() == [T0 + 10_000, 0]
    rows = reader.read(("a", 5, {"u": 2}), ("b", 5, {"u": 2}))
    assert [(now - T0) // 1000 for now in rows.now.tolist()] == [5, 100]
    np.testing.assert_array_equal(reader.inputs.joined(rows, 0), [1, math.nan])


def test_a_time_moved_to_before_all_times_stays_one() -> None:
    moved = shifted(np.array([0, 50, 500]), np.array([-100, -100, -100]))
    assert moved.tolist() == [0, 1, 400]


def test_texts_are_inputs_of_their_own() -> None:
    reader = Reader(("t", False), ("t", True))
    rows = reader.read(("a", 1, {"t": "open"}), ("a", 2, {"t": 5}))
    code = reader.fleet.registry.strings.code("open")
    np.testing.assert_array_equal(rows.column(0), [math.nan, 5])
    np.testing.assert_array_equal(rows.column(1), [code, math.nan])
    assert reader.inputs.texts() == {code}


def test_a_join_takes_the_last_value_within_the_lookback() -> None:
    reader = Reader()
    reader.read(("a", 0, {"u": 7}))
    rows = reader.peek(("a", 59, {"t": 1}), ("a", 60, {"t": 1}), ("a", 61, {"t": 1}), ("b", 1, {"t": 1}))
    np.testing.assert_array_equal(reader.inputs.joined(rows, 1), [7, 7, math.nan, math.nan])
    rows = reader.peek(("a", 10, {"u": 8}), ("a", 20, {"t": 1}), ("a", 71, {"t": 1}))
    np.testing.assert_array_equal(reader.inputs.joined(rows, 1), [8, 8, math.nan])
    np.testing.assert_array_equal(reader.inputs.joined(reader.peek(("a", 1, {"u": 2})), 1), [2])


def test_a_computed_input_is_read_and_remembered_like_any_other() -> None:
    reader = Reader()
    rows = reader.peek(("a", 1, {"t": 1}), ("a", 2, {"t": 2}))
    rows.add(1, np.array([0]), np.array([9.0]))
    rows.add(1, np.array([1]), np.array([8.0]))
    reader.inputs.remember(rows)
    assert rows.column(1).tolist() == [9.0, 8.0]
    assert (reader.inputs.last[0].tolist(), reader.inputs.last_at[0].tolist()) == (
        [2.0, 8.0],
        [T0 + 2000] * 2,
    )


def test_first_seen_is_the_first_row_of_a_device() -> None:
    reader = Reader()
    reader.read(("a", 5, {"t": 1}), ("a", 6, {"t": 1}))
    reader.read(("a", 7, {"t": 1}))
    assert reader.inputs.first_seen[0] == T0 + 5000


def test_a_forgotten_device_starts_over() -> None:
    reader = Reader()
    reader.read(("a", 100, {"t": 1}), ("b", 100, {"t": 1}))
    reader.inputs.forget(np.array([0, 999]))
    rows = reader.read(("a", 1, {"u": 2}), ("b", 1, {"u": 2}))
    assert [(now - T0) // 1000 for now in rows.now.tolist()] == [1, 100]
    np.testing.assert_array_equal(reader.inputs.joined(rows, 0), [math.nan, 1])


def test_a_forgotten_value_is_joined_at_no_time() -> None:
    reader = Reader()
    reader.read(("a", 100, {"t": 1}))
    reader.inputs.forget(np.array([0]))
    just_after_1970 = reader.peek(("a", 30 - T0 // 1000, {"u": 2}))
    np.testing.assert_array_equal(reader.inputs.joined(just_after_1970, 0), [math.nan])


def test_another_set_takes_over_the_inputs_that_both_have() -> None:
    reader = Reader()
    reader.read(("a", 5, {"t": 1, "u": 2}))
    other = Inputs((("u", False), ("v", False)), reader.fleet.registry, np.full(2, LOOKBACK))
    other.take_over(reader.inputs)
    assert other.cursor[0] == other.first_seen[0] == T0 + 5000
    assert other.last_at[0].tolist() == [T0 + 5000, 0]
    assert other.last[0, 0] == 2


def test_a_snapshot_restores_everything() -> None:
    reader = Reader()
    reader.read(("a", 5, {"t": 1}), ("b", 6, {"u": 2}))
    again = Inputs(NUMBERS, reader.fleet.registry, np.full(2, LOOKBACK))
    again.restore(reader.inputs.snapshot(2))
    for name in ("cursor", "boot", "first_seen", "last", "last_at", "last_seq"):
        np.testing.assert_array_equal(getattr(again, name)[:2], getattr(reader.inputs, name)[:2])


def test_series_numbers_given_to_others_are_looked_up_again() -> None:
    reader = Reader()
    reader.read(("a", 1, {"t": 1}))
    registry = reader.fleet.registry
    registry.table.free(np.array([registry.series(0, registry.metric("t"))]))
    rows = reader.read(("a", 2, {"other": 5}), ("a", 3, {"u": 6}))
    np.testing.assert_array_equal(rows.column(1), [math.nan, 6])
    np.testing.assert_array_equal(rows.column(0), [math.nan] * 2)


def test_a_value_counts_as_long_as_any_rule_says() -> None:
    rules = [
        Rule(name=f"R{number}", group="g", lookbacks=said)
        for number, said in enumerate(({}, {"t": 5, "v": 1}, {"t": 7}))
    ]
    assert lookbacks((*NUMBERS, ("t", True)), rules, 3).tolist() == [7, 3, 7]
