"""The open base windows: a log each, and the walk through the one that is closing.

One window closes at a time, the oldest that is due first, so the windows of a device close in the order of
time. A window of which only some devices are due is walked nevertheless, and the others' readings are put
back, but not before that is worth the walk: when three of four of its devices are due, or since the first
of them was an eighth as many new readings came as it holds.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any, Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from edge_gateway.windows.reading_log import Keyed, ReadingLog, Walk, joined
from edge_gateway.windows.recorded import ClosedRanges
from edge_gateway.windows.rows import NEVER
from edge_gateway.windows.watermarks import Watermarks

Ints = NDArray[np.int64]
Bools = NDArray[np.bool_]

PIECE: Final = 1 << 14
"""Readings taken at once; larger temporaries fall out of the cache."""
MANY: Final = 16
"""Readings of so many windows that are over when they come are not logged, but reduced together. A device that was away
for weeks says a reading for each of a thousand windows in one message: with a log and a walk each, more would be opened
than are ever closed."""
SMALL: Final = 1 << 12
"""Windows of so few readings are always worth a walk."""
WORTH: Final = 8
CREDIT_OF_A_CALL: Final = 256
"""Counts for each batch beside its readings, so that a quiet fleet's windows close soon too."""


class Piece(NamedTuple):
    """Readings of one window, ordered by (key, value); `cost` counts those that were put back, too."""

    start: int
    readings: Keyed
    cost: int


@dataclass(slots=True)
class _Closing:
    start: int
    walk: Walk
    present: Bools
    """By device number, as in its log."""
    due: Bools
    """By device number."""
    whole: bool
    """Whether every device in it is due."""
    back: list[Keyed] = field(default_factory=list)
    """Readings of devices that are not."""
    forced: Ints = field(default_factory=lambda: np.empty(0, np.int64))
    """Devices whose readings close as soon as they are put back."""


def _due_of(closing: _Closing, taken: Keyed, device: Ints) -> Keyed:
    """Return the readings of devices that are due, and keep the others to be put back."""
    due = closing.due[device]
    if due.all():
        return taken
    closing.back.append(taken.rows(~due))
    return taken.rows(due)


