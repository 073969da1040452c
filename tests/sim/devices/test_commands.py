"""A command is executed at most once, and its answer is always the same."""

from hypothesis import given, settings
from hypothesis import strategies as st

from fleet_sim.devices.commands import RESTARTED, CommandMemory, Decision
from fleet_wire.control_messages import Ack, Command


def command(n: int, name: str = "") -> Command:
    return Command(id=name or f"c{n}", kind="command", name="compressor", n=n)


def test_a_new_number_is_executed_and_a_known_one_answered_again() -> None:
    memory = CommandMemory()
    assert memory.take(command(5)) is Decision.EXECUTE
    assert memory.take(command(5)) is Decision.IGNORE, "still being executed: its answer will come"
    memory.answered(Ack(id="c5", outcome="done"))
    assert memory.take(command(5)) is Decision.REPEAT
    assert memory.answer == Ack(id="c5", outcome="done")
    assert memory.take(command(4)) is Decision.REPEAT, "its answer says up to which number the device is deaf"
    assert memory.take(command(6)) is Decision.EXECUTE
    assert memory.answer is None


def test_a_late_answer_to_an_older_command_is_not_kept() -> None:
    memory = CommandMemory()
    memory.take(command(1))
    memory.take(command(2))
    memory.answered(Ack(id="c1", outcome="done"))
    assert memory.answer is None
    memory.answered(Ack(id="c2", outcome="done"))
    assert memory.answer == Ack(id="c2", outcome="done")


def test_a_restart_while_executing_answers_failed_and_never_executes_again() -> None:
    memory = CommandMemory()
    memory.take(command(3))
    memory.restart(1_700_000_000_000)
    assert memory.take(command(3)) is Decision.REPEAT
    assert memory.answer == Ack(id="c3", outcome="failed", n=3, detail=RESTARTED, ts=1_700_000_000_000)


def test_a_restart_keeps_an_answer_that_was_given() -> None:
    memory = CommandMemory()
    memory.take(command(3))
    memory.answered(Ack(id="c3", outcome="done"))
    memory.restart(0)
    assert memory.answer == Ack(id="c3", outcome="done")


@settings(deadline=None)
@given(st.lists(st.tuples(st.integers(0, 8), st.booleans()), max_size=60))
def test_no_id_is_executed_twice_whatever_arrives_and_whenever_it_restarts(
    events: list[tuple[int, bool]],
) -> None:
    memory, executed = CommandMemory(), []
    for n, restart in events:
        if memory.take(command(n)) is Decision.EXECUTE:
            executed.append(n)
        if restart:
            memory.restart(0)
    assert executed == sorted(set(executed))
