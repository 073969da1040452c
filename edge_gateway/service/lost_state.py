"""Tell, once, that the spool lacks what the gateway did before; windows in progress are partial from then on."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from edge_gateway.journal import spool
from edge_gateway.mqtt.ownership import LEARN_WITHIN, Ownership
from edge_gateway.records.inputs import StateLost
from edge_gateway.service.engine import Engine
from edge_gateway.sinks.influx.sink import InfluxSink
from edge_gateway.status.catalogue import Problem
from edge_gateway.status.problems import Problems
from edge_gateway.store.store_thread import StoreThread

UNKNOWN = "waits for the broker, which knows whether this spool is the newest"


async def run_when_known(sink: InfluxSink, ownership: Ownership) -> None:
    """Run a sink once it is known whether anything newer was sent before; say so if that takes long."""
    if not await ownership.wait_learned(LEARN_WITHIN):
        sink.hold_back(UNKNOWN)
        await ownership.wait_learned()
    await sink.run()


@dataclass(slots=True)
class LostState:
    """Who tells of a loss: this start's recovery, the broker, or an operator.

    `place`: the spool directory; `fresh`: it was empty.
    """

    place: Path
    fresh: bool
    engine: Engine
    store: StoreThread
    problems: Problems

    def report(self, lost: Problem) -> None:
        """Raise the problem and fold the loss, unless that was done before."""
        if lost not in self.problems:
            self.problems.raise_(lost, str(self.place))
            self.engine.fold(StateLost(self.engine.moment(), copied=lost is Problem.SPOOL_COPY))

    def connected(self, session_present: bool) -> None:  # noqa: FBT001 - as the broker says it
        """Report a lost spool: the broker has a session of this gateway, and the spool is new."""
        if session_present and self.fresh:
            self.report(Problem.SPOOL_LOST)

    async def outdated(self) -> None:
        """Report a spool that lacks what this gateway did last; return when that is on disk and in the store."""
        self.report(Problem.SPOOL_LOST if self.fresh else Problem.SPOOL_COPY)
        await self.store.applied(self.engine.submit())

    async def note_restored(self) -> None:
        """Do as an operator says who restored the spool from a copy (`edge-gateway spool mark-restored`)."""
        mark = self.place / spool.RESTORED
        if mark.exists():
            await self.outdated()
            mark.unlink(missing_ok=True)
