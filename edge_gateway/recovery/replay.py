"""Fold the journal's records again, and store the effects that they hold.

checkpoint restored ─▶ store opened (rebuilt if lost) ─▶ caught up with the checkpoint ─▶ records after it

record ─┬─ inputs, and what left with each ─▶ fold ─▶ state
        │                                      └─ what left ─▶ compared: an alarm where it is not what the record says
        └─ effects ─▶ store, once, by number
"""

from __future__ import annotations

import logging
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Protocol

import msgspec

from edge_gateway.fold.effects import Effects
from edge_gateway.fold.replayed_windows import difference, unrecorded
from edge_gateway.fold.series_names import SeriesNames
from edge_gateway.records import codec
from edge_gateway.records.closings import Closings
from edge_gateway.records.inputs import Batch, Input, Moment
from edge_gateway.records.store_effects import (
    Event,
    Quarantined,
    SeriesName,
    StoreEffects,
    TextName,
    effects_from_tree,
)
from edge_gateway.recovery.record import folds
from edge_gateway.store.schema import is_damage, is_refusal

if TYPE_CHECKING:
    from edge_gateway.journal.segments import Journal
    from edge_gateway.recovery.state import State
    from edge_gateway.store.database import Store
    from edge_gateway.store.rebuild import Derived

log = logging.getLogger("edge_gateway.replay")

MOST_NAMED = 5
"""Records with other windows that are told one by one."""
UNREADABLE = (codec.UndecodableBytes, msgspec.ValidationError, KeyError, TypeError)


class OpenStore(Protocol):
    """Opens the spool's store; `damage` is the reason to set the present file aside first."""

    def __call__(self, damage: str = "") -> Store: ...


@dataclass(slots=True)
class StateNames:
    """Names from the registry of a state, whose pipeline may be replaced meanwhile.

    `strayed`: the state numbers devices and series otherwise than the records do, because it lacks some of them. It
    then knows no name for their numbers.
    """

    state: State
    strayed: bool = False

    def series_name(self, series: int, version: int) -> SeriesName | None:
        return None if self.strayed else self._names.series_name(series, version)

    def text_name(self, code: int) -> TextName | None:
        return None if self.strayed else self._names.text_name(code)

    @property
    def _names(self) -> SeriesNames:
        return SeriesNames(self.state.pipeline.registry)


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


