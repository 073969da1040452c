"""What stays of boots and devices whose marks were forgotten: enough never to take a repeat for a new message.

Of everything forgotten of a device one time stays: nothing of it was newer. Messages without a time need the number of
their boot and its highest seq, a tombstone. Of a retired device the boot that it would go on with stays, with its
highest seq: what is below has arrived, or is not waited for any more, so that no receipt asks for it.
"""

from collections.abc import Sequence
from typing import Any, Final, NamedTuple

from edge_gateway.fleet.arrivals.boot_mark import BIRTH_FORGOTTEN, NO_BOOT, BootMark
from edge_gateway.fleet.timestamps import NO_TIME

TOMBSTONES: Final = 64
"""Tombstones of one device; one more replaces the oldest."""
RETIRED: Final = 100_000
"""Retired devices that are remembered one by one; beyond that, all together by one time."""


class Trace(NamedTuple):
    """What stays of one device.

    Attributes:
        to: the newest time of anything forgotten, ms.
        tops: tombstones (boot, highest seq), oldest first.
        boot: the device's boot when it was retired last.
        top: that boot's highest seq.
    """

    to: int = NO_TIME
    tops: tuple[tuple[int, int], ...] = ()
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
            tops = (*(one for one in tops if one[0] != mark.boot), (mark.boot, mark.top))
            self.tombstones_dropped += max(0, len(tops) - TOMBSTONES)
        trace = before._replace(to=max(before.to, mark.newest), tops=tops[-TOMBSTONES:])
        if trace != NOTHING:
            self._traces[device] = trace

    def begin(self, device: int, boot: int) -> BootMark:
        """Return a mark for a boot that has none. What is above a tombstone's seq is new, whatever its time."""
        trace = self._traces.get(device, NOTHING)
        top = dict(trace.tops).get(boot)
        if top is None:
            known = trace.top + 1 if boot == trace.boot else 0
            return BootMark(boot, unsure_to=trace.to, judged_from=known)
        self._traces[device] = trace._replace(tops=tuple(one for one in trace.tops if one[0] != boot))
        return BootMark(boot, top=top, judged_from=top + 1, untimed=True, born=BIRTH_FORGOTTEN)

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
    return Trace(to, tuple((one, highest) for one, highest in tops), boot, top)
