"""The parts of a frame within which no device's clock steps back."""

from typing import Final, NamedTuple

import numpy as np

from edge_gateway.columns.frame import Frame, IntColumn, part

LAPS: Final = 16
"""Clock steps followed within one batch; further steps of a device belong to the last lap."""


class Lap(NamedTuple):
    """A part of a frame. Before it is read, watermarks and rule state of the devices in `stepped` (ascending) reset."""

    stepped: IntColumn
    frame: Frame


def cut_laps(frame: Frame, device: IntColumn, message: IntColumn, steps: IntColumn) -> list[Lap]:
    """Cut a frame so that within a part no clock steps back.

    Args:
        frame: the rows of new messages.
        device: device of each message.
        message: message of each row of the frame.
        steps: messages whose device clock had stepped back, ascending.
    """
    if not len(steps):
        return [Lap(steps, frame)]
    lap = np.zeros(len(device), np.int64)
    for place in steps.tolist():
        lap[place:] += device[place:] == device[place]
    lap = np.minimum(lap, LAPS)
    stepped = [np.unique(device[steps[lap[steps] == number]]) for number in range(int(lap.max()) + 1)]
    return [Lap(devices, part(frame, lap[message] == number)) for number, devices in enumerate(stepped)]
