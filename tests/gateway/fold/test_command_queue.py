"""Commands: numbered, paced, confirmed, expired."""

from __future__ import annotations

import pytest
from msgspec.structs import replace

from edge_gateway.fold import command_queue as module
from edge_gateway.fold.command_queue import (
    DOUBTED_FOR,
    MOST_WAITING_A_DEVICE,
    TOO_OLD,
    CommandQueue,
    Mode,
)
from edge_gateway.records import codec
from edge_gateway.records.inputs import Moment
from fleet_config.durations import RateSpec
from fleet_wire.control_messages import Ack
from tests.gateway.fold.commands import HOUR, INTENT, QUIET, moment, queue, states, transition
from tests.gateway.records.transitions import WALL, too_warm


def test_a_retired_device_is_forgotten_but_its_number_still_grows() -> None:
    commands = queue()
    commands.add([transition()], moment(WALL))
    (sent,) = commands.advance(moment(WALL)).send
    commands.acknowledge("frz-1", Ack(id=sent.id, outcome="done"), WALL)
    commands.forget(["frz-1", "never-heard-of"])
    assert commands.snapshot()["last_n"] == {}
    commands.add([transition(at=WALL + 1)], moment(WALL + 1))
    assert commands.advance(moment(WALL + 1)).send[0].n > sent.n


def test_a_command_is_sent_once_and_confirmed() -> None:
    commands = queue()
    assert states(commands.add([transition()], moment(WALL))) == ["queued"]
    work = commands.advance(moment(WALL))
    assert states(work) == ["sent"]
    assert work.send[0].n == WALL
    assert not commands.advance(moment(WALL + 1))
    done = commands.acknowledge("frz-1", Ack(id=work.send[0].id, outcome="done"), WALL + 50)
    assert states(done) == ["done"]
    assert not commands.busy


def test_a_retry_keeps_id_and_number_and_ends_unconfirmed() -> None:
    commands = queue()
    commands.add([transition()], moment(WALL))
    first = commands.advance(moment(WALL)).send[0]
    identity = (first.id, first.n)
    assert not commands.advance(moment(WALL + 9_999))
    for step in (1, 2):
        again = commands.advance(moment(WALL + step * 10_000)).send[0]
        assert (again.id, again.n) == identity
    (given_up,) = commands.advance(moment(WALL + 30_000)).changes
    assert (given_up.state, given_up.detail) == ("unconfirmed", "sent 3 times")


@pytest.mark.parametrize(("at", "ended"), [(59_999, []), (60_000, [("unconfirmed", "sent once")])])
def test_a_command_that_wants_no_answer_ends_when_it_expires(at: int, ended: list[tuple[str, str]]) -> None:
    commands = queue()
    patient = replace(INTENT, confirm_within_ms=None)
    commands.add([too_warm(commands=(patient,))], moment(WALL))
    commands.advance(moment(WALL))
    assert [(change.state, change.detail) for change in commands.advance(moment(WALL + at)).changes] == ended


@pytest.mark.parametrize("set_by", [-HOUR, HOUR, 0])
@pytest.mark.parametrize("trusted", [True, False])
def test_a_clock_that_is_set_changes_nothing_that_waits(set_by: int, *, trusted: bool) -> None:
    """The answer, the expiry, the rate and the wait after a refusal take as long as they would have."""
    commands = queue(per_device=RateSpec(1, 50_000))
    slow = replace(INTENT, confirm_within_ms=50_000, retries=0)
    commands.add(
        [transition(device="answer"), transition(device="rate"), transition(device="refusal")], moment(WALL)
    )
    commands.add(
        [transition(device="rate", at=WALL + 1), too_warm(subject="late", commands=(slow,))], moment(WALL)
    )
    by_device = {one.device: one for one in commands.advance(moment(WALL)).send}
    commands.acknowledge("rate", Ack(id=by_device["rate"].id, outcome="done"), WALL)
    commands.undelivered("refusal", by_device["refusal"].id, "no", WALL, for_good=False)

    def after(ms: int) -> list[tuple[str, str]]:
        work = commands.advance(moment(WALL + ms, trusted=trusted, set_by=set_by))
        again = [(one.device, "again") for one in work.send if one.attempts > 1]
        return sorted([(change.device, change.state) for change in work.changes] + again)

    assert after(9_999) == []
    assert after(10_000) == [("answer", "again")]
    assert after(49_999) == [("answer", "again")]
    assert after(50_000) == [("late", "unconfirmed"), ("rate", "sent"), ("refusal", "sent")]
    assert after(59_999) == [("answer", "unconfirmed")]
    assert after(60_000) == [("rate", "unconfirmed"), ("refusal", "unconfirmed")]


