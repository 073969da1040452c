"""The wall clock is trusted when it is synchronised, or not behind what is known to be past."""

from __future__ import annotations

import ctypes
from types import SimpleNamespace

import pytest

from edge_gateway.status import clock as module
from edge_gateway.status.clock import TIME_ERROR, MachineClock, synchronised

YEAR_3000 = 32_503_680_000_000


@pytest.mark.parametrize(
    ("floor", "in_step", "trusted"), [(0, False, True), (YEAR_3000, True, True), (YEAR_3000, False, False)]
)
def test_a_clock_behind_the_past_is_trusted_only_if_it_is_synchronised(
    monkeypatch: pytest.MonkeyPatch, floor: int, in_step: bool, trusted: bool
) -> None:
    monkeypatch.setattr(module, "synchronised", lambda: in_step)
    assert MachineClock(floor).trusted() is trusted


def test_both_clocks_are_milliseconds() -> None:
    clock = MachineClock()
    assert 10**12 < clock.wall() < 10**13
    assert clock.monotonic() <= clock.monotonic()


def test_monotonic_time_goes_on_from_where_an_earlier_run_would_be() -> None:
    clock = MachineClock()
    clock.go_on_from(clock.monotonic() + 3_600_000)
    ahead = clock.monotonic() - MachineClock().monotonic()
    assert 3_500_000 < ahead <= 3_600_000


@pytest.mark.parametrize(("state", "expected"), [(0, True), (4, True), (TIME_ERROR, False), (-1, False)])
def test_the_kernel_says_whether_the_clock_is_synchronised(
    monkeypatch: pytest.MonkeyPatch, state: int, expected: bool
) -> None:
    monkeypatch.setattr(ctypes, "CDLL", lambda _: SimpleNamespace(adjtimex=lambda _: state))
    assert synchronised() is expected


def test_a_kernel_that_cannot_be_asked_is_taken_for_not_synchronised(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ctypes, "CDLL", lambda _: SimpleNamespace())
    assert synchronised() is False
