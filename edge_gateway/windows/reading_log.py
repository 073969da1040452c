"""The open readings of one base window: columns that are appended to, and walked once in order of the series.

    append ─▶ tail (unsorted) ──full──▶ run (sorted, never changed again), run, run …
                      walk: the same range of series from every run, a piece at a time ──┘

A reading takes 18 bytes: key (series << bits | ms since the window's start), value, quality. Runs keep every
step small: no batch ever waits for a whole window to be sorted.
"""

from typing import Any, Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from edge_gateway.windows.recorded import ClosedRanges
from edge_gateway.windows.reduce import Readings

Ints = NDArray[np.int64]
Bools = NDArray[np.bool_]

RUN: Final = 1 << 16
_FIRST_ROOM: Final = 16
_KEY_BITS: Final = 63


class Keyed(NamedTuple):
    """Columns of readings by key; texts have their code as value."""

    key: Ints
    value: NDArray[np.float64]
    quality: NDArray[np.uint16]

    def rows(self, chosen: Any) -> "Keyed":
        return Keyed(self.key[chosen], self.value[chosen], self.quality[chosen])

    def readings(self, start: int, bits: int) -> Readings:
        """Return them with series and times; `start` (ms) is their window's, `bits` of a key are the time within it."""
        ts = self.key & ((1 << bits) - 1)
        ts += start
        return Readings(self.key >> bits, ts, self.value, self.quality)

    def by_key(self) -> "Keyed":
        """Return the readings by key; equal keys keep their order."""
        key, order = sorting(self.key)
        return Keyed(key, self.value[order], self.quality[order])

    def by_value(self) -> "Keyed":
        """Return readings that are ordered by key with those of equal keys ordered by value."""
        same = self.key[1:] == self.key[:-1]
        if not same.any():
            return self
        tied = np.zeros(len(self.key), np.bool_)
        tied[1:] = same
        tied[:-1] |= same
        at = np.flatnonzero(tied)
        order = at[np.lexsort((self.value[at], self.key[at]))]
        value, quality = self.value.copy(), self.quality.copy()
        value[at], quality[at] = self.value[order], self.quality[order]
        return Keyed(self.key, value, quality)


def sorting(key: Ints) -> tuple[Ints, Ints]:
    """Return the keys sorted and their stable order: by a sort of plain integers if key and place fit into one."""
    count = len(key)
    bits = count.bit_length()
    if not count or int(key.max()).bit_length() + bits > _KEY_BITS:
        order = np.argsort(key, kind="stable")
        return key[order], order
    packed = key << bits
    packed |= np.arange(count)
    packed.sort()
    return packed >> bits, packed & ((1 << bits) - 1)


def joined(parts: list[Keyed]) -> Keyed:
    return parts[0] if len(parts) == 1 else Keyed(*(np.concatenate(c) for c in zip(*parts, strict=True)))


def _room(count: int) -> Keyed:
    return Keyed(np.empty(count, np.int64), np.empty(count, np.float64), np.empty(count, np.uint16))


