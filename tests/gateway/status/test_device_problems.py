"""Devices in trouble are named in the status, each kind in one problem whose text is steady enough to be read."""

from __future__ import annotations

import numpy as np
import pytest

from edge_gateway.fold.pipeline import Pipeline
from edge_gateway.status.device_problems import HOLD, DeviceProblems
from edge_gateway.status.problems import Problems
from tests.gateway.fold.test_shares import SECOND, Sender, fold


class Watch:
    def __init__(self, pipeline: Pipeline) -> None:
        self.now, self._pipeline = 0, pipeline
        self._problems = DeviceProblems(lambda: self.now)
        self._open = Problems(lambda: 0)

    def look(self) -> dict[str, str]:
        found = dict(self._problems.check(self._pipeline))
        for problem, text in found.items():
            self._open.update(problem, text)
        return {problem.code: text for problem, text in found.items() if text}


@pytest.mark.parametrize(
    ("values", "text"),
    [
        ({f"m{n}": 1.0 for n in range(7)}, "all its 5 series (limits.device_series)"),
        ({f"m{n}": f"text {n}" for n in range(4)}, "all its 3 texts (limits.device_strings)"),
        (
            {f"m{n}": f"text {n}" for n in range(7)},
            "all its 5 series (limits.device_series) and all its 3 texts (limits.device_strings)",
        ),
    ],
)
@pytest.mark.problem("raises", "device_shares")
@pytest.mark.problem("clears", "device_shares")
def test_a_device_at_its_share_is_named_and_stays_so_for_a_while(
    values: dict[str, object], text: str
) -> None:
    pipeline = fold(device_series=5, device_strings=3).pipeline
    watch = Watch(pipeline)
    pipeline.fold(Sender("evil").says(0, **values))
    said = f"a share is used up (1 device): berlin/evil: it has {text}, and loses what is new"
    assert watch.look()["device_shares"] == said
    pipeline.registry.strings.keep(set())
    pipeline.registry.table.free(pipeline.registry.table.of_device(0))
    watch.now = HOLD - 1
    assert "device_shares" in watch.look()
    watch.now = HOLD
    assert watch.look() == {}


def test_a_device_that_comes_to_its_share_again_and_again_stays_named() -> None:
    pipeline = fold(device_strings=3).pipeline
    watch, evil = Watch(pipeline), Sender("evil")
    for step in range(6):
        pipeline.fold(evil.says(step * SECOND, **{f"m{n}": f"text {step} {n}" for n in range(4)}))
        assert "device_shares" in watch.look()
        pipeline.registry.strings.keep(set())
        watch.now += HOLD // 2
        assert "device_shares" in watch.look()
        watch.now += HOLD // 4
    watch.now += HOLD
    assert "device_shares" not in watch.look()


@pytest.mark.problem("raises", "late_share")
@pytest.mark.problem("clears", "late_share")
def test_who_uses_up_its_share_of_late_readings_is_named() -> None:
    pipeline = fold().pipeline
    pipeline.fold(Sender("slow").says(0, t=1.0))
    share = pipeline.windows.late_share
    share.over(np.zeros((4 * share.most - 1) // 5, np.int64), 0)
    assert Watch(pipeline).look() == {}
    share.over(np.zeros(1, np.int64), 0)
    watch = Watch(pipeline)
    assert "berlin/slow: its late readings use more" in watch.look()["late_share"]
    share.forget(np.zeros(1, np.int64))
    assert "late_share" in watch.look(), "it lingers"
    watch.now = HOLD
    assert watch.look() == {}


def test_devices_whose_values_are_bad_are_named_and_no_more_than_five_of_them() -> None:
    pipeline = fold().pipeline
    for number in range(7):
        device = Sender(f"d{number}")
        for step in range(40):
            pipeline.fold(device.says(step * SECOND, temperature=None))
    text = Watch(pipeline).look()["bad_values"]
    assert text.startswith(
        "values do not count (7 devices): "
        "berlin/d0: more than half of its values are bad, such as temperature: missing; berlin/d1: "
    )
    assert text.endswith("; and 2 more")


def test_what_is_said_of_a_device_does_not_change_with_every_bad_value() -> None:
    pipeline = fold().pipeline
    watch, device = Watch(pipeline), Sender("freezer")
    said = []
    for step in range(40):
        pipeline.fold(device.says(step * SECOND, temperature=None))
    for step in range(40, 44):
        said.append(watch.look()["bad_values"])
        pipeline.fold(device.says(step * SECOND, humidity=None))
    watch.now = HOLD
    said.append(watch.look()["bad_values"])
    why = [
        text.partition("berlin/freezer: more than half of its values are bad, such as ")[2] for text in said
    ]
    assert why == [*["temperature: missing"] * 4, "humidity: missing"]


@pytest.mark.problem("raises", "bad_values")
@pytest.mark.problem("clears", "bad_values")
def test_bad_values_end_at_once_and_who_has_them_longest_is_named_first() -> None:
    pipeline = fold().pipeline
    watch, devices = Watch(pipeline), [Sender("d0"), Sender("d1")]
    pipeline.fold(devices[0].says(0, temperature=1.0))
    for device in (devices[1], devices[0]):
        for step in range(1, 41):
            pipeline.fold(device.says(step * SECOND, temperature=None))
        text = watch.look()["bad_values"]
    assert [one.split(":")[0] for one in text.partition("(2 devices): ")[2].split("; ")] == [
        "berlin/d1",
        "berlin/d0",
    ]
    for step in range(41, 200):
        pipeline.fold(devices[1].says(step * SECOND, temperature=1.0))
    assert watch.look()["bad_values"].startswith("values do not count (1 device): berlin/d0: ")
    for step in range(41, 200):
        pipeline.fold(devices[0].says(step * SECOND, temperature=1.0))
    assert "bad_values" not in watch.look()
