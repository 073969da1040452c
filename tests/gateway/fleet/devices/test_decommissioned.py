"""What the broker retains of a device that an operator forgot does not bring it back, until the device is heard."""

import pytest

from edge_gateway.fleet.devices import decommissioned
from edge_gateway.fleet.devices.decommissioned import Decommissioned


def test_the_birth_of_its_boot_and_its_will_are_passed_over() -> None:
    marks = Decommissioned()
    marks.mark("f1", 7)
    assert marks.passes_over("f1", 7)
    assert marks.passes_over("f1", None)
    assert not marks.passes_over("f2", 7)


def test_a_birth_of_another_boot_ends_the_mark() -> None:
    marks = Decommissioned()
    marks.mark("f1", 7)
    assert not marks.passes_over("f1", 8)
    assert not marks.passes_over("f1", 7)


def test_a_device_that_is_heard_is_marked_no_more() -> None:
    marks = Decommissioned()
    for name in ("f1", "f2"):
        marks.mark(name, None)
    marks.unmark(["f1", "f3"])
    assert not marks.passes_over("f1", None)
    restored = Decommissioned()
    restored.restore(marks.snapshot())
    assert restored.snapshot() == [["f2", None]]


def test_there_is_a_bound(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(decommissioned, "MOST_MARKS", 2)
    marks = Decommissioned()
    for name in ("f1", "f2", "f1", "f3"):
        marks.mark(name, 1)
    assert marks.snapshot() == [["f1", 1], ["f3", 1]]