class ReadingLog:
    """Readings of one window, in runs and a tail; and which devices they are of."""

    def __init__(self) -> None:
        self.runs: list[Keyed] = []
        self.present: Bools = np.zeros(0, np.bool_)
        """For each device number, whether readings of it may be here."""
        self.forced: Ints = np.empty(0, np.int64)
        """Devices whose readings here close next, whatever their watermark says."""
        self.looked_at = -1
        """Credit (`BaseTier`) when readings here were first due, or were put back; -1 before that."""
        self._tail = _room(0)
        self._used = 0

    def __len__(self) -> int:
        return sum(len(run.key) for run in self.runs) + self._used

    def append(self, readings: Keyed, devices: Ints, device_count: int) -> None:
        """Add readings in any order; `devices` are those they are of, all below `device_count`."""
        if len(self.present) < device_count:
            self.present = np.append(self.present, np.zeros(device_count - len(self.present), np.bool_))
        self.present[devices] = True
        at = 0
        while at < len(readings.key):
            taken = min(len(readings.key) - at, RUN - self._used)
            self._put(readings.rows(slice(at, at + taken)), taken)
            at += taken
            if self._used == RUN:
                self.seal()

    def _put(self, readings: Keyed, count: int) -> None:
        self._make_room(self._used + count)
        at = slice(self._used, self._used + count)
        self._tail.key[at], self._tail.value[at], self._tail.quality[at] = readings
        self._used += count

    def _make_room(self, wanted: int) -> None:
        if wanted <= len(self._tail.key):
            return
        larger = _room(min(RUN, max(_FIRST_ROOM, wanted, 2 * len(self._tail.key))))
        used = slice(0, self._used)
        larger.key[used], larger.value[used], larger.quality[used] = self._tail.rows(used)
        self._tail = larger

    def add_run(self, run: Keyed, present: Bools) -> None:
        """Add readings that are ordered by key; `present` is of the devices they may be of."""
        longer = max(len(present), len(self.present))
        both = np.zeros(longer, np.bool_)
        both[: len(present)] = present
        both[: len(self.present)] |= self.present
        self.present = both
        self.runs.append(run)

    def parts(self) -> list[Keyed]:
        """All readings here, in pieces."""
        return [*self.runs, self._tail.rows(slice(0, self._used))]

    def remove(self, gone: ClosedRanges, start: int, bits: int) -> None:
        """Take readings out; `start` (ms) is that of the window, and `bits` of a key are the time within it."""
        self.seal()
        left = []
        for run in self.runs:
            ts = start + (run.key & ((1 << bits) - 1))
            left.append(run.rows(~gone.among(run.key >> bits, ts)))
        self.runs = [run for run in left if len(run.key)]

    def pull(self, devices: Ints, series_device: Ints, bits: int) -> Keyed:
        """Take out all readings of these devices."""
        self.seal()
        of_them = np.zeros(int(series_device.max()) + 1, np.bool_)
        of_them[devices] = True
        taken = [of_them[series_device[run.key >> bits]] for run in self.runs]
        pulled = joined([run.rows(rows) for run, rows in zip(self.runs, taken, strict=True)])
        left = [run.rows(~rows) for run, rows in zip(self.runs, taken, strict=True)]
        self.runs = [run for run in left if len(run.key)]
        self.present[devices] = False
        self.forced = self.forced[~np.isin(self.forced, devices)]
        return pulled

    def seal(self) -> None:
        """Make the tail a run."""
        if self._used:
            self.runs.append(self._tail.rows(slice(0, self._used)).by_key())
            self._tail, self._used = _room(0), 0

    def snapshot(self) -> dict[str, Any]:
        """Return the state; runs are handed out themselves, because nothing changes them any more."""
        return {
            "runs": [list(run) for run in self.runs],
            "tail": [column[: self._used].copy() for column in self._tail],
            "present": np.flatnonzero(self.present),
            "devices": len(self.present),
            "forced": self.forced.copy(),
            "looked_at": self.looked_at,
        }

    @classmethod
    def restored(cls, state: dict[str, Any]) -> "ReadingLog":
        log = cls()
        log.runs = [Keyed(*run) for run in state["runs"]]
        log._tail = Keyed(*(column.copy() for column in state["tail"]))
        log._used = len(log._tail.key)
        log.present = np.zeros(state["devices"], np.bool_)
        log.present[state["present"]] = True
        log.forced, log.looked_at = state["forced"].copy(), state["looked_at"]
        return log


class Walk:
    """Takes the readings out of sorted runs, by ascending series, all of a series at once."""

    def __init__(self, runs: list[Keyed], bits: int) -> None:
        self._runs = runs
        self._bits = bits

    @property
    def left(self) -> int:
        """Readings not taken yet."""
        return sum(len(run.key) for run in self._runs)

    @property
    def runs(self) -> list[Keyed]:
        return self._runs

    def take(self, about: int) -> Keyed:
        """Take about so many readings, ordered by (key, value)."""
        if self.left <= about:
            parts, self._runs = self._runs, []
        else:
            upto = self._cut(about) << self._bits
            cuts = [int(np.searchsorted(run.key, upto)) for run in self._runs]
            pairs = list(zip(self._runs, cuts, strict=True))
            parts = [run.rows(slice(0, cut)) for run, cut in pairs if cut]
            self._runs = [run.rows(slice(cut, None)) for run, cut in pairs if cut < len(run.key)]
        return (parts[0] if len(parts) == 1 else joined(parts).by_key()).by_value()

    def _cut(self, about: int) -> int:
        """Return the first series not to take: `about` readings lie before it, if all runs are alike."""
        longest = max(self._runs, key=lambda run: len(run.key)).key
        guess = int(longest[len(longest) * about // self.left]) >> self._bits
        lowest = min(int(run.key[0]) for run in self._runs) >> self._bits
        return max(guess, lowest + 1)
