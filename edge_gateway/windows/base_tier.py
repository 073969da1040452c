"""The open windows of the base tier: a log for each, and a walk through the one that is closing.

One window closes at a time, the oldest due window first, so that a device's windows close in order of time.
Where only some devices of a window are due, the walk puts the readings of the others back. Such a walk
starts only once it is worth its cost: three quarters of the window's devices are due, or since the first
of them became due an eighth as many readings arrived as the window holds.

When that is, and how large the pieces are, is pace. It is no part of the state: a restart begins it anew, and a replay
takes the steps that the journal holds.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any, Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from edge_gateway.records.closings import BaseStep
from edge_gateway.records.window_block import NEVER
from edge_gateway.windows.reading_log import Keyed, ReadingLog, Walk, joined
from edge_gateway.windows.watermarks import Watermarks

Ints = NDArray[np.int64]
Bools = NDArray[np.bool_]

PIECE: Final = 1 << 14
"""Most readings taken in one step; larger temporaries do not fit the cache."""
MANY: Final = 16
"""From this many already due windows in one frame, their readings are reduced at once instead of being logged.

A device that was offline for weeks may send a reading for each of a thousand windows in one message. With a log and a
walk for each, windows would open faster than they close.
"""
SMALL: Final = 1 << 12
"""Windows with at most this many readings are always worth a walk."""
WORTH: Final = 8
"""A walk is worth it once 1/WORTH as many readings arrived as the window holds."""
_NONE: Final = np.empty(0, np.int64)
CREDIT_OF_A_CALL: Final = 256
"""Credit added for each frame beside that for its readings, so that a quiet fleet's windows close soon too."""


class Piece(NamedTuple):
    """Readings of one window, ordered by (key, value); `cost` includes readings that were put back.

    `closed`: devices whose window is closed with this piece, the last one; none before.
    """

    start: int
    readings: Keyed
    cost: int
    closed: Ints


@dataclass(slots=True)
class _Closing:
    start: int
    walk: Walk
    present: Bools
    """By device number, whether the log may hold readings of it."""
    due: Bools
    """By device number, whether its readings close now."""
    whole: bool
    """Whether every device present is due."""
    back: list[Keyed] = field(default_factory=list)
    """Readings to put back, of devices that are not due."""
    forced: Ints = field(default_factory=lambda: np.empty(0, np.int64))
    """Devices whose readings become due as soon as they are put back."""


def _due_of(closing: _Closing, taken: Keyed, device: Ints) -> Keyed:
    """Return the readings of due devices, and keep the others to be put back."""
    due = closing.due[device]
    if due.all():
        return taken
    closing.back.append(taken.rows(~due))
    return taken.rows(due)


