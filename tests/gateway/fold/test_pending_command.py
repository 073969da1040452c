"""A pending command: its id, when it expires, and what keeps it from being sent."""

from __future__ import annotations

import hashlib

import pytest

from edge_gateway.fold.pending_command import REFUSED_FIRST, REFUSED_MOST, CommandWork, PendingCommand
from tests.gateway.fold.commands import HOUR, INTENT, moment, transition
from tests.gateway.records.transitions import WALL, too_warm


def test_an_id_is_made_of_the_alert_its_cause_its_time_and_the_commands_name() -> None:
    """A replay by another version must send the command under the same id: its device executes it once."""
    name = f"a1\0compressor\0firing\0{WALL}".encode()
    expected = hashlib.blake2b(name, digest_size=8).hexdigest()
    assert PendingCommand.of(too_warm(), INTENT, moment(WALL)).id == expected


@pytest.mark.parametrize(
    ("age", "trusted", "left"),
    [(59_000, True, 1_000), (-HOUR, True, 60_000), (HOUR, False, 60_000)],
    ids=["of its reading", "of a reading from the future", "while the clock is not trusted"],
)
def test_expiry_counts_from_the_reading(age: int, left: int, *, trusted: bool) -> None:
    first = PendingCommand.of(transition(at=WALL - age), INTENT, moment(WALL, trusted=trusted))
    assert first.expires_at == left


def test_a_refusal_and_a_doubtful_age_keep_it_from_being_sent() -> None:
    command = PendingCommand.of(transition(), INTENT, moment(WALL))
    assert command.may_be_sent(0)
    command.doubted_to = 1
    assert not command.may_be_sent(HOUR)
    command.doubted_to, command.refusals = 0, 1
    assert [command.may_be_sent(now) for now in (REFUSED_FIRST - 1, REFUSED_FIRST)] == [False, True]
    command.refusals = 30
    assert [command.may_be_sent(now) for now in (REFUSED_MOST - 1, REFUSED_MOST)] == [False, True]


def test_work_is_what_is_sent_sent_again_or_changed() -> None:
    command = PendingCommand.of(transition(), INTENT, moment(WALL))
    assert not CommandWork()
    assert all((CommandWork([command]), CommandWork(again=[command])))
    assert CommandWork(changes=[command.change("queued", WALL)])
