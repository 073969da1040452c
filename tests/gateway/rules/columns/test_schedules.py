from __future__ import annotations

import numpy as np

from edge_gateway.rules.columns.schedules import ALWAYS, FOREVER, Schedules
from edge_gateway.rules.files.zone_data import read_zones
from tests.gateway.rules.fleet import T0, Fleet

HOUR = 3_600_000


def test_each_device_has_the_times_of_its_site() -> None:
    fleet = Fleet()
    devices = [fleet.device("a", "berlin"), fleet.device("b", "york"), fleet.device("c", "berlin")]
    zones = read_zones("Europe/Berlin", {"york": "America/New_York"})
    schedules = Schedules([("thu 01:00-02:00",), ("wed",)], zones)
    schedules.learn_zones(devices, fleet.registry)
    begin, end = schedules.spans_at(np.array([0, 0, 1, 1, ALWAYS]), np.array([0, 1, 1, 2, 1]), np.full(5, T0))
    midnight = T0 - 24 * HOUR + 5 * HOUR
    assert list(zip(begin.tolist(), end.tolist(), strict=True)) == [
        (T0, T0 + HOUR),
        (0, 0),
        (midnight, midnight + 24 * HOUR),
        (0, 0),
        (1, FOREVER),
    ]
