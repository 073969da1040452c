"""A device's first message: spread over the interval, or with all others."""

from fleet_sim.plan import Buffer, DevicePlan, Pace


def device(pace: Pace) -> DevicePlan:
    buffer = Buffer(10, "oldest", 1.0)
    return DevicePlan("d", "s", "t", {}, None, None, "g", 3, 0.25, pace, buffer, {}, {})


def test_the_first_message_is_at_its_place_in_the_interval() -> None:
    assert device(Pace(10_000, 0.1, "spread")).phase_ms == 2_500
    assert device(Pace(10_000, 0.1, "poisson")).phase_ms == 2_500
    assert device(Pace(10_000, 0.1, "aligned")).phase_ms == 0
