"""From disk to the state before the stop: the last checkpoint, then every record after it.

    checkpoint ─▶ restore(state) ─▶ record, record, … ─▶ replay(number, inputs), apply(number, record)
                                       └─ raises twice ─▶ halves of its inputs, until the culprit stands alone

A record that makes the program raise or die would do so at every start. So what is tried is written down
first: from the second attempt on a record that raises is taken apart and what cannot be folded is put
aside; from the third on the record at hand is noted too, and one that was at hand each of the last three times
the program died is put aside whole: one time, or two, the power may have failed just there.
"""

import json
from collections.abc import Callable
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any, Final, Protocol

import msgspec

from edge_gateway.journal.checkpoint import Checkpoint, checkpoint_files, read_latest, set_aside_unreadable
from edge_gateway.journal.files import FILES, Files, write_whole
from edge_gateway.journal.journal import Journal
from edge_gateway.records import codec

ATTEMPTS_FILE: Final = "recovery-attempts"
TAKE_APART_FROM: Final = 2
NOTE_EACH_FROM: Final = 3
DEATHS: Final = 3


class FoldsOtherwise(Exception):
    """A record was written by a program that folds otherwise; begun anew, the fold follows what records say."""


class Replayable(Protocol):
    """The fold, as recovery drives it."""

    def restore(self, state: dict[str, Any]) -> None:
        """Take the state of a checkpoint, or of `snapshot`."""

    def snapshot(self) -> dict[str, Any]:
        """A copy of the state."""
        ...

    def begin(self, after: int) -> None:
        """The state is that after record `after` (-1: of none); what is behind it follows."""

    def inputs(self, record: Any) -> list[Any]:
        """What a record was folded from."""
        ...

    def halves(self, one: Any) -> list[Any]:
        """An input as two smaller ones; empty where it cannot be divided."""
        ...

    def replay(self, number: int, inputs: list[Any]) -> None:
        """Fold inputs of a record; what they lead to is thrown away."""

    def apply(self, number: int, record: Any) -> None:
        """Hand what the record says it led to to the store, which knows whether it has it already."""

    def set_aside(self, number: int, culprit: Any, reason: str) -> None:
        """Quarantine an input that cannot be folded."""


@dataclass(frozen=True, slots=True)
class Replayed:
    """What recovery did: the checkpoint it began at and the last record (-1: none), and what was damaged."""

    checkpoint: int
    last: int
    records: int
    attempt: int
    culprits: int
    unreadable: tuple[int, ...]
    skipped_checkpoints: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Attempts:
    """Earlier attempts: how many, records that raised, the record at hand, records that killed.

    `suspect` was at hand the last `deaths` times the program died with one at hand.
    """

    attempt: int = 0
    raised: tuple[int, ...] = ()
    at_hand: int | None = None
    killed: tuple[int, ...] = ()
    suspect: int | None = None
    deaths: int = 0

    def next(self) -> "Attempts":
        """The next attempt; a record that was at hand each of the last deaths is one that kills."""
        if self.at_hand is None:
            return replace(self, attempt=self.attempt + 1)
        deaths = self.deaths + 1 if self.at_hand == self.suspect else 1
        killed = (*self.killed, self.at_hand) if deaths == DEATHS else self.killed
        return replace(
            self, attempt=self.attempt + 1, at_hand=None, killed=killed, suspect=self.at_hand, deaths=deaths
        )


class AttemptsFile:
    """Where attempts are written down before they are made."""

    def __init__(self, spool: Path, files: Files = FILES) -> None:
        self._path = spool / ATTEMPTS_FILE
        self._files = files

    def read(self) -> Attempts:
        """What is written; no tries where nothing readable is."""
        try:
            found = json.loads(self._files.read(self._path))
            tries = Attempts(**found)
            return replace(
                tries, attempt=int(tries.attempt), raised=tuple(tries.raised), killed=tuple(tries.killed)
            )
        except (OSError, ValueError, KeyError, TypeError):
            return Attempts()

    def write(self, tries: Attempts) -> None:
        write_whole(self._files, self._path, json.dumps(asdict(tries)).encode())

    def forget(self) -> None:
        """Recovery came to its end."""
        self._files.unlink(self._path)


