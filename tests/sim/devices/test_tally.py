"""The counters of a run."""

from fleet_sim.devices.tally import Tally


def test_the_tally_folds_durations_once() -> None:
    tally = Tally()
    tally.lag_us.extend([50, 100_001, 200_000])
    tally.gather()
    tally.gather()
    assert (tally.overruns, tally.lag.count, tally.lag_now.count) == (2, 3, 0)
