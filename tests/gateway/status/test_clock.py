"""How far the machine's wall clock is believed, and which time has certainly passed."""

from __future__ import annotations

import ctypes
from dataclasses import dataclass
from types import SimpleNamespace

import pytest

from edge_gateway.status import clock as module
from edge_gateway.status.clock import (
    AGED_A_START,
    ASKED_EVERY,
    BUILT,
    SLACK,
    TIME_ERROR,
    ClockState,
    MachineClock,
    synchronised,
)

HOUR = 3_600_000
YEAR = 365 * 24 * HOUR
NOW = BUILT + YEAR


@dataclass(slots=True)
class Machine(MachineClock):
    """A machine whose clocks are set by the test."""

    shown: int = NOW
    passed: int = 0
    in_step: bool = False

    def wall(self) -> int:
        return self.shown

    def monotonic(self) -> int:
        return self.passed + self.offset

    def run(self, ms: int) -> Machine:
        self.shown, self.passed = self.shown + ms, self.passed + ms
        return self


@pytest.fixture
def machine(monkeypatch: pytest.MonkeyPatch) -> Machine:
    made = Machine()
    monkeypatch.setattr(module, "synchronised", lambda: made.in_step)
    made.begin(NOW, NOW, NOW)
    return made


@pytest.mark.parametrize(
    ("shown", "in_step", "state"),
    [
        (NOW, False, "plausible"),
        (NOW + 10 * HOUR, False, "plausible"),
        (NOW + 3 * YEAR, False, "plausible"),
        (NOW - SLACK, False, "plausible"),
        (NOW - SLACK - 1, False, "behind"),
        (0, False, "behind"),
        (0, True, "synchronised"),
    ],
)
def test_a_wall_clock_may_be_ahead_of_what_passed_and_not_behind_it(
    machine: Machine, shown: int, in_step: bool, state: str
) -> None:
    machine.shown, machine.in_step = shown, in_step
    assert machine.read().state == state
    assert machine.trusted() == (state != "behind")


def test_a_clock_that_goes_back_while_it_runs_is_not_believed(machine: Machine) -> None:
    machine.run(HOUR).shown -= 10 * 60_000
    assert machine.read().state == "behind"


@pytest.mark.parametrize(("outvoted", "state"), [(True, "plausible"), (False, "behind")])
def test_after_a_life_years_ahead_the_right_time_is_believed_at_once_if_the_fleet_said_so(
    machine: Machine, outvoted: bool, state: str
) -> None:
    machine.shown += 3 * YEAR
    machine.run(HOUR)
    assert machine.read().trusted
    machine.hear_fleet(agrees=not outvoted and None)
    again = Machine(shown=NOW + 2 * HOUR)
    again.begin(machine.least, machine.seen, machine.aged)
    assert (machine.least, again.read().state) == (NOW + HOUR, state)
    again.hear_fleet(agrees=True)
    assert again.read().state == "agreed"


def test_data_ages_by_an_hour_a_start_and_by_monotonic_time_until_the_clock_is_known(
    machine: Machine,
) -> None:
    machine.shown += 3 * YEAR
    machine.begin(NOW, NOW, NOW)
    machine.run(2 * HOUR).read()
    assert machine.aged == NOW + AGED_A_START + 2 * HOUR
    machine.hear_fleet(agrees=True)
    assert machine.aged == NOW + AGED_A_START + 2 * HOUR
    machine.confirm()
    assert machine.aged == machine.shown


def test_at_a_first_start_data_is_removed_by_the_wall_clock_until_the_fleet_says_that_it_is_wrong(
    machine: Machine,
) -> None:
    machine.shown += 3 * YEAR
    machine.begin(BUILT, BUILT, None)
    assert machine.aged == machine.shown
    machine.hear_fleet(agrees=False)
    assert machine.aged == BUILT


def test_at_a_first_start_nothing_is_withheld_until_somebody_confirms_the_clock(machine: Machine) -> None:
    machine.shown += 3 * YEAR
    machine.begin(BUILT, BUILT, None)
    assert machine.read().aged == BUILT
    again = Machine(shown=machine.shown)
    again.begin(machine.least, machine.seen, machine.aged)
    assert again.read().aged == machine.shown, "it was off for an unknown time, and nobody has objected"
    machine.confirm()
    assert machine.read().aged is None


def test_data_never_ages_beyond_a_wall_clock_that_is_less_than_an_hour_on(machine: Machine) -> None:
    machine.shown = NOW + 5
    machine.begin(NOW, NOW, NOW)
    assert machine.aged == NOW + 5


