"""When a device is switched on depends on its place and the rates alone."""

import pytest

from fleet_sim.devices.ramp import ConnectRate, burst_of, switched_on


@pytest.mark.parametrize(("rate", "burst"), [(2000, 100), (100, 5), (20, 1), (0.1, 1)])
def test_a_twentieth_of_a_second_of_the_rate_is_let_through_at_once(rate: float, burst: int) -> None:
    assert burst_of(rate) == burst


@pytest.mark.parametrize(
    ("devices", "ramps", "times"),
    [
        (0, [ConnectRate(0, 10)], []),
        (3, [ConnectRate(0, 10)], [0, 0.1, 0.2]),
        (5, [ConnectRate(0, 40)], [0, 0, 0.05, 0.05, 0.1]),
        (4, [ConnectRate(0, 1), ConnectRate(1.5, 10)], [0, 1, 1.5, 1.6]),
        (2, [ConnectRate(0, 10), ConnectRate(60, 1)], [0, 0.1]),
    ],
)
def test_devices_are_switched_on_in_their_order(
    devices: int, ramps: list[ConnectRate], times: list[float]
) -> None:
    assert switched_on(devices, ramps).tolist() == pytest.approx(times)
