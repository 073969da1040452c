"""Carry out the faults of devices and links; faults of sensors act in the signals.

What a fault does to one message depends on (seed, fault, device, seq) alone. Times of faults are ms since the
run's start.
"""

import heapq
from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import partial
from itertools import count
from typing import Any, Generic, NamedTuple, TypeVar

import numpy as np

from fleet_sim.devices.device import Device
from fleet_sim.devices.emission import Block, Message
from fleet_sim.faults.clock import ClockFault
from fleet_sim.faults.content import ContentFault
from fleet_sim.faults.fault import Fault
from fleet_sim.faults.plan import PlannedFault
from fleet_sim.faults.sending import SendingFault, Strike
from fleet_sim.faults.targets import Network, Targets
from fleet_sim.faults.withheld import Withheld
from fleet_sim.noise import U8, uniform_of

__all__ = ["FaultInjection"]

Acting = TypeVar("Acting", bound=Fault)


class _Planned(NamedTuple):
    """A deed on the agenda, in the order of time and, at the same time, of planning."""

    at_ms: float
    order: int
    fault: int
    do: Callable[[], None]
    ends: bool


class _Level(Generic[Acting]):
    """The faults that act in one way, by the index of the devices that have them."""

    def __init__(self, acts: type[Acting]) -> None:
        self._acts = acts
        self._by_device: dict[int, list[tuple[PlannedFault, Acting]]] = defaultdict(list)

    def add(self, fault: PlannedFault, devices: Iterable[Device]) -> None:
        if isinstance(fault.spec, self._acts):
            for device in devices:
                self._by_device[device.index].append((fault, fault.spec))

    def __bool__(self) -> bool:
        return bool(self._by_device)

    @property
    def by_device(self) -> Mapping[int, list[tuple[PlannedFault, Acting]]]:
        return self._by_device


class FaultInjection:
    """The faults of a run on devices and links; `keys` are the devices' noise keys by their index."""

    def __init__(self, devices: Sequence[Device], keys: U8, network: Network, start_ms: float) -> None:
        self._by_id = {device.identity.id: device for device in devices}
        self._keys = keys
        self._network = network
        self._start_ms = start_ms
        self._clocks = _Level(ClockFault)
        self._contents = _Level(ContentFault)
        self._sending = _Level(SendingFault)
        self._levels: tuple[_Level[Any], ...] = (self._clocks, self._contents, self._sending)
        self._withheld = Withheld(devices)
        self._agenda: list[_Planned] = []
        self._begun: set[int] = set()
        """Faults that have something to end."""
        self._order = count()

    def add(self, faults: Iterable[PlannedFault]) -> None:
        """Schedule faults; those whose time has come act at the next `turn`."""
        for fault in faults:
            devices = [self._by_id[name] for name in fault.devices if name in self._by_id]
            for level in self._levels:
                level.add(fault, devices)
            deeds = fault.spec.deeds(fault.from_ms, fault.until_ms)
            keys = self._keys[[device.index for device in devices]]
            targets = Targets(fault.number, devices, keys, self._network, self._withheld)
            for at_ms, do, ends in deeds:
                planned = _Planned(float(at_ms), next(self._order), fault.number, partial(do, targets), ends)
                heapq.heappush(self._agenda, planned)

    def next_at(self) -> float:
        """Return the simulated time in ms of the next deed; infinity where none is planned."""
        return self._agenda[0].at_ms + self._start_ms if self._agenda else np.inf

    def turn(self, now_ms: float) -> None:
        """Do what is due at the simulated time `now_ms`."""
        while self._agenda and self._agenda[0].at_ms <= now_ms - self._start_ms:
            self._carry_out(heapq.heappop(self._agenda))

    def _carry_out(self, deed: _Planned) -> None:
        if deed.ends:
            self._begun.discard(deed.fault)
        else:
            self._begun.add(deed.fault)
        deed.do()

    def stamps(self, devices: Sequence[Device], at: Sequence[int]) -> list[int]:
        """Return the time on each device's clock, ms since 1970, at the true times `at`."""
        if not self._clocks:
            return list(at)
        clocks = self._clocks.by_device
        return [
            when + self._skew(device, when) if device.index in clocks else when
            for device, when in zip(devices, at, strict=True)
        ]

    def _skew(self, device: Device, at_ms: int) -> int:
        since = at_ms - self._start_ms
        device.skew_ms = sum(
            clock.ahead_ms(since - fault.from_ms)
            for fault, clock in self._clocks.by_device[device.index]
            if fault.is_on(since)
        )
        return round(device.skew_ms)

    @property
    def corrupts(self) -> bool:
        """Whether `corrupt` has anything to do."""
        return bool(self._contents)

    def corrupt(self, block: Block, contents: list[dict[str, Any]]) -> None:
        """Change the contents of messages in place; in the ledger a metric that cannot be read is absent."""
        corrupted = self._contents.by_device
        for k, device in enumerate(block.devices):
            for fault, content in corrupted.get(device.index, ()):
                if self._strikes(fault, device, block.seqs[k], block.at[k]):
                    for name in content.corrupt(contents[k]):
                        block.miss(name, k)

    def intercepts(self, device: Device) -> bool:
        """Return whether messages of this device must go through `send`."""
        return device.index in self._sending.by_device or self._withheld.has(device)

    def send(self, message: Message, now_us: int) -> None:
        """Send one message, with the faults that strike it."""
        device = message.device
        struck = self._struck(message)
        if not any(kind.takes(strike) for strike, kind in struck) and device.emit(
            message.seq, message.payload, now_us
        ):
            message.block.sent[message.k] = now_us
            for strike, kind in struck:
                kind.follows(strike)
        self._withheld.count_down(device)

    def _struck(self, message: Message) -> list[tuple[Strike, SendingFault]]:
        """Return the faults that strike a message, at most one of each kind, by their precedence."""
        newest = {
            kind.kind: (Strike(fault.number, message, self._withheld), kind)
            for fault, kind in self._sending.by_device.get(message.device.index, ())
            if self._strikes(fault, message.device, message.seq, message.at)
        }
        return sorted(newest.values(), key=lambda struck: struck[1].precedence)

    def _strikes(self, fault: PlannedFault, device: Device, seq: int, at_ms: float) -> bool:
        if not fault.is_on(at_ms - self._start_ms):
            return False
        chance = fault.spec.chance
        if chance >= 1.0:
            return True
        key = self._keys[device.index : device.index + 1]
        drawn = uniform_of(key, f"fault/{fault.number}/message", np.array([seq], dtype=np.int64))
        return bool(drawn[0] < chance)

    def end(self) -> None:
        """End the faults that are on, in the order of their ends, and send what is held back; for the end of a run.

        What had not begun does not happen.
        """
        while self._agenda:
            deed = heapq.heappop(self._agenda)
            if deed.ends and deed.fault in self._begun:
                self._carry_out(deed)
        self._withheld.release_all()
