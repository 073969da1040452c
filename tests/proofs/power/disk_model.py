"""A disk that may lose unsynced writes, and what it may hold after a power cut.

Until a file is synced, each write to it may be there whole, in part, as zeros or not at all, in any combination. A name
in a directory is certain once the directory was synced. A rename happens as a whole or not at all. No order of writing
is assumed; a journaling file system keeps more order than this.

step ─▶ apply ─┬─ cached: writes and names that wait for a sync
               └─ durable ◀── sync
leave(directory, variant) ─▶ what is durable, and what the variant keeps of the rest
"""

from __future__ import annotations

import random
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from itertools import pairwise
from pathlib import Path
from typing import Final, Literal

from tests.proofs.power.disk_trace import Step

Fate = Literal["kept", "lost", "torn", "zeros"]
Fates = Callable[[Step], Fate]
SECTOR: Final = 512
_NAMES: Final = frozenset({"make", "create", "rename", "unlink"})


@dataclass(slots=True)
class _File:
    durable: bytearray = field(default_factory=bytearray)
    waiting: list[Step] = field(default_factory=list)


@dataclass(slots=True)
class Disk:
    """What a disk certainly holds, and the writes it may lose."""

    _files: dict[int, _File] = field(default_factory=dict)
    _names: dict[str, int] = field(default_factory=dict)
    _waiting: list[Step] = field(default_factory=list)

    def add_file(self, path: str, file: int, content: bytes) -> None:
        """Add a durable file that exists before the first step; number 0 is a directory."""
        self._names[path] = file
        if file:
            self._files[file] = _File(bytearray(content))

    def apply(self, step: Step) -> None:
        """Apply one step."""
        if step.kind in _NAMES:
            self._waiting.append(step)
            if step.kind == "create":
                self._files[step.file] = _File()
        elif step.kind == "sync-names":
            self._sync_names(step)
        elif step.kind == "sync":
            self._sync(step)
        else:
            self._files[step.file].waiting.append(step)

    def waiting(self) -> list[Step]:
        """Return the steps no sync has covered yet, in order."""
        steps = [step for file in self._files.values() for step in file.waiting]
        return sorted([*steps, *self._waiting], key=lambda step: step.line)

    def content(self, file: int) -> bytes:
        """Return a file's content as a program reads it before the cut."""
        held = self._files[file]
        return written(held.durable, held.waiting, lambda _: "kept", random.Random())

    def leave(self, directory: Path, fates: Fates, chance: random.Random) -> None:
        """Write what this disk holds after the cut into a new directory."""
        names = renamed(self._names, [step for step in self._waiting if fates(step) == "kept"])
        directory.mkdir(parents=True)
        for path, file in sorted(names.items()):
            place = directory / path
            if not place.parent.is_dir():
                continue  # the directory it was in is gone
            if not file:
                place.mkdir(exist_ok=True)
                continue
            held = self._files[file]
            place.write_bytes(written(held.durable, held.waiting, fates, chance))

    def _sync(self, step: Step) -> None:
        file = self._files[step.file]
        covered = [waiting for waiting in file.waiting if waiting.line < step.begun]
        file.durable = bytearray(written(file.durable, covered, lambda _: "kept", random.Random()))
        file.waiting = file.waiting[len(covered) :]

    def _sync_names(self, step: Step) -> None:
        """Make the names in this directory durable; a rename counts for the directory it moves to."""
        covered = [
            waiting
            for waiting in self._waiting
            if waiting.line < step.begun and _directory(waiting) == step.path
        ]
        self._names = renamed(self._names, covered)
        self._waiting = [waiting for waiting in self._waiting if waiting not in covered]


def _directory(step: Step) -> str:
    parent = str(Path(step.target or step.path).parent)
    return "" if parent == "." else parent


