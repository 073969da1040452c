"""What a fold leads to: something for the store, something for the broker, and how urgent it is."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from edge_gateway.durable import effects as stored

if TYPE_CHECKING:
    from edge_gateway.commands import CommandEvent
    from edge_gateway.naming import SeriesNames
    from edge_gateway.outgoing import Message
    from edge_gateway.rules.transition import Transition


@dataclass(slots=True)
class Effects:
    """What one input led to; `at` is its wall time (ms).

    `changed`: the input must be journaled, because it left something behind. `urgent`: commit at once.
    `held`: positions in the batch of messages that wait for a trusted clock; nothing is noted of them.
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

    def for_store(self, names: SeriesNames) -> stored.StoreEffects:
        """Everything the store keeps, with the names it has not heard yet."""
        columns = [(closed.rows["series"], closed.versions) for closed in self.windows]
        columns += [(closed.rows["series"], closed.versions) for closed in self.states]
        columns += [
            (late.series, late.versions) for late in (self.late, self.late_states) if late is not None
        ]
        codes = [closed.rows[end] for closed in self.states for end in ("first", "last")]
        codes += [self.late_states.code] if self.late_states is not None else []
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
        )


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
    )
