import copy
import errno
import sqlite3
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edge_gateway.journal.checkpoint import write_checkpoint
from edge_gateway.journal.segments import Journal
from edge_gateway.records import codec
from edge_gateway.recovery.attempts import ATTEMPTS_FILE, AttemptsFile, Replayed, recover


class Killed(BaseException):
    """The program dies: nothing catches it."""


class Fold:
    """Sums its inputs, which are lists of numbers. `poison` raises, `lethal` kills; both after changing the state."""

    def __init__(self, poison: frozenset[int] = frozenset(), lethal: frozenset[int] = frozenset()) -> None:
        self.state: dict[str, Any] = {"seen": [], "sum": 0}
        self.poison, self.lethal = poison, lethal
        self.applied: list[int] = []
        self.aside: list[tuple[int, Any]] = []
        self.snapshots = 0

    def restore(self, state: dict[str, Any]) -> None:
        self.state = copy.deepcopy(state)

    def snapshot(self) -> dict[str, Any]:
        self.snapshots += 1
        return copy.deepcopy(self.state)

    def begin(self, after: int) -> None:
        self.after = after

    def inputs(self, record: Any) -> list[Any]:
        return list(record["inputs"])

    def halves(self, one: Any) -> list[Any]:
        middle = len(one) // 2
        return [one[:middle], one[middle:]] if len(one) > 1 else []

    def replay(self, number: int, inputs: list[Any]) -> None:
        assert number >= 0
        for one in inputs:
            for value in one:
                self.state["sum"] += value
                if value in self.lethal:
                    raise Killed
                if value in self.poison:
                    raise ValueError(f"cannot fold {value}")
                self.state["seen"].append(value)

    def apply(self, number: int, record: Any) -> None:
        assert "effects" in record
        self.applied.append(number)

    def set_aside(self, number: int, culprit: Any, reason: str) -> None:
        self.aside.append((number, culprit))
        assert reason


def record(*inputs: list[int]) -> bytes:
    return codec.encode({"inputs": list(inputs), "effects": []})


def journal_of(spool: Path, records: dict[int, bytes]) -> Journal:
    journal = Journal.open(spool / "journal")
    for number, body in records.items():
        journal.append(number, body)
        journal.sync()
    return journal


def run(spool: Path, fold: Fold, **more: Any) -> Replayed:
    return recover(spool, Journal.open(spool / "journal"), fold, at=5, **more)


def test_a_record_without_what_is_asked_of_it_is_told_and_does_not_stop_the_start(tmp_path: Path) -> None:
    strange = codec.encode({"other": 1})
    journal_of(tmp_path, {1: RECORDS[1], 2: strange, 3: RECORDS[3]})
    fold = Fold()
    assert run(tmp_path, fold).unreadable == (2,)
    assert fold.applied == [1, 3]


RECORDS = {n: record([n, 10 * n], [100 * n]) for n in range(1, 6)}


def test_an_empty_spool_recovers_to_nothing(tmp_path: Path) -> None:
    found = run(tmp_path / "new", Fold())
    assert (found.checkpoint, found.last, found.records, found.attempt) == (-1, -1, 0, 1)


def test_a_checkpoint_and_the_records_behind_it_give_the_state_of_all_records(tmp_path: Path) -> None:
    journal_of(tmp_path, RECORDS)
    straight = Fold()
    assert run(tmp_path, straight).records == 5
    half = Fold()
    half.replay(0, [[1, 10], [100], [2, 20], [200]])
    write_checkpoint(tmp_path, 2, half.snapshot())
    resumed, numbers = Fold(), list[int]()
    found = run(tmp_path, resumed, progress=numbers.append)
    assert resumed.state == straight.state
    assert (found.checkpoint, found.last, found.records) == (2, 5, 3)
    assert numbers == resumed.applied == [3, 4, 5]
    assert not (tmp_path / ATTEMPTS_FILE).exists()
    assert resumed.snapshots == 1, "replay copies no state but the first"


def test_a_corrupt_checkpoint_falls_back_to_the_older_one_and_more_records(tmp_path: Path) -> None:
    journal_of(tmp_path, RECORDS)
    one = Fold()
    one.replay(0, [[1, 10], [100]])
    write_checkpoint(tmp_path, 1, one.snapshot())
    write_checkpoint(tmp_path, 4, {"seen": ["wrong"], "sum": 0})
    newest = tmp_path / f"checkpoint-{4:020d}"
    newest.write_bytes(newest.read_bytes()[:-1])
    fold, straight = Fold(), Fold()
    found = run(tmp_path, fold)
    straight.replay(0, [[n for k in range(1, 6) for n in (k, 10 * k, 100 * k)]])
    assert fold.state == straight.state
    assert found.checkpoint == 1
    assert found.skipped_checkpoints == (newest.name,)
    assert (tmp_path / f"{newest.name}.corrupt-5").exists()


