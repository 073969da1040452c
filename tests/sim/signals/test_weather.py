"""The weather of a site."""

import numpy as np

from tests.sim.metrics_under_test import DAY, HOUR, Run, scenario


def test_weather_is_one_for_a_site_and_another_for_the_next() -> None:
    run = Run(scenario("a: {model: weather, of: temperature}\nb: {model: weather, of: humidity}"))
    hours = [run.at(ms) for ms in range(0, 30 * DAY, HOUR)]
    berlin, lyon = ([hour[row]["a"] for hour in hours] for row in (0, 1))
    assert berlin == [hour[18]["a"] for hour in hours]
    assert abs(np.corrcoef(berlin, lyon)[0, 1]) < 0.8
    assert -15 < min(berlin) < max(berlin) < 25
    assert 1 < np.std(berlin) < 6
    assert abs(np.diff(berlin)).max() < 3
    july = [run.at(200 * DAY + ms)[0]["a"] for ms in range(0, DAY, HOUR)]
    assert np.mean(july) > np.mean(berlin) + 5
