"""The windows that a journal record says an input closed: read back, and compared with what a fold of it closes."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

import numpy as np

from edge_gateway.records import store_effects as stored
from edge_gateway.windows.recorded import NONE_RECORDED, Recorded, RecordedLate
from edge_gateway.windows.rows import Block, keys
from edge_gateway.windows.tail import Tail

if TYPE_CHECKING:
    from edge_gateway.fold.effects import Effects


def recorded_windows(led_to: stored.StoreEffects) -> Recorded:
    """Return the closed windows and late readings of a record, for `Windows` to repeat."""
    return Recorded(
        numbers=[(closed.tier, _block(closed.rows, closed.tails)) for closed in led_to.windows],
        states=[(closed.tier, Block(closed.rows)) for closed in led_to.states],
        late=_late(led_to.late),
        late_states=_late(led_to.late_states),
    )


def _block(rows: stored.Array, tails: Mapping[int, bytes]) -> Block:
    names = keys(rows) if tails else []
    return Block(rows, {names[place]: Tail.unpack(data) for place, data in tails.items()})


def _late(late: stored.LateValues | stored.LateStates | None) -> RecordedLate:
    return NONE_RECORDED if late is None else RecordedLate(late.series, late.ts, late.tiers)


def same_windows(effects: Effects, led_to: stored.StoreEffects) -> bool:
    """Whether a fold closed the same windows and found the same readings late as the record says."""
    one, other = _columns(effects), _columns(led_to)
    return len(one) == len(other) and all(map(np.array_equal, one, other))


def _columns(effects: Effects | stored.StoreEffects) -> list[stored.Array]:
    closed = (*effects.windows, *effects.states)
    late = [one for one in (effects.late, effects.late_states) if one is not None]
    return [
        *(np.array([one.tier, one.kind, len(one.rows)]) for one in closed),
        *(one.rows[name] for one in closed for name in ("series", "start", "first_at", "last_at")),
        *(column for one in late for column in (one.series, one.ts, one.tiers)),
    ]
