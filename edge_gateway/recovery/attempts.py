"""Restore the newest checkpoint and replay the records after it, around records that cannot be folded.

    checkpoint ─▶ restore(state) ─▶ record, record, … ─▶ replay(number, inputs), apply(number, record)
                                       └─ raises twice ─▶ bisect its inputs until the culprit stands alone

A record that makes the program raise or die would do so at every start. So each attempt is written to disk before it
is made. From the second attempt on, a record that raises is bisected and the inputs that cannot be folded are set
aside. From the third on, the current record's number is written too, and a record that was current the last three
times the program died is set aside whole: once or twice the power may have failed at just that point.
"""

import json
import sqlite3
from collections.abc import Callable
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any, Final, Protocol

import msgspec

from edge_gateway.journal.checkpoint import Checkpoint, checkpoint_files, read_latest, set_aside_unreadable
from edge_gateway.journal.files import FILES, Files, write_whole
from edge_gateway.journal.segments import Journal
from edge_gateway.records import codec

ATTEMPTS_FILE: Final = "recovery-attempts"
TAKE_APART_FROM: Final = 2
NOTE_EACH_FROM: Final = 3
DEATHS: Final = 3


class Replayable(Protocol):
    """What recovery needs of the fold and the store."""

    def restore(self, state: dict[str, Any]) -> None:
        """Restore the state of a checkpoint, or of `snapshot`."""

    def snapshot(self) -> dict[str, Any]:
        """Return a copy of the state."""
        ...

    def begin(self, after: int) -> None:
        """Prepare to replay the records after number `after`, which the state includes (-1: none)."""

    def inputs(self, record: Any) -> list[Any]:
        """Return the inputs of a record."""
        ...

    def halves(self, one: Any) -> list[Any]:
        """Split an input in two; empty when it cannot be split."""
        ...

    def replay(self, number: int, inputs: list[Any]) -> None:
        """Fold inputs of a record, and discard the effects."""

    def apply(self, number: int, record: Any) -> None:
        """Store the effects that the record holds; the store skips records it already has."""

    def set_aside(self, number: int, culprit: Any, reason: str) -> None:
        """Quarantine an input that cannot be folded."""


@dataclass(frozen=True, slots=True)
class Replayed:
    """What a replay did and what it found damaged. Record numbers; -1 for none.

    Attributes:
        checkpoint: the last record that the restored checkpoint includes.
        last: the last record that was replayed.
        records: how many were replayed.
        attempt: which attempt succeeded, from 1.
        culprits: inputs that could not be folded.
        unreadable: records that could not be decoded.
        skipped_checkpoints: names of checkpoint files that could not be read.
    """

    checkpoint: int
    last: int
    records: int
    attempt: int
    culprits: int
    unreadable: tuple[int, ...]
    skipped_checkpoints: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Attempts:
    """Earlier attempts of this start-up, as written to disk.

    Attributes:
        attempt: how many were made.
        raised: records that raised.
        at_hand: the record being replayed when this was written, if the attempt writes it.
        killed: records that were being replayed the last three times the program died.
        suspect: the record being replayed the last `deaths` times the program died.
        deaths: see `suspect`.
    """

    attempt: int = 0
    raised: tuple[int, ...] = ()
    at_hand: int | None = None
    killed: tuple[int, ...] = ()
    suspect: int | None = None
    deaths: int = 0

    def next(self) -> "Attempts":
        """Return the next attempt, with the record that the last one may have died of."""
        if self.at_hand is None:
            return replace(self, attempt=self.attempt + 1)
        deaths = self.deaths + 1 if self.at_hand == self.suspect else 1
        killed = (*self.killed, self.at_hand) if deaths == DEATHS else self.killed
        return replace(
            self, attempt=self.attempt + 1, at_hand=None, killed=killed, suspect=self.at_hand, deaths=deaths
        )


