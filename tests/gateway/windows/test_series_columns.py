"""The registry has the columns that windows read."""

import numpy as np

from edge_gateway.fleet.devices.series import KIND_STATE
from edge_gateway.fleet.registry import Registry
from edge_gateway.windows.series_columns import SeriesColumns


def kept_by(columns: SeriesColumns) -> list[tuple[int, str, bool]]:
    """The device, metric and kind of each series; true where it holds texts."""
    names = [columns.metric_names[metric] for metric in columns.series_metric.tolist()]
    kinds = columns.series_is_state.tolist()
    return list(zip(columns.series_device.tolist(), names, kinds, strict=True))


def test_the_registry_has_a_row_for_each_series_by_number() -> None:
    registry = Registry(kinds={"door": KIND_STATE})
    registry.device("north", "a")
    registry.device("north", "b")
    numbers = [registry.series(device, registry.metric(name)) for device, name in [(1, "door"), (0, "heat")]]
    kept = kept_by(registry)
    assert [kept[number] for number in numbers] == [(1, "door", True), (0, "heat", False)]


def test_a_number_that_is_reused_makes_what_was_cached_by_number_void() -> None:
    registry = Registry()
    number = registry.series(0, registry.metric("heat"))
    before = registry.series_epoch
    registry.table.free(np.array([number]))
    assert registry.series(1, registry.metric("cold")) == number
    assert registry.series_epoch > before
    assert kept_by(registry)[number] == (1, "cold", False)
