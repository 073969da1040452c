"""Times in the words of verify and grade."""

from fleet_sim.judging.moments import at_second


def test_a_time_is_a_date_and_a_second_in_utc() -> None:
    assert at_second(1_767_225_605_999) == "2026-01-01 00:00:05Z"
