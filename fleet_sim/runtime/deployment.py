"""The devices of a run on the network: connections, counters, ledger and shutdown. Fleets and replays use it."""

from __future__ import annotations

import asyncio
import gc
import math
import os
import time
from asyncio import TaskGroup
from collections import Counter
from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from fleet_sim.devices.connecting import Connector
from fleet_sim.devices.counters import Counters, Snapshot
from fleet_sim.devices.endpoint import Endpoint
from fleet_sim.devices.links import Links
from fleet_sim.devices.pacing import Verdict, judge
from fleet_sim.devices.sockets import Sockets
from fleet_sim.judging.observer import Observer
from fleet_sim.ledger.writing import FLUSH_ROWS, LedgerWriter
from fleet_sim.runtime.losses import Losses
from fleet_sim.runtime.measures import measures_of
from fleet_sim.runtime.settling import Settling
from fleet_sim.runtime.shared_ids import SharedIds
from fleet_wire.errors import ConnectionLost, ConnectRefused, meaning
from fleet_wire.session import Session

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from pathlib import Path

    from fleet_sim.devices.device import Device
    from fleet_sim.devices.world import World

__all__ = ["Deployment", "RunOptions", "RunResult", "collect_rarely", "wall_clock"]

TICK: Final = 1.0
"""Seconds between two counts, and before the observer connects again."""
LOOP_PROBE: Final = 0.05
"""Seconds between two measurements of the event loop's lag."""
SETTLE_SECONDS: Final = 10.0
GARBAGE_THRESHOLDS: Final = (20_000, 50, 1_000)


@dataclass(frozen=True, slots=True)
class RunOptions:
    """How a scenario is run.

    `start_ms` is the simulated time at the start, and `boot` the boot number of all devices; None: the present time.
    `rate` is connects a second; None: as the scenario says. `limit` ends the run after so many messages. `settle` is
    how many seconds messages under way have at the end. With `observe` the run records what gateways publish.
    """

    endpoint: Endpoint
    directory: Path
    start_ms: int | None = None
    boot: int | None = None
    speed: float = 1.0
    qos: int = 1
    rate: float | None = None
    limit: int | None = None
    settle: float = SETTLE_SECONDS
    observe: bool = True


@dataclass(frozen=True, slots=True)
class RunResult:
    """The result of a run.

    `unfinished` messages have no PUBACK or were never sent. `measures` are what a scenario may expect, times in ms; a
    percentile that falls on a message without PUBACK is infinite. By reason are counted: devices that
    `never_connected` although their turn had come, those that `gave_up` later, those that lost the connection and were
    still `disconnected` at the end, and `refused_messages`.
    """

    directory: Path
    reason: str
    seconds: float
    last: Snapshot
    counters: Mapping[str, int]
    verdict: Verdict
    unfinished: int
    never_connected: Mapping[str, int]
    gave_up: Mapping[str, int]
    disconnected: Mapping[str, int]
    refused_messages: Mapping[str, int]
    measures: Mapping[str, float]

    def summary(self) -> dict[str, Any]:
        """Return the result as JSON can hold it; `fleet_sim.cli.outcome.result_rows` shows it."""
        return {
            "reason": self.reason,
            "seconds": round(self.seconds, 3),
            "directory": str(self.directory),
            "devices": self.last.devices,
            "counters": dict(self.counters),
            "measures": {
                name: value if math.isfinite(value) else None for name, value in self.measures.items()
            },
            "saturated": self.verdict.reason,
            "never_connected": dict(self.never_connected),
            "gave_up": dict(self.gave_up),
            "disconnected": dict(self.disconnected),
            "refused_messages": dict(self.refused_messages),
        }


def collect_rarely() -> None:
    """Collect garbage rarely, for a process that is mostly a fleet.

    Ten thousand sessions live as long as the run. Each full collection over them stops the loop for half a second:
    550 ms of lag were measured during a ramp, instead of 13.
    """
    gc.freeze()
    gc.set_threshold(*GARBAGE_THRESHOLDS)


def wall_clock() -> Callable[[], int]:
    """Return a clock in microseconds since 1970 that never steps: the present time, moved by the monotonic clock."""
    shift = time.time_ns() // 1000 - time.monotonic_ns() // 1000
    return lambda: time.monotonic_ns() // 1000 + shift


