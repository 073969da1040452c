"""The cache from (device, layout) to series."""

import numpy as np
import pytest

from edge_gateway.fleet.devices import layouts as module
from edge_gateway.fleet.devices.layouts import BAD_LAYOUT, NOT_READY, Layouts


def usual(layouts: Layouts, device: int, layout: int) -> tuple[list[int], list[int]]:
    start, others = layouts.usual(np.array([device]), np.array([layout]))
    return start.tolist(), others.tolist()


def test_a_layout_has_one_number_and_its_length() -> None:
    layouts = Layouts()
    assert [layouts.number(names) for names in (("a", "b"), ("b",), ("a", "b"))] == [0, 1, 0]
    assert layouts.lengths.tolist()[:2] == [2, 1]
    assert layouts.number(("a", "No name")) == BAD_LAYOUT
    assert layouts.number(()) == 2


def test_a_device_s_first_layout_is_its_usual_one_and_others_are_found_beside_it() -> None:
    layouts = Layouts()
    assert layouts.start(5, 0) == NOT_READY
    assert layouts.put(5, 0, [10, 11]) == 0
    assert layouts.put(5, 1, [12]) == 2
    assert layouts.slots[:3].tolist() == [10, 11, 12]
    assert [layouts.start(5, layout) for layout in (0, 1, 2)] == [0, 2, NOT_READY]
    assert usual(layouts, 5, 0) == ([0], [])
    assert usual(layouts, 5, 1)[1] == [0]
    assert layouts.start(4, 0) == NOT_READY
    assert usual(layouts, 9, 0)[1] == [0], "a device never seen has no usual layout"


def test_forgetting_a_device_drops_all_its_layouts_and_no_other_s() -> None:
    layouts = Layouts()
    for device in (0, 1):
        layouts.put(device, 0, [device])
        layouts.put(device, 1, [device])
    layouts.forget(np.array([1, 99]))
    assert [layouts.start(1, layout) for layout in (0, 1)] == [NOT_READY] * 2
    assert [layouts.start(0, layout) for layout in (0, 1)] == [0, 1]


def test_too_many_layouts_leave_the_usual_ones(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "LAYOUTS_CACHED", 4)
    layouts = Layouts()
    for number, name in enumerate("abcde"):
        layouts.number((name,))
        layouts.put(0 if number < 4 else 1, number, [number])
    layouts.trim()
    assert layouts.names == [("a",), ("e",)]
    assert layouts.known == {("a",): 0, ("e",): 1}
    assert layouts.lengths.tolist() == [1, 1]
    assert layouts.slots[layouts.start(1, 1)] == 4
    assert layouts.start(0, 1) == NOT_READY


def test_too_many_usual_layouts_are_forgotten_all(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "LAYOUTS_CACHED", 4)
    layouts = Layouts()
    for number, name in enumerate("abcde"):
        layouts.number((name,))
        layouts.put(number, number, [number])
    layouts.trim()
    assert layouts.names == []
    assert layouts.start(0, 0) == NOT_READY


def test_up_to_the_caps_nothing_is_forgotten(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "LAYOUTS_CACHED", 2)
    monkeypatch.setattr(module, "SLOTS_CACHED", 2)
    layouts = Layouts()
    for device in (0, 1):
        layouts.put(device, layouts.number((f"m{device}",)), [device])
    layouts.trim()
    assert [layouts.start(0, 0), layouts.start(1, 1)] == [0, 1]
    layouts.put(0, 1, [2])
    layouts.trim()
    assert layouts.start(0, 0) == NOT_READY, "too many slots"
    assert layouts.names == [("m0",), ("m1",)]