@dataclass(frozen=True, slots=True)
class Given:
    """One input of a record, or a part of it: of a message that cannot be folded the rest is taken in.

    Attributes:
        place: of the input in the record.
        moment: of the input.
        input: None if only what left is left to do.
        closings: what left the open windows with it.
        whole: whether all that left with the input leaves with this.
    """

    place: int
    moment: Moment
    input: Input | None
    closings: Closings
    whole: bool = True

    def halves(self) -> list[Given]:
        """Split it in two; empty for a single message, another input, and what left."""
        if self.input is None:
            return []
        if self.whole and self.closings:
            each, after = self.closings.in_parts()
            return [
                Given(self.place, self.moment, self.input, each, whole=False),
                Given(self.place, self.moment, None, after),
            ]
        if not isinstance(self.input, Batch) or len(self.input.topics) < 2:  # noqa: PLR2004 - one message has no halves
            return []
        count = len(self.input.topics)
        parts = (self.input, 0, count // 2), (self.input, count // 2, count)
        return [Given(self.place, self.moment, _part(*part), self.closings, whole=False) for part in parts]


@dataclass(slots=True)
class Replay:
    """A state and its store, driven by `attempts.recover`."""

    state: State
    journal: Journal
    open_store: OpenStore
    names: StateNames
    behind: bool = False
    """Whether records are lost that the store has not applied."""
    holed: bool = False
    """Whether records are lost that the fold has not seen: its results cannot match the records then."""
    differs: list[str] = field(default_factory=list)
    """The records with which other windows left than they say."""
    _store: Store | None = None
    _effects: list[StoreEffects] = field(default_factory=list)
    _made: list[tuple[int, Effects]] = field(default_factory=list)
    """What the inputs of the record led to now, by place."""
    _lacks: bool = False
    """Whether something of a record was not folded: the state may lack readings that its windows have."""
    _newest: int = 0
    """Number of the newest record in the state."""
    _agreed: tuple[int, ...] = ()
    """What was numbered when state and record last agreed on it."""
    _unnamed: bool = False
    """Whether a rebuilt store could not name all that the records hold, and so does not have it."""

    @property
    def astray(self) -> bool:
        """Whether what is open may be stored, or lacks readings, though no record is lost."""
        return bool(self.differs) or self.keeps_all

    @property
    def keeps_all(self) -> bool:
        """Whether nothing leaves the state any more, so that what the store has may be in it too.

        What leaves would be of other devices than recorded, or the store may not have it.
        """
        return self.names.strayed or self._unnamed

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
        self.holed, self.differs, self._lacks, self._newest = False, [], False, max(after, 0)
        self.names.strayed, self._agreed = False, ()
        if self._store is None:
            self._open_store()
            self._catch_up(after)

    def _open_store(self, damage: str = "") -> None:
        self._store = self.open_store(damage)
        self._unnamed |= self.store.unnamed > 0

    def _catch_up(self, after: int) -> None:
        """Store the effects of the records up to `after`; note if some are lost."""
        due = self.store.applied + 1
        for number, body in self.journal.read(due):
            if number > after:
                break
            self.behind |= number > due
            due = number + 1
            try:
                self._effects = [effects_from_tree(tree) for tree in codec.decode(body)["effects"]]
            except UNREADABLE:
                self.behind = True
                continue
            self._store_effects(number)
        self.behind |= due <= after

    def inputs(self, record: Any) -> list[Given]:
        """Return the inputs of a record. TypeError: another version folded it, or it is none."""
        if not folds(record):
            raise TypeError("another version folded it")
        inputs = msgspec.convert(record["inputs"], list[Input])
        closings = msgspec.convert(record["closings"], list[Closings])
        effects = [effects_from_tree(tree) for tree in record["effects"]]
        if not len(inputs) == len(closings) == len(effects):
            raise TypeError("parts of a record are missing")
        self._effects, self._made = effects, []
        pairs = zip(inputs, closings, strict=True)
        return [Given(place, given.moment, given, left) for place, (given, left) in enumerate(pairs)]

    def halves(self, one: Given) -> list[Given]:
        self._lacks = True
        return one.halves()

    def replay(self, number: int, inputs: list[Given]) -> None:
        """Fold inputs of a record. What leaves is what the record says."""
        self.holed |= number > self._newest + 1
        made = []
        for given in inputs:
            made.append((given.place, self._fold(given, number)))
            self.state.folded(given.moment)
        self._made += made

    def _fold(self, given: Given, number: int) -> Effects:
        pipeline = self.state.pipeline
        if given.closings.numbering:
            self._compare_numbering(given.closings.numbering)
        closings = Closings() if self.keeps_all else given.closings
        if given.input is None:
            return pipeline.close_recorded(given.moment, closings)
        return pipeline.fold(given.input, closings, number=number)

    def _compare_numbering(self, recorded: tuple[int, ...]) -> None:
        """Note if numbers mean something else than recorded.

        Where no record is lost, the state only lacks numbers that messages it could not fold were given: those it has
        mean the same until it gives another one.
        """
        own = self.state.pipeline.registry.numbering
        if own == recorded:
            self._agreed = own
        elif self.holed or own != self._agreed:
            self.names.strayed = True

    def _compare(self, number: int) -> None:
        """Note if other windows left than the record says, and keep those that no record has."""
        comparable = not (self.holed or self.keeps_all)
        for place, recorded in enumerate(self._effects):
            made = [effects for at, effects in self._made if at == place]
            self._lacks |= not made
            what = difference(made, recorded, lacks=self._lacks) if comparable else ""
            if what:
                self._note(f"record {number}: {what}", recorded.at)
            if what or not comparable:
                self.state.pipeline.completeness.keep_unrecorded(unrecorded(made, recorded))
        self._newest = number

    def _note(self, text: str, at: int) -> None:
        """Keep for the operator that windows left otherwise than recorded; only the first ones in words."""
        if len(self.differs) < MOST_NAMED:
            log.error("other windows left than recorded: %s", text)
            self.store.keep_events([Event("replay_differs", text, at)])
        self.differs.append(text)

    def apply(self, number: int, record: Any) -> None:  # noqa: ARG002 - as `Replayable` calls it
        """Store the effects of the record last passed to `inputs`; rebuild the store first if it proves damaged."""
        self._store_effects(number)
        self._compare(number)

    def _store_effects(self, number: int) -> None:
        effects = self._effects
        try:
            self.store.apply([(number, effects)])
        except Exception as error:  # one bad record must not stop what is behind it
            if is_damage(error):
                self.store.close()
                self._open_store(str(error))
                self.store.apply([(number, effects)])
            elif is_refusal(error):
                raise
            else:
                self._skip(number, effects, error)

    def _skip(self, number: int, effects: list[StoreEffects], error: Exception) -> None:
        """Replace a record that the store cannot apply by an event, so that the next ones are applied."""
        text = f"record {number}: {type(error).__name__}: {error}"
        log.error("%s", text)
        at = effects[0].at if effects else 0
        self.store.apply([(number, [StoreEffects(at, events=(Event("record_refused", text, at),))])])

    def set_aside(self, number: int, culprit: Given, reason: str) -> None:
        """Quarantine the messages of an input that cannot be folded."""
        log.error("record %s: an input cannot be folded and goes to quarantine: %s", number, reason)
        at, given = culprit.moment.wall, culprit.input
        if isinstance(given, Batch):
            pairs = zip(given.topics, given.payloads, strict=True)
            self.store.keep_quarantined([Quarantined(topic, payload, reason, at) for topic, payload in pairs])
        if culprit.whole and culprit.closings:
            self._note(f"record {number}: its windows could not leave ({reason})", at)


def _part(batch: Batch, start: int, end: int) -> Batch:
    qos0, again, copies = (
        [position - start for position in positions if start <= position < end]
        for positions in (batch.qos0, batch.again, batch.copies)
    )
    return Batch(batch.moment, batch.topics[start:end], batch.payloads[start:end], qos0, again, copies)
