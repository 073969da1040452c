"""The counters of a run."""

from fleet_sim.devices.counters import Counters


def test_the_tally_folds_durations_once() -> None:
    counters = Counters()
    counters.lag_us.extend([50, 100_001, 200_000])
    counters.gather()
    counters.gather()
    assert (counters.overruns, counters.lag.count, counters.lag_now.count) == (2, 3, 0)