class Deployment:
    """Connects devices, counts, writes the ledger every second, and shuts everything down in order.

    `before_flush` is called before each of those writes, and `on_second` after it. `warn` gets what the user must know
    at once.
    """

    def __init__(self, options: RunOptions, world: World, boot: int, *, rate: float) -> None:
        self.options = options
        self.world = world
        self.counters: Counters = world.counters
        self.ledger: LedgerWriter = world.ledger
        self.devices: Sequence[Device] = ()
        self.up = 0
        self.started = time.monotonic()
        self.before_flush: Callable[[], None] = lambda: None
        self.on_second: Callable[[Snapshot], None] = lambda _snapshot: None
        self.warn: Callable[[str], None] = lambda _text: None
        self.losses = Losses(options.endpoint.url)
        self.observer = Observer(world.ledger, world.counters, world.now_us)
        self.sockets = Sockets(world.loop)
        self._links = Links(world.loop, self.sockets.dial)
        self.connector = Connector(
            self._open, links=self._links, rate=rate, restarted=self._restarted, seen=self._seen
        )
        self._comings: list[int] = world.ledger.table("links")
        self._client = f"fleet-sim-{boot}-{os.getpid()}"
        self._draining = world.draining
        self.rate = 0.0
        self._published_before = 0
        self.settling = Settling(self)
        self._shared_ids = SharedIds(self._taken_over)
        self.observer.on_device_status = self._shared_ids.heard

    def deploy(self, devices: Sequence[Device]) -> None:
        """Queue devices to be connected, in this order."""
        self.devices = devices
        for device in devices:
            self.connector.enqueue(device)

    def serve(self, tasks: TaskGroup) -> list[asyncio.Task[None]]:
        """Start the background tasks of a run; cancel them to end it."""
        return [
            tasks.create_task(self.connector.run(), name="connector"),
            tasks.create_task(self._count(), name="counting"),
            tasks.create_task(self._probe_loop(), name="loop lag"),
            tasks.create_task(self._observe(), name="observer"),
        ]

    def snapshot(self) -> Snapshot:
        """Return the state of the run now."""
        counters = self.counters
        return Snapshot(
            seconds=time.monotonic() - self.started,
            devices=len(self.devices),
            up=self.up,
            published=counters.published,
            rate=self.rate,
            acked=counters.acked,
            unacked=counters.in_flight,
            waiting=self.waiting(),
            lost=counters.lost,
            resent=counters.resent,
            reconnects=counters.reconnects,
            receipts=counters.receipts,
            commands=counters.commands,
            notices=counters.notices,
            alerts=counters.alerts,
            overruns=counters.overruns,
            gave_up=len(self.connector.gave_up),
            connections_lost=counters.connections_lost,
            ack=counters.ack.percentiles(),
            lag=counters.lag.percentiles(),
            lag_now=counters.lag_now,
            ack_now=counters.ack_now,
        )

    def waiting(self) -> int:
        """Count the messages that wait for a connection or for their turn in a replay."""
        return sum(
            device.waiting for device in self.devices if not device.online or device.index in self._draining
        )

    def reconnecting(self) -> bool:
        """Return whether a device has lost its connection and tries to get it back."""
        return bool(self.losses.trying(self.devices, self.connector.gave_up))

    def drain(self) -> None:
        """Let every device with a backlog send as much as its replay rate allows since the last call."""
        now = time.monotonic()
        for index, since in list(self._draining.items()):
            device = self.devices[index]
            most = int((now - since) * device.group.replay_rate)
            if most == 0:
                continue
            self._draining[index] = since + most / device.group.replay_rate
            if device.drain(most) == 0 or not device.online:
                self._draining.pop(index, None)

    # Callbacks of the connector

    def _open(self, device: Device) -> Session:
        return Session(
            self.options.endpoint.of_device(device.identity, device.index),
            on_publish=device.received,
            on_lost=lambda why: self._lost(device, why),
            dial=self._links.dial,
        )

    def _lost(self, device: Device, why: ConnectionLost) -> None:
        self.counters.connections_lost += 1
        self.losses.lost(device, time.monotonic() - self.started, str(why))
        self.connector.lost(device, why)
        self._shared_ids.lost(device, why)

    def _taken_over(self, device: Device, why: str) -> None:
        self.ledger.note("taken_over", device=device.index, at=self.world.now_us())
        self.connector.usurped(device, why)

    def _seen(self, device: Device, up: bool, again: bool) -> None:  # noqa: FBT001 - the state itself
        self.up += 1 if up else -1
        self._comings.extend((device.index, self.world.now_us(), int(up)))
        if not up:
            self.counters.disconnects += 1
            return
        self.losses.back(device)
        self.counters.connects += 1
        self.counters.reconnects += again
        if device.waiting:
            self._draining[device.index] = time.monotonic()

    def _restarted(self, device: Device, keep: bool) -> None:  # noqa: FBT001 - as it is called
        boot = device.outbox.boot + 1
        device.restart(boot if self.options.boot is not None else max(boot, int(time.time())), keep=keep)

    # Background tasks

    async def _count(self) -> None:
        due = time.monotonic()
        while True:
            due += TICK
            await asyncio.sleep(due - time.monotonic())
            self.counters.gather()
            self.rate = (self.counters.published - self._published_before) / TICK
            self._published_before = self.counters.published
            self.before_flush()
            self.ledger.flush()
            self.losses.tell(self.up, self.warn)
            self.on_second(self.snapshot())

    async def _probe_loop(self) -> None:
        while True:
            due = time.monotonic() + LOOP_PROBE
            await asyncio.sleep(LOOP_PROBE)
            self.counters.loop_us.append(max(0, round((time.monotonic() - due) * 1e6)))
            if self.ledger.rows >= FLUSH_ROWS:
                self.ledger.flush()

    async def _observe(self) -> None:
        while self.options.observe:
            gone = asyncio.Event()
            try:
                await self.observer.watch(self.options.endpoint, f"{self._client}-observer", _setter_of(gone))
                while not gone.is_set():
                    await self._shared_ids.update(self.observer)
                    await _wait(gone, TICK)
            except (ConnectionLost, ConnectRefused):
                await asyncio.sleep(TICK)
            self._shared_ids.disconnected()

    # The end

    async def settle(self) -> None:
        """Wait, at most `options.settle`, until messages are sent, acknowledged and, if that matters, receipted."""
        await self.settling.wait(self.options.settle)

    def abandon(self) -> None:
        """Close every connection at once: for a run that failed, harmless after `finish`."""
        self.connector.abandon()
        self.observer.abandon()
        self.sockets.close()

    async def finish(self, reason: str) -> RunResult:
        """Give up what was never sent, disconnect, write the rest of the ledger, and return the result of the run."""
        for device in self.devices:
            if device.waiting:
                device.give_up()
        never_connected, gave_up, disconnected = (
            self._never_connected(),
            self._gave_up(),
            self._disconnected(),
        )
        await self.connector.disconnect_all(self.devices)
        await self.observer.leave()
        self.counters.gather()
        self.before_flush()
        self.observer.record_statuses()
        counters = self.counters
        unacked = sum(device.unacked for device in self.devices)
        unsent = sum(device.waiting for device in self.devices)
        verdict = judge(
            sent=counters.published,
            overruns=counters.overruns,
            loop_lag_p99_us=counters.loop.percentile(0.99),
        )
        totals = counters.as_dict() | {"unfinished": unacked + unsent, "unsent": unsent}
        facts = {"at": self.world.now_us(), "counters": totals, "saturated": verdict.reason}
        self.ledger.end(reason, facts)
        return RunResult(
            directory=self.options.directory,
            reason=reason,
            seconds=time.monotonic() - self.started,
            last=self.snapshot(),
            counters=totals,
            verdict=verdict,
            unfinished=unacked + unsent,
            never_connected=never_connected,
            gave_up=gave_up,
            disconnected=disconnected,
            refused_messages={meaning(code): count for code, count in counters.refusals.items()},
            measures=measures_of(
                counters,
                len(self.devices),
                time.monotonic() - self.started,
                unacked=unacked,
                unsent=unsent,
                failed=never_connected.total() + gave_up.total() + disconnected.total(),
            ),
        )

    def _never_connected(self) -> Counter[str]:
        """Count by reason the devices that never connected: those that were tried, or have measured something."""
        connector = self.connector
        return Counter(
            connector.troubles.get(device.index, "the broker has not answered")
            for device in self.devices
            if not device.started and (connector.is_tried(device) or device.waiting)
        )

    def _gave_up(self) -> Counter[str]:
        """Count by reason the devices that had been connected and gave up."""
        connector = self.connector
        return Counter(
            connector.troubles[index] for index in connector.gave_up if self.devices[index].started
        )

    def _disconnected(self) -> Counter[str]:
        """Count by reason the devices that lost their connection and have not got it back."""
        trying = self.losses.trying(self.devices, self.connector.gave_up)
        return self.losses.reasons(trying, self.connector.troubles)


async def _wait(event: asyncio.Event, longest: float) -> None:
    with suppress(TimeoutError):
        async with asyncio.timeout(longest):
            await event.wait()


def _setter_of(event: asyncio.Event) -> Callable[[ConnectionLost], None]:
    return lambda _lost: event.set()
