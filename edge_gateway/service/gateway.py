"""The running gateway: its parts, started sink to source and stopped source to sink."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from functools import partial
from typing import TYPE_CHECKING, Any

from edge_gateway.configuration.credentials import Credentials
from edge_gateway.configuration.model import GatewayConfig
from edge_gateway.fold.messages import Message, alert_messages
from edge_gateway.journal import spool
from edge_gateway.journal.commit_queue import CommitQueue
from edge_gateway.journal.reserve import Reserve
from edge_gateway.mqtt.caught_up_clock import CaughtUpClock
from edge_gateway.mqtt.control_parts import Clients, make_control
from edge_gateway.mqtt.own_alerts import OwnAlerts
from edge_gateway.mqtt.ownership import Ownership
from edge_gateway.mqtt.source import Source
from edge_gateway.mqtt.subscriptions import FilterList, Subscriptions
from edge_gateway.records.alerts import alert_row, by_urgency
from edge_gateway.records.inputs import ClockUnsure, ClockUntrusted, Reload, Undelivered
from edge_gateway.recovery.replay import effects_in
from edge_gateway.recovery.startup import INFLUX, Startup, lost_floor, open_store
from edge_gateway.rules.language.ruleset import RuleSet
from edge_gateway.service.disk_guard import DiskGuard
from edge_gateway.service.engine import Engine
from edge_gateway.service.farewell import farewell
from edge_gateway.service.kept_problems import KeptProblems
from edge_gateway.service.local_api import LocalApi
from edge_gateway.service.lost_state import LostState, run_when_known
from edge_gateway.service.maintenance import Maintenance
from edge_gateway.service.muting_requests import MutingRequests
from edge_gateway.service.operators import Operators
from edge_gateway.service.part_status import broker_status, spool_status
from edge_gateway.service.rule_questions import RuleQuestions
from edge_gateway.service.rules_watch import RulesWatch
from edge_gateway.service.store_problems import STORE_PROBLEMS
from edge_gateway.service.supervision import Run, keep_running
from edge_gateway.service.watchdog import ProgressSigns, Watchdog
from edge_gateway.sinks.influx.sink import InfluxSink
from edge_gateway.status.catalogue import Problem
from edge_gateway.status.clock import BEHIND, MachineClock
from edge_gateway.status.collect import Now, Reporter
from edge_gateway.status.counters import Counters
from edge_gateway.status.devices import describe_devices
from edge_gateway.status.problems import Problems
from edge_gateway.status.report import GatewayStatus, State, as_plain
from edge_gateway.store.database import Store
from edge_gateway.store.store_thread import StoreThread, group_time
from fleet_wire import topics
from fleet_wire.session import SessionOptions

if TYPE_CHECKING:
    from edge_gateway.sinks.influx.writer import InfluxWriter

log = logging.getLogger("edge_gateway.gateway")

DRAIN = 10.0
"""Seconds each step of a stop may take."""


class Gateway:
    """Everything from source to sinks: `open`, `serve`, `close`."""

    def __init__(
        self,
        *,
        config: GatewayConfig,
        name: str,
        clock: MachineClock,
        startup: Startup,
        credentials: Credentials,
        connect_options: Callable[[], SessionOptions],
        clients: Clients,
    ) -> None:
        self.config = config
        self.name = name
        self.clock = clock
        self.phase: State = "starting"
        self.started = clock.wall()
        self.counters = Counters()
        self.problems = Problems(clock.wall, least=lambda: clock.least)
        self._reporter = Reporter.of(name, config)
        self._startup = startup
        self._pipeline = startup.state.pipeline
        self._listening = CaughtUpClock(elapsed=startup.state.listening)
        self._ownership = Ownership(startup.starts, time.monotonic, self.counters, self.problems)
        self._source = self._make_source(connect_options)
        self._control = make_control(
            name,
            clients=clients,
            monotonic=clock.monotonic,
            started=self.started,
            report=self._plain_report,
            firing_alerts=self._firing_alerts,
            operate=self._operate,
            undelivered=self._undelivered,
            ownership=self._ownership,
            counters=self.counters,
            problems=self.problems,
        )
        parts = self.counters, self.problems
        self._rules = RulesWatch.of(config, self._has_rules, self._take_rules, *parts)
        self._reserve = Reserve(config.spool.path / spool.RESERVE)
        self._writer: InfluxWriter | None = None
        self._sinks: dict[str, InfluxSink] = {}
        self._own_alerts = OwnAlerts(name, self.problems, self._control.send, clock.wall)
        self.problems.changed = self._problems_changed
        self._kept_problems = KeptProblems(config.spool.path / spool.PROBLEMS, self.problems, clock.monotonic)
        self._credentials = credentials
        credentials.changed = self._credentials_changed

    def _make_source(self, connect_options: Callable[[], SessionOptions]) -> Source:
        echo = topics.gateway_echo_topic(self.name)
        state = self._startup.state
        wanted = [*topics.device_filters(self.config.gateway.sites), echo]
        held = FilterList(self.config.spool.path / spool.SUBSCRIPTIONS, connect_options().client_id)
        return Source(
            connect_options=connect_options,
            subscriptions=Subscriptions(wanted, held, self.problems),
            echo_topic=echo,
            clock=self.clock.monotonic,
            listening=self._listening,
            counters=self.counters,
            problems=self.problems,
            ownership=self._ownership,
            received_to=state.wall if state.listening else None,
        )

    async def open(self) -> None:
        """Start journal, store and sinks, and load the rules. BadInput if there are no usable rules."""
        startup = self._startup
        group_for = group_time(self.config.windows[0].every)
        self._store = StoreThread(
            startup.store, self._reopen_store, on_event=self._store_event, group_for=group_for
        )
        self._commits = CommitQueue(
            startup.journal,
            power=self.config.spool.durability == "power",
            on_stalled=lambda error: self._disk_guard.commit_failed(error),  # noqa: PLW0108 - it is made below
            on_resumed=lambda: self._disk_guard.commit_resumed(),  # noqa: PLW0108 - likewise
        )
        self._engine = Engine(
            pipeline=self._pipeline,
            names=startup.names,
            source=self._source,
            commits=self._commits,
            store=self._store,
            send=self._control.send,
            clock=self.clock,
            listening=self._listening,
            counters=self.counters,
            echo_topic=self._source.echo_topic,
            commit_interval=self.config.spool.commit_interval / 1000,
            number=startup.number,
            committed=startup.number,
        )
        self._lost = self._make_lost_state()
        self._operators = Operators(
            self._rules, self._control.publish_status, self._pipeline.admission, self._engine
        )
        self._disk_guard = self._make_disk_guard()
        self._maintenance = self._make_maintenance()
        self._kept_problems.restore()
        self._report_start()
        await self._lost.note_restored()
        await self._disk_guard.check()
        self._open_influx()
        await self._rules.begin()
        self._control.send(self._pipeline.restart_messages())
        log.info("recovered record %s in %.2f s", startup.number, startup.seconds)

    def _report_start(self) -> None:
        """Raise the problems that recovery found, and fold the losses."""
        for problem, detail in self._startup.findings:
            self.problems.raise_(problem, detail)
        self.counters.replay_differs = self._startup.differs
        if not self._startup.whole:
            self._lost.report(Problem.STATE_LOST)
        if not self.clock.trusted():
            self.problems.raise_(Problem.CLOCK, BEHIND)
        moment = self._engine.moment()
        if self._startup.stopped_for is None:
            self._engine.fold(ClockUntrusted(moment))
        elif moment.least is not None:
            self._engine.fold(ClockUnsure(moment))

    def _make_lost_state(self) -> LostState:
        place, fresh = self.config.spool.path, self._startup.fresh
        lost = LostState(place, fresh, self._engine, self._store, self.problems)
        self._source.on_first_connect = lost.connected
        self._ownership.on_outdated = lost.outdated
        return lost

    def _make_disk_guard(self) -> DiskGuard:
        return DiskGuard(
            section=self.config.spool,
            journal=self._startup.journal,
            commits=self._commits,
            reserve=self._reserve,
            store_facts=lambda: self._store.facts,
            accepting=self._engine.accepting,
            counters=self.counters,
            problems=self.problems,
        )

    def _make_maintenance(self) -> Maintenance:
        return Maintenance(
            config=self.config,
            clock=self.clock,
            name=self.name,
            state=self._startup.state,
            listening=self._listening,
            engine=self._engine,
            store=self._store,
            journal=self._startup.journal,
            disk_guard=self._disk_guard,
            control=self._control,
            own_alerts=self._own_alerts,
            sinks=self._sinks,
            report=self.report,
            counters=self.counters,
            problems=self.problems,
            checkpointed=self._startup.number,
        )

    def _open_influx(self) -> None:
        influx = self.config.influx
        if influx is not None:
            from edge_gateway.service.forwarding import forwarding  # noqa: PLC0415 - costs a second of every start

            self._writer, self._sinks[INFLUX] = forwarding(influx, self._store, self._credentials)

    async def serve(self, stop: asyncio.Event, watchdog: Watchdog) -> None:
        """Run until `stop`, then drain. See `supervision` for what may end it earlier."""
        async with asyncio.TaskGroup() as tasks:
            parts: dict[Problem, Run] = {Problem.PART_CONTROL: self._control.run}
            parts |= {
                sink.part: partial(run_when_known, sink, self._ownership) for sink in self._sinks.values()
            }
            parts |= {Problem.PART_RULES: self._rules.run}
            parts |= {Problem.PART_CREDENTIALS: self._credentials.watch}
            parts |= {Problem.PART_PROBLEMS: self._kept_problems.run}
            kept = {
                part: tasks.create_task(keep_running(part, run, self.problems)) for part, run in parts.items()
            }
            engine = tasks.create_task(self._engine.run(), name="engine")
            maintenance = tasks.create_task(self._maintenance.run(), name="maintenance")
            source = tasks.create_task(self._source.run(), name="source")
            needed = [tasks.create_task(part.wait_ended()) for part in (self._commits, self._store)]
            self.phase = "online"
            stuck = partial(self.problems.update, Problem.STUCK)
            watchdog.started(self._progress_signs(), self._status_line, stuck)
            await stop.wait()
            self.phase = "draining"
            watchdog.stopping()
            watching = [kept.pop(Problem.PART_CREDENTIALS), kept.pop(Problem.PART_RULES)]
            for task in (*needed, *watching, maintenance, engine, source):
                task.cancel()
            await self._drain()
            for task in kept.values():
                task.cancel()

    async def _drain(self) -> None:
        """Commit and acknowledge what was folded, drain the sinks, and publish the offline status."""
        self._engine.submit()
        await self._commits.stop(DRAIN)
        await self._source.close()
        for sink in self._sinks.values():
            if not sink.facts.problem:
                await sink.drain(DRAIN)
        self.phase = "offline"
        self._control.publish_status()
        await self._control.drained(DRAIN)

    async def close(self) -> None:
        """Write a checkpoint, so that the next start is quick, stop the store, and log what is left to do."""
        await self._commits.stop(DRAIN)
        with suppress(TimeoutError, OSError, RuntimeError):
            async with asyncio.timeout(DRAIN):
                await self._maintenance.checkpoint()
        await self._kept_problems.save()
        await self._store.stop(DRAIN)
        if self._writer is not None:
            await self._writer.__aexit__(None, None, None)
        report = self.report()
        log.info("%s", farewell(report.spool, report.sinks))

    def _has_rules(self) -> bool:
        return bool(self._pipeline.rules.rules.rules)

    def _take_rules(self, rules: RuleSet) -> None:
        if rules.hash != self._pipeline.rules.rules.hash:
            self._engine.fold(Reload(self._engine.moment(), rules.to_plain()))
            self.counters.rule_reloads += 1
            log.info("rules in force: %s, %s", len(rules.rules), rules.hash)

    async def _operate(self, do: str, args: Mapping[str, Any]) -> str:
        return await self._operators(do, args)

    def _progress_signs(self) -> ProgressSigns:
        """Return the progress signs the watchdog checks."""
        return {
            "writer": lambda: self._commits.moved,
            "store": lambda: self._store.moved,
            "rules": lambda: self._engine.ticked_at,
            "deliveries": self._engine.deliveries_moved_at,
        }

    def _status_line(self) -> str:
        """Describe phase and problems in one line, for the service manager."""
        return f"{self.phase}; {'; '.join(problem.text for problem in self.problems) or 'all is well'}"

    def local_api(self) -> LocalApi:
        asked = self._operators, RuleQuestions(self._pipeline), MutingRequests(self._pipeline, self._engine)
        return LocalApi(self._plain_report, self._devices, self._alerts, *asked, self.config)

    def _devices(self, wanted: str | None) -> Iterator[dict[str, Any]]:
        return describe_devices(self._pipeline, wanted)

    def _alerts(self) -> list[dict[str, Any]]:
        of_rules = map(alert_row, self._pipeline.rules.firing())
        return sorted([*of_rules, *self._own_alerts.rows()], key=by_urgency)

    def _firing_alerts(self) -> Iterator[Message]:
        """Yield the retained message of every firing alert."""
        for transition in self._pipeline.rules.firing():
            yield from alert_messages(self.name, transition)
        yield from self._own_alerts.firing()

    def _undelivered(self, device: str, command: str, why: str, for_good: bool) -> None:  # noqa: FBT001 - as it is sent
        """Fold the report. While stopping it is dropped: the next start sends unconfirmed commands again."""
        if self.phase == "online":
            self._engine.fold(Undelivered(self._engine.moment(), device, command, why, for_good))

    def report(self) -> GatewayStatus:
        """Return the full status report."""
        now = Now(
            state=self.phase,
            at=self.clock.wall(),
            started=self.started,
            nonce=self._ownership.nonce,
            rules_on_disk=self._rules.on_disk,
            counters=self.counters,
            problems=tuple(self.problems),
            clock=self._engine.clock_status(),
            broker=broker_status(self._listening, self._source, self._control, self.clock.monotonic()),
            spool=spool_status(
                startup=self._startup,
                engine=self._engine,
                commits=self._commits,
                store=self._store,
                maintenance=self._maintenance,
                disk=self._disk_guard,
            ),
            sinks={name: sink.facts for name, sink in self._sinks.items()},
        )
        return self._reporter.report(self._pipeline, self._store.facts, now)

    def _plain_report(self) -> dict[str, Any]:
        return as_plain(self.report())

    def _reopen_store(self, damage: str) -> Store:
        at = self.clock.wall()
        log.error("the store in %s is damaged: %s", self.config.spool.path, damage)
        return open_store(
            self.config.spool.path,
            self.config,
            floor=lost_floor(at, self._pipeline.windows.closed_to, self.config),
            at=at,
            unsure=self.clock.read().least,
            names=self._startup.names,
            records=lambda: effects_in(self._startup.journal),
            damage=damage,
        )

    def _store_event(self, code: str, text: str) -> None:
        if code == "store_resumed":
            self.problems.clear(Problem.STORE_STALLED)
            return
        self.problems.raise_(STORE_PROBLEMS[code], text)
        if self._store.refusal is not None:
            self._disk_guard.write_failed(self._store.refusal)

    def _problems_changed(self) -> None:
        self._kept_problems.changed()
        self._own_alerts.follow()
        self._control.publish_status()

    def _credentials_changed(self) -> None:
        self.problems.update(Problem.SECRETS, self._credentials.fault)
