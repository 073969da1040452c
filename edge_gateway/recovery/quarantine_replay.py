"""Messages out of quarantine, through the fold once more, after what was wrong with them has been mended.

recovered spool ─▶ telemetry in quarantine ─▶ a record of the journal ─▶ store: what was taken leaves the quarantine
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Final

from edge_gateway.configuration import gateway_id
from edge_gateway.configuration.model import GatewayConfig
from edge_gateway.journal import spool
from edge_gateway.journal.checkpoint import write_checkpoint
from edge_gateway.records import codec
from edge_gateway.records.inputs import Batch, Moment
from edge_gateway.records.store_effects import Quarantined
from edge_gateway.recovery.startup import Startup, recover_spool
from edge_gateway.status.clock import MachineClock
from fleet_wire.topics import TELEMETRY

AT_ONCE: Final = 500
NUMBERED: Final = frozenset({"a sample's time is past 2100"})
"""Why messages are refused whose sequence number was noted all the same: a device does not send them again."""
FIRST: Final = -(1 << 62)


@dataclass(frozen=True, slots=True)
class QuarantineReplay:
    """What became of the messages: `other` are no telemetry and stay, as do those that are `still_bad`."""

    tried: int = 0
    taken: int = 0
    duplicate: int = 0
    still_bad: int = 0
    other: int = 0

    def plus(self, more: QuarantineReplay) -> QuarantineReplay:
        return QuarantineReplay(*(getattr(self, name) + getattr(more, name) for name in self.__slots__))


def replay_quarantine(place: Path, config: GatewayConfig) -> QuarantineReplay:
    """Fold the quarantined telemetry of a spool that this process holds."""
    clock = MachineClock()
    recovered = recover_spool(place, config, gateway_id.resolve(config.gateway.id), clock)
    try:
        return _replay_all(recovered, clock, place)
    finally:
        recovered.journal.close()
        recovered.store.close()


def _replay_all(recovered: Startup, clock: MachineClock, place: Path) -> QuarantineReplay:
    while recovered.store.facts().salvaging:
        recovered.store.salvage()
    done, number, after = QuarantineReplay(), recovered.number, FIRST
    last = max((known for known, _ in recovered.store.quarantined(FIRST, -1)), default=FIRST)
    while found := [one for one in recovered.store.quarantined(after, AT_ONCE) if one[0] <= last]:
        after = found[-1][0]
        wanted = [one for one in found if one[1].topic.endswith(TELEMETRY)]
        done = done.plus(QuarantineReplay(other=len(found) - len(wanted)))
        if wanted:
            number += 1
            done = done.plus(_replay_batch(recovered, clock, number, wanted))
    recovered.store.sync()
    write_checkpoint(place / spool.CHECKPOINTS, number, recovered.state.snapshot())
    return done


def _replay_batch(
    recovered: Startup, clock: MachineClock, number: int, found: list[tuple[int, Quarantined]]
) -> QuarantineReplay:
    state, totals = recovered.state, recovered.state.pipeline.admission.accounting.totals
    state.wall = clock.wall()
    messages = [message for _, message in found]
    batch = Batch(
        Moment(state.wall, state.listening),
        [message.topic for message in messages],
        [message.payload for message in messages],
        again=[place for place, message in enumerate(messages) if message.reason in NUMBERED],
    )
    before = totals()
    effects = state.pipeline.fold(batch)
    now = totals()
    stored = effects.for_store(recovered.names)
    recovered.journal.append(number, codec.encode({"inputs": [batch], "effects": [stored]}))
    recovered.journal.sync()
    recovered.store.put_back((number, [stored]), [known for known, _ in found])
    taken, duplicate, bad = (now[name] - before[name] for name in ("new", "duplicate", "quarantined"))
    return QuarantineReplay(len(found), taken, duplicate, bad)
