"""Which series get a p95, and when that is decided again."""

import math

from edge_gateway.windows.open_windows import Windows
from tests.gateway.windows.plain import T0, Fleet, Reading, frame_of
from tests.gateway.windows.runs import P95, Run, windows


def test_a_p95_is_only_where_it_is_asked_for_and_in_every_tier() -> None:
    held = [Reading(0, T0 + 100 * at, metric, float(at)) for at in range(40) for metric in (0, 1)]
    run = Run()
    run.add(held)
    run.drain()
    found = {
        (part.tier, series, start): p95
        for closed in run.closed
        for part in closed.numbers
        for series, start, p95 in part.rows[["series", "start", "p95"]].tolist()
    }
    assert all(math.isnan(p95) for (_, series, _), p95 in found.items() if series == 0)
    assert found[0, 1, T0] == 9.0
    assert found[1, 1, T0] == 37.0
    assert found[2, 1, T0] == 37.0


def p95_of_next(windows: Windows, second: int) -> dict[int, float | None]:
    """Close a base window with a 1.0 of temperature and of humidity; the p95 of each series."""
    devices = len(windows._series.series_device) // 3
    held = [
        Reading(device, T0 + second * 1000, metric, 1.0) for device in range(devices) for metric in (0, 1)
    ]
    windows.add(frame_of(held), listening_ms=0)
    rows = windows.drain().numbers[0].rows
    return {
        series: None if math.isnan(p95) else p95
        for series, p95 in zip(rows["series"].tolist(), rows["p95"].tolist(), strict=True)
    }


def test_a_p95_follows_series_that_are_new_and_numbers_that_are_reused() -> None:
    one = windows(1)
    fleet = one._series
    assert isinstance(fleet, Fleet)
    assert p95_of_next(one, 0) == {0: None, 1: 1.0}
    more = Fleet(2)
    fleet.series_device, fleet.series_metric = more.series_device, more.series_metric
    fleet.series_is_state = more.series_is_state
    assert p95_of_next(one, 10) == {0: None, 1: 1.0, 3: None, 4: 1.0}
    fleet.metric_names = (P95, "temperature", "door")
    assert p95_of_next(one, 20) == {0: None, 1: 1.0, 3: None, 4: 1.0}, "it is told by the epoch alone"
    fleet.series_epoch += 1
    assert p95_of_next(one, 30) == {0: 1.0, 1: None, 3: 1.0, 4: None}
