"""The effects of a fold: what the store keeps, what is published, and how soon to commit."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np

from edge_gateway.records import store_effects as stored
from edge_gateway.records.closings import Closings

if TYPE_CHECKING:
    from edge_gateway.fold.messages import Message
    from edge_gateway.fold.series_names import SeriesNames
    from edge_gateway.records.alerts import CommandChange, Transition


@dataclass(slots=True)
class Effects:
    """What one input leads to.

    Attributes:
        at: the input's wall time, in ms.
        least: the least the time was, in ms.
        aged: see `Moment`.
        changed: the input changed the state, so it must be journaled.
        urgent: commit at once.
        held: positions in the batch of messages that wait for a trusted clock; fold them again later.
        outgoing: to publish once the record is on disk.
        foreign: topics of deliveries of sites that are not this gateway's.
        births_wanted: a device was let in whose birth was refused before: ask the broker for retained births.
        closings: what left the open windows; a replay needs it beside the input.
        frozen, outbox_old, unsure, confirmed, cuts: see `StoreEffects`.
        reclaimed: unused series and texts were searched for.
        gone_texts: codes that stand for nothing from here on.
    """

    at: int
    least: int | None = None
    aged: int | None = None
    changed: bool = True
    urgent: bool = False
    held: Sequence[int] = ()
    outgoing: list[Message] = field(default_factory=list)
    windows: list[stored.ClosedWindows] = field(default_factory=list)
    states: list[stored.ClosedWindows] = field(default_factory=list)
    late: stored.LateValues | None = None
    late_states: stored.LateStates | None = None
    not_known: stored.LateValues | None = None
    alerts: list[Transition] = field(default_factory=list)
    commands: list[CommandChange] = field(default_factory=list)
    quarantined: list[stored.Quarantined] = field(default_factory=list)
    events: list[stored.Event] = field(default_factory=list)
    foreign: list[str] = field(default_factory=list)
    births_wanted: bool = False
    closings: Closings = field(default_factory=Closings)
    frozen: int | None = None
    outbox_old: bool = False
    cuts: tuple[int, ...] = ()
    unsure: int | None = None
    confirmed: tuple[int, int] | None = None
    reclaimed: bool = False
    gone_texts: stored.Array = field(default_factory=lambda: np.empty(0, np.int64))

    def quarantine(self, topic: str, payload: bytes, reason: str) -> None:
        """Quarantine a message. The time of one that lacks it is the least it can be, until the wall clock is sure."""
        at = self.at if self.least is None or reason != stored.WITHOUT_TIME else self.least
        self.quarantined.append(stored.Quarantined(topic, payload, reason, at))

    def note(self, code: str, text: str) -> None:
        """Keep in the history what an operator did, or what of it ended."""
        self.events.append(stored.Event(code, text, self.at))

    def for_store(self, names: SeriesNames) -> stored.StoreEffects:
        """Return the part for the journal and the store, with the names the store does not have yet."""
        columns = [(closed.rows["series"], closed.versions) for closed in self.windows]
        columns += [(closed.rows["series"], closed.versions) for closed in self.states]
        columns += [
            (late.series, late.versions)
            for late in (self.late, self.late_states, self.not_known)
            if late is not None
        ]
        codes = [closed.rows[end] for closed in self.states for end in ("first", "last")]
        codes += [self.late_states.code] if self.late_states is not None else []
        names.forget_texts(self.gone_texts)
        return stored.StoreEffects(
            at=self.at,
            aged=self.aged,
            series=tuple(names.new_series(columns)),
            texts=tuple(names.new_texts(codes)),
            windows=tuple(self.windows),
            states=tuple(self.states),
            late=self.late,
            late_states=self.late_states,
            not_known=self.not_known,
            alerts=tuple(self.alerts),
            commands=tuple(self.commands),
            quarantined=tuple(self.quarantined),
            events=tuple(self.events),
            frozen=self.frozen,
            outbox_old=self.outbox_old,
            unsure=self.unsure,
            confirmed=self.confirmed,
            gone_texts=tuple(self.gone_texts.tolist()),
            cuts=self.cuts,
        )
