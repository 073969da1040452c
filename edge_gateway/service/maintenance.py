"""Periodic tasks: status, checkpoint, trimming, the gateway's own data point, disk; each at its own interval.

checkpoint:  submit ─▶ snapshot the state ─▶ record durable, store applied and synced ─▶ write ─▶ unlink segments
"""

from __future__ import annotations

import asyncio
import sqlite3
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import partial

from edge_gateway.configuration.model import GatewayConfig
from edge_gateway.journal import spool
from edge_gateway.journal.checkpoint import write_checkpoint
from edge_gateway.journal.segments import Journal
from edge_gateway.mqtt.caught_up_clock import CaughtUpClock
from edge_gateway.mqtt.control_session import Control
from edge_gateway.mqtt.own_alerts import OwnAlerts
from edge_gateway.records.inputs import Remind, Trim
from edge_gateway.records.store_effects import Stamp
from edge_gateway.recovery.state import State
from edge_gateway.service.described import Described
from edge_gateway.service.descriptors import shortage
from edge_gateway.service.disk_guard import DiskGuard
from edge_gateway.service.engine import Engine
from edge_gateway.service.malloc import return_gaps
from edge_gateway.service.periodic import Every
from edge_gateway.service.reminders import Reminders
from edge_gateway.service.supervision import keep_running
from edge_gateway.sinks.influx.sink import InfluxSink
from edge_gateway.status.bounds import bound_problems, is_near
from edge_gateway.status.catalogue import Problem
from edge_gateway.status.clock import SURE, MachineClock
from edge_gateway.status.clock_report import clock_doubt
from edge_gateway.status.counters import Counters
from edge_gateway.status.device_problems import DeviceProblems
from edge_gateway.status.idle_rules import IdleRules
from edge_gateway.status.problems import MOST_NAMED, Problems
from edge_gateway.status.report import GatewayStatus, as_plain
from edge_gateway.store.budget import quarantine_bytes
from edge_gateway.store.line_protocol import render_gateway
from edge_gateway.store.store_thread import StoreThread
from fleet_console.failures import in_words

STATUS_EVERY = 10.0
LOOK_EVERY = 1.0
CHECKPOINT_EVERY = 300.0
CHECKPOINT_AFTER = 60.0
CHECKPOINT_WORTH = 4 << 20
"""A checkpoint holds the whole state, so after CHECKPOINT_AFTER seconds it is written only where the journal has grown
by so many bytes since the last one: fewer are replayed in a few seconds. The first after a start is not spared."""
CHECKPOINT_BYTES = 64 << 20
TRIM_EVERY = 60.0
OWN_POINT_EVERY = 60.0
"""Seconds at most: alerts on silent gateways wait five minutes, however long the base windows are."""
FAILURES = {
    "status": Problem.MAINTENANCE_STATUS,
    "checkpoint": Problem.MAINTENANCE_CHECKPOINT,
    "trim": Problem.MAINTENANCE_TRIM,
    "own point": Problem.MAINTENANCE_OWN_POINT,
    "disk": Problem.MAINTENANCE_DISK,
}
"""Problem by task, when disk or store refuses it."""
PARTS = {
    "status": Problem.PART_STATUS,
    "checkpoint": Problem.PART_CHECKPOINT,
    "trim": Problem.PART_TRIM,
    "own point": Problem.PART_OWN_POINT,
    "disk": Problem.PART_DISK,
}
"""Problem by task, when it fails in any other way."""