class BaseTier:
    """Reading logs by window start.

    Args:
        base: length of a base window, ms.
        watermarks: the fleet's watermarks; closing a window moves `closed_to` in them.
    """

    def __init__(self, base: int, marks: Watermarks) -> None:
        self.bits = (base - 1).bit_length()
        self.credit = 0
        """Grows with readings and frames; differences say how much arrived since a window was last examined."""
        self.opened = 0
        """Logs opened since the caller last reset this."""
        self.news = False
        """Whether a window that is not closing yet may be due."""
        self._waits_at = -1
        """Credit when the oldest due window was found not to be worth a walk yet."""
        self._begin_at = NEVER
        """No window that starts earlier is due; reset by `wake`, lowered by `append`."""
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
        """Whether `step` would find anything now."""
        return self.closing or (self.news and self._waits_at != self.credit)

    def parts(self) -> Iterator[Keyed]:
        """Yield all readings in open windows."""
        for log in self._logs.values():
            yield from log.parts()
        if self._closing is not None:
            yield from (*self._closing.walk.runs, *self._closing.back)

    def holds(self, devices: Ints) -> Bools:
        """Return for each device whether an open window may hold readings of it."""
        held = np.zeros(len(devices), np.bool_)
        walked = [] if self._closing is None else [self._closing.present]
        for present in [*(log.present for log in self._logs.values()), *walked]:
            known = np.flatnonzero(devices < len(present))
            held[known] |= present[devices[known]]
        return held

    def over(self, start: Ints, device: Ints, late: Bools) -> Bools:
        """Return which rows belong to windows that are already due, if there are at least MANY such windows; else none.

        Late rows are excluded, and so are rows of devices present in the window that is closing.

        Args:
            start: start of each row's base window, ms.
            device: device of each row.
            late: which rows are late.
        """
        none = np.zeros(len(start), np.bool_)
        if int(start.max()) - int(start.min()) < MANY * self._base:
            return none
        found: Bools = ~late & self._watermarks.are_due(device, start)
        if self._closing is not None:
            closing = np.flatnonzero(self._closing.present)
            found &= ~np.isin(device, closing)
        return found if len(np.unique(start[found])) >= MANY else none

    def due_with(self, devices: Ints) -> list[tuple[int, Ints]]:
        """Return the due windows of these devices, as (window start, devices), and note that they close."""
        found = []
        for start in sorted(self._logs):
            present = self._logs[start].present
            known = devices[devices < len(present)]
            here = known[present[known] & self._watermarks.are_due(known, start)]
            if len(here):
                self._watermarks.close_in_gaps(here, start)
                found.append((start, here))
        return found

    def pull(self, device: Ints, start: Ints, series_device: Ints) -> list[tuple[int, Keyed]]:
        """Remove and return what these devices have in the windows beside them, as (window start, readings)."""
        pulled = []
        for at in sorted(self._logs.keys() & set(start.tolist())):
            log = self._logs[at]
            devices = np.unique(device[start == at])
            known = devices[devices < len(log.present)]
            here = known[log.present[known]]
            if len(here):
                pulled.append((at, log.pull(here, series_device, self.bits)))
                if not len(log):
                    del self._logs[at]
        return pulled

    def append(self, start: int, readings: Keyed, devices: Ints) -> None:
        """Add readings to the window at `start`; `devices` are those they belong to, in any order, repeats allowed."""
        self.opened += start not in self._logs
        self._log(start).append(readings, devices, self._watermarks.count)
        self._begin_at = min(self._begin_at, start)

    def _log(self, start: int) -> ReadingLog:
        log = self._logs.get(start)
        if log is None:
            log = self._logs[start] = ReadingLog()
        return log

    def force(self, devices: Ints) -> None:
        """Make everything due that these devices have open now, whatever their watermarks say later."""
        for log in self._logs.values():
            known = devices[devices < len(log.present)]
            here = known[log.present[known]]
            if len(here):  # there may be thousands of logs, most without these devices
                log.forced = np.union1d(log.forced, here)
        if self._closing is not None:
            self._closing.forced = np.union1d(self._closing.forced, devices)
        self.wake()

    def wake(self) -> None:
        """Search all windows again for due ones."""
        self.news, self._waits_at, self._begin_at = True, -1, NEVER

    def step(self, about: int) -> BaseStep | None:
        """Return what leaves next, about `about` readings; None if no window is due and worth a walk.

        It is of the window that is closing, or else of the oldest due one, whose walk begins.
        """
        due = b""
        if self._closing is None:
            found = self._next()
            if found is None:
                return None
            self._begin(*found)
            due = np.packbits(found[1]).tobytes()
        assert self._closing is not None
        return BaseStep(self._closing.start, self._closing.walk.cut(min(about, PIECE)), due)

    def follow(self, step: BaseStep) -> bool:
        """Begin the walk that a recorded step begins; return whether it can be taken."""
        if self._closing is None and step.due:
            self._begin(step.start, np.unpackbits(np.frombuffer(step.due, np.uint8)).astype(np.bool_))
        return self._closing is not None and self._closing.start == step.start

    def _next(self) -> tuple[int, Bools] | None:
        """Return the oldest due window, and by device number whether it is due; None if none is worth a walk."""
        if not self.news:
            return None
        for start in sorted(start for start in self._logs if start >= self._begin_at):
            log = self._logs[start]
            due = self._watermarks.due_devices(start, len(log.present))
            closing = log.closing(due)
            hits = int(np.count_nonzero(closing))
            if hits:
                self._begin_at = start
                return (start, due) if self._is_worth(log, hits) else None
        self.news = False
        return None

    def _is_worth(self, log: ReadingLog, hits: int) -> bool:
        """Return whether a walk through a window is worth its cost of which so many devices are due."""
        devices, size = int(np.count_nonzero(log.present)), len(log)
        if log.looked_at < 0:
            log.looked_at = self.credit
        worth = 4 * hits >= 3 * devices or size <= SMALL or WORTH * (self.credit - log.looked_at) >= size
        if not worth:
            self._waits_at = self.credit
        return worth

    def _begin(self, start: int, due: Bools) -> None:
        """Begin the walk through a window; `due` by device number, but for those it is forced to close."""
        log = self._logs.pop(start, None)
        if log is None:  # a replay without the message that opened the window
            log = ReadingLog()
            log.present = np.zeros(min(len(due), self._watermarks.count), np.bool_)
        log.seal()
        due, known = np.zeros(len(log.present), np.bool_), due[: len(log.present)]
        due[: len(known)] = known
        end = start + self._base
        passed = np.flatnonzero(due & (self._watermarks.closed_to[: len(due)] < end))
        closing = log.closing(due)
        whole = bool(closing.sum() == log.present.sum())
        due[log.forced] = True
        self._closing = _Closing(start, Walk(log.runs, self.bits), log.present, due, whole)
        self._watermarks.close_to(passed, end)
        self._watermarks.close_in_gaps(np.flatnonzero(closing), start)

    def take(self, step: BaseStep, series_device: Ints) -> Piece:
        """Take a step of the window that is closing; there must be one."""
        closing = self._closing
        assert closing is not None
        taken = closing.walk.take(step.upto)
        due = taken if closing.whole else _due_of(closing, taken, series_device[taken.key >> self.bits])
        closed = _NONE
        if not closing.walk.left:
            self._closing = None
            self._put_back(closing)
            closed = np.flatnonzero(closing.present & closing.due)
        return Piece(closing.start, due, len(taken.key), closed)

    def _put_back(self, closing: "_Closing") -> None:
        """Return readings that are not due to their log; they are in walk order, so together they form one run."""
        if closing.back:
            log = self._log(closing.start)
            log.looked_at = self.credit
            present = closing.present & ~closing.due
            log.add_run(joined(closing.back), present)
            known = closing.forced[closing.forced < len(present)]
            log.forced = np.union1d(log.forced, known[present[known]])

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
        return {"closing": walk, "logs": logs}

    def restore(self, state: dict[str, Any]) -> None:
        self._logs = {start: ReadingLog.restored(log) for start, log in state["logs"]}
        self.wake()
        self._closing = None
        kept = state["closing"]
        if kept is not None:
            walk = Walk([Keyed(*run) for run in kept["runs"]], self.bits)
            devices = kept["present"], kept["due"], kept["whole"]
            back = [Keyed(*part) for part in kept["back"]]
            self._closing = _Closing(kept["start"], walk, *devices, back, kept["forced"])
