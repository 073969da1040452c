"""What the fleet's clocks say of the gateway's, while that is not sure.

A device whose time is ahead of the gateway's cannot be sending backlog: one of the two clocks is wrong. A device whose
time is behind may be. So its time counts only once it was seen to advance as fast as the listening clock does, which
stands still while the gateway itself works off the broker's queue.

A clock that nobody has judged may be ahead. So it is voted on from the first message on after a start, after it stopped
being sure, and after it was not trusted, as well as when a device says another time.
"""

from __future__ import annotations

from typing import Any, Final, NamedTuple

import numpy as np

from edge_gateway.columns.frame import IntColumn
from edge_gateway.columns.growing import with_room
from edge_gateway.fleet.timestamps import TimeLimits, needs_stamp
from edge_gateway.records.inputs import Moment

LEAST_VOTES: Final = 3
"""Devices that must agree, and half of those online must."""
IN_STEP: Final = 5_000
"""Milliseconds of the listening clock over which a device's time is seen to advance."""
HEARD_FOR: Final = 900_000
"""Milliseconds of the listening clock for which a device's time counts."""
ASKED_FOR: Final = 15_000
"""Milliseconds of the listening clock for which messages wait for the outcome of a vote."""
NEVER: Final = -(1 << 62)
_COLUMNS: Final = ("said", "at", "anchor", "anchor_at", "live")


class Poll(NamedTuple):
    """How many devices say what.

    Attributes:
        voters: devices that are online and send times.
        agree: those whose time is the gateway's.
        live: those of them whose time advances as it should.
        differ: those that agree on another time.
        off: by how much that time is ahead of the gateway's, ms.
        dissent: those that say any other time.
    """

    voters: int
    agree: int
    live: int
    differ: int
    off: int
    dissent: int

    @property
    def verdict(self) -> bool | None:
        """Whether the fleet says that the gateway's clock is right; None: it is not agreed."""
        if self._carries(self.differ) and self.differ > self.agree:
            return False
        return True if self._carries(self.live) and self.live > self.differ else None

    @property
    def agreed(self) -> bool:
        """Whether the gateway's time carries; backlog that happens to say the same counts too."""
        return self._carries(self.agree)

    @property
    def undecided(self) -> bool:
        """Whether the fleet is large enough for a vote, and the gateway's time has not carried."""
        return self.voters >= LEAST_VOTES and not self.agreed

    def _carries(self, votes: int) -> bool:
        return votes >= LEAST_VOTES and 2 * votes >= self.voters


class ClockVote:
    """Columns by device number: the newest time a device said, and an earlier one to compare it with.

    It is part of the fold's state, because what waits for its outcome depends on it.
    """

    def __init__(self, limits: TimeLimits) -> None:
        self._limits = limits
        self._columns: dict[str, IntColumn] = {}
        self._asked_at: int | None = None
        """The listening clock when the vote was asked for; None if none is wanted."""
        self._doubtful = False
        """Whether the newest batch has a time that is not the gateway's."""
        self.disputed = False
        """Whether a device disagrees, as of the newest call of `asks`."""
        self.begin()

    def begin(self) -> None:
        """Forget what the fleet said, as at a start: the clock may be another one now."""
        self._columns = {name: np.empty(0, np.int64) for name in _COLUMNS}
        self._asked_at, self._doubtful = None, False

    def observe(self, device: IntColumn, ts: IntColumn, moment: Moment) -> None:
        """Note the times of messages in arrival order, ms; NO_TIME if a message has none."""
        self._doubtful = False
        if moment.least is None:
            if len(self._columns["at"]):
                self.begin()
            return
        if not len(device):
            return
        if not len(self._columns["at"]):
            self._asked_at = moment.listening
        self._make_room(int(device.max()) + 1)
        said = np.where(needs_stamp(ts, self._limits), NEVER, ts)
        self._note(device, said, moment.listening)
        off = np.abs(said - moment.wall) > self._limits.max_future_skew
        self._doubtful = bool((off & (said != NEVER)).any())

    def _note(self, device: IntColumn, said: IntColumn, now: int) -> None:
        columns = self._columns
        columns["said"][device], columns["at"][device] = said, now
        due = device[now - columns["anchor_at"][device] >= IN_STEP]
        said, anchor = columns["said"][due], columns["anchor"][due]
        passed = now - columns["anchor_at"][due]
        in_step = np.abs(said - anchor - passed) <= passed // 2
        columns["live"][due] = in_step & (said != NEVER) & (anchor != NEVER)
        columns["anchor"][due], columns["anchor_at"][due] = said, now

    def asks(self, moment: Moment, online: int, *, room: bool = True) -> bool:
        """Return whether messages that need the gateway's time must wait for the outcome; call it after `observe`.

        `online`: number of devices that are. `room`: whether any more messages may wait; without it a clock is
        believed with which no device disagrees.
        """
        self.disputed = False
        if not moment.trusted:
            self._asked_at = None if moment.least is None else moment.listening
            return False
        if not self._doubtful and self._asked_at is None:
            return False
        poll = self.poll(moment, online)
        self.disputed = bool(poll.dissent)
        disputed = self.disputed and poll.undecided
        if not disputed and (poll.agreed or not room or not self._in_time(moment)):
            self._asked_at = None
        elif self._asked_at is None:
            self._asked_at = moment.listening
        return poll.undecided and self._in_time(moment)

    def is_open(self, moment: Moment, online: int) -> bool:
        """Return whether messages wait for the outcome, without asking again."""
        return self._in_time(moment) and self.poll(moment, online).undecided

    def _in_time(self, moment: Moment) -> bool:
        asked = self._asked_at is not None and moment.least is not None and moment.trusted
        return asked and moment.listening - (self._asked_at or 0) < ASKED_FOR

    def poll(self, moment: Moment, online: int) -> Poll:
        """Count the votes; `online`: number of devices that are."""
        said, at, live = (self._columns[name] for name in ("said", "at", "live"))
        heard = at >= moment.listening - HEARD_FOR
        votes = heard & (said != NEVER)
        live = live[votes] > 0
        off = said[votes] + (moment.listening - at[votes]) - moment.wall
        agree = np.abs(off) <= self._limits.max_future_skew
        others = np.sort(off[~agree & (live | (off > 0))])
        middle = int(others[len(others) // 2]) if len(others) else 0
        return Poll(
            voters=max(online - int((heard & ~votes).sum()), len(off)),
            agree=int(agree.sum()),
            live=int((agree & live).sum()),
            differ=int((np.abs(others - middle) <= self._limits.max_future_skew).sum()),
            off=middle,
            dissent=len(others),
        )

    def forget(self, devices: IntColumn) -> None:
        """Forget retired devices."""
        known = devices[devices < len(self._columns["at"])]
        for column in self._columns.values():
            column[known] = NEVER

    def _make_room(self, devices: int) -> None:
        if devices > len(self._columns["at"]):
            for name, column in self._columns.items():
                self._columns[name] = with_room(column, devices, NEVER)

    def snapshot(self) -> dict[str, Any]:
        columns = {name: column.copy() for name, column in self._columns.items()}
        return {**columns, "asked_at": self._asked_at}

    def restore(self, state: dict[str, Any]) -> None:
        self._columns = {name: state[name].copy() for name in _COLUMNS}
        self._asked_at = state["asked_at"]
