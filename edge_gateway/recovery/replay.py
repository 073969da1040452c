"""Fold the journal's records again, and store the effects that they hold.

checkpoint restored ─▶ store opened (rebuilt if lost) ─▶ caught up with the checkpoint ─▶ records after it
"""

from __future__ import annotations

import logging
import sqlite3
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Protocol

import msgspec

from edge_gateway.fold.recorded_windows import same_windows
from edge_gateway.fold.series_names import SeriesNames
from edge_gateway.records import codec
from edge_gateway.records.inputs import Batch, Input
from edge_gateway.records.store_effects import (
    Event,
    Quarantined,
    SeriesName,
    StoreEffects,
    TextName,
    effects_from_tree,
)
from edge_gateway.recovery import attempts as recovery
from edge_gateway.store.schema import is_damage, is_refusal

if TYPE_CHECKING:
    from edge_gateway.journal.segments import Journal
    from edge_gateway.recovery.state import State
    from edge_gateway.store.database import Store
    from edge_gateway.store.rebuild import Derived

log = logging.getLogger("edge_gateway.replay")

UNREADABLE = (codec.UndecodableBytes, msgspec.ValidationError, KeyError, TypeError)


class OpenStore(Protocol):
    """Opens the spool's store; `damage` is the reason to set the present file aside first."""

    def __call__(self, damage: str = "") -> Store: ...


@dataclass(frozen=True, slots=True)
class StateNames:
    """Names from the registry of a state, whose pipeline may be replaced meanwhile."""

    state: State

    def series_name(self, series: int, version: int) -> SeriesName | None:
        return SeriesNames(self.state.pipeline.registry).series_name(series, version)

    def text_name(self, code: int) -> TextName | None:
        return SeriesNames(self.state.pipeline.registry).text_name(code)


def effects_in(journal: Journal) -> Iterator[Derived]:
    """Yield (record number, its effects), in order; effects are None where series numbers get new meanings."""
    for number, body in journal.read():
        try:
            record = codec.decode(body)
            effects = [effects_from_tree(tree) for tree in record["effects"]]
            forgot = any(given["type"] == "state_lost" for given in record["inputs"])
        except UNREADABLE:
            continue
        if forgot:
            yield number, None
        yield number, effects


@dataclass(slots=True)
class Replay:
    """A state and its store, driven by `attempts.recover`."""

    state: State
    journal: Journal
    open_store: OpenStore
    follows: bool = False
    """Whether windows close as the records say, since this program would close them at other times."""
    behind: bool = False
    """Whether records are lost that the store has not applied."""
    holed: bool = False
    """Whether records are lost that the fold has not seen: its results cannot match the records then."""
    _store: Store | None = None
    _effects: list[StoreEffects] = field(default_factory=list)
    _recorded: dict[int, StoreEffects] = field(default_factory=dict)

    @property
    def store(self) -> Store:
        assert self._store is not None
        return self._store

    def close(self) -> None:
        """Close the store after a recovery that failed."""
        if self._store is not None:
            self._store.close()

    def restore(self, state: dict[str, Any]) -> None:
        self.state.restore(state)

    def snapshot(self) -> dict[str, Any]:
        return self.state.snapshot()

    def begin(self, after: int) -> None:
        """Open the store and catch it up with the checkpoint: it may be from an earlier time."""
        held_from = self.journal.first_number
        self.holed = bool(self.journal.report.lost) or (held_from is not None and held_from > after + 1)
        if self._store is not None:
            return
        self._store = self.open_store()
        first = after + 1 if held_from is None else min(held_from, after + 1)
        self.behind = self.store.applied + 1 < first
        for number, body in self.journal.read(self.store.applied + 1):
            if number > after:
                break
            try:
                self._effects = [effects_from_tree(tree) for tree in codec.decode(body)["effects"]]
            except UNREADABLE:
                self.behind = True
                continue
            self.apply(number, None)

    def inputs(self, record: Any) -> list[Any]:
        inputs = msgspec.convert(record["inputs"], list[Input])
        self._effects = [effects_from_tree(tree) for tree in record["effects"]]
        self._recorded = {id(one): recorded for one, recorded in zip(inputs, self._effects, strict=False)}
        return inputs

    def halves(self, one: Any) -> list[Any]:
        """Split a batch in two; empty for a single message or another input."""
        if not isinstance(one, Batch) or len(one.topics) < 2:  # noqa: PLR2004 - one message has no halves
            return []
        middle = len(one.topics) // 2
        return [_part(one, 0, middle), _part(one, middle, len(one.topics))]

    def replay(self, number: int, inputs: list[Any]) -> None:
        for given in inputs:
            self._refold(number, given, self._recorded.get(id(given)))
            self.state.folded(given.moment)

    def _refold(self, number: int, given: Input, recorded: StoreEffects | None) -> None:
        """Fold an input again and compare with the recorded effects; they are None for a part of one that raised."""
        if recorded is not None and self.follows:
            self.state.pipeline.refold(given, recorded)
            return
        effects = self.state.pipeline.fold(given)
        if recorded is not None and not self.holed and not same_windows(effects, recorded):
            self.follows = True
            log.info("record %s: this version closes windows at other times; following the journal", number)
            raise recovery.FoldsOtherwise(f"record {number}")

    def apply(self, number: int, record: Any) -> None:  # noqa: ARG002 - as `Replayable` calls it
        """Store the effects of the record last passed to `inputs`; rebuild the store first if it proves damaged."""
        effects = self._effects
        try:
            self.store.apply([(number, effects)])
        except Exception as error:  # one bad record must not stop what is behind it
            if is_damage(error):
                self.store.close()
                self._store = self.open_store(str(error))
                self.store.apply([(number, effects)])
            elif isinstance(error, sqlite3.Error) or is_refusal(error):
                raise
            else:
                self._skip(number, effects, error)

    def _skip(self, number: int, effects: list[StoreEffects], error: Exception) -> None:
        """Replace a record that the store cannot apply by an event, so that the next ones are applied."""
        text = f"record {number}: {type(error).__name__}: {error}"
        log.error("%s", text)
        at = effects[0].at if effects else 0
        self.store.apply([(number, [StoreEffects(at, events=(Event("record_refused", text, at),))])])

    def set_aside(self, number: int, culprit: Any, reason: str) -> None:
        """Quarantine the messages of an input that cannot be folded."""
        at = culprit.moment.wall
        pairs = zip(culprit.topics, culprit.payloads, strict=True) if isinstance(culprit, Batch) else ()
        log.error("record %s: an input cannot be folded and goes to quarantine: %s", number, reason)
        self.store.keep_quarantined([Quarantined(topic, payload, reason, at) for topic, payload in pairs])


def _part(batch: Batch, start: int, end: int) -> Batch:
    qos0, again, copies = (
        [position - start for position in positions if start <= position < end]
        for positions in (batch.qos0, batch.again, batch.copies)
    )
    return Batch(batch.moment, batch.topics[start:end], batch.payloads[start:end], qos0, again, copies)
