"""A fleet that runs as a scenario says: phases, faults, stop.

::

    scenario ─ build ─▶ devices ◀─ Connector ─▶ broker
                          ▲                        │ commands, receipts ─▶ Device.received
       Emission ──────────┘ ◀─ FaultInjection             │ alerts, status ─▶ Observer
          every message, PUBACK, command, fault ─▶ LedgerWriter

One timer drives all devices: it sends what is due, and is set to when the next message is.
"""

import asyncio
import math
import os
import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final

from fleet_sim.devices.counters import Snapshot
from fleet_sim.devices.device import Device
from fleet_sim.devices.emission import Emission
from fleet_sim.devices.endpoint import reserve_sockets
from fleet_sim.devices.pacing import SimClock
from fleet_sim.devices.ramp import ConnectRate, switched_on
from fleet_sim.devices.world import World
from fleet_sim.faults.injection import FaultInjection
from fleet_sim.faults.plan import PlannedFault, plan_now
from fleet_sim.faults.sensor import SensorFault
from fleet_sim.ledger.writing import LedgerWriter
from fleet_sim.noise import device_keys
from fleet_sim.runtime.building import build, describe_fault
from fleet_sim.runtime.deployment import Deployment, RunOptions, RunResult, wall_clock
from fleet_sim.runtime.stopping import Stopping, reach
from fleet_sim.scenario.loading import Scenario
from fleet_sim.scenario.planning import plan_devices, plan_faults

__all__ = ["FleetRun", "RunOptions", "RunResult"]

SHORTEST_NAP: Final = 0.002
"""Seconds; the least by which a wake-up is delayed, so that messages due soon go out together."""
MOST_GATHERED: Final = 0.005
"""Seconds; the most by which it is delayed for that."""
NAP_PER_RATE: Final = 1.25e-6
"""Seconds of that delay per message a second: at 4,000/s the messages of 5 ms go out together."""
LONGEST_NAP: Final = 0.05
"""Seconds between two wake-ups, at most: a stop is heard, and a backlog drained, within this time."""
DEFAULT_RATE: Final = 2000.0
"""Connects a second unless the scenario or the user sets another rate."""


