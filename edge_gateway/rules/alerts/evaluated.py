"""Which rules a reading has evaluated since they were loaded. No part of the state: a start begins anew."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from edge_gateway.columns.growing import room_for

if TYPE_CHECKING:
    from collections.abc import Sequence

    from edge_gateway.columns.frame import IntColumn


class Evaluated:
    """Which inputs the devices of each class have sent: a rule of the class that reads one of them was evaluated."""

    def __init__(self, inputs: int) -> None:
        self._sent = np.zeros((0, inputs), np.bool_)

    def note(self, classes: IntColumn, inputs: IntColumn) -> None:
        """Note values: the class of each one's device, and the number of its input."""
        highest = int(classes.max(initial=-1)) + 1
        if highest > len(self._sent):
            longer = np.zeros((room_for(highest, len(self._sent)), self._sent.shape[1]), np.bool_)
            longer[: len(self._sent)] = self._sent
            self._sent = longer
        self._sent[classes, inputs] = True

    def sent(self, classes: Sequence[int], inputs: Sequence[int]) -> bool:
        """Whether a device of these classes has sent one of these inputs."""
        known = [each for each in classes if each < len(self._sent)]
        return bool(self._sent[known][:, list(inputs)].any())
