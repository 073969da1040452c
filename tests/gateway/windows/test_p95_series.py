"""A series has a p95 if its metric asks for it, whatever its number stood for before."""

from edge_gateway.windows.p95_series import P95Series
from tests.gateway.windows.plain import METRICS, Fleet


def test_flags_follow_new_series_and_numbers_that_are_reused() -> None:
    fleet = Fleet(1)
    flags = P95Series({METRICS[1]}, fleet)
    assert flags().tolist() == [False, True, False]
    fleet.series_metric = Fleet(2).series_metric
    assert flags().tolist() == [False, True, False] * 2
    fleet.metric_names = (METRICS[1], METRICS[0], METRICS[2])
    assert flags().tolist() == [False, True, False] * 2, "it is told by the epoch alone"
    fleet.series_epoch += 1
    assert flags().tolist() == [True, False, False] * 2


def test_without_a_metric_that_asks_there_are_no_flags() -> None:
    assert P95Series((), Fleet(2))().tolist() == []
