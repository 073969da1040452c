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


class Sample(NamedTuple):
    """A sample of a process at `at` (monotonic seconds): `resident` bytes and `files` open files."""

    at: float
    pid: int
    resident: int
    files: int


def take_sample(pid: int) -> Sample | None:
    """Take a sample; None if the process is gone."""
    try:
        words = Path(f"/proc/{pid}/statm").read_text().split()
        files = len(list(Path(f"/proc/{pid}/fd").iterdir()))
    except OSError:
        return None
    return Sample(time.monotonic(), pid, int(words[1]) * 4096, files)


@dataclass(slots=True)
class Watch:
    """Samples the process `pid()` every `every` seconds while the block runs."""

    pid: Callable[[], int]
    every: float = 0.5
    samples: list[Sample] = field(default_factory=list)
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
            found = take_sample(self.pid())
            if found is not None:
                self.samples.append(found)

    def since(self, at: float) -> list[Sample]:
        return [sample for sample in self.samples if sample.at >= at]


def most_resident(samples: list[Sample]) -> int:
    """Return the largest resident size in bytes; 0 without samples."""
    return max((sample.resident for sample in samples), default=0)


def slope(samples: list[Sample]) -> float:
    """Return the growth of resident memory in bytes an hour: the median slope between all pairs (Theil-Sen).

    A single jump, such as a checkpoint being written, does not change it.
    """
    if len(samples) < 2:
        return 0.0
    chosen = samples[:: max(1, len(samples) // 400)]
    at = np.array([sample.at for sample in chosen])
    resident = np.array([sample.resident for sample in chosen], np.float64)
    first, second = np.triu_indices(len(chosen), 1)
    return float(np.median((resident[second] - resident[first]) / (at[second] - at[first])) * 3600)
