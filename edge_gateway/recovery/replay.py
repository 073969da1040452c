"""Records of the journal, folded again; what they led to the first time goes to the store.

checkpoint restored ─▶ store opened (a lost one is made again) ─▶ brought up to the checkpoint ─▶ records behind it
"""

from __future__ import annotations

import logging
import sqlite3
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Protocol

import msgspec

from edge_gateway.fold.effects import same_windows
from edge_gateway.fold.store_names import SeriesNames
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
    from edge_gateway.journal.journal import Journal
    from edge_gateway.recovery.startup import State
    from edge_gateway.store.rederive import Derived
    from edge_gateway.store.store import Store

log = logging.getLogger(__name__)

UNREADABLE = (codec.UndecodableBytes, msgspec.ValidationError, KeyError, TypeError)


class OpenStore(Protocol):
    """Opens the store of the spool; `damage` says why it must be set aside first."""

    def __call__(self, damage: str = "") -> Store: ...


@dataclass(frozen=True, slots=True)
class StateNames:
    """Names by the registry of a state, whichever pipeline it has by then."""

    state: State

    def series_name(self, series: int, version: int) -> SeriesName | None:
        return SeriesNames(self.state.pipeline.registry).series_name(series, version)

    def text_name(self, code: int) -> TextName | None:
        return SeriesNames(self.state.pipeline.registry).text_name(code)


def effects_in(journal: Journal) -> Iterator[Derived]:
    """What the journal's records left, in order; None where numbers of series begin to mean something else."""
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
    """The fold and the store, as recovery drives them."""

    state: State
    journal: Journal
    open_store: OpenStore
    follows: bool = False
    """Whether windows close as the records say, because this program would close them at other times."""
    behind: bool = False
    """Whether records are gone that the store has not seen."""
    holed: bool = False
    """Whether records are gone that the fold has not seen: then it cannot come to what the records say."""
    _store: Store | None = None
    _effects: list[StoreEffects] = field(default_factory=list)
    _led_to: dict[int, StoreEffects] = field(default_factory=dict)

    @property
    def store(self) -> Store:
        assert self._store is not None
        return self._store

    def close(self) -> None:
        """Recovery did not come to its end."""
        if self._store is not None:
            self._store.close()

    def restore(self, state: dict[str, Any]) -> None:
        self.state.restore(state)

    def snapshot(self) -> dict[str, Any]:
        return self.state.snapshot()

    def begin(self, after: int) -> None:
        """Open the store, and bring it to where the checkpoint is: it may come from an earlier time."""
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
        self._led_to = {id(one): led_to for one, led_to in zip(inputs, self._effects, strict=False)}
        return inputs

    def halves(self, one: Any) -> list[Any]:
        """A batch as two; nothing smaller than a message."""
        if not isinstance(one, Batch) or len(one.topics) < 2:  # noqa: PLR2004 - one message has no halves
            return []
        middle = len(one.topics) // 2
        return [_part(one, 0, middle), _part(one, middle, len(one.topics))]

    def replay(self, number: int, inputs: list[Any]) -> None:
        for given in inputs:
            self._refold(number, given, self._led_to.get(id(given)))
            self.state.listening = given.moment.listening
            self.state.wall = max(
                self.state.wall, given.moment.wall
            )  # a life without the time went backwards

    def _refold(self, number: int, given: Input, led_to: StoreEffects | None) -> None:
        """Fold an input again, to the same end; `led_to` is None for a part of one that raised."""
        if led_to is not None and self.follows:
            self.state.pipeline.refold(given, led_to)
            return
        effects = self.state.pipeline.fold(given)
        if led_to is not None and not self.holed and not same_windows(effects, led_to):
            self.follows = True
            log.info("record %s was folded by another program: what it says of windows is followed", number)
            raise recovery.FoldsOtherwise(f"record {number}")

    def apply(self, number: int, record: Any) -> None:  # noqa: ARG002 - as `Replayable` calls it
        """Apply what the record says, as `inputs` read it; a store that turns out damaged is made again first."""
        effects = self._effects
        try:
            self.store.apply([(number, effects)])
        except Exception as error:
            if is_damage(error):
                self.store.close()
                self._store = self.open_store(str(error))
                self.store.apply([(number, effects)])
            elif isinstance(error, sqlite3.Error) or is_refusal(error):
                raise
            else:
                self._skip(number, effects, error)

    def _skip(self, number: int, effects: list[StoreEffects], error: Exception) -> None:
        """One record the store cannot take must not stop what is behind it."""
        text = f"record {number}: {type(error).__name__}: {error}"
        log.error("%s", text)
        at = effects[0].at if effects else 0
        self.store.apply([(number, [StoreEffects(at, events=(Event("record_refused", text, at),))])])

    def set_aside(self, number: int, culprit: Any, reason: str) -> None:
        """Quarantine the messages of an input that cannot be folded."""
        at = culprit.moment.wall
        pairs = zip(culprit.topics, culprit.payloads, strict=True) if isinstance(culprit, Batch) else ()
        log.error("record %s: an input could not be folded: %s", number, reason)
        self.store.keep_quarantined([Quarantined(topic, payload, reason, at) for topic, payload in pairs])


def _part(batch: Batch, start: int, end: int) -> Batch:
    qos0, again = (
        [position - start for position in positions if start <= position < end]
        for positions in (batch.qos0, batch.again)
    )
    return Batch(batch.moment, batch.topics[start:end], batch.payloads[start:end], qos0, again)
