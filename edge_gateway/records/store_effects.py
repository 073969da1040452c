"""The part of a fold's effects that the store keeps, as it stands in the journal.

Series are named by the gateway's numbers (series, tag version); the effects that use a pair first define it. Codes of
texts likewise. The store translates both to numbers of its own.
"""

import struct
from collections.abc import Mapping
from dataclasses import dataclass, fields
from enum import IntEnum
from typing import Any, Final, NamedTuple, TypeVar

import msgspec
import numpy as np

from edge_gateway.records.alerts import CommandChange, Transition
from edge_gateway.records.window_block import Rows, WindowBlock

Array = np.ndarray[Any, Any]


OVER_SHARE: Final = 0
"""In `tiers` of late readings: the device sends more of them than its share."""
BEHIND: Final = -1
"""In `tiers` of late readings: the history may have given up a window that the reading belongs to."""


class Kind(IntEnum):
    """How rows may enter the store, which only the fold knows.

    FIRST: of these windows nothing was ever closed before, so they are whole, wherever the history begins.
    AGAIN: something may have been closed before (the clock stepped back, or the device came back); it is stored still.
    GONE: the same, and the history may have given it up.
    LATE: made of readings that came after their window had closed.
    PARTIAL: they lack readings of a state that was lost.
    """

    FIRST = 0
    AGAIN = 1
    GONE = 2
    LATE = 3
    PARTIAL = 4


@dataclass(frozen=True, slots=True)
class SeriesName:
    """The definition of a (series, tag version) pair; `tags` are the forwarded ones, shared by many series."""

    series: int
    version: int
    device: str
    metric: str
    site: str
    type: str
    tags: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class TextName:
    """The definition of a state's code."""

    code: int
    text: str


@dataclass(frozen=True, slots=True)
class ClosedWindows:
    """Closed windows of one tier.

    Attributes:
        tier: 0 is the base.
        block: their rows, n, with `series` in the gateway's numbers.
        versions: tag version of each row, int64[n].
        kind: how the rows may enter the store; never LATE, because late readings wait there as readings.
    """

    tier: int
    block: WindowBlock
    versions: Array
    kind: Kind = Kind.FIRST

    @property
    def rows(self) -> Rows:
        """The rows of the block."""
        return self.block.rows


@dataclass(frozen=True, slots=True)
class LateValues:
    """Numbers whose windows are closed, as columns of equal length.

    Attributes:
        series: gateway series numbers, int64.
        versions: tag version of the value's base window, int64.
        ts: ms, int64.
        value: float64.
        quality: thousandths.
        tiers: bit i is set where the value must be merged into the stored window of tier i. OVER_SHARE or BEHIND: the
            value is merged nowhere.
        nth: number of the value within its ms (`point_numbers`), int64, for the point of a value merged nowhere.
    """

    series: Array
    versions: Array
    ts: Array
    value: Array
    quality: Array
    tiers: Array
    nth: Array

    def rows(self, chosen: Array) -> "LateValues":
        """Return some of the readings."""
        return LateValues(*(getattr(self, column.name)[chosen] for column in fields(self)))


@dataclass(frozen=True, slots=True)
class LateStates:
    """Texts whose windows are closed; columns as in `LateValues`, `code` in place of value and quality."""

    series: Array
    versions: Array
    ts: Array
    code: Array
    tiers: Array


AnyLate = TypeVar("AnyLate", LateValues, LateStates)


def both(one: AnyLate | None, other: AnyLate) -> AnyLate:
    """Return the late readings of two parts of a batch as one."""
    if one is None:
        return other
    names = [column.name for column in fields(other)]
    return type(other)(**{name: np.concatenate([getattr(one, name), getattr(other, name)]) for name in names})


WITHOUT_TIME = "no_time"
"""Reason of messages that need the gateway's time while nobody knows it, and more of them wait than may."""


class Stamp(NamedTuple):
    """When something reached the gateway, in ms.

    Attributes:
        wall: the machine's wall clock. It is shown to people, and decides nothing.
        aged: the time by which data may be found too old; None where `wall` is sure. See `Moment`.
    """

    wall: int
    aged: int | None = None

    @property
    def judging(self) -> int:
        """The time by which points are older than their buckets keep, and are withheld."""
        return self.wall if self.aged is None else self.aged


@dataclass(frozen=True, slots=True)
class Quarantined:
    """A message that was refused, and why."""

    topic: str
    payload: bytes
    reason: str
    at: int


@dataclass(frozen=True, slots=True)
class Event:
    """Something that happened to the gateway itself, for its operator."""

    code: str
    text: str
    at: int


@dataclass(frozen=True, slots=True)
class StoreEffects:
    """What one input leaves for the store.

    Attributes:
        at: the input's wall time, in ms.
        aged: the time, in ms, by which its points may be too old for their buckets; None if `at` is sure.
        windows: closed windows of numbers.
        states: closed windows of texts.
        frozen: windows that start before this time (ms) must not be corrected any more: which readings they already
            have is unknown.
        outbox_old: what waits in the outboxes was sent before, or replaced by something newer: it must not be sent.
        not_known: numbers of messages that may have counted before, which is not known any more; merged nowhere.
        unsure: the least the time was when `frozen` or `cuts` were set by a wall clock that was not sure; else None.
        confirmed: (wall time, the least it could be until now), in ms, when the wall clock became sure.
        gone_texts: codes that stand for nothing once all other effects are applied.
        cuts: of each tier the windows that start earlier (ms) leave the history; empty: none.
    """

    at: int
    series: tuple[SeriesName, ...] = ()
    texts: tuple[TextName, ...] = ()
    windows: tuple[ClosedWindows, ...] = ()
    states: tuple[ClosedWindows, ...] = ()
    late: LateValues | None = None
    late_states: LateStates | None = None
    not_known: LateValues | None = None
    alerts: tuple[Transition, ...] = ()
    commands: tuple[CommandChange, ...] = ()
    quarantined: tuple[Quarantined, ...] = ()
    events: tuple[Event, ...] = ()
    frozen: int | None = None
    outbox_old: bool = False
    unsure: int | None = None
    confirmed: tuple[int, int] | None = None
    gone_texts: tuple[int, ...] = ()
    cuts: tuple[int, ...] = ()
    aged: int | None = None

    @property
    def stamp(self) -> Stamp:
        return Stamp(self.at, self.aged)


def effects_from_tree(tree: Any) -> StoreEffects:
    """Return the effects in a decoded record. msgspec.ValidationError: it holds something else."""
    return msgspec.convert(tree, StoreEffects, dec_hook=_decoded)


def _decoded(kind: Any, tree: Any) -> Any:
    """Return the block that the codec encoded as its snapshot; arrays are decoded already."""
    if kind is not WindowBlock:
        return tree
    try:
        return WindowBlock.restored(tree)
    except (msgspec.MsgspecError, struct.error, AttributeError, IndexError, KeyError) as error:
        raise ValueError(f"not a block of windows: {error}") from error
