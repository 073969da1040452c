"""Since when metrics are expected of devices that have not sent them."""

from __future__ import annotations

import numpy as np

from edge_gateway.rules.alerts.expected import MOST_NAMES, Expected


def made(*watched: str) -> Expected:
    expected = Expected(watched)
    expected.make_room(3)
    return expected


def since(expected: Expected, watched: int, *sent: int) -> list[int]:
    found: list[int] = expected.since(watched, np.array(sent)).tolist()
    return found


def test_a_metric_that_a_birth_names_is_expected_from_the_first_that_does() -> None:
    expected = made("t", "u")
    expected.birth(0, ["t"], 100)
    expected.birth(0, ["t", "u"], 200)
    assert since(expected, 0, 5, 5, 5) == [101, 0, 0]
    assert since(expected, 1, 5, 5, 5) == [201, 0, 0]


def test_every_metric_is_expected_of_a_device_that_has_sent_nothing() -> None:
    expected = made("t")
    expected.birth(1, [], 100)
    assert since(expected, 0, 0, 0, 0) == [0, 101, 0]
    assert since(expected, 0, 0, 7, 0) == [0, 0, 0]


def test_births_are_forgotten_with_their_devices() -> None:
    expected = made("t")
    for device in (0, 1):
        expected.birth(device, ["t"], 100)
    expected.forget(np.array([0]))
    assert since(expected, 0, 0, 0, 0) == [0, 101, 0]
    assert [device for device, _ in expected.snapshot(3)["of"]] == [1]


def test_other_rules_take_over_the_births() -> None:
    old = made("t")
    old.birth(0, ["t", "u"], 100)
    old.birth(0, ["t", "u", "v"], 200)
    new = Expected(("u", "t"))
    new.take_over(old)
    assert since(new, 0, 5, 5, 5) == [101, 0, 0]
    assert since(new, 1, 5, 5, 5) == [101, 0, 0]


def test_a_snapshot_restores_the_births_and_names_beyond_a_bound_are_not_kept() -> None:
    one, two = made("t"), made("t")
    one.birth(0, ["t", "x" * (MOST_NAMES - 1), "u"], 100)
    one.birth(2, ["u"], 300)
    two.restore(one.snapshot(3))
    new = Expected(("u",))
    new.take_over(two)
    assert since(two, 0, 5, 5, 5) == [101, 0, 0]
    assert since(new, 0, 5, 5, 5) == [0, 0, 301]


def test_what_the_inventory_expects_is_beside_what_a_birth_names() -> None:
    expected = made("t", "u")
    expected.birth(0, ["t"], 100)
    expected.expect(0, ["u"], 200)
    expected.expect(1, [], 300)
    assert since(expected, 0, 5, 0, 5) == [101, 301, 0]
    assert since(expected, 1, 5, 0, 5) == [201, 301, 0]
    later = made("t", "v")
    later.take_over(expected)
    assert since(later, 0, 5, 0, 5) == [101, 301, 0]
