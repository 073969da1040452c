"""The clocks of all devices, as columns; messages of a device with anything but newer times are judged one by one."""

from typing import Any, Final, NamedTuple

import numpy as np

from edge_gateway.columns.frame import BoolColumn, IntColumn
from edge_gateway.columns.growing import grow_columns
from edge_gateway.fleet.arrivals.boot_mark import BELOW, NO_BOOT
from edge_gateway.fleet.arrivals.device_clock import ClockVerdict, DeviceClock, Heard, Run
from edge_gateway.fleet.timestamps import NO_TIME, Stamped

NOT_TAKEN: Final = -1
"""In place of the time for rules where they never take a reading: it is before any other."""
_NEW: Final = DeviceClock()
_STATE: Final = ("boot", "newest", "born", "announced")
"""Columns, by their names in `DeviceClock`."""
_COUNTED: Final = {
    "clock_steps": "steps",
    "small_clock_steps": "small_steps",
    "messages_of_other_boots": "set_aside",
}
_FILLS: Final = {
    **{name: getattr(_NEW, name) for name in _STATE},
    **dict.fromkeys(_COUNTED.values(), 0),
    "_settled": NO_BOOT,
}


class NewMessages(NamedTuple):
    """New messages sorted by device, in order of arrival within a device; columns as in `Heard`."""

    device: IntColumn
    boot: IntColumn
    standing: np.ndarray[Any, np.dtype[np.int8]]
    time: IntColumn
    stamped: BoolColumn
    begins: BoolColumn

    def pick(self, at: IntColumn | BoolColumn) -> "NewMessages":
        device, boot, standing, time, stamped, begins = self
        return NewMessages(device[at], boot[at], standing[at], time[at], stamped[at], begins[at])


class ClockCourse(NamedTuple):
    """The messages that do not simply advance a clock, by their positions among those that were followed.

    Attributes:
        held: messages that rules take at the device's newest time …
        held_at: … and that time, ms.
        aside: messages that rules never take.
        steps: messages with which a clock stepped back.
    """

    held: IntColumn
    held_at: IntColumn
    aside: IntColumn
    steps: IntColumn


_NONE: Final = np.empty(0, np.int64)
STEADY: Final = ClockCourse(_NONE, _NONE, _NONE, _NONE)
"""Every message advances its device's clock; shared, so never write to it."""


