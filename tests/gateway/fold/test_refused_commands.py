"""Commands that were not executed: the broker refused them, or the device holds a higher number."""

from __future__ import annotations

import pytest

from edge_gateway.fold.command_queue import MOST_N
from edge_gateway.fold.pending_command import REFUSED_FIRST
from edge_gateway.records import codec
from fleet_wire.control_messages import Ack
from tests.gateway.fold.commands import HOUR, QUIET, moment, pending, queue, states, transition
from tests.gateway.records.transitions import WALL


@pytest.mark.parametrize(
    ("refusals", "wait"), [(1, 5_000), (2, 10_000), (3, 20_000), (4, 40_000), (5, 60_000), (500, 60_000)]
)
def test_the_wait_after_a_refusal_doubles_up_to_a_minute(refusals: int, wait: int) -> None:
    command = pending(transition())
    assert command.may_be_sent(WALL)
    command.tried_at, command.refusals = 7, refusals
    assert [command.may_be_sent(7 + ms) for ms in (0, wait - 1, wait)] == [False, False, True]


def test_a_refused_command_is_sent_again_until_it_expires() -> None:
    commands = queue()
    commands.add([transition()], moment(WALL))
    first = commands.advance(moment(WALL)).send[0]
    number = first.n
    work = commands.undelivered("frz-1", first.id, "not authorised", WALL, for_good=False)
    assert [(change.state, change.detail) for change in work.changes] == [("refused", "not authorised")]
    assert not commands.advance(moment(WALL + REFUSED_FIRST - 1))
    again = commands.advance(moment(WALL + REFUSED_FIRST))
    assert states(again) == ["sent"]
    assert again.send[0].id == first.id
    assert again.send[0].n > number
    commands.undelivered("frz-1", first.id, "not authorised", WALL + REFUSED_FIRST, for_good=False)
    assert not commands.advance(moment(WALL + 3 * REFUSED_FIRST - 1))
    (last,) = commands.advance(moment(WALL + 60_000)).changes
    assert (last.state, last.detail) == ("refused", "not authorised; tried 2 times until it expired")
    assert not commands.busy


def test_a_refused_command_does_not_hold_up_its_devices_others() -> None:
    commands = queue()
    commands.add([transition(level="critical"), transition(level="info", at=WALL + 1)], moment(WALL))
    critical = commands.advance(moment(WALL)).send[0]
    commands.undelivered("frz-1", critical.id, "quota exceeded", WALL, for_good=False)
    (other,) = commands.advance(moment(WALL + 1)).send
    assert other.alert.level == "info"
    commands.acknowledge("frz-1", Ack(id=other.id, outcome="done"), WALL + 2)
    assert [sent.id for sent in commands.advance(moment(WALL + REFUSED_FIRST)).send] == [critical.id]
    assert critical.n > other.n


def test_a_command_refused_for_good_has_failed() -> None:
    commands = queue()
    commands.add([transition()], moment(WALL))
    (sent,) = commands.advance(moment(WALL)).send
    work = commands.undelivered("frz-1", sent.id, "too large", WALL, for_good=True)
    assert [(change.state, change.detail) for change in work.changes] == [("failed", "too large")]
    assert not commands.busy


def test_a_refused_retry_stays_unconfirmed_because_the_device_may_have_the_first() -> None:
    commands = queue()
    commands.add([transition()], moment(WALL))
    (sent,) = commands.advance(moment(WALL)).send
    assert commands.advance(moment(WALL + 10_000)).send
    assert not commands.undelivered("frz-1", sent.id, "not authorised", WALL + 10_001, for_good=False)
    assert commands.unconfirmed() == [sent]
    assert not commands.undelivered("frz-1", "another", "not authorised", WALL, for_good=True)
    assert not commands.undelivered("nobody", sent.id, "not authorised", WALL, for_good=True)


