"""Bounds of the fold as problems: before they are full, and with the names of who takes most."""

from __future__ import annotations

import pytest

from edge_gateway.bounds import HOLD, BoundsWatch
from edge_gateway.fleet.registry import Refusal
from edge_gateway.pipeline import Pipeline
from edge_gateway.status import Gravity, Problems
from tests.gateway.test_shares import SECOND, Sender, fold


class Watch:
    def __init__(self, pipeline: Pipeline) -> None:
        self.problems, self.now, self._pipeline = Problems(lambda: 1), 0.0, pipeline
        self._bounds = BoundsWatch(self.problems, lambda: self.now)

    def look(self) -> dict[str, tuple[Gravity, str]]:
        self._bounds.look(self._pipeline)
        return {one.code: (one.gravity, one.text) for one in self.problems}


def test_a_fleet_within_its_bounds_has_no_problem() -> None:
    pipeline = fold().pipeline
    pipeline.fold(Sender("freezer").says(0, temperature=1.0, door="open"))
    assert Watch(pipeline).look() == {}


def test_series_warn_at_four_fifths_and_fail_when_they_are_full() -> None:
    pipeline = fold(series=20, device_series=12).pipeline
    watch, devices = Watch(pipeline), [Sender("most"), Sender("less"), Sender("\x1b[2Jleast")]
    pipeline.fold(devices[0].says(0, **{f"m{number}": 1.0 for number in range(11)}))
    pipeline.fold(devices[1].says(0, **{f"m{number}": 1.0 for number in range(4)}))
    assert watch.look() == {}
    pipeline.fold(devices[1].says(1, n0=1.0))
    gravity, text = watch.look()["bound_series"]
    assert gravity is Gravity.WARNING
    assert text == (
        "more than four fifths of limits.series (20) are taken; "
        "beyond it values of further metrics are lost, as too_many_series; most are of most, less"
    )
    pipeline.fold(devices[1].says(2, **{f"n{number}": 1.0 for number in range(5)}))
    gravity, text = watch.look()["bound_series"]
    assert gravity is Gravity.FAILURE
    assert text.startswith("limits.series is full (20): values of further metrics are lost")


def test_texts_and_devices_likewise() -> None:
    pipeline = fold(devices=5, strings=16, device_strings=16).pipeline
    watch = Watch(pipeline)
    for number in range(4):
        pipeline.fold(Sender(f"d{number}").says(0, **{f"m{n}": f"{number} {n}" for n in range(4)}))
    found = watch.look()
    assert (found["bound_devices"][0], found["bound_strings"][0]) == (Gravity.WARNING, Gravity.FAILURE)
    assert found["bound_devices"][1].endswith("most are of site berlin")
    assert "most are of d0, d1, d2, d3" in found["bound_strings"][1]
    pipeline.fold(Sender("d4").says(0, t=1.0))
    assert watch.look()["bound_devices"][0] is Gravity.FAILURE
    assert pipeline.registry.device("berlin", "d5") is Refusal.DEVICES


@pytest.mark.parametrize(
    ("values", "text"),
    [
        ({f"m{n}": 1.0 for n in range(7)}, "evil has all its 5 series (limits.device_series)"),
        ({f"m{n}": f"text {n}" for n in range(4)}, "evil has all its 3 texts (limits.device_strings)"),
    ],
)
def test_a_device_at_its_share_is_a_warning_by_name_and_stays_one_for_a_while(
    values: dict[str, object], text: str
) -> None:
    pipeline = fold(device_series=5, device_strings=3).pipeline
    watch = Watch(pipeline)
    pipeline.fold(Sender("evil").says(0, **values))
    assert watch.look() == {"device_shares": (Gravity.WARNING, text)}
    pipeline.registry.strings.keep(set())
    pipeline.registry.table.free(pipeline.registry.table.of_device(0))
    watch.now = HOLD - 1
    assert "device_shares" in watch.look()
    watch.now = HOLD
    assert watch.look() == {}


def test_devices_whose_values_are_bad_are_named_and_no_more_than_five_of_them() -> None:
    pipeline = fold().pipeline
    for number in range(7):
        device = Sender(f"d{number}")
        for step in range(40):
            pipeline.fold(device.says(step * SECOND, temperature=None))
    gravity, text = Watch(pipeline).look()["bad_values"]
    assert gravity is Gravity.WARNING
    assert text.startswith(
        "more than half of the values of d0 are bad: temperature (missing); more than half"
    )
    assert text.endswith("; and 2 more")


def test_what_is_said_of_a_device_does_not_change_with_every_bad_value() -> None:
    pipeline = fold().pipeline
    watch, device = Watch(pipeline), Sender("freezer")
    said = []
    for step in range(40):
        pipeline.fold(device.says(step * SECOND, temperature=None))
    for step in range(40, 44):
        said.append(watch.look()["bad_values"][1])
        pipeline.fold(device.says(step * SECOND, humidity=None))
    watch.now = HOLD
    said.append(watch.look()["bad_values"][1])
    why = [text.rpartition(": ")[2] for text in said]
    assert why == [*["temperature (missing)"] * 4, "humidity (missing)"]
