"""The columns of the registry that windows read, as a protocol: a test needs no registry."""

from collections.abc import Sequence
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

Ints = NDArray[np.int64]
Bools = NDArray[np.bool_]


class SeriesColumns(Protocol):
    """Columns by series number, and metric names by metric number.

    `series_epoch` grows when a number is reused for another series or metric.
    """

    @property
    def series_device(self) -> Ints: ...
    @property
    def series_metric(self) -> Ints: ...
    @property
    def series_is_state(self) -> Bools: ...
    @property
    def series_epoch(self) -> int: ...
    @property
    def metric_names(self) -> Sequence[str]: ...
