"""Several faults on one link."""

import pytest

from fleet_sim.devices.conditions import Conditions


def test_conditions_add_up() -> None:
    assert Conditions.together([]) == Conditions()
    links = [Conditions(delay=0.1), Conditions(delay=0.2, rate=500.0), Conditions(rate=300.0, dark=True)]
    delay, rate, dark = Conditions.together(links)
    assert delay == pytest.approx(0.3)
    assert (rate, dark) == (300.0, True)