class FleetRun:
    """One run of a scenario. `run` does all of it; the other methods may be called in the same loop meanwhile."""

    def __init__(self, scenario: Scenario, options: RunOptions) -> None:
        self.scenario = scenario
        self.options = options
        self.plans = plan_devices(scenario)
        self.on_second: Callable[[Snapshot], None] = lambda _snapshot: None
        self.warn: Callable[[str], None] = lambda _text: None
        self._deployment: Deployment | None = None
        self._stopping = Stopping()
        self._ended = asyncio.Event()
        self._result: RunResult | None = None
        self._next_fault = 0
        self._timer: asyncio.Handle

    # For the owner of the run

    def stop(self, reason: str = "stopped", *, hurry: bool = False) -> None:
        """End the run, for the first reason given; `run` returns when messages under way have settled.

        With `hurry` it waits for them only as long as any arrive; asked for once more, not at all.
        """
        self._stopping.ask(reason)
        if hurry and self._deployment is not None:
            self._deployment.settling.hurry()

    async def ended(self) -> RunResult | None:
        """Wait for the end of the run and return its result; None if it failed."""
        await self._ended.wait()
        return self._result

    def start_fault(self, kind: str, match: Mapping[str, Any], /, **settings: Any) -> PlannedFault:
        """Start a fault now, described as in a scenario's `faults` (its `for` may be given as `for_`).

        Raises:
            ValueError: it is no fault, or none that these devices can have; the text says why.
        """
        words = {key.rstrip("_"): value for key, value in settings.items()}
        since = round(self._now_ms() - self._clock.origin_ms)
        described = {"kind": kind, "match": match, **words}
        fault = plan_now(self._next_fault, described, self.plans, self.scenario.seed, since)
        self._check_fit(fault)
        for signals in self._signals.values():
            signals.add_fault(fault)
        self._add_faults([fault])
        return fault

    def _check_fit(self, fault: PlannedFault) -> None:
        if isinstance(fault.spec, SensorFault):
            chosen = set(fault.devices)
            for name in dict.fromkeys(plan.group for plan in self.plans if plan.id in chosen):
                why = fault.spec.misfit(self.scenario.fleet[name].metrics[fault.spec.metric])
                if why:
                    raise ValueError(f"metric: {why}")

    def disconnect(self, match: Mapping[str, Any], for_ms: int) -> PlannedFault:
        """Take devices off the network for a time."""
        return self.start_fault("offline", match, for_=f"{for_ms}ms")

    def snapshot(self) -> Snapshot:
        """Return the state of the run now."""
        return self.deployment.snapshot()

    @property
    def devices(self) -> Sequence[Device]:
        """The devices in the order of the plan; none before the broker has answered."""
        return self._deployment.devices if self._deployment else ()

    @property
    def up(self) -> int:
        """How many devices are connected."""
        return self._deployment.up if self._deployment else 0

    @property
    def deployment(self) -> Deployment:
        """The devices on the network; RuntimeError before the broker has answered."""
        if self._deployment is None:
            raise RuntimeError("the run has not begun")
        return self._deployment

    @property
    def statuses(self) -> Mapping[str, Mapping[str, Any]]:
        """The newest status of every gateway, by the gateway's id."""
        return self.deployment.observer.statuses

    # The run

    async def run(self) -> RunResult:
        """Connect, send, inject faults, and stop as the scenario says.

        Raises:
            CannotReach: the broker does not answer.
            ConnectRefused: the broker refuses this user name and password.
            StoppedEarly: it was stopped before the broker had answered.
            TooManySockets: the limit of open files is too low for that many connections.
        """
        reserve_sockets(len(self.plans))
        boot = self.options.boot if self.options.boot is not None else int(time.time())
        probing = f"fleet-sim-{boot}-{os.getpid()}-probe"
        try:
            await reach(self.options.endpoint, probing, self._stopping, self.warn)
        except BaseException:
            self._ended.set()
            raise
        with LedgerWriter(self.options.directory) as ledger:
            self._prepare(ledger, boot)
            try:
                async with asyncio.TaskGroup() as tasks:
                    services = self.deployment.serve(tasks)
                    services.append(tasks.create_task(self._follow_phases(), name="phases"))
                    await self._drive()
                    ledger.note("over", at=round(min(self._now_ms(), self._end_ms)))
                    self._injection.end()
                    self._emission.finish()
                    self.deployment.connector.hurry()
                    await self.deployment.settle()
                    for service in services:
                        service.cancel()
                self._result = await self.deployment.finish(self._stopping.reason)
            finally:
                self.deployment.abandon()
                self._ended.set()
        return self._result

    def _prepare(self, ledger: LedgerWriter, boot: int) -> None:
        options, scenario = self.options, self.scenario
        now_us = wall_clock()
        start_ms = options.start_ms if options.start_ms is not None else self._default_start()
        self._clock = SimClock(time.monotonic(), float(start_ms), options.speed)
        self._wall = SimClock(now_us() / 1e6, float(start_ms), options.speed)
        world = World.of(ledger, asyncio.get_running_loop(), now_us, lambda: round(self._now_ms()))
        ledger.header(self._header(boot, start_ms, now_us()))
        faults = plan_faults(scenario, self.plans)
        fleet = build(
            scenario,
            self.plans,
            faults,
            world,
            start_ms=start_ms,
            boot=boot,
            qos=options.qos,
            apply=self._apply,
            on_ms=start_ms + 1000.0 * options.speed * switched_on(len(self.plans), self._ramps()),
        )
        self._signals = fleet.signals
        self._deployment = Deployment(options, world, boot, rate=self._ramps()[0].rate)
        self.deployment.before_flush = self._note_episodes
        self.deployment.on_second = self.on_second
        self.deployment.warn = self.warn
        keys = device_keys(scenario.seed, [plan.id for plan in self.plans])
        self._injection = FaultInjection(fleet.devices, keys, self.deployment.connector, start_ms)
        self._end_ms = start_ms + (math.inf if scenario.duration_ms is None else scenario.duration_ms)
        self._emission = Emission(
            fleet.flows, self._injection, world.counters, start_ms=float(start_ms), end_ms=self._end_ms
        )
        self._world, self._now_us = world, now_us
        self._noted_until = start_ms
        self._add_faults(faults)
        self.deployment.deploy(fleet.devices)

    def _header(self, boot: int, start_ms: int, started_us: int) -> dict[str, Any]:
        return {
            "name": self.scenario.name,
            "seed": self.scenario.seed,
            "boot": boot,
            "start_ms": start_ms,
            "speed": self.options.speed,
            "started_us": started_us,
            "devices": len(self.plans),
            "broker": self.options.endpoint.url,
            "expect": {name: list(expectation) for name, expectation in self.scenario.expect.items()},
        }

    def _default_start(self) -> int:
        """Return now; for a run faster than time, so long before now that it ends now."""
        ahead = (self.scenario.duration_ms or 0) * (1.0 - 1.0 / self.options.speed)
        return round(time.time() * 1000 - max(0.0, ahead))

    def _ramps(self) -> list[ConnectRate]:
        """Return at which rates devices are connected, by the seconds of real time since the start."""
        if self.options.rate is not None:
            return [ConnectRate(0.0, self.options.rate)]
        ramps = [
            ConnectRate(phase.from_ms / (1000.0 * self.options.speed), phase.connect.per_second)
            for phase in self.scenario.timeline()
            if phase.connect is not None
        ]
        return ramps if ramps and ramps[0].since == 0.0 else [ConnectRate(0.0, DEFAULT_RATE), *ramps]

    def _now_ms(self) -> float:
        return self._clock.at(time.monotonic())

    async def _drive(self) -> None:
        """Send what is due, until the run is over.

        A timer costs half as much as a task that sleeps, and it fires 200 times a second at 4,000 messages a second.
        """
        over: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._timer = over.get_loop().call_soon(self._tick, over)
        try:
            await over
        finally:
            self._timer.cancel()

    def _tick(self, over: asyncio.Future[None]) -> None:
        try:
            wait = self._turn()
        except Exception as problem:  # noqa: BLE001 - it is raised where the run is awaited
            over.set_exception(problem)
            return
        if wait is None:
            over.set_result(None)
        else:
            self._timer = over.get_loop().call_later(wait, self._tick, over)

    def _turn(self) -> float | None:
        """Do what is due; return the seconds until more is due, None when the run is over."""
        if self._stopping.asked:
            return None
        now_ms = min(self._now_ms(), self._end_ms)
        self._injection.turn(now_ms)
        self._emission.advance(now_ms, self._now_us, self._wall)
        self.deployment.drain()
        self.deployment.sockets.collect()
        if now_ms >= self._end_ms or self._enough():
            return None
        next_ms = min(self._emission.next_at(), self._injection.next_at(), self._end_ms)
        wait = self._clock.mono(next_ms) - time.monotonic()
        return min(max(wait, self._shortest_nap()), LONGEST_NAP)

    def _shortest_nap(self) -> float:
        return min(max(SHORTEST_NAP, self.deployment.rate * NAP_PER_RATE), MOST_GATHERED)

    def _enough(self) -> bool:
        return self.options.limit is not None and self._world.counters.made >= self.options.limit

    def _apply(self, device: Device, setting: str, value: Any) -> None:
        """Change a signal from its next sample on, and record the faults that this repairs."""
        for number in self._signals[device.group.name].apply_command(device.row, setting, value):
            self._world.ledger.note("repaired", fault=number, device=device.index, at=self._now_us())

    def _add_faults(self, faults: Sequence[PlannedFault]) -> None:
        self._injection.add(faults)
        for fault in faults:
            self._next_fault = max(self._next_fault, fault.number + 1)
            self._world.ledger.note("fault", **describe_fault(fault, self._clock.origin_ms))

    def _note_episodes(self) -> None:
        """Record the excursions that began since the last call: they are labels as faults are."""
        until = round(self._emission.planned_until)
        for name, signals in self._signals.items():
            for episode in signals.episodes(self._noted_until, until):
                if episode.from_ms >= self._noted_until or self._noted_until == self._clock.origin_ms:
                    self._world.ledger.note("episode", group=name, **episode._asdict())
        self._noted_until = until

    async def _follow_phases(self) -> None:
        """Record each phase when it begins, and set its rate of connects."""
        for phase in self.scenario.timeline():
            begin = self._clock.mono(self._clock.origin_ms + phase.from_ms)
            await asyncio.sleep(begin - time.monotonic())
            self._world.ledger.note("phase", name=phase.name, at=self._now_us())
            if phase.connect is not None and self.options.rate is None:
                self.deployment.connector.rate = phase.connect.per_second
