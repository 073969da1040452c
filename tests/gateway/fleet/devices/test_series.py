"""Numbers of metrics and series: who gets one, what it holds, and when it is free again."""

from typing import Any

import numpy as np
import pytest

from edge_gateway.columns.numbering import NONE
from edge_gateway.fleet.devices.series import KIND_NUMBER, KIND_OPEN, KIND_STATE, NO_ROOM, SeriesTable
from tests.gateway.fleet.states import packed, unpacked


def send(table: SeriesTable, device: int, *names: str) -> list[int]:
    """Give a device's metrics numbers as far as there is room."""
    table.number_as_many(device, names)
    return [table.find(device, name) for name in names]


def ints(*numbers: int) -> np.ndarray[Any, np.dtype[np.int64]]:
    return np.array(numbers, np.int64)


def same(one: SeriesTable, other: SeriesTable) -> bool:
    return packed(one.snapshot()) == packed(other.snapshot())


def restored(table: SeriesTable) -> SeriesTable:
    again = SeriesTable(table.limit, table.share)
    again.restore(unpacked(packed(table.snapshot())))
    return again


class TestNumbers:
    def test_a_pair_has_one_number_and_unknown_ones_none(self) -> None:
        table = SeriesTable(10)
        assert send(table, 0, "a", "b") == send(table, 0, "a", "b") == [0, 1]
        assert send(table, 1, "a") == [2]
        assert table.find(1, "b") == table.find(0, "c") == NONE
        assert (len(table), table.counted) == (3, 3)
        assert table.device.tolist() == [0, 0, 1]
        assert table.of_device(0).tolist() == [0, 1]
        metric = table.known_metric("a")
        assert metric is not None
        assert table.devices_of(metric).tolist() == [0, 1]
        assert table.known_metric("c") is None

    def test_the_limit_and_each_share_bound_what_devices_send(self) -> None:
        table = SeriesTable(3, share=2)
        assert send(table, 0, "a", "b", "c") == [0, 1, NONE]
        assert send(table, 1, "a", "b") == [2, NONE]
        assert [table.held_by(device) for device in (0, 1, 2)] == [2, 1, 0]
        assert table.number_as_many(0, ["c", "a"]) == {"a"}

    def test_a_layout_has_room_for_all_its_metrics_or_none(self) -> None:
        table = SeriesTable(2)
        both, three = table.layouts.number(("a", "b")), table.layouts.number(("a", "b", "c"))
        assert table.starts(ints(0, 0), ints(three, both)).tolist() == [NO_ROOM, 0]
        assert table.starts(ints(0), ints(both)).tolist() == [0]

    def test_devices_near_their_share_are_named(self) -> None:
        table = SeriesTable(100, share=5)
        send(table, 0, "a", "b", "c")
        assert table.crowded_devices().tolist() == []
        send(table, 0, "d")
        assert table.crowded_devices().tolist() == [0]
        assert table.held_by_device.tolist()[0] == 4

    def test_a_series_of_a_rule_counts_towards_no_limit_and_holds_numbers(self) -> None:
        table = SeriesTable(1)
        metric = table.metric("derived")
        number = table.derived(0, metric)
        assert (table.kind[number], table.counted) == (KIND_NUMBER, 0)
        assert table.derived(0, metric) == number

    def test_a_rule_takes_over_what_a_device_sends_and_replaces_texts(self) -> None:
        table = SeriesTable(10)
        (number,) = send(table, 0, "m")
        table.kind[number] = KIND_STATE
        table.reopen(ints(number))
        taken = table.derived(0, table.metric("m"))
        assert (taken, table.counted, table.held_by(0)) == (1, 1, 1), (
            "the old number is held, the new one is free"
        )
        assert (table.kind[taken], table.any_anew) == (KIND_NUMBER, False)
        table.release_metrics(0, None)
        assert table.find(0, "m") == taken, "a derived series stays"

    def test_a_declared_kind_holds_from_the_start(self) -> None:
        table = SeriesTable(
            10, declared=lambda device, name: KIND_STATE if (device, name) == (1, "a") else -1
        )
        send(table, 0, "a")
        send(table, 1, "a")
        assert table.kind.tolist() == [KIND_OPEN, KIND_STATE]


class TestKinds:
    def test_a_series_of_the_other_kind_is_replaced_and_the_old_one_is_held(self) -> None:
        table = SeriesTable(10)
        send(table, 0, "a")
        table.kind[0] = KIND_NUMBER
        table.declare(0, "a", KIND_STATE)
        assert table.find(0, "a") == 1
        assert table.kind.tolist() == [KIND_NUMBER, KIND_OPEN]
        assert table.counted == 2, "both are held until nothing is open under the old one"

    def test_an_open_or_equal_kind_is_set_in_place(self) -> None:
        table = SeriesTable(10)
        send(table, 0, "a")
        table.declare(0, "a", KIND_STATE)
        table.reopen(ints(0))
        table.declare(0, "a", KIND_STATE)
        assert (table.find(0, "a"), table.kind[0], table.any_anew) == (0, KIND_STATE, False)

    def test_without_room_a_series_keeps_its_kind_unless_limits_are_ignored(self) -> None:
        table = SeriesTable(1)
        send(table, 0, "a")
        table.kind[0] = KIND_NUMBER
        assert not table.may_replace(0)
        table.declare(0, "a", KIND_STATE)
        assert table.find(0, "a") == 0
        table.declare(0, "a", KIND_STATE, ignore_limits=True)
        assert table.find(0, "a") == 1

    def test_what_no_device_sends_is_not_declared(self) -> None:
        table = SeriesTable(10)
        number = table.series(0, table.metric("derived"))
        table.declare(0, "derived", KIND_STATE)
        table.declare(0, "unknown", KIND_STATE)
        assert table.kind[number] == KIND_OPEN
        assert table.may_replace(number)

    def test_a_reopened_series_is_settled_by_a_value(self) -> None:
        table = SeriesTable(10)
        send(table, 0, "a", "b", "open")
        table.kind[:2] = KIND_NUMBER
        derived = table.derived(0, table.metric("d"))
        table.reopen(ints(0, 1, 2, derived))
        table.reopen(ints(0))
        assert table.anew.tolist() == [True, True, False, False]
        seen = []
        for settled in (ints(0, 0, 2), ints(1)):
            table.settle(settled)
            seen.append((table.any_anew, restored(table).any_anew))
        assert seen == [(True, True), (False, False)]


