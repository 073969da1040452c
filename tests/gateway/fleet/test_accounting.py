"""Counters by device: two identities hold, and nothing is lost when devices or metrics are forgotten."""

import numpy as np

from edge_gateway.fleet.accounting import NO_DEVICE, Accounting, bad_text, metric_text
from edge_gateway.fleet.decoders.bad_values import NO_METRIC, NO_NUMBER, BadReason, BadValues
from tests.gateway.fleet.imbalance import imbalance
from tests.gateway.fleet.states import packed, unpacked


def devices(*numbers: int) -> np.ndarray[tuple[int], np.dtype[np.int64]]:
    return np.array(numbers, np.int64)


def bad(*values: tuple[int, BadReason]) -> BadValues:
    metric, reason = zip(*values, strict=True)
    return BadValues(devices(*range(len(values))), devices(*metric), devices(*reason))


def test_a_counter_adds_one_or_an_amount_for_each_entry() -> None:
    accounting = Accounting()
    accounting.count("received", devices(2, 0, 2, NO_DEVICE))
    accounting.count("values", devices(1, 1), devices(3, 4))
    accounting.count("values", devices())
    assert accounting.column("received").tolist() == [1, 0, 2]
    assert accounting.of(1)["values"] == 7
    assert accounting.totals()["received"] == 4
    assert accounting.of(3) == dict.fromkeys(accounting.totals(), 0), "a device that sent nothing yet"


def test_an_imbalance_names_the_device_and_either_identity() -> None:
    accounting = Accounting()
    accounting.count("received", devices(0, 1, NO_DEVICE))
    for outcome, device in (("new", 0), ("duplicate", 1), ("quarantined", NO_DEVICE)):
        accounting.count(outcome, devices(device))
    accounting.count("values", devices(0, 0, 0, 0))
    for outcome in ("accepted", "too_late", "bad", "refused"):
        accounting.count(outcome, devices(0))
    assert imbalance(accounting) == []
    accounting.count("received", devices(1))
    accounting.count("values", devices(0))
    assert imbalance(accounting) == [0, 1]
    accounting.count("received", devices(NO_DEVICE))
    assert imbalance(accounting) == [NO_DEVICE, 0, 1]


def test_bad_values_are_counted_by_metric_and_reason_and_those_over_their_rate_as_refused() -> None:
    accounting = Accounting()
    values = bad((5, BadReason.RANGE), (5, BadReason.RANGE), (6, BadReason.RATE))
    accounting.bad_values(devices(0, 0, 1), values)
    assert (accounting.of(0)["bad"], accounting.of(0)["refused"]) == (2, 0)
    assert (accounting.of(1)["bad"], accounting.of(1)["refused"]) == (0, 1)
    assert list(accounting.bad()) == [(0, 5, BadReason.RANGE, 2), (1, 6, BadReason.RATE, 1)]
    assert list(accounting.bad(1)) == [(1, 6, BadReason.RATE, 1)]


def test_late_readings_move_from_accepted_to_too_late_or_are_merged() -> None:
    accounting = Accounting()
    accounting.count("values", devices(0), devices(5))
    accounting.count("accepted", devices(0), devices(5))
    accounting.too_late(devices(0, 0))
    accounting.late_merged(devices(0))
    counted = accounting.of(0)
    assert (counted["accepted"], counted["too_late"], counted["late_merged"]) == (3, 2, 1)
    assert imbalance(accounting) == []


def test_what_retired_devices_counted_stays_in_the_totals() -> None:
    accounting = Accounting()
    accounting.count("received", devices(0, 1, 1))
    accounting.bad_values(devices(1, NO_DEVICE), bad((5, BadReason.RANGE), (5, BadReason.RANGE)))
    before = accounting.totals()
    accounting.forget(devices(1, 2, 99))
    assert accounting.totals() == before
    assert accounting.of(1)["received"] == 0
    assert accounting.of(0)["received"] == 1
    assert list(accounting.bad()) == [(NO_DEVICE, 5, BadReason.RANGE, 2)]


def test_a_device_number_one_beyond_the_last_is_not_forgotten_for_another() -> None:
    accounting, again = Accounting(), Accounting()
    accounting.count("received", devices(0))
    again.restore(unpacked(packed(accounting.snapshot())))  # its columns have no room to spare
    again.forget(devices(1))
    assert again.of(0)["received"] == 1
    assert again.of(1)["received"] == 0
    assert len(again.column("received")) == 1


def test_the_bad_values_of_a_forgotten_metric_keep_their_count_without_a_name() -> None:
    accounting = Accounting()
    accounting.bad_values(devices(0, 0, 0), bad(*((m, BadReason.TYPE) for m in (5, 6, NO_NUMBER))))
    accounting.forget_metrics(devices())
    assert len(list(accounting.bad())) == 3
    accounting.forget_metrics(devices(5))
    assert sorted(accounting.bad()) == [(0, NO_NUMBER, BadReason.TYPE, 2), (0, 6, BadReason.TYPE, 1)]


def test_a_bad_value_is_named_to_people() -> None:
    names = ["temperature"]
    assert bad_text(0, BadReason.RANGE, names) == "temperature: range"
    assert metric_text(NO_METRIC, names) == "(no metric name)"
    assert metric_text(NO_NUMBER, names) == "(other metrics)"


def test_counters_come_back_from_a_checkpoint() -> None:
    accounting, again = Accounting(), Accounting()
    accounting.count("received", devices(0, 1, NO_DEVICE))
    accounting.bad_values(devices(1), bad((5, BadReason.RANGE)))
    again.restore(unpacked(packed(accounting.snapshot())))
    for one in (accounting, again):
        one.count("received", devices(1, 4))
    assert packed(again.snapshot()) == packed(accounting.snapshot())
