"""What a fold leads to: something for the store, something for the broker, and how urgent it is."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np

from edge_gateway.records import store_effects as stored
from edge_gateway.windows.recorded import NONE_RECORDED, Recorded, RecordedLate
from edge_gateway.windows.rows import Block, keys
from edge_gateway.windows.tail import Tail

if TYPE_CHECKING:
    from edge_gateway.fold.commands import CommandEvent
    from edge_gateway.fold.outgoing import Message
    from edge_gateway.fold.store_names import SeriesNames
    from edge_gateway.records.transition import Transition


@dataclass(slots=True)
class Effects:
    """What one input led to; `at` is its wall time (ms).

    `changed`: the input must be journaled, because it left something behind. `urgent`: commit at once.
    `held`: positions in the batch of messages that wait for a trusted clock; nothing is noted of them.
    `foreign`: topics of deliveries of sites that are not this gateway's.
    `births_wanted`: a device was let in whose birth was refused before; the broker still retains it.
    """

    at: int
    changed: bool = True
    urgent: bool = False
    held: Sequence[int] = ()
    outgoing: list[Message] = field(default_factory=list)
    windows: list[stored.ClosedWindows] = field(default_factory=list)
    states: list[stored.ClosedStates] = field(default_factory=list)
    late: stored.LateValues | None = None
    late_states: stored.LateStates | None = None
    alerts: list[Transition] = field(default_factory=list)
    commands: list[CommandEvent] = field(default_factory=list)
    quarantined: list[stored.Quarantined] = field(default_factory=list)
    foreign: list[str] = field(default_factory=list)
    births_wanted: bool = False
    frozen: int | None = None
    reclaimed: bool = False
    """Whether it was looked for what nobody uses."""
    gone_texts: stored.Array = field(default_factory=lambda: np.empty(0, np.int64))
    """Codes that stand for nothing any more."""

    def for_store(self, names: SeriesNames) -> stored.StoreEffects:
        """Everything the store keeps, with the names it has not heard yet."""
        columns = [(closed.rows["series"], closed.versions) for closed in self.windows]
        columns += [(closed.rows["series"], closed.versions) for closed in self.states]
        columns += [
            (late.series, late.versions) for late in (self.late, self.late_states) if late is not None
        ]
        codes = [closed.rows[end] for closed in self.states for end in ("first", "last")]
        codes += [self.late_states.code] if self.late_states is not None else []
        names.forget_texts(self.gone_texts)
        return stored.StoreEffects(
            at=self.at,
            series=tuple(names.new_series(columns)),
            texts=tuple(names.new_texts(codes)),
            windows=tuple(self.windows),
            states=tuple(self.states),
            late=self.late,
            late_states=self.late_states,
            alerts=tuple(map(_alert_change, self.alerts)),
            commands=tuple(map(_command_change, self.commands)),
            quarantined=tuple(self.quarantined),
            frozen=self.frozen,
            gone_texts=tuple(self.gone_texts.tolist()),
        )


def told_of(led_to: stored.StoreEffects) -> Recorded:
    """What a record says of windows."""
    return Recorded(
        numbers=[(closed.tier, _block(closed.rows, closed.tails)) for closed in led_to.windows],
        states=[(closed.tier, Block(closed.rows)) for closed in led_to.states],
        late=_late_of(led_to.late),
        late_states=_late_of(led_to.late_states),
    )


def _block(rows: stored.Array, tails: Mapping[int, bytes]) -> Block:
    names = keys(rows) if tails else []
    return Block(rows, {names[place]: Tail.unpack(data) for place, data in tails.items()})


def _late_of(late: stored.LateValues | stored.LateStates | None) -> RecordedLate:
    return NONE_RECORDED if late is None else RecordedLate(late.series, late.ts, late.tiers)


def same_windows(effects: Effects, led_to: stored.StoreEffects) -> bool:
    """Whether the same windows were closed and the same readings were late."""
    one, other = _told_columns(effects), _told_columns(led_to)
    return len(one) == len(other) and all(map(np.array_equal, one, other))


def _told_columns(effects: Effects | stored.StoreEffects) -> list[stored.Array]:
    closed = (*effects.windows, *effects.states)
    late = [one for one in (effects.late, effects.late_states) if one is not None]
    return [
        *(np.array([one.tier, len(one.rows)]) for one in closed),
        *(one.rows[name] for one in closed for name in ("series", "start", "first_at", "last_at")),
        *(column for one in late for column in (one.series, one.ts, one.tiers)),
    ]


def _alert_change(transition: Transition) -> stored.AlertChange:
    return stored.AlertChange(
        id=transition.id,
        group=transition.group,
        rule=transition.rule,
        level=transition.level,
        state=transition.state,
        subject=transition.subject,
        site=transition.site,
        metric=transition.metric,
        value=transition.value,
        limit=transition.limit,
        at=transition.at,
        boot=transition.boot,
        seq=transition.seq,
        cause=transition.cause,
        labels=dict(transition.labels),
        annotations=dict(transition.annotations),
    )


def _command_change(event: CommandEvent) -> stored.CommandChange:
    return stored.CommandChange(
        id=event.id,
        n=event.n or None,
        device=event.device,
        name=event.name,
        args=dict(event.args),
        state=event.state,
        at=event.at,
        detail=event.detail,
    )