class TestReuse:
    def test_a_released_number_is_free_once_nothing_is_open_and_its_pair_gets_another(self) -> None:
        table = SeriesTable(10)
        send(table, 0, "a", "b")
        table.release_metrics(0, "a")
        table.release_metrics(0, "unknown")
        assert table.find(0, "a") == NONE
        assert table.may_reclaim(0)
        assert table.reclaimable(0, 0).tolist() == [0]
        assert send(table, 0, "a") == [2]
        epoch = table.epoch
        table.free(table.reclaimable(0, 0))
        assert (table.counted, table.held_by(0)) == (2, 2)
        assert send(table, 1, "c") == [0]
        assert table.epoch > epoch

    def test_all_a_device_sends_can_be_released(self) -> None:
        table = SeriesTable(10)
        send(table, 0, "a", "b")
        send(table, 1, "a")
        table.release_metrics(0, None)
        assert table.of_device(0).tolist() == []
        assert table.of_device(1).tolist() == [2]
        assert table.reclaimable(0, 0).tolist() == [0, 1]

    def test_unused_series_are_reclaimed_after_their_time(self) -> None:
        table = SeriesTable(100)
        send(table, 0, "a", "b")
        table.now = 1_000
        table.use(ints(1))
        assert table.reclaimable(0, 0).tolist() == []
        assert not table.may_reclaim(0)
        assert table.reclaimable(1_000, 0).tolist() == [0]
        assert table.may_reclaim(1)
        assert table.reclaimable(1_001, 0).tolist() == [0, 1]

    def test_while_four_fifths_of_the_limit_are_used_the_shorter_time_applies(self) -> None:
        table = SeriesTable(5)
        send(table, 0, "a", "b", "c")
        assert table.reclaimable(0, 1).tolist() == []
        assert not table.may_reclaim(0)
        send(table, 0, "d")
        assert table.reclaimable(0, 1).tolist() == [0, 1, 2, 3]
        assert table.may_reclaim(0)

    def test_while_four_fifths_of_a_share_are_used_the_shorter_time_applies_to_that_device(self) -> None:
        table = SeriesTable(100, share=5)
        send(table, 0, "a", "b", "c", "d")
        send(table, 1, "a")
        assert table.reclaimable(0, 1).tolist() == [0, 1, 2, 3]
        assert table.may_reclaim(0)

    def test_what_rules_derive_is_never_reclaimed(self) -> None:
        table = SeriesTable(1)
        table.derived(0, table.metric("d"))
        assert table.reclaimable(10**9, 10**9).tolist() == []
        assert not table.may_reclaim(10**9)

    def test_a_retired_device_frees_everything_it_held(self) -> None:
        table = SeriesTable(10)
        send(table, 0, "a", "b")
        send(table, 1, "a")
        table.kind[:] = KIND_NUMBER
        table.reopen(ints(1))
        table.release_metrics(0, "a")
        assert table.retire(ints(0)).tolist() == [0, 1]
        assert (table.counted, table.held_by(0), table.any_anew) == (1, 0, False)
        assert table.kind.tolist() == [KIND_OPEN, KIND_OPEN, KIND_NUMBER]
        assert not table.may_reclaim(0)
        assert send(table, 2, "x", "y") == [0, 1], "the lowest number first"

    def test_cached_layouts_of_freed_series_are_dropped(self) -> None:
        table = SeriesTable(10)
        layout = table.layouts.number(("a",))
        table.starts(ints(0), ints(layout))
        table.free(ints(0))
        table.free(ints())
        send(table, 1, "b")
        start = table.starts(ints(0), ints(layout))
        assert table.layouts.slots[start].tolist() == [1]

    def test_metrics_that_nothing_uses_or_names_are_free_again(self) -> None:
        table = SeriesTable(10)
        table.metric("named")
        send(table, 0, "a", "b")
        table.free(ints(0))
        assert table.free_metrics().tolist() == [1]
        assert table.free_metrics().tolist() == []
        assert table.metric_names == ["named", "", "b"]
        epoch = table.epoch
        send(table, 0, "c")
        assert table.known_metric("c") == 1
        assert table.epoch > epoch

    def test_a_name_that_is_none_has_no_number(self) -> None:
        with pytest.raises(ValueError, match="no metric name"):
            SeriesTable(1).metric("No Name")


def test_a_table_comes_back_from_a_checkpoint() -> None:
    table = SeriesTable(10, share=5)
    send(table, 0, "a", "b", "c", "d")
    table.kind[:] = KIND_NUMBER
    table.derived(1, table.metric("derived"))
    table.reopen(ints(2))
    table.release_metrics(0, "a")
    table.free(ints(1))
    table.free_metrics()
    again = restored(table)
    assert (again.counted, again.any_anew, again.held_by(0)) == (3, True, 3)
    assert again.may_reclaim(0)
    assert same(again, table)
    for one in (table, again):
        send(one, 0, "a", "e")
        one.free(one.reclaimable(0, 0))
    assert same(again, table)
    assert again.layouts.names == []
