"""Connects devices: the ramp, reconnects with back-off, and the interruptions that faults ask for."""

import asyncio
import heapq
from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from itertools import count
from time import monotonic
from typing import Protocol

from asyncio_throttle.throttler import Throttler

from fleet_sim.devices.conditions import Conditions
from fleet_sim.devices.device import Device
from fleet_sim.devices.links import Links
from fleet_sim.devices.ramp import burst_of
from fleet_sim.devices.world import SessionLike
from fleet_wire.backoff import classify, delays
from fleet_wire.errors import ConnectionLost, ConnectRefused
from fleet_wire.topics import own_filters

__all__ = ["Connector", "OpenSession"]

AT_ONCE = 100
"""Connections being made at one moment."""


class ConnectedLike(Protocol):
    @property
    def session_present(self) -> bool: ...


class OpenSession(SessionLike, Protocol):
    """The part of `fleet_wire.session.Session` that the connector uses."""

    async def connect(self) -> ConnectedLike: ...

    async def subscribe(self, filters: list[str], *, session_present: bool) -> None: ...

    async def disconnect(self, *, with_will: bool = False) -> None: ...

    def abort(self) -> None: ...


class Connector:
    """Connects devices at most at `rate` a second, and again when their connection is lost.

    `open_session` makes a session of a device, which dials through `links`. `seen(device, up, again)` is called for
    every device that goes up or down; `again`: it was up before. `restarted(device, keep)` is called when a device
    restarts.
    """

    def __init__(
        self,
        open_session: Callable[[Device], OpenSession],
        *,
        links: Links,
        rate: float,
        restarted: Callable[[Device, bool], None],
        seen: Callable[[Device, bool, bool], None],
    ) -> None:
        self._open = open_session
        self._restarted = restarted
        self._seen = seen
        self._sessions: dict[int, OpenSession] = {}
        self._queue: list[tuple[float, int, Device]] = []
        self._queued: set[int] = set()
        self._blocked: set[int] = set()
        self._links = links
        self._backoff: dict[int, Iterator[float]] = {}
        self._order = count()
        self._changed = asyncio.Event()
        self._places = asyncio.Semaphore(AT_ONCE)
        self.troubles: dict[int, str] = {}
        """Why devices are not connected, by their index: the failure of the last attempt, or why they gave up."""
        self.gave_up: set[int] = set()
        """Devices that do not try again, because the broker refuses them or another client took their session."""
        self.rate = rate

    @property
    def rate(self) -> float:
        return self._rate

    @rate.setter
    def rate(self, rate: float) -> None:
        self._rate = rate
        burst = burst_of(rate)
        self._throttle = Throttler(rate_limit=burst, period=burst / rate, retry_interval=0.005)

    def enqueue(self, device: Device, delay: float = 0.0) -> None:
        """Ask for a device to be connected in `delay` seconds, if nobody has asked yet."""
        if device.index in self._queued:
            return
        self._queued.add(device.index)
        heapq.heappush(self._queue, (monotonic() + delay, next(self._order), device))
        self._changed.set()

    async def run(self) -> None:
        """Serve until cancelled."""
        async with asyncio.TaskGroup() as tasks:
            while True:
                device = await self._next()
                async with self._throttle:
                    await self._places.acquire()
                    tasks.create_task(self._bring_up(device), name=f"connect {device.identity.id}")

    async def _next(self) -> Device:
        while True:
            self._changed.clear()
            wait = self._queue[0][0] - monotonic() if self._queue else None
            if wait is not None and wait <= 0:
                return heapq.heappop(self._queue)[2]
            with suppress(TimeoutError):
                async with asyncio.timeout(wait):
                    await self._changed.wait()

    async def _bring_up(self, device: Device) -> None:
        try:
            if self._is_away(device) or device.online:
                self._queued.discard(device.index)
                return
            problem = await self._attempt(device)
        finally:
            self._places.release()
        self._queued.discard(device.index)
        if problem is None:
            self._backoff.pop(device.index, None)
            self.troubles.pop(device.index, None)
            self.gave_up.discard(device.index)
        elif classify(problem) == "fatal":
            device.alive = device.started
            self._give_up(device, problem)
        else:
            self.troubles[device.index] = str(problem)
            self.enqueue(device, next(self._backoff.setdefault(device.index, delays())))

    def _give_up(self, device: Device, why: Exception) -> None:
        self.troubles[device.index] = str(why)
        self.gave_up.add(device.index)

    def is_tried(self, device: Device) -> bool:
        """Return whether it was ever tried to connect a device."""
        return device.started or device.index in self._sessions

    async def _attempt(self, device: Device) -> Exception | None:
        session = self._sessions.get(device.index)
        if session is None:
            session = self._sessions[device.index] = self._open(device)
        try:
            connected = await session.connect()
            filters = own_filters(device.identity.site, device.identity.id)
            await session.subscribe(filters, session_present=connected.session_present)
        except (ConnectionLost, ConnectRefused) as problem:
            return problem
        if self._is_away(device):
            session.abort()
            return None
        device.session = session
        device.alive = True
        again = device.started
        device.connected()
        self._seen(device, True, again)
        return None

    def lost(self, device: Device, why: ConnectionLost) -> None:
        """Reconnect a device whose connection is gone after a first back-off, unless the reason is fatal."""
        if device.online:
            device.online = False
            self._seen(device, False, True)
        if classify(why) == "fatal":
            self._give_up(device, why)
        elif device.alive and not self._is_away(device):
            self.enqueue(device, next(delays()))

    def usurped(self, device: Device, why: str) -> None:
        """Keep a device off the network whose id another client uses: to connect would only take the session back."""
        self.block(device)
        self.troubles[device.index] = why
        self.gave_up.add(device.index)

    def hurry(self) -> None:
        """Connect those that wait now, and let what is inside slow links come out: for the end of a run."""
        now = monotonic()
        self._queue = [(min(at, now), order, device) for at, order, device in self._queue]
        heapq.heapify(self._queue)
        self._changed.set()
        self._links.flush()

    # For fault injection

    def cut(self, device: Device, back_ms: float) -> None:
        """Break a connection as a network does; the device connects again after `back_ms`."""
        session = self._sessions.get(device.index)
        if session is not None and device.online:
            device.online = False
            self._seen(device, False, True)
            session.abort()
        if device.started:
            self.enqueue(device, back_ms / 1000.0)

    def block(self, device: Device) -> None:
        """Keep a device off the network until `unblock`."""
        self._blocked.add(device.index)
        self.cut(device, 0.0)

    def unblock(self, device: Device) -> None:
        self._blocked.discard(device.index)
        self.enqueue(device)

    def die(self, device: Device) -> None:
        """Take a device off the network without a DISCONNECT, until `restart`."""
        self.block(device)
        device.alive = False

    def link(self, device: Device, fault: int, conditions: Conditions | None) -> None:
        """Set what a fault does to a device's link; None ends it. A device on a dark link does not dial."""
        self._links.change(device.identity.id, fault, conditions)
        if device.started and not device.online and not self._is_away(device):
            self.enqueue(device)

    def _is_away(self, device: Device) -> bool:
        return device.index in self._blocked or self._links.is_dark(device.identity.id)

    def restart(self, device: Device, *, takes_ms: float, keep: bool) -> None:
        """Restart a device: without `keep` as a crash, its session and buffer lost."""
        device.alive = False
        self._blocked.discard(device.index)
        self.cut(device, takes_ms)
        if not keep:
            self._sessions.pop(device.index, None)
        self._restarted(device, keep)

    def abandon(self) -> None:
        """End every connection at once, as when the program dies."""
        for session in self._sessions.values():
            session.abort()

    async def disconnect_all(self, devices: Iterable[Device]) -> None:
        """Disconnect devices in order, their wills published; a broker that takes nothing holds none of them up."""
        async with asyncio.TaskGroup() as tasks:
            for device in devices:
                session = self._sessions.get(device.index)
                if session is not None and device.online:
                    device.online = False
                    self._seen(device, False, True)
                    tasks.create_task(session.disconnect(with_will=True))