def test_the_first_attempt_raises_and_the_second_puts_the_culprit_aside(tmp_path: Path) -> None:
    journal_of(tmp_path, RECORDS)
    with pytest.raises(ValueError, match="cannot fold 30"):
        run(tmp_path, Fold(frozenset({30})))
    fold = Fold(frozenset({30}))
    found = run(tmp_path, fold)
    assert fold.aside == [(3, [30])]
    assert fold.state["seen"] == [1, 10, 100, 2, 20, 200, 3, 300, 4, 40, 400, 5, 50, 500]
    assert fold.state["sum"] == sum(fold.state["seen"])
    assert fold.applied == [1, 2, 3, 4, 5], "what the record led to is kept all the same"
    assert (found.attempt, found.culprits) == (2, 1)
    assert AttemptsFile(tmp_path).read().attempt == 0


@settings(max_examples=60, deadline=None)
@given(
    values=st.lists(st.lists(st.lists(st.integers(0, 40), max_size=5), max_size=4), max_size=6),
    poison=st.frozensets(st.integers(0, 40), max_size=6),
)
def test_any_number_of_culprits_leaves_exactly_the_rest(
    tmp_path_factory: pytest.TempPathFactory, values: list[list[list[int]]], poison: frozenset[int]
) -> None:
    spool = tmp_path_factory.mktemp("poison")
    journal_of(spool, {n: record(*inputs) for n, inputs in enumerate(values)})
    flat = [value for inputs in values for one in inputs for value in one]
    fold = Fold(poison)
    if poison & set(flat):
        with pytest.raises(ValueError, match="cannot fold"):
            run(spool, fold)
        fold = Fold(poison)
    found = run(spool, fold)
    assert fold.state["seen"] == [value for value in flat if value not in poison]
    assert fold.state["sum"] == sum(fold.state["seen"])
    assert [culprit for _, (culprit,) in fold.aside] == [value for value in flat if value in poison]
    assert found.culprits == len(fold.aside)


class Unstorable(Fold):
    """A fold whose store does not take record 3."""

    def __init__(self, error: Exception) -> None:
        super().__init__()
        self.error = error
        self.tried = 0

    def apply(self, number: int, record: Any) -> None:
        if number == 3:
            self.tried += 1
            if self.tried > 9:
                raise Killed
            raise self.error
        super().apply(number, record)


@pytest.mark.parametrize(
    "error", [OSError(errno.ENOSPC, "full"), sqlite3.OperationalError("disk full")], ids=["file", "store"]
)
def test_a_disk_that_refuses_is_no_fault_of_the_record(tmp_path: Path, error: Exception) -> None:
    journal_of(tmp_path, RECORDS)
    for _ in range(3):
        fold = Unstorable(error)
        with pytest.raises(type(error)):
            run(tmp_path, fold)
        assert (fold.tried, fold.aside) == (1, [])
        assert AttemptsFile(tmp_path).read().raised == ()
    assert run(tmp_path, Fold()).last == 5


def test_a_record_that_still_raises_when_bisected_is_told(tmp_path: Path) -> None:
    """It is not its inputs that raise, and to try again without end would hide it."""
    journal_of(tmp_path, RECORDS)
    for _ in range(3):
        fold = Unstorable(KeyError("effects"))
        with pytest.raises(KeyError, match="effects"):
            run(tmp_path, fold)
        assert (fold.tried, fold.aside) == (1, [])


def test_a_record_that_kills_the_program_is_put_aside_whole_in_the_end(tmp_path: Path) -> None:
    journal_of(tmp_path, RECORDS)
    for attempt in range(1, 6):
        with pytest.raises(Killed):
            run(tmp_path, Fold(lethal=frozenset({20})))
        assert AttemptsFile(tmp_path).read().attempt == attempt
    fold = Fold(lethal=frozenset({20}))
    found = run(tmp_path, fold)
    assert fold.aside == [(2, [2, 20]), (2, [200])]
    assert fold.state["seen"] == [1, 10, 100, 3, 30, 300, 4, 40, 400, 5, 50, 500]
    assert (found.attempt, found.culprits) == (6, 2)


def test_a_program_that_is_killed_while_it_recovers_puts_nothing_aside(tmp_path: Path) -> None:
    """Nor when it happens again and again, as long as it is not always the same record."""
    journal_of(tmp_path, RECORDS)
    for at in (10, 20, 20, 20, 40, 20, 20, 50):
        with pytest.raises(Killed):
            run(tmp_path, Fold(lethal=frozenset({at})))
    fold, straight = Fold(), Fold()
    found = run(tmp_path, fold)
    straight.replay(0, [[n for k in range(1, 6) for n in (k, 10 * k, 100 * k)]])
    assert (found.culprits, fold.aside) == (0, [])
    assert fold.state == straight.state


def test_a_record_that_cannot_be_decoded_is_named_and_passed_over(tmp_path: Path) -> None:
    journal_of(tmp_path, {**RECORDS, 3: b"no record"})
    fold = Fold()
    found = run(tmp_path, fold)
    assert (found.unreadable, found.last, found.records) == ((3,), 5, 4)
    assert fold.applied == [1, 2, 4, 5]


@pytest.mark.parametrize("text", ["", "{", "[]", '{"attempt": "x"}', "null"])
def test_an_unreadable_file_of_attempts_is_a_first_attempt(tmp_path: Path, text: str) -> None:
    (tmp_path / ATTEMPTS_FILE).write_text(text)
    assert run(tmp_path, Fold()).attempt == 1
