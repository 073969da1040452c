"""What stays of boots and devices whose marks were forgotten: enough never to take a repeat for a new message.

Of everything forgotten of a device one time stays: nothing of it was newer. Messages without a time need the number
of their boot and its highest seq, a tombstone, and what came before, if the device was erased and began the boot
anew. Of a retired device the boot that it would go on with stays, with its highest seq: what is below has arrived, or
is not waited for any more, so that no receipt asks for it.
"""

from collections.abc import Sequence
from typing import Any, Final, NamedTuple

from edge_gateway.fleet.arrivals.boot_mark import BIRTH_FORGOTTEN, NO_BOOT, BootMark
from edge_gateway.fleet.timestamps import NO_TIME

TOMBSTONES: Final = 64
"""Tombstones of one device; one more replaces the oldest."""
RETIRED: Final = 100_000
"""Retired devices that are remembered one by one; beyond that, all together by one time."""


class Tombstone(NamedTuple):
    """What stays of a boot with messages that have no time.

    Attributes:
        boot: its number.
        top: its highest seq.
        unsure_to: a message above `top` up to this time (ms) may have arrived before the device was erased.
        untimed_to: as may one without a time up to this seq.
    """

    boot: int
    top: int
    unsure_to: int = NO_TIME
    untimed_to: int = -1


class Trace(NamedTuple):
    """What stays of one device.

    Attributes:
        to: the newest time of anything forgotten, ms.
        tops: tombstones, oldest first.
        boot: the device's boot when it was retired last.
        top: that boot's highest seq.
    """

    to: int = NO_TIME
    tops: tuple[Tombstone, ...] = ()
    boot: int = NO_BOOT
    top: int = -1


NOTHING: Final = Trace()


class Forgotten:
    """The traces of devices by number, and of retired devices by name."""

    def __init__(self) -> None:
        self._traces: dict[int, Trace] = {}
        self._retired: dict[str, Trace] = {}
        self._others_to = NO_TIME
        """The newest time of anything forgotten of retired devices that are not remembered one by one."""
        self.tombstones_dropped = 0

    def boot(self, device: int, mark: BootMark) -> None:
        """Note that the mark of a boot is forgotten."""
        before = self._traces.get(device, NOTHING)
        tops = before.tops
        if mark.untimed:
            earlier = max(mark.earlier_top, mark.untimed_to)
            stone = Tombstone(mark.boot, mark.top, mark.unsure_to, earlier)
            tops = (*(one for one in tops if one.boot != mark.boot), stone)
            self.tombstones_dropped += max(0, len(tops) - TOMBSTONES)
        newest = max(before.to, mark.newest, mark.unsure_to)
        trace = before._replace(to=newest, tops=tops[-TOMBSTONES:])
        if trace != NOTHING:
            self._traces[device] = trace

    def begin(self, device: int, boot: int) -> BootMark:
        """Return a mark for a boot that has none.

        What is above a tombstone's seq is new, whatever its time, unless it may be of before the device was erased.
        """
        trace = self._traces.get(device, NOTHING)
        stone = next((one for one in trace.tops if one.boot == boot), None)
        if stone is None:
            known = trace.top + 1 if boot == trace.boot else 0
            return BootMark(boot, unsure_to=trace.to, judged_from=known)
        self._traces[device] = trace._replace(tops=tuple(one for one in trace.tops if one.boot != boot))
        return BootMark(
            boot,
            top=stone.top,
            judged_from=stone.top + 1,
            unsure_to=stone.unsure_to,
            untimed=True,
            untimed_to=stone.untimed_to,
            born=BIRTH_FORGOTTEN,
        )

    def retire(self, device: int, name: str, marks: Sequence[BootMark]) -> None:
        """Note that a device is forgotten, with all its marks, the current one last; its number is used again."""
        for mark in marks:
            self.boot(device, mark)
        trace = self._traces.pop(device, NOTHING)
        if marks and marks[-1].known_to >= 0:
            trace = trace._replace(boot=marks[-1].boot, top=marks[-1].known_to)
        if trace == NOTHING:
            return
        self._retired[name] = trace
        if len(self._retired) > RETIRED:
            dropped = self._retired.pop(next(iter(self._retired)))
            self._others_to = max(self._others_to, dropped.to)
            self.tombstones_dropped += len(dropped.tops)

    def recall(self, device: int, name: str) -> None:
        """Take up the trace of a device that was retired and is back, under its new number."""
        if device in self._traces:
            return
        trace = self._retired.pop(name, NOTHING)
        trace = trace._replace(to=max(trace.to, self._others_to))
        if trace != NOTHING:
            self._traces[device] = trace

    def snapshot(self) -> dict[str, Any]:
        return {
            "traces": [[device, *_plain(trace)] for device, trace in self._traces.items()],
            "retired": [[name, *_plain(trace)] for name, trace in self._retired.items()],
            "others_to": self._others_to,
            "tombstones_dropped": self.tombstones_dropped,
        }

    def restore(self, state: dict[str, Any]) -> None:
        self._traces = {device: _trace(*plain) for device, *plain in state["traces"]}
        self._retired = {name: _trace(*plain) for name, *plain in state["retired"]}
        self._others_to = state["others_to"]
        self.tombstones_dropped = state["tombstones_dropped"]


def _plain(trace: Trace) -> tuple[int, list[list[int]], int, int]:
    return trace.to, [list(one) for one in trace.tops], trace.boot, trace.top


def _trace(to: int, tops: list[list[int]], boot: int, top: int) -> Trace:
    return Trace(to, tuple(Tombstone(*one) for one in tops), boot, top)
