"""A frame is cut where a device's clock steps back, in the order of arrival."""

from __future__ import annotations

import numpy as np

from edge_gateway.columns.frame import Frame
from edge_gateway.fleet.laps import LAPS, Lap, cut_laps


def frame(device: list[int]) -> Frame:
    """One row a message, with a value that numbers it."""
    rows, nothing = len(device), np.empty(0, np.int64)
    numbers = np.arange(rows)
    return Frame(
        arrival=0,
        device=np.array(device, np.int64),
        boot=np.ones(rows, np.int64),
        seq=numbers,
        ts=numbers,
        backlog=np.zeros(rows, np.bool_),
        row=numbers,
        series=np.array(device, np.int64),
        value=numbers.astype(np.float64),
        quality=np.zeros(rows, np.int8),
        state_row=nothing,
        state_series=nothing,
        state_code=nothing,
    )


def laps(device: list[int], steps: list[int]) -> list[Lap]:
    of = np.array(device, np.int64)
    return cut_laps(frame(device), of, np.arange(len(device)), np.array(steps, np.int64))


def plain(found: list[Lap]) -> list[tuple[list[int], list[int]]]:
    """The devices that step before each part, and the messages in it."""
    return [(lap.stepped.tolist(), [int(value) for value in lap.frame.value]) for lap in found]


def test_a_frame_without_a_step_stays_whole() -> None:
    assert plain(laps([4, 5, 4], [])) == [([], [0, 1, 2])]


def test_a_step_cuts_the_messages_of_its_device_and_no_others() -> None:
    assert plain(laps([4, 5, 4, 5, 4], [2])) == [([], [0, 1, 3]), ([4], [2, 4])]


def test_devices_that_step_as_often_do_so_together() -> None:
    assert plain(laps([5, 4, 5, 4], [0, 1])) == [([], []), ([4, 5], [0, 1, 2, 3])]


def test_further_steps_of_a_device_make_further_parts_up_to_a_bound() -> None:
    assert plain(laps([4] * 3, [1, 2])) == [([], [0]), ([4], [1]), ([4], [2])]
    many = LAPS + 5
    found = plain(laps([4] * many, list(range(1, many))))
    assert len(found) == LAPS + 1
    assert found[-1] == ([4], list(range(LAPS, many)))