def test_an_outvoted_clock_is_not_believed_until_the_fleet_agrees(machine: Machine) -> None:
    machine.hear_fleet(agrees=False)
    assert machine.read().state == "outvoted"
    machine.hear_fleet(agrees=None)
    assert machine.read().state == "outvoted"
    machine.shown += 10 * HOUR
    machine.hear_fleet(agrees=True)
    reading = machine.read()
    assert (reading.state, reading.least, machine.least) == ("agreed", None, machine.shown)


def test_a_fleet_that_agrees_with_a_clock_behind_the_journal_is_right(machine: Machine) -> None:
    machine.shown -= YEAR
    machine.hear_fleet(agrees=True)
    assert (machine.read().state, machine.least) == ("agreed", machine.shown)


@pytest.mark.parametrize("sure", ["synchronised", "confirmed"])
def test_the_fleet_does_not_outvote_the_kernel_or_the_operator(machine: Machine, sure: str) -> None:
    if sure == "synchronised":
        machine.in_step = True
    else:
        machine.confirm()
    machine.hear_fleet(agrees=False)
    assert machine.read().state == sure


@pytest.mark.parametrize(
    ("step", "state"), [(YEAR, "plausible"), (-HOUR, "behind"), (SLACK // 2, "confirmed")]
)
def test_a_confirmed_clock_that_is_set_again_is_no_longer_sure(
    machine: Machine, step: int, state: str
) -> None:
    machine.confirm()
    machine.run(HOUR).shown += step
    reading = machine.read()
    assert (reading.state, reading.least is None) == (state, state == "confirmed")


def test_a_clock_that_was_synchronised_runs_on_without_a_network(machine: Machine) -> None:
    machine.in_step = True
    assert machine.read().least is None
    machine.in_step = False
    machine.run(10 * HOUR)
    assert machine.read() == (machine.shown, ClockState.CONFIRMED, None, None)


@pytest.mark.parametrize(
    ("still", "shown", "state"),
    [(False, -HOUR, "behind"), (False, HOUR, "plausible"), (True, HOUR, "synchronised")],
)
def test_the_kernel_is_asked_at_once_about_a_clock_that_was_set(
    machine: Machine, *, still: bool, shown: int, state: str
) -> None:
    machine.in_step = True
    assert machine.read().least is None
    machine.in_step = still
    machine.run(ASKED_EVERY // 2)
    machine.shown += shown
    assert machine.read().state == state
    assert machine.run(ASKED_EVERY).read().state == state


def test_what_was_known_before_a_confirmation_is_told_once(machine: Machine) -> None:
    machine.shown += 10 * HOUR
    assert machine.take_confirmation() is None
    machine.run(5).confirm()
    assert (machine.take_confirmation(), machine.take_confirmation()) == (NOW + 5, None)
    machine.confirm()
    assert machine.take_confirmation() is None


def test_both_clocks_are_milliseconds() -> None:
    clock = MachineClock()
    assert 10**12 < clock.wall() < 10**13
    assert clock.monotonic() <= clock.monotonic()


def test_monotonic_time_goes_on_from_where_an_earlier_run_would_be() -> None:
    clock = MachineClock()
    clock.go_on_from(clock.monotonic() + 3_600_000)
    ahead = clock.monotonic() - MachineClock().monotonic()
    assert 3_500_000 < ahead <= 3_600_000


def test_time_that_is_skipped_at_a_start_does_not_count_as_passed(machine: Machine) -> None:
    """How long the gateway was stopped is told by a wall clock that nobody has confirmed."""
    machine.read()
    machine.go_on_from(machine.monotonic() + YEAR)
    read = machine.run(5).read()
    assert (read.least, machine.seen, read.aged) == (NOW + 5,) * 3
    machine.in_step = True
    assert machine.run(ASKED_EVERY).read().state == "synchronised"


@pytest.mark.parametrize(("state", "expected"), [(0, True), (4, True), (TIME_ERROR, False), (-1, False)])
def test_the_kernel_says_whether_the_clock_is_synchronised(
    monkeypatch: pytest.MonkeyPatch, state: int, expected: bool
) -> None:
    monkeypatch.setattr(ctypes, "CDLL", lambda _: SimpleNamespace(adjtimex=lambda _: state))
    assert synchronised() is expected


def test_a_kernel_that_cannot_be_asked_is_taken_for_not_synchronised(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ctypes, "CDLL", lambda _: SimpleNamespace())
    assert synchronised() is False