def test_a_device_that_holds_a_higher_number_gets_the_command_with_one_above_it() -> None:
    """As after a journal was lost whose gateway had its clock ahead: the device took numbers of the future."""
    commands = queue()
    commands.add([transition()], moment(WALL))
    (sent,) = commands.advance(moment(WALL)).send
    holds = sent.n + HOUR
    told = commands.acknowledge("frz-1", Ack(id="of the lost journal", outcome="done", n=holds), WALL + 5)
    assert [(change.state, change.detail) for change in told.changes] == [
        ("refused", f"the device holds number {holds}, and this was number {WALL}")
    ]
    assert not commands.advance(moment(WALL + REFUSED_FIRST - 1))
    (again,) = commands.advance(moment(WALL + REFUSED_FIRST)).send
    assert (again.id, again.n) == (sent.id, holds + 1)
    assert states(commands.acknowledge("frz-1", Ack(id=sent.id, outcome="done", n=holds + 1), WALL)) == [
        "done"
    ]
    commands.add([transition(at=WALL + 1)], moment(WALL + 6_000))
    assert commands.advance(moment(WALL + 6_000)).send[0].n == holds + 2


@pytest.mark.parametrize("holds", [None, WALL - 1, MOST_N, 2 * MOST_N - 1])
def test_an_answer_to_another_command_leaves_the_unconfirmed_one_alone(holds: int | None) -> None:
    """It says no number or a lower one, as when it is repeated; or one that leaves no room above it."""
    commands = queue()
    commands.add([transition()], moment(WALL))
    (sent,) = commands.advance(moment(WALL)).send
    assert not commands.acknowledge("frz-1", Ack(id="another", outcome="done", n=holds), WALL)
    assert commands.unconfirmed() == [sent]
    assert commands.snapshot()["last_n"] == {"frz-1": WALL}


def test_the_number_a_device_holds_is_learnt_before_it_is_sent_anything() -> None:
    commands = queue()
    assert not commands.acknowledge("frz-1", Ack(id="old", outcome="done", n=WALL + HOUR), WALL)
    commands.add([transition()], moment(WALL))
    assert commands.advance(moment(WALL)).send[0].n == WALL + HOUR + 1


def test_refusals_outlive_a_restart() -> None:
    commands = queue()
    commands.add([transition()], moment(WALL))
    (sent,) = commands.advance(moment(WALL)).send
    commands.undelivered("frz-1", sent.id, "not authorised", WALL, for_good=False)
    later = queue()
    later.restore(codec.decode(codec.encode(commands.snapshot())))
    assert not later.advance(moment(WALL + 1))
    (last,) = later.advance(moment(WALL + 60_000)).changes
    assert (last.state, last.detail) == ("refused", "not authorised; tried once until it expired")


def test_a_number_of_another_gateway_puts_back_all_that_the_device_ignored() -> None:
    commands = queue()
    commands.add([transition(at=WALL + step, intent=QUIET) for step in range(3)], moment(WALL + 2))
    sent = commands.advance(moment(WALL + 2)).send
    holds = sent[-1].n + HOUR
    told = commands.acknowledge("frz-1", Ack(id="another's", outcome="done", n=holds), WALL)
    assert states(told) == ["refused"] * 3
    again = commands.advance(moment(WALL + 2 + REFUSED_FIRST)).send
    assert [(one.id, one.n) for one in again] == [
        (one.id, holds + 1 + place) for place, one in enumerate(sent)
    ]


def test_an_answer_to_a_later_command_says_nothing_of_an_earlier_one() -> None:
    """The device took both, and forgot the answer to the first when the second came: it must not be sent again."""
    commands = queue()
    commands.add([transition(intent=QUIET), transition(at=WALL + 1, intent=QUIET)], moment(WALL + 1))
    first, second = commands.advance(moment(WALL + 1)).send
    told = commands.acknowledge("frz-1", Ack(id=second.id, outcome="done", n=second.n), WALL)
    assert [(change.id, change.state) for change in told.changes] == [(second.id, "done")]
    assert commands.unconfirmed() == [first]
    assert not commands.advance(moment(WALL + 1 + REFUSED_FIRST))


def test_the_broker_may_refuse_one_of_several() -> None:
    commands = queue()
    commands.add([transition(at=WALL + step, intent=QUIET) for step in range(3)], moment(WALL + 2))
    sent = commands.advance(moment(WALL + 2)).send
    commands.undelivered("frz-1", sent[1].id, "quota exceeded", WALL, for_good=False)
    assert commands.unconfirmed() == [sent[0], sent[2]]
    assert [one.id for one in commands.advance(moment(WALL + 2 + REFUSED_FIRST)).send] == [sent[1].id]
