"""Fold quarantined messages again, after the cause has been fixed.

started spool ─▶ telemetry in quarantine ─▶ a journal record ─▶ store: accepted messages leave the quarantine
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from itertools import groupby
from pathlib import Path
from typing import Final

from edge_gateway.configuration import gateway_id
from edge_gateway.configuration.model import GatewayConfig
from edge_gateway.journal import spool
from edge_gateway.journal.checkpoint import write_checkpoint
from edge_gateway.records import codec
from edge_gateway.records.inputs import Batch, Moment
from edge_gateway.records.store_effects import WITHOUT_TIME, Quarantined
from edge_gateway.recovery.record import record_tree
from edge_gateway.recovery.startup import Startup, recover_spool
from edge_gateway.status.clock import MachineClock
from fleet_wire.topics import TELEMETRY

BATCH: Final = 500
"""Messages folded as one record."""
NUMBERED: Final = frozenset({"a sample's time is past 2100", WITHOUT_TIME})
"""Reasons to refuse a message whose sequence number was accepted: its device will not send it again."""
BEFORE_ALL: Final = -(1 << 62)
"""Below every id in the quarantine."""


@dataclass(frozen=True, slots=True)
class QuarantineReplay:
    """Counts of messages. Those `still_bad`, and `other` ones that are not telemetry, stay in quarantine."""

    tried: int = 0
    taken: int = 0
    duplicate: int = 0
    not_known: int = 0
    still_bad: int = 0
    other: int = 0

    def plus(self, more: QuarantineReplay) -> QuarantineReplay:
        return QuarantineReplay(*(getattr(self, name) + getattr(more, name) for name in self.__slots__))


def replay_quarantine(
    place: Path, config: GatewayConfig, tell: Callable[[str], None] = lambda _: None
) -> QuarantineReplay:
    """Fold the quarantined telemetry of a spool whose lock this process holds.

    Args:
        place: the spool.
        config: of its gateway.
        tell: called with each thing that is damaged or lost: the quarantine may have been, too.
    """
    clock = MachineClock()
    startup = recover_spool(place, config, gateway_id.resolve(config.gateway.id), clock)
    try:
        for problem, detail in startup.findings:
            tell(f"{problem.code}: {problem.entry.text.format(detail)}")
        return _replay_all(startup, clock, place)
    finally:
        startup.journal.close()
        startup.store.close()


def _replay_all(startup: Startup, clock: MachineClock, place: Path) -> QuarantineReplay:
    while startup.store.facts().salvaging:
        startup.store.salvage()
    done, number, after = QuarantineReplay(), startup.number, BEFORE_ALL
    last = max((row for row, _ in startup.store.quarantined(BEFORE_ALL, -1)), default=BEFORE_ALL)
    while found := [one for one in startup.store.quarantined(after, BATCH) if one[0] <= last]:
        after = found[-1][0]
        wanted = [one for one in found if one[1].topic.endswith(TELEMETRY)]
        done = done.plus(QuarantineReplay(other=len(found) - len(wanted)))
        for at, together in groupby(wanted, key=lambda one: _arrival(one[1])):
            number += 1
            done = done.plus(_replay_batch(startup, _moment(startup, clock, at), number, list(together)))
    startup.store.sync()
    write_checkpoint(place / spool.CHECKPOINTS, number, startup.state.snapshot())
    return done


def _arrival(message: Quarantined) -> int | None:
    """Return the time of a message that has none, ms; None where the time of the replay will do."""
    return message.at if message.reason == WITHOUT_TIME else None


def _moment(startup: Startup, clock: MachineClock, arrival: int | None) -> Moment:
    """Return the moment at which messages arrived by both clocks; for None, now."""
    now, monotonic = clock.read(), clock.monotonic()
    wall = now.wall if arrival is None or not now.trusted else min(arrival, now.wall)
    least = now.least if arrival is None else clock.least
    passed = now.wall - wall
    return Moment(wall, startup.state.listening, now.trusted, least, now.aged, monotonic - passed)


def _replay_batch(
    startup: Startup, moment: Moment, number: int, found: list[tuple[int, Quarantined]]
) -> QuarantineReplay:
    state, totals = startup.state, startup.state.pipeline.admission.accounting.totals
    state.folded(moment)
    messages = [message for _, message in found]
    batch = Batch(
        moment,
        [message.topic for message in messages],
        [message.payload for message in messages],
        again=[place for place, message in enumerate(messages) if message.reason in NUMBERED],
        may_hold=0,
    )
    before = totals()
    effects = state.pipeline.fold(batch, number=number)
    now = totals()
    stored = effects.for_store(startup.names)
    startup.journal.append(number, codec.encode(record_tree([batch], [effects.closings], [stored])))
    startup.journal.sync()
    startup.store.apply_replayed((number, [stored]), [row for row, _ in found])
    became = (now[name] - before[name] for name in ("new", "duplicate", "not_known", "quarantined"))
    return QuarantineReplay(len(found), *became)
