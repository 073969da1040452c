"""A disturbance does nothing but what it overrides."""

import numpy as np

from fleet_sim.signals.disturbance import Disturbance, Reading
from tests.sim.metrics_under_test import Run, scenario


def test_the_hooks_do_nothing_unless_overridden() -> None:
    disturbance = Disturbance(7)
    assert disturbance.number == 7
    assert not disturbance.repaired_by(0, "setpoint", 0)
    reading = Reading(np.array([1.0]))
    run = Run(scenario("a: {model: constant, value: 5}", count=1))
    run.signals._channels["a"].add(disturbance)
    assert run.at(0) == [{"a": 5.0}]
    assert reading.absent is None
