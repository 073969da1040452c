"""Kinds of faults: a kind means the same in the simulator and over a recording."""

import numpy as np
import pytest

from fleet_recordings.faults import DEFAULT_SIZES, FALSIFIED, KINDS, OF_DURATION, Struck
from fleet_sim.faults import kinds as _all_kinds  # noqa: F401 - defines them
from fleet_sim.faults.fault import Fault
from fleet_sim.faults.sensor import SensorFault
from fleet_sim.kinds import kinds_of

HOURS = np.array([0.0, 1.0, 2.0])
STRUCK = Struck(np.array([10.0, 20.0, 30.0]), HOURS * 3_600_000, np.array([1.0, -1.0, 0.5]))


@pytest.mark.parametrize(
    ("kind", "size", "reported"),
    [
        ("bias", 2.0, [12, 22, 32]),
        ("spike", 2.0, [12, 22, 32]),
        ("drift", 3.0, [10, 23, 36]),
        ("noise", 4.0, [14, 16, 32]),
        ("unit_mix_up", 1.8, [50, 68, 86]),
        ("out_of_range", 99.0, [99, 99, 99]),
        ("missing_code", -200.0, [-200, -200, -200]),
    ],
)
def test_what_is_reported(kind: str, size: float, reported: list[float]) -> None:
    assert FALSIFIED[kind](STRUCK, size).tolist() == reported


def test_every_kind_is_one_of_the_simulator() -> None:
    known = {word for word, kind in kinds_of(Fault, "kind").items() if issubclass(kind, SensorFault)}
    assert set(KINDS) <= known
    assert known - set(KINDS) == {
        "nan",
        "heat_up",
        "event",
    }  # no CSV file holds NaN; the others are no faults of a sensor


def test_each_kind_has_a_size_or_a_duration() -> None:
    assert set(KINDS) == {*FALSIFIED, *OF_DURATION}
    assert set(DEFAULT_SIZES) <= set(FALSIFIED)
