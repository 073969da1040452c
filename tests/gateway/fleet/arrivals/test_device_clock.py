"""One device's clock: small steps, large ones and when they are believed, boots, births."""

from __future__ import annotations

import pytest

from edge_gateway.fleet.arrivals.boot_mark import BELOW, FIRST, HIGHEST
from edge_gateway.fleet.arrivals.device_clock import ClockVerdict, DeviceClock, Heard
from edge_gateway.fleet.timestamps import NO_TIME

SMALL = 5_000
NOW = 1_000_000
ADVANCES, HELD, LATE, ASIDE, STEPPED = ClockVerdict


def heard(
    time: int, listening: int = 0, *, boot: int = 1, standing: int = HIGHEST, stamped: bool = False
) -> Heard:
    return Heard(boot, standing, time, stamped, listening)


def clock(*, born: bool = True) -> DeviceClock:
    """A clock at NOW, of boot 1."""
    found = DeviceClock()
    if born:
        found.birth(1, NO_TIME, SMALL)
    assert found.take(heard(NOW, standing=FIRST), SMALL) is ADVANCES
    return found


def take(found: DeviceClock, *messages: Heard) -> list[ClockVerdict]:
    return [found.take(each, SMALL) for each in messages]


def test_times_up_to_the_largest_small_step_are_held_and_leave_the_newest_time() -> None:
    found = clock()
    messages = [heard(NOW - 1), heard(NOW - SMALL), heard(NOW), heard(NOW + 1)]
    assert take(found, *messages) == [HELD, HELD, ADVANCES, ADVANCES]
    assert found.newest == NOW + 1
    assert take(found, heard(NOW - 4_000), heard(NOW - 8_000)) == [HELD, LATE]


def test_a_message_below_the_highest_is_late_unless_it_is_the_newest() -> None:
    messages = [heard(time, standing=BELOW) for time in (NOW - 1, NOW, NOW + 1)]
    assert take(clock(), *messages) == [LATE, LATE, ADVANCES]


def test_three_messages_in_a_row_as_old_as_each_other_are_a_step() -> None:
    found = clock()
    old = NOW - 60_000
    assert take(found, heard(old, 0), heard(old + 1_000, 1_000), heard(old + 2_000, 2_000)) == [
        LATE,
        LATE,
        STEPPED,
    ]
    assert found.newest == old + 2_000
    assert take(found, heard(old + 3_000, 3_000)) == [ADVANCES]


def test_a_step_is_not_believed_within_less_than_half_a_second() -> None:
    old = NOW - 60_000
    messages = [heard(old + at, at) for at in (0, 200, 499, 500)]
    assert take(clock(), *messages) == [LATE, LATE, LATE, STEPPED]


def test_times_that_advance_faster_than_the_listening_clock_are_no_step() -> None:
    messages = [heard(NOW - 60_000 + at * 1_000, at * 900) for at in range(50)]
    assert take(clock(), *messages) == [LATE] * 50


def test_a_clock_a_little_fast_is_believed() -> None:
    messages = [heard(NOW - 60_000 + at * 1_010, at * 1_000) for at in range(3)]
    assert take(clock(), *messages)[-1] is STEPPED


def test_a_first_message_that_was_delayed_does_not_keep_a_step_from_being_believed() -> None:
    messages = [
        heard(NOW - 600_000 + at * 1_000, at * 1_000 + (900 if at == 0 else 10 * (at % 2))) for at in range(6)
    ]
    assert STEPPED in take(clock(), *messages)