def renamed(names: dict[str, int], steps: Iterable[Step]) -> dict[str, int]:
    """Return file numbers by path after steps that make, rename and unlink; directories have number 0."""
    after = dict(names)
    for step in steps:
        if step.kind in {"rename", "unlink"}:
            after.pop(step.path, None)
        if step.kind == "rename":
            after[step.target] = step.file
        elif step.kind in {"make", "create"}:
            after[step.path] = step.file
    return after


def written(durable: bytes | bytearray, steps: Iterable[Step], fates: Fates, chance: random.Random) -> bytes:
    """Return a file's content after the steps, each kept, lost, torn or zeroed."""
    content = bytearray(durable)
    for step in steps:
        fate = fates(step)
        if fate == "lost":
            continue
        if step.kind == "truncate":
            del content[step.offset :]
            content.extend(bytes(step.offset - len(content)))
            continue
        _put(content, step, fate, chance)
    return bytes(content)


def _put(content: bytearray, step: Step, fate: Fate, chance: random.Random) -> None:
    """Write a step's data: all of it, some sectors, or zeros instead."""
    if fate == "zeros":
        _write(content, step.offset, bytes(len(step.data)))
    elif fate == "kept":
        _write(content, step.offset, step.data)
    else:
        for start, end in _survivors(step, chance):
            _write(content, step.offset + start, step.data[start:end])


def _write(content: bytearray, offset: int, data: bytes) -> None:
    content.extend(bytes(max(0, offset - len(content))))
    content[offset : offset + len(data)] = data


def _survivors(step: Step, chance: random.Random) -> list[tuple[int, int]]:
    """Return the ranges of a torn write that reached the disk: its first sectors, its last ones, or any."""
    size = len(step.data)
    first = SECTOR - step.offset % SECTOR
    cuts = [0, *range(first, size, SECTOR), size]
    sectors = list(pairwise(cuts))
    where = chance.randrange(len(sectors) + 1)
    return chance.choice(
        (sectors[:where], sectors[where:], [sector for sector in sectors if chance.random() < 0.5])
    )


# --- the fates of everything that waits for a sync

Variant = Callable[[list[Step], random.Random], Fates]


def _each(fate: Callable[[Step], Fate]) -> Variant:
    return lambda _waiting, _chance: fate


def _up_to_a_point(waiting: list[Step], chance: random.Random) -> Fates:
    """Keep everything up to a point in order; the write at the point is torn."""
    point = chance.choice(waiting).line if waiting else 0
    return lambda step: "kept" if step.line < point else "torn" if step.line == point else "lost"


def _from_a_point(waiting: list[Step], chance: random.Random) -> Fates:
    """Keep the newest writes, and lose those before them."""
    point = chance.choice(waiting).line if waiting else 0
    return lambda step: "kept" if step.line >= point else "lost"


def _drawn(*fates: Fate) -> Variant:
    def variant(waiting: list[Step], chance: random.Random) -> Fates:
        by_line = {step.line: chance.choice(fates) for step in waiting}
        return lambda step: by_line[step.line]

    return variant


def _one_lost(waiting: list[Step], chance: random.Random) -> Fates:
    """Keep all but one."""
    lost = chance.choice(waiting).line if waiting else 0
    return lambda step: "lost" if step.line == lost else "kept"


def _is_name(step: Step) -> bool:
    return step.kind in _NAMES


VARIANTS: Final[dict[str, Variant]] = {
    "dropped": _each(lambda _: "lost"),
    "torn at a point": _up_to_a_point,
    "names without data": _each(lambda step: "kept" if _is_name(step) else "lost"),
    "reordered": _drawn("kept", "lost"),
    "zeros for data": _each(lambda step: "kept" if _is_name(step) or step.kind == "truncate" else "zeros"),
    "torn anywhere": _drawn("kept", "lost", "torn", "torn", "zeros"),
    "data without names": _each(lambda step: "lost" if _is_name(step) else "kept"),
    "newest first": _from_a_point,
    "one lost": _one_lost,
    "kept": _each(lambda _: "kept"),
}
"""By name: the fate of each step that no sync covers when the power is cut."""