def recover(
    spool: Path,
    journal: Journal,
    fold: Replayable,
    *,
    at: int,
    progress: Callable[[int], None] = lambda _: None,
    files: Files = FILES,
) -> Replayed:
    """Bring the fold to where it was when the last record was committed.

    A fold that raises `FoldsOtherwise`, as it may once, is begun anew from the checkpoint.

    Args:
        spool: where checkpoints and the file of attempts lie.
        journal: the open journal.
        fold: what is brought back, fresh.
        at: wall time in ms, which names files set aside.
        progress: called with each record's number, for the watchdog.
        files: the file operations to use.

    Raises what `fold.replay` raises, at the first attempt only.
    """
    files.make_directory(spool)
    book = AttemptsFile(spool, files)
    tries = book.read().next()
    book.write(tries)
    fresh = fold.snapshot()
    skipped: tuple[str, ...] = ()
    while True:
        checkpoint, unreadable = _restore(spool, fold, fresh, at, files)
        skipped += unreadable
        replay = _Replay(fold, tries, book, progress)
        start = -1 if checkpoint is None else checkpoint.number
        fold.begin(start)
        suspect = replay.run(journal, start)
        if suspect is None:
            break
        if isinstance(suspect[1], FoldsOtherwise):
            continue
        tries = replace(tries, raised=(*tries.raised, suspect[0]))
        book.write(tries)
        if tries.attempt < TAKE_APART_FROM:
            raise suspect[1]
    for culprit in replay.aside:
        fold.set_aside(*culprit)
    book.forget()
    return Replayed(
        start, replay.last, replay.records, tries.attempt, len(replay.aside), replay.unreadable, skipped
    )


def _restore(
    spool: Path, fold: Replayable, fresh: dict[str, Any], at: int, files: Files
) -> tuple[Checkpoint | None, tuple[str, ...]]:
    """Take the newest checkpoint that can be read, or begin anew; also returns which could not be read."""
    checkpoint = read_latest(spool, files=files, take=fold.restore)
    skipped = checkpoint_files(spool, files=files) if checkpoint is None else checkpoint.skipped
    set_aside_unreadable(spool, skipped, at, files=files)
    if checkpoint is None:
        fold.restore(fresh)
    return checkpoint, skipped


class _Replay:
    """Records through the fold; those that raised or killed before are handled with care."""

    def __init__(
        self, fold: Replayable, tries: Attempts, book: AttemptsFile, progress: Callable[[int], None]
    ) -> None:
        self._fold = fold
        self._tries = tries
        self._book = book
        self._progress = progress
        self.last = -1
        self.records = 0
        self.aside: list[tuple[int, Any, str]] = []
        self.unreadable: tuple[int, ...] = ()

    def run(self, journal: Journal, after: int) -> tuple[int, Exception] | None:
        """Replay what is behind record `after`; returns the first record that raised unexpectedly."""
        for number, body in journal.read(after + 1):
            try:
                self._take(number, body)
            except Exception as error:  # noqa: BLE001 - the caller writes down which record it was
                return number, error
            self.last = number
            self._progress(number)
        return None

    def _take(self, number: int, body: bytes) -> None:
        try:
            record = codec.decode(body)
            inputs = self._fold.inputs(record)
        except (codec.UndecodableBytes, msgspec.ValidationError, KeyError, TypeError):
            self.unreadable = (*self.unreadable, number)
            return
        if self._tries.attempt >= NOTE_EACH_FROM:
            self._book.write(replace(self._tries, at_hand=number))
        if number in self._tries.killed:
            self._put_aside(number, inputs, "the program died while folding it")
        elif number in self._tries.raised:
            self._carefully(number, inputs)
        else:
            self._fold.replay(number, inputs)
        self._fold.apply(number, record)
        self.records += 1

    def _carefully(self, number: int, inputs: list[Any]) -> None:
        before = self._fold.snapshot()
        try:
            self._fold.replay(number, inputs)
        except FoldsOtherwise:
            raise
        except Exception as error:  # noqa: BLE001 - whatever it raises must not stop the service for ever
            self._fold.restore(before)
            parts = inputs if len(inputs) > 1 else [half for one in inputs for half in self._fold.halves(one)]
            if not parts:
                self._put_aside(number, inputs, f"{type(error).__name__}: {error}")
                return
            half = len(parts) // 2
            self._carefully(number, parts[:half])
            self._carefully(number, parts[half:])

    def _put_aside(self, number: int, inputs: list[Any], reason: str) -> None:
        self.aside += [(number, culprit, reason) for culprit in inputs]