class AttemptsFile:
    """The file that holds the attempts; written before each one."""

    def __init__(self, spool: Path, files: Files = FILES) -> None:
        self._path = spool / ATTEMPTS_FILE
        self._files = files

    def read(self) -> Attempts:
        """Return what the file says; no attempts when it is missing or unreadable."""
        try:
            found = json.loads(self._files.read(self._path))
            attempts = Attempts(**found)
            return replace(
                attempts,
                attempt=int(attempts.attempt),
                raised=tuple(attempts.raised),
                killed=tuple(attempts.killed),
            )
        except (OSError, ValueError, KeyError, TypeError):
            return Attempts()

    def write(self, attempts: Attempts) -> None:
        write_whole(self._files, self._path, json.dumps(asdict(attempts)).encode())

    def forget(self) -> None:
        """Delete the file: recovery succeeded."""
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
    """Bring the fold to its state after the last committed record.

    Args:
        spool: the directory of checkpoints and of the attempts file.
        journal: the open journal.
        fold: a new one, to restore into.
        at: wall time in ms, for the names of files set aside.
        progress: called with each record's number, for the watchdog.
        files: the file operations to use.

    Raises:
        OSError, sqlite3.Error: the disk refuses.
        Exception: whatever `fold.replay` raises, on the first attempt only; whatever `fold.apply` raises.
    """
    files.make_directory(spool)
    attempts_file = AttemptsFile(spool, files)
    attempts = attempts_file.read().next()
    attempts_file.write(attempts)
    fresh = fold.snapshot()
    skipped: tuple[str, ...] = ()
    while True:
        checkpoint, unreadable = _restore(spool, fold, fresh, at, files)
        skipped += unreadable
        replay = _Replay(fold, attempts, attempts_file, progress)
        start = -1 if checkpoint is None else checkpoint.number
        fold.begin(start)
        suspect = replay.run(journal, start)
        if suspect is None:
            break
        number, error = suspect
        if number in attempts.raised:  # it was bisected, so none of its inputs raised
            raise error
        attempts = replace(attempts, raised=(*attempts.raised, number))
        attempts_file.write(attempts)
        if attempts.attempt < TAKE_APART_FROM:
            raise error
    for culprit in replay.aside:
        fold.set_aside(*culprit)
    attempts_file.forget()
    return Replayed(
        start, replay.last, replay.records, attempts.attempt, len(replay.aside), replay.unreadable, skipped
    )


def _restore(
    spool: Path, fold: Replayable, fresh: dict[str, Any], at: int, files: Files
) -> tuple[Checkpoint | None, tuple[str, ...]]:
    """Restore the newest readable checkpoint, or the fresh state; also return the unreadable files."""
    checkpoint = read_latest(spool, files=files, take=fold.restore)
    skipped = checkpoint_files(spool, files=files) if checkpoint is None else checkpoint.skipped
    set_aside_unreadable(spool, skipped, at, files=files)
    if checkpoint is None:
        fold.restore(fresh)
    return checkpoint, skipped


class _Replay:
    """Feeds records to the fold; bisects those that raised and sets aside those that killed."""

    def __init__(
        self,
        fold: Replayable,
        attempts: Attempts,
        attempts_file: AttemptsFile,
        progress: Callable[[int], None],
    ) -> None:
        self._fold = fold
        self._attempts = attempts
        self._attempts_file = attempts_file
        self._progress = progress
        self.last = -1
        self.records = 0
        self.aside: list[tuple[int, Any, str]] = []
        self.unreadable: tuple[int, ...] = ()

    def run(self, journal: Journal, after: int) -> tuple[int, Exception] | None:
        """Replay the records after `after`; return the first that raised unexpectedly, with its error.

        An error of the disk or of SQLite is raised: no record is to blame.
        """
        for number, body in journal.read(after + 1):
            try:
                self._take(number, body)
            except (OSError, sqlite3.Error):
                raise
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
        if self._attempts.attempt >= NOTE_EACH_FROM:
            self._attempts_file.write(replace(self._attempts, at_hand=number))
        if number in self._attempts.killed:
            self._set_aside(number, inputs, "the program died while folding it")
        elif number in self._attempts.raised:
            self._bisect(number, inputs)
        else:
            self._fold.replay(number, inputs)
        self._fold.apply(number, record)
        self.records += 1

    def _bisect(self, number: int, inputs: list[Any]) -> None:
        before = self._fold.snapshot()
        try:
            self._fold.replay(number, inputs)
        except Exception as error:  # noqa: BLE001 - whatever it raises must not stop the service for ever
            self._fold.restore(before)
            parts = inputs if len(inputs) > 1 else [half for one in inputs for half in self._fold.halves(one)]
            if not parts:
                self._set_aside(number, inputs, f"{type(error).__name__}: {error}")
                return
            half = len(parts) // 2
            self._bisect(number, parts[:half])
            self._bisect(number, parts[half:])

    def _set_aside(self, number: int, inputs: list[Any], reason: str) -> None:
        self.aside += [(number, culprit, reason) for culprit in inputs]
