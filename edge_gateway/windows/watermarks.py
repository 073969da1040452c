"""What time it is for each device, as columns by device number."""

from collections.abc import Sequence
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from edge_gateway.columns.growing import with_room
from edge_gateway.windows.rows import NEVER

Ints = NDArray[np.int64]
Bools = NDArray[np.bool_]

FOREVER: Final = 1 << 62
_COLUMNS: Final = ("newest", "furthest", "due_to", "closed_to", "heard")


class Watermarks:
    """Times in ms, NEVER before the first reading; `heard` in ms of the listening clock.

    newest: newest device time, as far as it is believed; the watermark is this less the allowed lateness.
    furthest: newest device time as it was told; open windows reach no further.
    due_to: windows that end here or before have nothing more to wait for.
    closed_to: readings of windows that end here or before are late.
    """

    def __init__(self, base: int, coarser: Sequence[int], lateness: int, idle: int) -> None:
        self.crossed = False
        """Whether `closed_to` of a device passed the end of a coarser window; the reader resets it."""
        self._base = base
        self._coarser = tuple(coarser)
        self.lateness = lateness
        self._idle = idle
        self.count = 0
        self.newest = self.furthest = self.due_to = self.closed_to = self.heard = np.empty(0, np.int64)

    def grow(self, count: int) -> None:
        """Make room for device numbers below `count`."""
        if count > self.count:
            for name in _COLUMNS:
                setattr(self, name, with_room(getattr(self, name), count, NEVER))
            self.count = count

    def observe(self, device: Ints, ts: Ints, cap: int | None, listening: int) -> bool:
        """Move the marks on with readings; return whether more is due. Times beyond `cap` count as `cap`."""
        np.maximum.at(self.furthest, device, ts)
        believed = ts if cap is None else np.minimum(ts, cap)
        np.maximum.at(self.newest, device, believed)
        self.heard[device] = listening
        watermark = self.newest[device] - self.lateness
        due = watermark - watermark % self._base
        more = bool((due > self.due_to[device]).any())
        if more:
            self.due_to[device] = np.maximum(self.due_to[device], due)
        return more

    def expire_silent(self, listening: int) -> bool:
        """Make due what devices have open that were silent for too long; return whether there was any."""
        silent = (
            (listening - self.heard >= self._idle) & (self.furthest >= self.due_to) & (self.furthest > NEVER)
        )
        if not silent.any():
            return False
        furthest = self.furthest[silent]
        self.due_to[silent] = furthest - furthest % self._base + self._base
        return True

    def silent_time(self, listening: int) -> Ints:
        """Return what time it is at least for devices that are silent and have nothing open, else NEVER.

        Of a clock that stepped back and said nothing since, nobody knows the time: what it lived through is over.
        """
        elapsed = listening - self.heard - self._idle
        silent = (elapsed >= 0) & (self.heard > NEVER)
        time = np.maximum(self.furthest + elapsed, self.closed_to)
        over = silent & (self.closed_to > self.furthest) & (self.furthest > NEVER)
        return np.where(over, time, np.where(silent & (self.furthest == NEVER), FOREVER, NEVER))

    def close_to(self, devices: Ints, end: Ints | int) -> None:
        """Move `closed_to` of devices on to `end`."""
        before = self.closed_to[devices]
        after = np.maximum(before, end)
        self.closed_to[devices] = after
        self.crossed |= any(bool((before // every != after // every).any()) for every in self._coarser)

    def close_to_due(self) -> bool:
        """Close what is due, where nothing of it is open any more; return whether anything moved."""
        behind = np.flatnonzero(self.closed_to < self.due_to)
        self.close_to(behind, self.due_to[behind])
        return bool(len(behind))

    def rewind(self, devices: Ints) -> None:
        """Forget the time of devices whose clock stepped."""
        for name in ("newest", "furthest", "due_to", "closed_to"):
            getattr(self, name)[devices] = NEVER

    def mark_silent(self, devices: Ints) -> None:
        """Count devices as silent for long enough."""
        self.heard[devices] = -self._idle

    def forget(self, devices: Ints) -> None:
        """Make these devices as if they were never heard."""
        known = devices[devices < self.count]
        for name in _COLUMNS:
            getattr(self, name)[known] = NEVER

    def all_due(self) -> None:
        """Make everything due that is open."""
        furthest = self.furthest
        end = np.where(furthest > NEVER, furthest - furthest % self._base + self._base, NEVER)
        self.due_to = np.maximum(self.due_to, end)

    def snapshot(self) -> dict[str, Any]:
        columns = {name: getattr(self, name)[: self.count].copy() for name in _COLUMNS}
        return {"columns": columns, "crossed": self.crossed}

    def restore(self, state: dict[str, Any]) -> None:
        for name in _COLUMNS:
            setattr(self, name, state["columns"][name].copy())
        self.crossed = state["crossed"]
        self.count = len(self.newest)
