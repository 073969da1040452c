"""A pending command: its id, when it expires, and what keeps it from being sent."""

from __future__ import annotations

import hashlib
from typing import Any

import pytest
from msgspec.structs import replace

from edge_gateway.fold.pending_command import NEVER, REFUSED_FIRST, REFUSED_MOST, CommandWork, PendingCommand
from tests.gateway.fold.commands import HOUR, INTENT, QUIET, moment, pending, transition
from tests.gateway.records.transitions import WALL, too_warm


def test_an_id_is_made_of_the_alert_its_change_and_the_commands_id() -> None:
    """A replay by another version must send the command under the same id: its device executes it once."""
    name = f"a1\0cool\0firing\0{WALL}".encode()
    expected = hashlib.blake2b(name, digest_size=8).hexdigest()
    assert pending(too_warm(commands=(INTENT,))).id == expected


@pytest.mark.parametrize(
    ("age", "trusted", "left"),
    [(59_000, True, 1_000), (-HOUR, True, 60_000), (HOUR, False, 60_000)],
    ids=["of its reading", "of a reading from the future", "while the clock is not trusted"],
)
def test_expiry_and_age_count_from_the_reading(age: int, left: int, *, trusted: bool) -> None:
    first = pending(transition(at=WALL - age), moment(WALL, trusted=trusted), max_age=90_000)
    assert (first.expires_at, first.send_by) == (left, left + 30_000)
    assert [first.expired(now) for now in (left - 1, left)] == [False, True]


@pytest.mark.parametrize("trusted", [True, False])
def test_what_time_causes_ages_from_then(*, trusted: bool) -> None:
    alert = too_warm(at=WALL - HOUR, commands=(INTENT,))
    first = pending(alert, moment(WALL, trusted=trusted), max_age=5)
    assert (first.expires_at, first.send_by) == (60_000, NEVER)
    assert first.since == (WALL if trusted else WALL - HOUR)


def test_a_reading_that_is_too_old_keeps_its_command_back_before_that_expires() -> None:
    first = pending(transition(), moment(WALL), max_age=5_000)
    assert [first.expired(now) for now in (4_999, 5_000)] == [False, True]


def test_an_age_taken_again_only_grows() -> None:
    first = pending(transition(), moment(WALL), max_age=30_000)
    first.age_again(moment(WALL + 10_000, set_by=-HOUR), 30_000)
    assert (first.expires_at, first.send_by) == (60_000, 30_000)
    first.age_again(moment(WALL + 10_000, set_by=5_000), 30_000)
    assert (first.expires_at, first.send_by) == (55_000, 25_000)
    by_time = pending(too_warm(commands=(INTENT,)))
    by_time.age_again(moment(WALL + 10_000, set_by=5_000), 30_000)
    assert (by_time.expires_at, by_time.send_by) == (55_000, NEVER)


def test_a_closing_command_is_right_until_it_is_sent_once() -> None:
    closing = pending(too_warm(commands=(replace(QUIET, closing=True),)))
    assert (closing.ageless, closing.expires_at) == (True, NEVER)
    closing.attempts = 1
    assert not closing.ageless
    assert not pending(transition()).ageless


def test_order_is_by_severity_and_then_by_number() -> None:
    given = [("info", 1), ("critical", 4), ("warning", 2), ("critical", 3)]
    ordered = sorted(
        (pending(transition(level=level), number=n) for level, n in given), key=lambda one: one.order
    )
    assert [one.number for one in ordered] == [3, 4, 2, 1]


def test_a_critical_command_overtakes_others_and_a_closing_one_what_it_undoes() -> None:
    def command(number: int, level: str, rule: str, **changes: Any) -> PendingCommand:
        intent = replace(INTENT, **changes)
        return pending(transition(level=level, rule=rule, at=WALL + number, intent=intent), number=number)

    fan, critical = command(1, "warning", "Warm"), command(2, "critical", "Fire")
    assert critical.overtakes(fan)
    assert not fan.overtakes(critical)
    assert not command(3, "critical", "Gas").overtakes(critical)
    closing = command(4, "warning", "Warm", closing=True)
    assert closing.overtakes(fan)
    assert not command(5, "warning", "Other", closing=True).overtakes(fan)
    assert not command(6, "warning", "Warm").overtakes(fan)


def test_a_command_replaces_earlier_ones_of_its_alert_but_not_those_of_its_own_change() -> None:
    on, off = transition(rule="Warm"), transition(rule="Warm", at=WALL + 1)
    first, second, later = pending(on), pending(on, number=2), pending(off, number=3)
    assert (later.replaces(first), first.replaces(later), second.replaces(first)) == (True, False, False)
    assert not pending(transition(rule="Warm", device="other"), number=4).replaces(first)


def test_a_refusal_and_a_doubtful_age_keep_it_from_being_sent() -> None:
    command = pending(transition())
    assert command.may_be_sent(0)
    command.doubted_to = 1
    assert not command.may_be_sent(HOUR)
    command.doubted_to, command.refusals = 0, 1
    assert [command.may_be_sent(now) for now in (REFUSED_FIRST - 1, REFUSED_FIRST)] == [False, True]
    command.refusals = 30
    assert [command.may_be_sent(now) for now in (REFUSED_MOST - 1, REFUSED_MOST)] == [False, True]


def test_work_is_what_is_sent_sent_again_or_changed() -> None:
    command = pending(transition())
    assert not CommandWork()
    assert all((CommandWork([command]), CommandWork(again=[command])))
    assert CommandWork(changes=[command.change("queued", WALL)])