def test_a_device_s_commands_wait_for_each_other_up_to_twenty() -> None:
    commands = queue()
    told = [states(commands.add([transition(at=WALL + step)], moment(WALL))) for step in range(21)]
    assert told == [["queued"]] * MOST_WAITING_A_DEVICE + [["failed"]]
    assert states(commands.add([transition(device="other")], moment(WALL))) == ["queued"]
    (refused,) = commands.add([transition(at=WALL + 30)], moment(WALL)).changes
    assert (refused.detail, refused.n) == ("too many commands are waiting", None)
    assert commands.refused == 2


def test_all_commands_together_are_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "MOST_WAITING", 3)
    commands = queue()
    told = [states(commands.add([transition(device=f"d{number}")], moment(WALL))) for number in range(2)]
    commands.advance(moment(WALL))
    told += [states(commands.add([transition(device=f"e{number}")], moment(WALL))) for number in range(2)]
    assert told == [["queued"], ["queued"], ["queued"], ["failed"]], "those without an answer count, too"


def test_of_equal_severity_commands_go_in_the_order_in_which_they_were_given() -> None:
    """Not in that of their devices' clocks, which may step back."""
    commands = queue()
    for at in (WALL + 1, WALL, WALL + 2):
        commands.add([transition(at=at, intent=QUIET)], moment(WALL))
    assert [sent.alert.at - WALL for sent in commands.advance(moment(WALL + 2)).send] == [1, 0, 2]


def test_what_wants_no_answer_waits_for_none_but_behind_one_that_does() -> None:
    commands = queue()
    asked = transition(at=WALL + 1, level="info")
    quiet = [transition(at=WALL + step, level="info", intent=QUIET) for step in (0, 2, 3)]
    commands.add([quiet[0], asked, *quiet[1:]], moment(WALL + 3))
    first = commands.advance(moment(WALL + 3)).send
    assert [sent.alert for sent in first] == [quiet[0], asked]
    commands.acknowledge("frz-1", Ack(id=first[1].id, outcome="done"), WALL + 4)
    assert [sent.alert for sent in commands.advance(moment(WALL + 4)).send] == quiet[1:]


def test_what_a_critical_command_overtakes_is_not_sent_again() -> None:
    commands = queue()
    commands.add([transition(level="warning")], moment(WALL))
    (fan,) = commands.advance(moment(WALL)).send
    commands.add([transition(at=WALL + 1, intent=QUIET)], moment(WALL + 1))
    work = commands.advance(moment(WALL + 1))
    assert [(change.id == fan.id, change.state, change.detail) for change in work.changes] == [
        (True, "overtaken", "compressor was sent"),
        (False, "sent", ""),
    ]
    assert states(commands.advance(moment(WALL + 59_000))) == []
    assert not commands.acknowledge("frz-1", Ack(id=fan.id, outcome="done", n=fan.n), WALL + 2)


def test_an_unknown_time_does_not_end_what_switches_off() -> None:
    commands = queue(per_device=RateSpec(1, HOUR))
    closing = replace(QUIET, closing=True)
    commands.add([transition(intent=QUIET), transition(at=WALL + 1, intent=closing)], moment(WALL))
    commands.advance(moment(WALL))
    assert states(commands.expire_unknown(WALL)) == ["expired_unknown"]
    assert not commands.doubt(Moment(WALL, 0, least=WALL))
    assert states(commands.advance(moment(WALL + HOUR))) == ["sent"]