@dataclass(slots=True)
class Maintenance:
    """Runs the periodic tasks. `checkpointed`: number of the record in the newest checkpoint."""

    config: GatewayConfig
    clock: MachineClock
    name: str
    state: State
    listening: CaughtUpClock
    engine: Engine
    store: StoreThread
    journal: Journal
    disk_guard: DiskGuard
    control: Control
    own_alerts: OwnAlerts
    sinks: Mapping[str, InfluxSink]
    report: Callable[[], GatewayStatus]
    counters: Counters
    problems: Problems
    checkpointed: int
    _tasks: dict[str, Every] = field(default_factory=dict)
    _checkpointed_at: int = field(init=False)
    """Monotonic time (ms) of the last checkpoint, or of the start."""
    _journal_then: int | None = None
    """Bytes of the journal behind the last checkpoint; None before the first."""
    _devices: DeviceProblems = field(init=False)
    _idle_rules: IdleRules = field(default_factory=IdleRules)
    _described: Described = field(default_factory=Described)
    _reminders: Reminders = field(default_factory=Reminders)

    def __post_init__(self) -> None:
        self._devices = DeviceProblems(self.clock.monotonic)
        self._checkpointed_at = self.clock.monotonic()
        self._tasks = {
            "status": Every(STATUS_EVERY, self._publish_status),
            "checkpoint": Every(CHECKPOINT_EVERY, self.checkpoint),
            "trim": Every(TRIM_EVERY, self._look_after_history),
            "own point": Every(
                min(OWN_POINT_EVERY, self.config.windows[0].every / 1000), self._record_own_point
            ),
            "disk": Every(LOOK_EVERY, self.disk_guard.check),
        }
        self.disk_guard.request_checkpoint = self._tasks["checkpoint"].request_soon
        self._tasks["status"].request_soon()  # report recovered problems at once

    async def run(self) -> None:
        """Run the tasks until cancelled, independently of each other."""
        async with asyncio.TaskGroup() as tasks:
            for name, task in self._tasks.items():
                tasks.create_task(keep_running(PARTS[name], partial(self._repeat, name, task), self.problems))

    async def _repeat(self, name: str, task: Every) -> None:
        while True:
            await asyncio.sleep(LOOK_EVERY)
            if name == "checkpoint" and self._is_checkpoint_worth_it():
                task.request_soon()
            try:
                await task.run_if_due()
                self.problems.clear(FAILURES[name])
            except (OSError, sqlite3.Error) as error:
                self.disk_guard.write_failed(error)
                self.problems.raise_(
                    FAILURES[name], str(error) if isinstance(error, sqlite3.Error) else in_words(error)
                )

    def _is_checkpoint_worth_it(self) -> bool:
        """Whether the journal has grown enough for a checkpoint before CHECKPOINT_EVERY is over."""
        size, before = self.journal.total_bytes, self._journal_then
        if size > self._checkpoint_bytes():
            return True
        grown = before is None or size - before >= CHECKPOINT_WORTH
        return grown and self.clock.monotonic() - self._checkpointed_at >= CHECKPOINT_AFTER * 1000

    def _checkpoint_bytes(self) -> int:
        """Return the journal bytes that call for a checkpoint: at most half the budget, so that it lasts."""
        return min(CHECKPOINT_BYTES, self.disk_guard.budget // 2)

    async def _publish_status(self) -> None:
        for sink in self.sinks.values():
            self.problems.update(sink.trouble, sink.facts.problem, settled=sink.facts.lines > 0)
            if refusals := sink.new_refusals():
                self.problems.raise_(sink.refused, refusals)
        clock = self.engine.clock_status()
        self.problems.update(Problem.CLOCK, clock_doubt(clock), settled=clock.state in SURE)
        self.problems.update(Problem.DESCRIPTORS, shortage())
        self.problems.update(Problem.RULES_IDLE, self._idle_rules.check(self.state.pipeline.rules))
        for problem, text in self._devices.check(self.state.pipeline):
            self.problems.update(problem, text)
        self.problems.expire()
        await self._check_bounds()
        self.own_alerts.retell()
        self.control.publish_status()
        await asyncio.to_thread(return_gaps)  # which closing windows, checkpoints and compaction leave

    async def _check_bounds(self) -> None:
        """Update the problems of limits nearly reached; look up who fills the quarantine only if it is nearly full."""
        facts, users = self.store.facts, dict[str, int]()
        most = quarantine_bytes(self.config.limits.quarantine, self.config.spool.max_bytes)
        if is_near(facts.quarantine_bytes, most):
            users = dict(await self.store.call(lambda store: store.quarantine_users(MOST_NAMED)))
        pipeline, used = self.state.pipeline, self.disk_guard.used
        for problem in bound_problems(self.config, pipeline, facts, used, users):
            self.problems.update(*problem)

    async def checkpoint(self) -> None:
        """Write the state after the newest record, then unlink the segments no checkpoint needs."""
        number = self.engine.submit()
        if number == self.checkpointed:
            return
        self.state.listening = self.listening.elapsed
        self.state.note_clock(self.clock)
        tree = self.state.snapshot()
        await self.engine.durable(number)
        await self.store.applied(number)
        await self.store.sync()
        place = self.config.spool.path / spool.CHECKPOINTS
        kept = await asyncio.to_thread(write_checkpoint, place, number, tree)
        self.checkpointed = number
        self.disk_guard.checkpointed()
        await asyncio.to_thread(self.journal.unlink_before, kept + 1)
        self._journal_then, self._checkpointed_at = self.journal.total_bytes, self.clock.monotonic()

    async def _look_after_history(self) -> None:
        await self._repeat_corrections()
        await self._trim()

    async def _repeat_corrections(self) -> None:
        """Send corrected points again whose old version may have come later."""
        clock, now = self.clock.read(), self.clock.monotonic()
        at = Stamp(clock.wall, clock.aged)
        unknown = {name: now - int(sink.since_unknown() * 1000) for name, sink in self.sinks.items()}
        if unknown:
            while await self.store.call(lambda store: store.repeat_corrections(now, at, unknown)):
                pass

    async def _trim(self) -> None:
        """Take one step towards the history's bounds, and wait until it is done: a stalled disk gets no second one.

        By the time that has certainly passed, so that a clock that is ahead removes nothing too early.
        """
        self.clock.read()
        now = self.clock.aged
        cuts = await self.store.call(lambda store: store.trim(now))
        if cuts:
            self.engine.fold(Trim(self.engine.moment(), list(cuts)))
            await self.store.applied(self.engine.submit())

    async def _record_own_point(self) -> None:
        """Queue for the sinks the gateway's own counters, what describes metrics, and what fires, when it is due.

        Nothing is queued while nobody knows the time.
        """
        clock = self.clock.read()
        if self.sinks and clock.trusted:
            at = clock.wall
            described = self._described.due(self.state.pipeline, self.clock.monotonic(), at)
            lines = render_gateway(self.name, as_plain(self.report()), at) + described
            await self.store.call(lambda store: store.enqueue(lines, at))
            await self._remind()

    async def _remind(self) -> None:
        """Tell the sinks again of the alerts that fire, in steps that wait for the disk."""
        while alerts := self._reminders.due(self.state.pipeline.rules, self.clock.monotonic()):
            self.engine.fold(Remind(self.engine.moment(), alerts))
            await self.store.applied(self.engine.submit())
