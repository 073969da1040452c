"""Sequences as plainly as they can be said: sets of seqs and sorted lists, one message at a time."""

import math
from dataclasses import dataclass, field
from typing import Final

Verdict = str
"""`new`, `duplicate`, `conflict` or `not known`."""
Place = str
"""Where a message stands in its boot: `first` of all, `highest` so far, or `below` the highest."""
BEFORE_ALL: Final = -math.inf
"""The time of a message that has none."""


@dataclass
class PlainBoot:
    top: int = -1
    missing: set[int] = field(default_factory=set)
    newest: float = BEFORE_ALL
    doubtful_to: int = -1
    """No repeat of a message up to this seq is known to be one, and nothing is said of what is below."""
    contested: dict[int, float] = field(default_factory=dict)
    """Times of messages, by seq, that were newer than others above them: those of another time are no repeats."""

    def overtaken(self, seq: int) -> bool:
        return not set(range(seq, self.top + 1)) <= self.missing

    def stored(self) -> tuple[int, int, list[tuple[int, int]]]:
        since = self.doubtful_to + 1
        asked = PlainBoot(missing={seq for seq in self.missing if seq >= since})
        return since, self.top, asked.ranges()

    def ranges(self) -> list[tuple[int, int]]:
        found: list[list[int]] = []
        for seq in sorted(self.missing):
            if found and found[-1][1] == seq - 1:
                found[-1][1] = seq
            else:
                found.append([seq, seq])
        return [(first, last) for first, last in found]


@dataclass
class PlainDevice:
    boots: dict[int, PlainBoot] = field(default_factory=dict)
    current: int | None = None
    lost: int = 0
    conflicted: bool = False


class PlainSequences:
    """Without bounds, which the drawn traffic does not reach."""

    def __init__(self) -> None:
        self.devices: dict[int, PlainDevice] = {}

    def boot(self, device: int, boot: int) -> PlainBoot:
        known = self.devices.setdefault(device, PlainDevice())
        if boot not in known.boots:
            if known.current is not None:
                known.boots[known.current] = known.boots.pop(known.current)
            for mark in known.boots.values() if known.conflicted else ():
                mark.doubtful_to = mark.top
            known.boots[boot] = PlainBoot()
            known.current, known.conflicted = boot, False
        elif boot != known.current:
            known.boots[boot] = known.boots.pop(boot)
        return known.boots[boot]

    def message(self, device: int, boot: int, seq: int, time: float) -> tuple[Verdict, Place]:
        mark, place = self.boot(device, boot), "below"
        if seq > mark.top:
            place = "highest" if mark.top >= 0 else "first"
            mark.missing |= set(range(mark.top + 1, seq))
            mark.top = seq
        elif seq in mark.missing:
            if time > mark.newest and mark.overtaken(seq):
                mark.contested[seq] = time
            mark.missing.discard(seq)
        else:
            known = self.devices[device]
            known.conflicted |= time > mark.newest
            doubtful = known.conflicted or seq <= mark.doubtful_to
            doubtful |= mark.contested.get(seq, time) != time
            repeat = "not known" if doubtful else "duplicate"
            return ("conflict" if time > mark.newest else repeat), place
        mark.newest = max(mark.newest, time)
        return "new", place

    def floor(self, device: int, boot: int, floor: int) -> None:
        if boot not in self.devices[device].boots:
            return
        self._close(device, self.boot(device, boot), floor)

    def _close(self, device: int, mark: PlainBoot, floor: int) -> None:
        never = {seq for seq in mark.missing if seq < floor} | set(range(mark.top + 1, floor))
        mark.missing -= never
        mark.top = max(mark.top, floor - 1)
        self.devices[device].lost += len(never)

    def birth(self, device: int, boot: int, floor: int, following: int) -> None:
        mark = self.boot(device, boot)
        mark.missing |= set(range(mark.top + 1, following))
        mark.top = max(mark.top, following - 1)
        self._close(device, mark, min(floor, following))
