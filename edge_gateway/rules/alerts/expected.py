"""Which metrics are expected of devices that have not sent them: those a birth names; all, of a device never heard.

Their silence counts in listening time, from the arrival of the first birth that names them.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import numpy as np

from edge_gateway.columns.growing import with_room

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from edge_gateway.columns.frame import IntColumn

MOST_NAMES: Final = 8_192
"""Characters kept of the metric names in one device's birth."""
_NEVER: Final = 0


class Expected:
    """The births of devices, and what they make expected of the `watched` metrics.

    By device, in ms of the listening clock plus 1 (0: never): `born`, the arrival of its first birth; `named`, one
    column for each watched metric, that of the first that names the metric.
    """

    def __init__(self, watched: Sequence[str]) -> None:
        self.watched = tuple(watched)
        self.born = np.zeros(0, np.int64)
        self.named = [np.zeros(0, np.int64) for _ in self.watched]
        self._names: dict[int, frozenset[str]] = {}
        self._shared: dict[frozenset[str], frozenset[str]] = {}

    def make_room(self, devices: int) -> None:
        self.born = with_room(self.born, devices, 0)
        self.named = [with_room(column, devices, 0) for column in self.named]

    def birth(self, device: int, names: Iterable[str], listening: int) -> None:
        """Take in a birth that names these metrics."""
        kept = _within(names)
        self._names[device] = self._shared.setdefault(kept, kept)
        self.born[device] = self.born[device] or listening + 1
        for metric, column in zip(self.watched, self.named, strict=True):
            if metric in kept and column[device] == _NEVER:
                column[device] = listening + 1

    def expect(self, device: int, names: Iterable[str], listening: int) -> None:
        """Expect these metrics of a device, beside those that its birth names."""
        self.birth(device, [*sorted(self._names.get(device, ())), *names], listening)

    def since(self, watched: int, sent: IntColumn) -> IntColumn:
        """Since when a watched metric is expected, by device; `sent`: when each first sent anything, 0 for never."""
        named = self.named[watched][: len(sent)]
        return np.where((named == _NEVER) & (sent == 0), self.born[: len(sent)], named)

    def forget(self, devices: IntColumn) -> None:
        """Forget the births of retired devices."""
        for column in (self.born, *self.named):
            column[devices] = _NEVER
        for device in devices.tolist():
            self._names.pop(device, None)
        self._shared = {names: names for names in self._names.values()}

    def take_over(self, old: Expected) -> None:
        """Take over the births. A metric that was not watched counts from the first one."""
        self._names, self._shared = old._names, old._shared
        self.make_room(len(old.born))
        self.born[: len(old.born)] = old.born
        for metric, column in zip(self.watched, self.named, strict=True):
            if metric in old.watched:
                before = old.named[old.watched.index(metric)]
                column[: len(before)] = before
            else:
                devices = [device for device, names in self._names.items() if metric in names]
                column[devices] = self.born[devices]

    def snapshot(self, devices: int) -> dict[str, Any]:
        names = sorted({tuple(sorted(names)) for names in self._names.values()})
        number = {frozenset(each): place for place, each in enumerate(names)}
        return {
            "born": self.born[:devices].copy(),
            "named": {metric: column[:devices].copy() for metric, column in self._columns()},
            "names": [list(each) for each in names],
            "of": [[device, number[each]] for device, each in sorted(self._names.items())],
        }

    def _columns(self) -> Iterable[tuple[str, IntColumn]]:
        return zip(self.watched, self.named, strict=True)

    def restore(self, state: dict[str, Any]) -> None:
        self.make_room(len(state["born"]))
        self.born[: len(state["born"])] = state["born"]
        for metric, column in self._columns():
            column[: len(state["named"][metric])] = state["named"][metric]
        sets = [frozenset(each) for each in state["names"]]
        self._names = {device: sets[number] for device, number in state["of"]}
        self._shared = {each: each for each in sets}


def _within(names: Iterable[str]) -> frozenset[str]:
    """The names, in order, that fit into MOST_NAMES characters."""
    kept, room = [], MOST_NAMES
    for name in names:
        room -= len(name)
        if room < 0:
            break
        kept.append(name)
    return frozenset(kept)