def test_a_reading_too_old_by_then_sends_no_command_and_no_retry() -> None:
    commands = queue(per_device=RateSpec(1, 5_000), max_age=5_000)
    commands.add(
        [transition(intent=QUIET), transition(at=WALL + 1), transition(device="b")], moment(WALL + 1)
    )
    assert len(commands.advance(moment(WALL + 1)).send) == 2
    work = commands.advance(moment(WALL + 5_001))
    assert [(change.state, change.detail) for change in work.changes] == [("expired", TOO_OLD)]
    (ended,) = commands.advance(moment(WALL + 10_001)).changes
    assert (ended.device, ended.state, ended.detail) == ("b", "unconfirmed", "sent once")


def test_one_unconfirmed_command_a_device_critical_first() -> None:
    commands = queue()
    commands.add([transition(level="info", at=WALL), transition(level="critical", at=WALL + 1)], moment(WALL))
    commands.add([transition(device="other")], moment(WALL))
    sent = commands.advance(moment(WALL + 2)).send
    assert [(sent.device, sent.alert.level) for sent in sent] == [
        ("frz-1", "critical"),
        ("other", "critical"),
    ]
    commands.acknowledge("frz-1", Ack(id=sent[0].id, outcome="rejected", detail="no"), WALL + 3)
    follow = commands.advance(moment(WALL + 4)).send
    assert [sent.alert.level for sent in follow] == ["info"]
    assert follow[0].n > sent[0].n


def test_numbers_grow_when_the_wall_clock_steps_back() -> None:
    commands = queue()
    commands.add([transition()], moment(WALL))
    first = commands.advance(moment(WALL)).send[0]
    commands.acknowledge("frz-1", Ack(id=first.id, outcome="done"), WALL)
    earlier = moment(WALL, set_by=-5_000)
    commands.add([transition(at=WALL - 5_000)], earlier)
    assert commands.advance(earlier).send[0].n == first.n + 1


def test_a_command_that_expires_before_it_can_be_sent_is_never_sent() -> None:
    commands = queue()
    commands.add([transition(at=WALL - 59_000)], moment(WALL))
    assert states(commands.advance(moment(WALL + 1_000))) == ["expired"]


def test_a_start_after_an_unknown_time_ends_everything() -> None:
    commands = queue()
    commands.add([transition(), transition(device="other"), transition(at=WALL - 1)], moment(WALL))
    assert states(commands.advance(moment(WALL))) == ["sent", "sent"]
    assert commands.waiting() == {"frz-1": 1}
    assert states(commands.expire_unknown(WALL)) == ["expired_unknown"] * 3
    assert not commands.busy


class TestDoubt:
    """After a start under a clock that nobody has confirmed, what was pending waits for what is said of the clock."""

    @staticmethod
    def doubted() -> CommandQueue:
        """One command that was sent and one that waits, both ten seconds old as it seems."""
        commands = queue()
        commands.add([transition(), transition(device="other")], moment(WALL))
        commands.advance(moment(WALL))
        commands.acknowledge("other", Ack(id=commands.unconfirmed()[1].id, outcome="done"), WALL)
        commands.add([transition(at=WALL - 1, level="warning")], moment(WALL))
        assert commands.doubt(TestDoubt.unsure(WALL + 9_000))
        return commands

    @staticmethod
    def unsure(wall: int, *, trusted: bool = True, listening: int = 0) -> Moment:
        return Moment(wall, listening, trusted, least=wall, monotonic=wall - WALL)

    def test_nothing_is_sent_that_may_have_expired(self) -> None:
        commands = self.doubted()
        assert commands.to_send_again() == []
        assert not commands.advance(self.unsure(WALL + 11_000, listening=DOUBTED_FOR - 1))
        assert len(commands) == 2

    def test_a_command_of_this_start_is_not_doubted(self) -> None:
        commands = self.doubted()
        new = self.unsure(WALL + 11_000)
        commands.add([transition(device="other", at=WALL + 11_000)], new)
        assert [sent.device for sent in commands.advance(new).send] == ["other"]

    def test_a_clock_that_the_fleet_outvotes_ends_them(self) -> None:
        commands = self.doubted()
        work = commands.advance(self.unsure(WALL + 11_000, trusted=False))
        assert (states(work), work.send, work.again) == (["expired_unknown"] * 2, [], [])
        assert not commands.busy

    def test_a_clock_that_turns_out_to_have_stood_still_expires_them(self) -> None:
        commands = self.doubted()
        right = Moment(WALL + 10 * HOUR, 5_000, monotonic=11_000)
        work = commands.advance(right)
        assert (states(work), work.send, work.again) == (["unconfirmed", "expired"], [], [])

    @pytest.mark.parametrize("sure", [True, False])
    def test_they_go_on_where_the_clock_was_right_or_nobody_said_otherwise(self, *, sure: bool) -> None:
        commands = self.doubted()
        first = commands.unconfirmed()[0]
        after = self.unsure(WALL + 11_000, listening=DOUBTED_FOR)
        work = commands.advance(replace(after, least=None) if sure else after)
        assert ([again.id for again in work.again], work.send, work.changes) == ([first.id], [], [])
        commands.acknowledge("frz-1", Ack(id=first.id, outcome="done"), WALL + 12_000)
        assert states(commands.advance(moment(WALL + 12_000))) == ["sent"]

    def test_the_doubt_survives_as_bytes(self) -> None:
        again = queue()
        again.restore(codec.unpack(codec.pack(self.doubted().snapshot())))
        assert not again.advance(self.unsure(WALL + 11_000, listening=DOUBTED_FOR - 1))
        assert len(again.advance(self.unsure(WALL + 11_000, listening=DOUBTED_FOR)).again) == 1

    def test_where_nothing_is_pending_nothing_is_doubted(self) -> None:
        assert not queue().doubt(self.unsure(WALL))


