"""What left the open windows with one input.

A window closes when its time has come and a budget allows it, piece by piece. How fast is a matter of the program, not
of the readings, so the journal holds what left beside the input, and a replay repeats it instead of deciding again.
"""

from __future__ import annotations

from typing import Any, Final

import msgspec
import numpy as np

Array = np.ndarray[Any, Any]

ALL: Final = -1
"""As `BaseStep.upto`: every series that is left."""
EACH: Final = -1
"""As `AtOnce.lap`: with every part of the input."""
END: Final = -2
"""As `AtOnce.lap`: with no part, but once all are folded."""
_PLACE_BITS: Final = 42
"""Bits that hold a time in ms up to the year 2100."""


class AtOnce(msgspec.Struct, frozen=True, array_like=True):
    """Base windows that closed as their readings arrived; each `device` with the `start` (ms) beside it.

    `lap`: which of the input's frames they arrived in, from 0.
    """

    lap: int
    device: Array
    start: Array

    def hold(self, device: Array, start: Array) -> Array:
        """Return which of these windows are among them."""
        return np.isin(_places(device, start), _places(self.device, self.start))


def _places(device: Array, start: Array) -> Array:
    return (device << _PLACE_BITS) | start


class BaseStep(msgspec.Struct, frozen=True, array_like=True):
    """Readings that left the base window that is closing.

    Attributes:
        start: of the window, ms.
        upto: the first series that stayed, or ALL.
        due: in the first step of a window, by device number whether its readings close, eight to a byte.
    """

    start: int
    upto: int
    due: bytes = b""


class CoarseStep(msgspec.Struct, frozen=True, array_like=True):
    """Coarser windows that left: of `tier`, by its place among those of numbers and of texts.

    `live` and `kept` are the series whose open window left: of live readings, and of what devices had kept.
    """

    tier: int
    live: Array
    kept: Array


class Closings(msgspec.Struct, omit_defaults=True):
    """What left with one input, in this order.

    Attributes:
        numbering: by what was numbered before the input (`Registry.numbering`) a replay knows whether the numbers of
            devices and series here mean the same to it; empty: they do.
        at_once: windows that closed as their readings arrived.
        base: pieces of base windows.
        caught_up: nothing due was left, so that readings of due windows are late from here on.
        looked: coarser windows were searched for ones that are over.
        coarse: coarser windows.
    """

    numbering: tuple[int, ...] = ()
    at_once: list[AtOnce] = []
    base: list[BaseStep] = []
    caught_up: bool = False
    looked: bool = False
    coarse: list[CoarseStep] = []

    def __bool__(self) -> bool:
        return bool(self.at_once or self.base or self.caught_up or self.looked or self.coarse)

    def in_parts(self) -> tuple[Closings, Closings]:
        """Return what leaves with each part of an input that is folded in parts, and what leaves after the last one."""
        rest = msgspec.structs.replace(self, numbering=())
        if not self.at_once:
            return Closings(), rest
        columns = [
            np.concatenate([getattr(one, name) for one in self.at_once]) for name in ("device", "start")
        ]
        after = msgspec.structs.replace(rest, at_once=[AtOnce(END, *columns)])
        return Closings(at_once=[AtOnce(EACH, *columns)]), after