class Clocks:
    """The clock of every device. A step back of up to `max_step_back` ms is a small one."""

    def __init__(self, max_step_back: int) -> None:
        self.max_step_back = max_step_back
        self._size = 0
        self.boot = np.empty(0, np.int64)
        self.newest = np.empty(0, np.int64)
        self.born = np.empty(0, np.bool_)
        self.announced = np.empty(0, np.bool_)
        self.steps = np.empty(0, np.int64)
        """Believed steps, by device."""
        self.small_steps = np.empty(0, np.int64)
        """Messages that were older by a small step, by device."""
        self.set_aside = np.empty(0, np.int64)
        """Messages of other boots than the current one, by device."""
        self._runs: dict[int, Run] = {}
        self._settled = np.empty(0, np.int64)
        """The current boot of devices without a run and an announced step, NO_BOOT of the others."""
        self._gone = dict.fromkeys(_COUNTED, 0)
        """The counters of retired devices."""

    def make_room(self, devices: int) -> None:
        """Extend the columns to hold device numbers below `devices`."""
        if devices > self._size:
            self._size = devices
            grow_columns(self, devices, _FILLS)

    def follow(self, messages: NewMessages, listening: int) -> ClockCourse:
        """Follow the clocks through the new messages of a batch; `listening` is the listening clock, ms."""
        if not len(messages.device):
            return STEADY
        self.make_room(int(messages.device[-1]) + 1)
        plain = self._is_plain(messages)
        if plain.all():
            self.newest[messages.device] = messages.time
            return STEADY
        odd = np.zeros(self._size, np.bool_)
        odd[messages.device[~plain]] = True
        slow = odd[messages.device]
        quick = messages.pick(~slow)
        self.newest[quick.device] = quick.time
        return self._one_by_one(messages.pick(slow), np.flatnonzero(slow), listening)

    def _is_plain(self, messages: NewMessages) -> BoolColumn:
        """Return which messages are of the current boot and not older than anything before."""
        device, time = messages.device, messages.time
        before = self.newest[device]
        np.copyto(before[1:], time[:-1], where=device[1:] == device[:-1])
        current = messages.boot == self._settled[device]
        current &= ~messages.begins
        plain: BoolColumn = current & (time > before)
        if not plain.all():
            plain |= current & (time == before) & (messages.standing != BELOW)
        return plain

    def _one_by_one(self, messages: NewMessages, places: IntColumn, listening: int) -> ClockCourse:
        held: list[tuple[int, int]] = []
        aside: list[int] = []
        steps: list[int] = []
        holder, clock = -1, DeviceClock()
        columns = (places, *messages)
        for place, device, boot, standing, time, stamped, begins in zip(
            *(column.tolist() for column in columns), strict=True
        ):
            if device != holder:
                self._put(holder, clock)
                holder, clock = device, self._clock(device)
            match clock.take(Heard(boot, standing, time, stamped, listening, begins), self.max_step_back):
                case ClockVerdict.HELD:
                    held.append((place, clock.newest))
                    self.small_steps[device] += not stamped
                case ClockVerdict.ASIDE:
                    aside.append(place)
                    self.set_aside[device] += 1
                case ClockVerdict.STEPPED:
                    steps.append(place)
                    self.steps[device] += 1
        self._put(holder, clock)
        pairs = np.array(held, np.int64).reshape(-1, 2)
        return ClockCourse(pairs[:, 0], pairs[:, 1], np.array(aside, np.int64), np.array(steps, np.int64))

    def birth(self, device: int, boot: int, time: int, *, anew: bool = False) -> None:
        """Take in a birth; `time` is NO_TIME if it has none, `anew` says that its boot begins anew under its number."""
        self.make_room(device + 1)
        clock = self._clock(device)
        clock.birth(boot, time, self.max_step_back, anew=anew)
        self._put(device, clock)

    def has_moved_on(self, device: int, boot: int) -> bool:
        """Whether the birth of another boot came after those of this one."""
        return device < self._size and bool(self.born[device]) and int(self.boot[device]) != boot

    def _clock(self, device: int) -> DeviceClock:
        columns = {name: getattr(self, name)[device].item() for name in _STATE}
        return DeviceClock(**columns, run=self._runs.get(device))

    def _put(self, device: int, clock: DeviceClock) -> None:
        if device < 0:
            return
        for name in _STATE:
            getattr(self, name)[device] = getattr(clock, name)
        self._settled[device] = NO_BOOT if clock.announced or clock.run is not None else clock.boot
        if clock.run is None:
            self._runs.pop(device, None)
        else:
            self._runs[device] = clock.run

    # --- counters and state

    def counters(self, device: int) -> dict[str, int]:
        """Return what is counted of a device: steps, messages a small step older, and those of other boots."""
        known = device < self._size
        return {name: int(getattr(self, column)[device]) if known else 0 for name, column in _COUNTED.items()}

    def totals(self) -> dict[str, int]:
        """Return the counters of the fleet, retired devices included."""
        return {
            name: self._gone[name] + int(getattr(self, column)[: self._size].sum())
            for name, column in _COUNTED.items()
        }

    def forget(self, devices: IntColumn) -> None:
        """Forget retired devices; their counts stay in the totals."""
        known = devices[devices < self._size]
        for name, column in _COUNTED.items():
            self._gone[name] += int(getattr(self, column)[known].sum())
            getattr(self, column)[known] = 0
        for device in known.tolist():
            self._put(device, DeviceClock())

    def snapshot(self) -> dict[str, Any]:
        columns = {name: getattr(self, name)[: self._size].copy() for name in (*_STATE, *_COUNTED.values())}
        return {
            **columns,
            "runs": [[device, *run] for device, run in sorted(self._runs.items())],
            "gone": dict(self._gone),
        }

    def restore(self, state: dict[str, Any]) -> None:
        for name in (*_STATE, *_COUNTED.values()):
            setattr(self, name, state[name].copy())
        self._size = len(self.boot)
        self._runs = {device: Run(*run) for device, *run in state["runs"]}
        self._settled = np.where(self.announced, NO_BOOT, self.boot)
        self._settled[list(self._runs)] = NO_BOOT
        self._gone = dict(state["gone"])


def times_for_rules(
    times: Stamped, message: IntColumn, course: ClockCourse, which: IntColumn, max_step_back: int
) -> IntColumn:
    """Return at which time rules take each sample: its own, the device's newest where it is held, or NOT_TAKEN.

    A sample of a held message that is older than a small step stays late.

    Args:
        times: time of each sample.
        message: message of each sample.
        course: what the clocks made of the messages.
        which: the messages that `course` speaks of, by its positions.
        max_step_back: the largest small step, ms.
    """
    if not (len(course.held) or len(course.aside)):
        return times.ts
    hold = np.full(int(message.max()) + 1, NO_TIME)
    hold[which[course.held]] = course.held_at
    newest = hold[message]
    near = (newest != NO_TIME) & (times.stamped | (times.ts >= newest - max_step_back))
    at = np.where(near, np.maximum(times.ts, newest), times.ts)
    aside = np.zeros(len(hold), np.bool_)
    aside[which[course.aside]] = True
    at[aside[message]] = NOT_TAKEN
    return at
