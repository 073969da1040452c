"""The memory and open files of a running process, sampled from outside."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import NamedTuple, Self

import numpy as np

MB = 1_000_000


class Look(NamedTuple):
    """A sample of a process at `at` (monotonic seconds): `resident` bytes and `files` open files."""

    at: float
    pid: int
    resident: int
    files: int


def look_at(pid: int) -> Look | None:
    """Take a sample; None if the process is gone."""
    try:
        words = Path(f"/proc/{pid}/statm").read_text().split()
        files = len(list(Path(f"/proc/{pid}/fd").iterdir()))
    except OSError:
        return None
    return Look(time.monotonic(), pid, int(words[1]) * 4096, files)


@dataclass(slots=True)
class Watch:
    """Samples the process `pid()` every `every` seconds while the block runs."""

    pid: Callable[[], int]
    every: float = 0.5
    looks: list[Look] = field(default_factory=list)
    _ended: threading.Event = field(default_factory=threading.Event)
    _thread: threading.Thread | None = None

    def __enter__(self) -> Self:
        self._thread = threading.Thread(target=self._work, name="watch", daemon=True)
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._ended.set()
        if self._thread is not None:
            self._thread.join()

    def _work(self) -> None:
        while not self._ended.wait(self.every):
            found = look_at(self.pid())
            if found is not None:
                self.looks.append(found)

    def since(self, at: float) -> list[Look]:
        return [look for look in self.looks if look.at >= at]


def most_resident(looks: list[Look]) -> int:
    """Return the largest resident size in bytes; 0 without samples."""
    return max((look.resident for look in looks), default=0)


def slope(looks: list[Look]) -> float:
    """Return the growth of resident memory in bytes an hour: the median slope between all pairs (Theil-Sen).

    A single jump, such as a checkpoint being written, does not change it.
    """
    if len(looks) < 2:
        return 0.0
    chosen = looks[:: max(1, len(looks) // 400)]
    at = np.array([look.at for look in chosen])
    resident = np.array([look.resident for look in chosen], np.float64)
    first, second = np.triu_indices(len(chosen), 1)
    return float(np.median((resident[second] - resident[first]) / (at[second] - at[first])) * 3600)
