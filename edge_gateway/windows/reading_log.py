"""The readings of one open base window: appended as columns, then walked once in order of series.

    append ─▶ tail (unsorted) ──full──▶ run (sorted, never changed again), run, run …
                      walk: the same range of series from every run, a piece at a time ──┘

A reading takes 18 bytes: key (series << bits | ms since the window's start), value and quality. Runs bound
every step: no batch waits for a whole window to be sorted.
"""

from typing import Any, Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from edge_gateway.records.closings import ALL
from edge_gateway.windows.reduce import Readings

Ints = NDArray[np.int64]
Bools = NDArray[np.bool_]

RUN: Final = 1 << 16
_FIRST_ROOM: Final = 16
_KEY_BITS: Final = 63


class Keyed(NamedTuple):
    """Columns of readings with packed keys; the value of a text is its code."""

    key: Ints
    value: NDArray[np.float64]
    quality: NDArray[np.uint16]

    @classmethod
    def of(cls, readings: Readings, start: int, bits: int) -> "Keyed":
        """Pack readings of the window at `start`; the inverse of `readings`."""
        key = readings.series << bits
        key |= readings.ts - start
        return cls(key, readings.value, readings.quality)

    def rows(self, chosen: Any) -> "Keyed":
        return Keyed(self.key[chosen], self.value[chosen], self.quality[chosen])

    def readings(self, start: int, bits: int) -> Readings:
        """Unpack the keys into series and times.

        Args:
            start: start of the window, ms.
            bits: how many low bits of a key hold the time since `start`.
        """
        ts = self.key & ((1 << bits) - 1)
        ts += start
        return Readings(self.key >> bits, ts, self.value, self.quality)

    def by_key(self) -> "Keyed":
        """Return the readings sorted by key; the sort is stable."""
        key, order = sorting(self.key)
        return Keyed(key, self.value[order], self.quality[order])

    def by_value(self) -> "Keyed":
        """Return readings already sorted by key sorted by (key, value)."""
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
    """Return the sorted keys and their stable order.

    Where key and position fit into 63 bits together, sorting plain integers is several times faster than `argsort`.
    """
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
    return Keyed(np.empty(count, np.int64), np.empty(count), np.empty(count, np.uint16))


class ReadingLog:
    """Readings of one window as sorted runs and an unsorted tail, and the devices they belong to."""

    def __init__(self) -> None:
        self.runs: list[Keyed] = []
        self.present: Bools = np.zeros(0, np.bool_)
        """By device number, whether the log may hold readings of it."""
        self.forced: Ints = np.empty(0, np.int64)
        """Devices whose readings here are due whatever their watermark says."""
        self.looked_at = -1
        """`BaseTier.credit` when readings here first became due or were last put back; -1 before that."""
        self._tail = _room(0)
        self._used = 0

    def __len__(self) -> int:
        return sum(len(run.key) for run in self.runs) + self._used

    def append(self, readings: Keyed, devices: Ints, device_count: int) -> None:
        """Add readings in any order; `devices` are those they belong to, all below `device_count`."""
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
        """Add readings sorted by key; `present` says by device number which devices they may belong to."""
        longer = max(len(present), len(self.present))
        both = np.zeros(longer, np.bool_)
        both[: len(present)] = present
        both[: len(self.present)] |= self.present
        self.present = both
        self.runs.append(run)

    def parts(self) -> list[Keyed]:
        """Return all readings, as runs and the tail."""
        return [*self.runs, self._tail.rows(slice(0, self._used))]

    def closing(self, due: Bools) -> Bools:
        """Return which of the devices present close, by device number, where those `due` do and the forced ones."""
        closing: Bools = due & self.present
        closing[self.forced] = self.present[self.forced]
        return closing

    def pull(self, devices: Ints, series_device: Ints, bits: int) -> Keyed:
        """Remove and return all readings of these devices."""
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
        """Turn the tail into a sorted run."""
        if self._used:
            self.runs.append(self._tail.rows(slice(0, self._used)).by_key())
            self._tail, self._used = _room(0), 0

    def snapshot(self) -> dict[str, Any]:
        """Return the state. Runs are not copied: they never change again."""
        return {
            "runs": [list(run) for run in self.runs],
            "tail": [column[: self._used].copy() for column in self._tail],
            "present": np.flatnonzero(self.present),
            "devices": len(self.present),
            "forced": self.forced.copy(),
        }

    @classmethod
    def restored(cls, state: dict[str, Any]) -> "ReadingLog":
        log = cls()
        log.runs = [Keyed(*run) for run in state["runs"]]
        log._tail = Keyed(*(column.copy() for column in state["tail"]))
        log._used = len(log._tail.key)
        log.present = np.zeros(state["devices"], np.bool_)
        log.present[state["present"]] = True
        log.forced = state["forced"].copy()
        return log


class Walk:
    """Takes readings out of sorted runs in ascending order of series, all readings of a series at once."""

    def __init__(self, runs: list[Keyed], bits: int) -> None:
        self._runs = runs
        self._bits = bits

    @property
    def left(self) -> int:
        """Number of readings not yet taken."""
        return sum(len(run.key) for run in self._runs)

    @property
    def runs(self) -> list[Keyed]:
        return self._runs

    def cut(self, about: int) -> int:
        """Return the first series that stays when about `about` readings are taken; ALL if none does."""
        return ALL if self.left <= about else self._cut(about)

    def take(self, upto: int) -> Keyed:
        """Take the readings of series below `upto`, or ALL, sorted by (key, value)."""
        if upto == ALL:
            parts, self._runs = self._runs, []
        else:
            end = upto << self._bits
            cuts = [int(np.searchsorted(run.key, end)) for run in self._runs]
            pairs = list(zip(self._runs, cuts, strict=True))
            parts = [run.rows(slice(0, cut)) for run, cut in pairs if cut]
            self._runs = [run.rows(slice(cut, None)) for run, cut in pairs if cut < len(run.key)]
        if not parts:
            return _room(0)
        return (parts[0] if len(parts) == 1 else joined(parts).by_key()).by_value()

    def _cut(self, about: int) -> int:
        """Return the first series not to take; about `about` readings precede it if the runs are distributed alike."""
        longest = max(self._runs, key=lambda run: len(run.key)).key
        guess = int(longest[len(longest) * about // self.left]) >> self._bits
        lowest = min(int(run.key[0]) for run in self._runs) >> self._bits
        return max(guess, lowest + 1)