class BaseTier:
    """Logs by the start of their window."""

    def __init__(self, base: int, marks: Watermarks) -> None:
        self.bits = (base - 1).bit_length()
        self.credit = 0
        """Grows with readings and calls: how much came since something was looked at."""
        self.opened = 0
        """Grows with logs; what closes them sets it back."""
        self.news = False
        """Whether something may be due that is not closing yet."""
        self._waits_at = -1
        self._begin_at = NEVER
        """Nothing before this window is due, as long as there is no news and nothing comes for one before it."""
        self._base = base
        self._watermarks = marks
        self._logs: dict[int, ReadingLog] = {}
        self._closing: _Closing | None = None

    @property
    def readings(self) -> int:
        """Readings in open windows."""
        walked = 0
        if self._closing is not None:
            walked = self._closing.walk.left + sum(len(part.key) for part in self._closing.back)
        return walked + sum(len(log) for log in self._logs.values())

    @property
    def closing(self) -> bool:
        return self._closing is not None

    @property
    def waiting(self) -> bool:
        """Whether there is something to close now; what is not worth a walk yet does not count."""
        return self.closing or (self.news and self._waits_at != self.credit)

    def parts(self) -> Iterator[Keyed]:
        """All readings in open windows, in pieces."""
        for log in self._logs.values():
            yield from log.parts()
        if self._closing is not None:
            yield from (*self._closing.walk.runs, *self._closing.back)

    def holds(self, devices: Ints) -> Bools:
        """Say for each device whether there may be readings of it."""
        held = np.zeros(len(devices), np.bool_)
        walked = [] if self._closing is None else [self._closing.present]
        for present in [*(log.present for log in self._logs.values()), *walked]:
            known = np.flatnonzero(devices < len(present))
            held[known] |= present[devices[known]]
        return held

    def over(self, start: Ints, device: Ints, late: Bools) -> Bools:
        """Say which rows that are not late are of windows that are over; none, if these are few.

        Rows of a device that is in the window which is closing wait for that.
        """
        none = np.zeros(len(start), np.bool_)
        if int(start.max()) - int(start.min()) < MANY * self._base:
            return none
        found: Bools = ~late & (start + self._base <= self._watermarks.due_to[device])
        if self._closing is not None:
            closing = np.flatnonzero(self._closing.present)
            found &= ~np.isin(device, closing)
        return found if len(np.unique(start[found])) >= MANY else none

    def pull(self, devices: Ints, series_device: Ints) -> list[tuple[int, Keyed]]:
        """Take out what these devices have open in windows that are over; returns (start, readings)."""
        pulled = []
        for start in sorted(self._logs):
            log = self._logs[start]
            known = devices[devices < len(log.present)]
            here = known[log.present[known] & (self._watermarks.due_to[known] >= start + self._base)]
            if len(here):
                pulled.append((start, log.pull(here, series_device, self.bits)))
                if not len(log):
                    del self._logs[start]
        return pulled

    def append(self, start: int, readings: Keyed, devices: Ints) -> None:
        """Add readings of the window at `start`; `devices` are theirs, in any order and number."""
        self.opened += start not in self._logs
        self._log(start).append(readings, devices, self._watermarks.count)
        self._begin_at = min(self._begin_at, start)

    def _log(self, start: int) -> ReadingLog:
        log = self._logs.get(start)
        if log is None:
            log = self._logs[start] = ReadingLog()
        return log

    def force(self, devices: Ints) -> None:
        """Make due what these devices have open now, whatever their marks will say."""
        for log in self._logs.values():
            known = devices[devices < len(log.present)]
            here = known[log.present[known]]
            if len(here):  # most logs are of other devices, and there may be thousands
                log.forced = np.union1d(log.forced, here)
        if self._closing is not None:
            self._closing.forced = np.union1d(self._closing.forced, devices)
        self.wake()

    def wake(self) -> None:
        """Look again for what is due."""
        self.news, self._waits_at, self._begin_at = True, -1, NEVER

    def begin(self) -> bool:
        """Start closing the oldest window that is due, if there is one and it is worth it."""
        if not self.news:
            return False
        for start in sorted(start for start in self._logs if start >= self._begin_at):
            log = self._logs[start]
            end, known = start + self._base, len(log.present)
            due = self._watermarks.due_to[:known] >= end
            passed = np.flatnonzero(due & (self._watermarks.closed_to[:known] < end))
            due[log.forced] = True
            hits = int(np.count_nonzero(due & log.present))
            if hits:
                self._begin_at = start
                return self._begin(start, due, passed, hits)
        self.news = False
        return False

    def _begin(self, start: int, due: Bools, passed: Ints, hits: int) -> bool:
        log = self._logs[start]
        devices = int(np.count_nonzero(log.present))
        size = len(log)
        if log.looked_at < 0:
            log.looked_at = self.credit
        worth = 4 * hits >= 3 * devices or size <= SMALL or WORTH * (self.credit - log.looked_at) >= size
        if worth:
            del self._logs[start]
            log.seal()
            self._closing = _Closing(start, Walk(log.runs, self.bits), log.present, due, hits == devices)
            self._watermarks.close_to(passed, start + self._base)
        else:
            self._waits_at = self.credit
        return worth

    def take(self, about: int, series_device: Ints) -> Piece:
        """Take the next readings of the closing window; there must be one."""
        closing = self._closing
        assert closing is not None
        taken = closing.walk.take(min(about, PIECE))
        due = taken if closing.whole else _due_of(closing, taken, series_device[taken.key >> self.bits])
        if not closing.walk.left:
            self._closing = None
            self._put_back(closing)
        return Piece(closing.start, due, len(taken.key))

    def _put_back(self, closing: "_Closing") -> None:
        """Keep what is not due; its pieces lie in the order of the walk, so together they are one run."""
        if closing.back:
            log = self._log(closing.start)
            log.looked_at = self.credit
            present = closing.present & ~closing.due
            log.add_run(joined(closing.back), present)
            known = closing.forced[closing.forced < len(present)]
            log.forced = np.union1d(log.forced, known[present[known]])

    def remove(self, start: int, gone: ClosedRanges) -> None:
        """Take readings out of an open window, because somebody closed it already."""
        log = self._logs.get(start)
        if log is not None:
            log.remove(gone, start, self.bits)
            if not len(log):
                del self._logs[start]

    def interrupt(self) -> None:
        """Open the window that is closing again, with what is left of it; what was due of it stays due."""
        closing, self._closing = self._closing, None
        if closing is None:
            return
        log = self._log(closing.start)
        for part in (*closing.walk.runs, *closing.back):
            log.add_run(part, closing.present)
        forced = closing.forced[closing.forced < len(closing.present)]
        due = np.union1d(np.flatnonzero(closing.due & closing.present), forced[closing.present[forced]])
        log.forced = np.union1d(log.forced, due)
        self.wake()

    def snapshot(self) -> dict[str, Any]:
        closing = self._closing
        walk = closing and {
            "start": closing.start,
            "runs": [list(run) for run in closing.walk.runs],
            "present": closing.present.copy(),
            "due": closing.due.copy(),
            "whole": closing.whole,
            "back": [list(part) for part in closing.back],
            "forced": closing.forced.copy(),
        }
        logs = [[start, log.snapshot()] for start, log in sorted(self._logs.items())]
        return {
            "closing": walk,
            "logs": logs,
            "credit": self.credit,
            "news": self.news,
            "waits_at": self._waits_at,
        }

    def restore(self, state: dict[str, Any]) -> None:
        self._logs = {start: ReadingLog.restored(log) for start, log in state["logs"]}
        self.credit, self.news, self._waits_at = state["credit"], state["news"], state["waits_at"]
        self._begin_at = NEVER
        self._closing = None
        kept = state["closing"]
        if kept is not None:
            walk = Walk([Keyed(*run) for run in kept["runs"]], self.bits)
            devices = kept["present"], kept["due"], kept["whole"]
            back = [Keyed(*part) for part in kept["back"]]
            self._closing = _Closing(kept["start"], walk, *devices, back, kept["forced"])
