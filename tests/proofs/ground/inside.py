"""A gateway in this process: fold, journal, checkpoint, recovery, store and late job, run step by step.

deliver ─▶ fold ─▶ open record ──commit──▶ journal on disk ──apply──▶ store ──late──▶ corrected windows
                        │                       │
                        └── lost by a crash     └── recovered by the product at the next start
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import msgspec

from edge_gateway.configuration.model import GatewayConfig
from edge_gateway.fold.effects import Effects
from edge_gateway.fold.pipeline import Pipeline
from edge_gateway.journal.checkpoint import write_checkpoint
from edge_gateway.journal.spool import CHECKPOINTS
from edge_gateway.records import codec
from edge_gateway.records.closings import Closings
from edge_gateway.records.inputs import Batch, Input, Moment, Reload, Tick, Trim, runs
from edge_gateway.records.store_effects import effects_from_tree
from edge_gateway.recovery.record import record_tree
from edge_gateway.recovery.startup import recover_spool
from edge_gateway.rules.files.load import load_rules
from edge_gateway.status.clock import MachineClock
from edge_gateway.store.history import History

GATEWAY = "gw-inside"
Delivery = tuple[str, bytes]


@dataclass(slots=True)
class GivenClock(MachineClock):
    """A clock that stands at `now` (ms) until it is moved."""

    now: int = 0
    believed: bool = True

    def wall(self) -> int:
        return self.now

    def trusted(self) -> bool:
        return self.believed


def configuration(place: Path, **sections: Any) -> GatewayConfig:
    """Return a gateway's configuration, with its spool at `place`."""
    plain = {"mqtt": {"url": "mqtt://localhost"}, "spool": {"path": str(place)}, **sections}
    return GatewayConfig.model_validate_json(msgspec.json.encode(plain))


def rules_of(place: Path, text: str) -> dict[str, Any]:
    """Return a rule file's text in the form a reload carries."""
    file = place / "rules.yaml"
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(text)
    return load_rules(file).to_plain()


def later(moment: Moment, ms: int) -> Moment:
    """Return the moment `ms` later by every clock."""
    at = {name: getattr(moment, name) for name in ("wall", "listening", "least", "aged", "monotonic")}
    passed = {name: time + ms for name, time in at.items() if time is not None}
    return msgspec.structs.replace(moment, **passed)


class Inside:
    """A gateway in this process. `at` and `now` are wall milliseconds."""

    def __init__(self, place: Path, config: GatewayConfig, at: int) -> None:
        place.mkdir(parents=True, exist_ok=True)
        self.place = place
        self.config = config
        self.clock = GivenClock(now=at)
        self._every = [window.every for window in config.windows]
        self.start()

    def start(self) -> None:
        """Recover from the disk, as at every start of a gateway."""
        found = recover_spool(self.place, self.config, GATEWAY, self.clock)
        self.state, self.names = found.state, found.names
        self.journal, self.store = found.journal, found.store
        self.number = found.number
        self._inputs: list[Input] = []
        self._closings: list[Closings] = []
        self._effects: list[Any] = []
        self._unapplied: list[tuple[int, list[Any]]] = []

    @property
    def pipeline(self) -> Pipeline:
        return self.state.pipeline

    # --- inputs

    def fold(self, given: Input) -> Effects:
        """Fold one input into the open record."""
        effects = self.pipeline.fold(given, number=self.number + 1)
        self.state.folded(given.moment)
        if effects.changed:
            self._inputs.append(given)
            self._closings.append(effects.closings)
            self._effects.append(effects.for_store(self.names))
        return effects

    def deliver(
        self, moment: Moment, messages: Sequence[Delivery], qos0: Sequence[int] = ()
    ) -> list[Effects]:
        """Fold deliveries in batches, as the engine does."""
        self.clock.now = moment.wall
        topics = [topic for topic, _ in messages]
        found = []
        for run in runs(topics) if messages else ():
            at = range(*run.indices(len(topics)))
            given = Batch(
                moment,
                topics[run],
                [payload for _, payload in messages[run]],
                [position - at.start for position in qos0 if position in at],
            )
            found.append(self.fold(given))
        return found

    def tick(self, moment: Moment) -> Effects:
        self.clock.now = moment.wall
        return self.fold(Tick(moment))

    def reload(self, moment: Moment, rules: dict[str, Any]) -> Effects:
        return self.fold(Reload(moment, rules))

    # --- records

    def commit(self, *, apply: bool = True) -> None:
        """Write the open record to the journal, and its effects to the store, now or later."""
        if self._inputs:
            self.number += 1
            body = codec.encode(record_tree(self._inputs, self._closings, self._effects))
            self.journal.append(self.number, body)
            self.journal.sync(power=False)
            trees = codec.decode(body)["effects"]
            self._unapplied.append((self.number, [effects_from_tree(tree) for tree in trees]))
            self._inputs, self._closings, self._effects = [], [], []
        if apply:
            self.store.apply(self._unapplied)
            self._unapplied = []

    def late(self, most: int = 1 << 30) -> None:
        """Merge late readings, in at most so many pieces."""
        while most and self.store.late_pending:
            self.store.run_late()
            most -= 1

    def trim(self, moment: Moment) -> None:
        """Take one step towards the history's bounds."""
        self.commit()
        cuts = self.store.trim(moment.wall)
        if cuts:
            self.fold(Trim(moment, list(cuts)))
            self.commit()

    def checkpoint(self) -> None:
        """Write a checkpoint and unlink the segments it covers."""
        self.commit()
        self.store.sync()
        kept = write_checkpoint(self.place / CHECKPOINTS, self.number, self.state.snapshot())
        self.journal.unlink_before(kept + 1)

    def crash(self) -> list[Input]:
        """Crash and recover; return the inputs of the open record, which are lost."""
        lost = self._inputs
        self.close()
        self.start()
        return lost

    def close(self) -> None:
        self.journal.close()
        self.store.close()

    def settle(self, moment: Moment, within: int = 10_000) -> Moment:
        """Advance listening time by seconds until nothing is open; at most `within` steps."""
        windows = self.pipeline.windows
        for _ in range(within):
            if not (windows.open_readings or windows.open_coarser or windows.pending):
                break
            moment = later(moment, 1_000)
            self.tick(moment)
        self.commit()
        self.late()
        return moment

    # --- state and history

    def snapshot(self) -> bytes:
        """Return the whole state, encoded as in a checkpoint."""
        return codec.pack(self.state.snapshot())

    def rows(self, what: str) -> Iterator[Mapping[str, Any]]:
        """Return rows of the history, as `edge-gateway query` shows them."""
        with History.open(self.place, self._every) as history:
            yield from history.query(what)