def test_several_messages_at_one_listening_time_are_believed_as_well_as_single_ones() -> None:
    messages = [heard(NOW - 60_000 + at * 100, at // 3 * 300) for at in range(12)]
    assert STEPPED in take(clock(), *messages)


@pytest.mark.parametrize("between", [NOW + 1, NOW - 1])
def test_a_message_near_the_newest_time_ends_the_row(between: int) -> None:
    old = NOW - 60_000
    messages = [heard(old, 0), heard(old, 1_000), heard(between, 2_000), heard(old, 3_000), heard(old, 4_000)]
    assert STEPPED not in take(clock(), *messages)


def test_messages_below_the_highest_do_not_end_the_row() -> None:
    old = NOW - 60_000
    messages = [heard(old, 0), heard(old, 600), heard(old, 700, standing=BELOW), heard(old, 800)]
    assert take(clock(), *messages) == [LATE, LATE, LATE, STEPPED]


def test_a_time_of_arrival_is_held_however_old_it_is() -> None:
    found = clock()
    assert take(found, heard(NOW - 300_000, stamped=True), heard(NOW + 1, stamped=True)) == [HELD, ADVANCES]


@pytest.mark.parametrize("time", [NOW - 9_000, NOW + 9_000])
def test_a_device_without_a_clock_begins_again_where_the_gateways_was_set(time: int) -> None:
    found = clock()
    assert take(found, heard(time, stamped=True)._replace(begins=True)) == [STEPPED]
    assert take(found, heard(time + 1, stamped=True)) == [ADVANCES]


# --- boots


def test_where_there_are_births_messages_of_other_boots_are_set_aside() -> None:
    found = clock()
    messages = [heard(NOW + at * 1_000, at * 1_000, boot=2, standing=FIRST + (at > 0)) for at in range(5)]
    assert take(found, *messages) == [ASIDE] * 5
    found.birth(2, NO_TIME, SMALL)
    assert take(found, heard(NOW + 9_000, boot=2), heard(NOW + 9_000, boot=1)) == [ADVANCES, ASIDE]


def test_a_boot_starts_at_the_newest_time_of_the_one_before() -> None:
    found = clock()
    found.birth(2, NO_TIME, SMALL)
    assert take(found, heard(NOW - 1_000, boot=2, standing=FIRST)) == [HELD]
    assert take(found, heard(NOW - 9_000, boot=2)) == [LATE]


def test_a_birth_with_an_older_time_announces_a_step() -> None:
    found = clock()
    found.birth(2, NOW - 60_000, SMALL)
    assert found.newest == NOW, "until a message bears it out"
    assert take(found, heard(NOW - 61_000, boot=2), heard(NOW - 60_000, boot=2)) == [STEPPED, ADVANCES]


@pytest.mark.parametrize("time", [NOW - SMALL, NOW + 1, NO_TIME])
def test_any_other_birth_announces_nothing(time: int) -> None:
    found = clock()
    found.birth(2, time, SMALL)
    assert take(found, heard(NOW - 60_000, boot=2)) == [LATE]


def test_the_birth_of_the_current_boot_once_more_announces_nothing() -> None:
    found = clock()
    found.birth(1, NOW - 60_000, SMALL)
    assert take(found, heard(NOW - 60_000)) == [LATE]


def test_the_birth_of_a_boot_that_begins_anew_is_one_of_a_new_boot() -> None:
    found = clock()
    old = NOW - 60_000
    assert take(found, heard(old, 0), heard(old, 1_000)) == [LATE, LATE]
    found.birth(1, NO_TIME, SMALL, anew=True)
    assert take(found, heard(old, 2_000)) == [LATE], "the row is that of the life before"
    found.birth(1, old, SMALL, anew=True)
    assert take(found, heard(old, 3_000, standing=FIRST), heard(old, 3_000)) == [STEPPED, ADVANCES]


def test_an_announced_step_that_does_not_come_is_forgotten() -> None:
    found = clock()
    found.birth(2, NOW - 60_000, SMALL)
    assert take(found, heard(NOW + 1, boot=2), heard(NOW - 60_000, boot=2)) == [ADVANCES, LATE]


def test_without_births_a_boot_never_heard_before_is_the_current_one() -> None:
    found = clock(born=False)
    assert take(found, heard(NOW + 1, boot=2, standing=FIRST), heard(NOW + 2, boot=1)) == [ADVANCES, ASIDE]


def test_without_births_a_boot_that_was_taken_for_over_comes_back_by_three_live_messages() -> None:
    found = clock(born=False)
    take(found, heard(NOW - 60_000, boot=2, standing=FIRST))
    live = [heard(NOW + at, at, boot=1) for at in (1_000, 2_000, 3_000)]
    assert take(found, *live, heard(NOW + 4_000, 4_000)) == [ASIDE, ASIDE, ADVANCES, ADVANCES]
    kept = [heard(NOW - 50_000 + at, 5_000 + at, boot=2) for at in range(0, 9_000, 1_000)]
    assert take(found, *kept) == [ASIDE] * 9, "older ones never"
