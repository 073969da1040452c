"""What the fold leaves for the store, as data. It is part of the journal record, so it is also replayed.

Series are named by the gateway's own numbers (series, tag version); each pair is defined, with its names,
in the effects that use it first. Codes of texts likewise. The store translates both to numbers of its own.
"""

from dataclasses import dataclass, field, fields
from typing import Any, TypeVar

import msgspec
import numpy as np

from edge_gateway.records.alerts import CommandChange, Transition

Array = np.ndarray[Any, Any]


@dataclass(frozen=True, slots=True)
class SeriesName:
    """What a (series, tag version) pair stands for; `tags` are the forwarded ones."""

    series: int
    version: int
    device: str
    metric: str
    site: str
    type: str
    tags: dict[str, str]


@dataclass(frozen=True, slots=True)
class TextName:
    """What a code of a state stands for."""

    code: int
    text: str


@dataclass(frozen=True, slots=True)
class ClosedWindows:
    """Closed windows of one tier.

    Attributes:
        tier: 0 is the base.
        rows: WINDOW_ROW[n], `series` in the gateway's numbers.
        versions: tag version of each row, int64[n].
        tails: by place in `rows`, the packed tail of those that have one.
        partial: windows open across a start without a checkpoint, which go to a measurement of their own.
    """

    tier: int
    rows: Array
    versions: Array
    tails: dict[int, bytes] = field(default_factory=dict)
    partial: bool = False


@dataclass(frozen=True, slots=True)
class ClosedStates:
    """Closed state windows of one tier: `rows` are STATE_ROW[n], `versions` int64[n]."""

    tier: int
    rows: Array
    versions: Array


@dataclass(frozen=True, slots=True)
class LateValues:
    """Numbers whose windows are closed, as columns of equal length.

    Attributes:
        series: gateway series numbers, int64.
        versions: tag version of the value's base window, int64.
        ts: ms, int64.
        value: float64.
        quality: thousandths.
        tiers: bit i is set where the value must be merged into the stored window of tier i; none in a value that is
            over its device's share, and merged nowhere.
    """

    series: Array
    versions: Array
    ts: Array
    value: Array
    quality: Array
    tiers: Array


@dataclass(frozen=True, slots=True)
class LateStates:
    """Texts whose windows are closed; columns as in `LateValues`, `code` in place of value and quality."""

    series: Array
    versions: Array
    ts: Array
    code: Array
    tiers: Array


Late = TypeVar("Late", LateValues, LateStates)


def both(one: Late | None, other: Late) -> Late:
    """Late readings of two parts of a batch as one."""
    if one is None:
        return other
    names = [column.name for column in fields(other)]
    return type(other)(**{name: np.concatenate([getattr(one, name), getattr(other, name)]) for name in names})


@dataclass(frozen=True, slots=True)
class Quarantined:
    """A message that was not taken in."""

    topic: str
    payload: bytes
    reason: str
    at: int


@dataclass(frozen=True, slots=True)
class Event:
    """Something of the gateway itself that its operator may want to know later."""

    code: str
    text: str
    at: int


@dataclass(frozen=True, slots=True)
class StoreEffects:
    """Everything one fold leaves for the store; `at` is the input's wall time in ms.

    `frozen`: from now on nobody knows which readings the windows before this time (ms) have had. `gone_texts` are
    codes that stand for nothing any more, once everything else here is taken in.
    """

    at: int
    series: tuple[SeriesName, ...] = ()
    texts: tuple[TextName, ...] = ()
    windows: tuple[ClosedWindows, ...] = ()
    states: tuple[ClosedStates, ...] = ()
    late: LateValues | None = None
    late_states: LateStates | None = None
    alerts: tuple[Transition, ...] = ()
    commands: tuple[CommandChange, ...] = ()
    quarantined: tuple[Quarantined, ...] = ()
    events: tuple[Event, ...] = ()
    frozen: int | None = None
    gone_texts: tuple[int, ...] = ()


def effects_from_tree(tree: Any) -> StoreEffects:
    """Effects as they were before the codec wrote them into a record; msgspec.ValidationError otherwise."""
    return msgspec.convert(tree, StoreEffects, dec_hook=lambda _, array: array)