@pytest.mark.parametrize(("mode", "told"), [("dry_run", ["dry_run"]), ("off", [])])
def test_modes_that_publish_nothing(mode: Mode, told: list[str]) -> None:
    commands = queue(mode)
    assert states(commands.add([transition()], moment(WALL))) == told
    assert not commands.advance(moment(WALL))


def test_rates_delay_commands_and_lose_none() -> None:
    commands = queue(per_device=RateSpec(1, 60_000))
    commands.add([transition(at=WALL), transition(at=WALL + 1, level="warning")], moment(WALL + 1))
    first = commands.advance(moment(WALL)).send
    commands.acknowledge("frz-1", Ack(id=first[0].id, outcome="done"), WALL + 1)
    assert not commands.advance(moment(WALL + 30_000))
    assert states(commands.advance(moment(WALL + 59_999))) == []
    assert len(commands.advance(moment(WALL + 60_000)).send) == 1


def test_a_full_queue_refuses_and_counts() -> None:
    commands = queue(per_device=RateSpec(1, 3_600_000))
    for step in range(30):
        commands.add([transition(at=WALL + step)], moment(WALL))
    assert commands.refused == 10


def test_an_answer_to_another_command_changes_nothing() -> None:
    commands = queue()
    commands.add([transition()], moment(WALL))
    sent = commands.advance(moment(WALL)).send[0]
    assert not commands.acknowledge("other", Ack(id=sent.id, outcome="done"), WALL)
    assert not commands.acknowledge("frz-1", Ack(id="unknown", outcome="done"), WALL)
    assert commands.unconfirmed() == [sent]


def test_state_survives_as_bytes() -> None:
    commands = queue(per_device=RateSpec(6, 60_000))
    commands.add([transition(), transition(at=WALL + 1), transition(device="b")], moment(WALL))
    commands.advance(moment(WALL))
    state = commands.snapshot()
    other = queue(per_device=RateSpec(6, 60_000))
    other.restore(codec.unpack(codec.pack(state)))
    assert other.snapshot() == state
    assert other.unconfirmed() == commands.unconfirmed()
    for one in (commands, other):
        one.acknowledge("b", Ack(id=one.unconfirmed()[1].id, outcome="done"), WALL + 5)
    later = [one.advance(moment(WALL + 61_000)) for one in (commands, other)]
    assert later[0] == later[1]


def test_two_commands_of_one_name_in_a_transition_are_sent_one_after_the_other() -> None:
    commands = queue()
    commands.add([too_warm(commands=(INTENT, INTENT))], moment(WALL))
    (first,) = commands.advance(moment(WALL)).send
    assert len(commands) == 2
    commands.acknowledge("frz-1", Ack(id=first.id, outcome="done"), WALL)
    assert len(commands.advance(moment(WALL + 1)).send) == 1
    assert len(commands) == 1
