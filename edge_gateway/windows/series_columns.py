"""What windows need to know of series; `edge_gateway.fleet.registry.Registry` is one."""

from collections.abc import Sequence
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

Ints = NDArray[np.int64]
Bools = NDArray[np.bool_]


class SeriesColumns(Protocol):
    """What windows need of the registry: columns by series number, and the names of metrics by number."""

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
