"""Carries out the faults of devices and links. Those of sensors are in the signals.

What a fault does to one message depends on (seed, fault, device, seq) alone. Times of faults are ms since the
run's start.
"""

import hashlib
import heapq
from collections import defaultdict
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from itertools import count
from typing import Any, Final, Protocol

import numpy as np

from fleet_sim.devices.device import Device
from fleet_sim.faults.kinds import Fault
from fleet_sim.faults.plan import PlannedFault
from fleet_sim.noise import U8, uniform_of
from fleet_wire.link import Conditions

__all__ = ["FaultInjection", "Network"]

CONTENT_KINDS: Final = frozenset({"wrong_type"})
CLOCK_KINDS: Final = frozenset({"clock_skew", "clock_jump"})
SENDING_KINDS: Final = frozenset({"duplicate", "reorder", "late_batch", "truncated", "random", "oversize"})
LINK_KINDS: Final = frozenset(
    {
        "disconnect",
        "storm",
        "offline",
        "flap",
        "delay",
        "bandwidth",
        "black_hole",
        "reboot",
        "crash",
        "battery_death",
    }
)
MOST_TIMES: Final = 1000
WRONG: Final = "not a number"


class Network(Protocol):
    """Who can take devices off the network and bring them back."""

    def cut(self, device: Device, back_ms: float) -> None: ...

    def block(self, device: Device) -> None: ...

    def unblock(self, device: Device) -> None: ...

    def restart(self, device: Device, *, takes_ms: float, keep: bool) -> None: ...

    def die(self, device: Device) -> None: ...

    def link(self, device: Device, fault: int, conditions: Conditions | None) -> None: ...


class BlockLike(Protocol):
    """The part of an emission block that a fault may change."""

    devices: list[Device]
    seqs: list[int]
    ts: list[int]
    absent: dict[str, Any]


class MessageLike(Protocol):
    """The part of a message that a fault may look at."""

    @property
    def at(self) -> int: ...

    @property
    def device(self) -> Device: ...

    @property
    def seq(self) -> int: ...

    @property
    def payload(self) -> bytes: ...

    @property
    def block(self) -> Any: ...

    @property
    def k(self) -> int: ...


@dataclass(slots=True)
class _Held:
    """A message kept back until `left` others of its device are gone, or (None) its batch is released."""

    seq: int
    payload: bytes
    left: int | None


class FaultInjection:
    """The faults of a run on devices and links; `keys` are the devices' noise keys by their index."""

    def __init__(self, devices: Sequence[Device], keys: U8, network: Network, start_ms: float) -> None:
        self._devices = devices
        self._by_id = {device.identity.id: device for device in devices}
        self._keys = keys
        self._network = network
        self._start_ms = start_ms
        self._by_device: dict[str, dict[int, list[PlannedFault]]] = {
            family: defaultdict(list) for family in ("content", "clock", "sending")
        }
        self._sending = self._by_device["sending"]
        self._held: dict[int, list[_Held]] = {}
        self._agenda: list[tuple[float, int, Callable[[], None]]] = []
        self._order = count()

    def add(self, faults: Iterable[PlannedFault]) -> None:
        """Schedule faults; those whose time has come act at the next `turn`."""
        for fault in faults:
            family = _family(fault.kind)
            for device in self._chosen(fault) if family else ():
                self._by_device[family][device.index].append(fault)
            if fault.kind in LINK_KINDS or fault.kind == "late_batch":
                for at, act in self._acts(fault):
                    heapq.heappush(self._agenda, (at, next(self._order), act))

    def _chosen(self, fault: PlannedFault) -> list[Device]:
        return [self._by_id[name] for name in fault.devices if name in self._by_id]

    def next_at(self) -> float:
        """Return the simulated time in ms of the next deed; infinity where none is planned."""
        return self._agenda[0][0] + self._start_ms if self._agenda else np.inf

    def end(self, numbers: Iterable[int]) -> None:
        """End faults before their time."""
        over = set(numbers)
        for family in self._by_device.values():
            for faults in family.values():
                faults[:] = [fault for fault in faults if fault.number not in over]

    def turn(self, now_ms: float) -> None:
        """Do what is due at the simulated time `now_ms`."""
        while self._agenda and self._agenda[0][0] <= now_ms - self._start_ms:
            heapq.heappop(self._agenda)[2]()

    # Clocks and contents, while messages are made

    def stamps(self, devices: Sequence[Device], at: Sequence[int]) -> list[int]:
        """Return what each device takes for the time."""
        clocks = self._by_device["clock"]
        if not clocks:
            return list(at)
        return [
            when + self._skew(device, when) if device.index in clocks else when
            for device, when in zip(devices, at, strict=True)
        ]

    def _skew(self, device: Device, at_ms: int) -> int:
        since = at_ms - self._start_ms
        skew = sum(
            skew_of(fault, since)
            for fault in self._by_device["clock"][device.index]
            if fault.from_ms <= since < fault.until_ms
        )
        device.skew_ms = skew
        return round(skew)

    @property
    def spoils(self) -> bool:
        """Whether `corrupt` has anything to do."""
        return bool(self._by_device["content"])

    def corrupt(
        self, block: BlockLike, at: Sequence[int], contents: list[dict[str, Any]]
    ) -> list[dict[str, Any]]:
        """Put texts where numbers belong; the ledger takes such a value for absent."""
        corrupted = self._by_device["content"]
        if not corrupted:
            return contents
        for k, device in enumerate(block.devices):
            for fault in corrupted.get(device.index, ()):
                if self._strikes(fault, device, block.seqs[k], at[k]):
                    self._spoil_one(fault, block, k, contents[k])
        return contents

    def _spoil_one(self, fault: PlannedFault, block: BlockLike, k: int, content: dict[str, Any]) -> None:
        wanted = getattr(fault.spec, "metric", None)
        for name in [wanted] if wanted else list(content):
            if name in content:
                content[name] = WRONG
                mask = block.absent.get(name)
                block.absent[name] = np.zeros(len(block.seqs), dtype=bool) if mask is None else mask.copy()
                block.absent[name][k] = True

    # Sending

    def intercepts(self, device: Device) -> bool:
        """Say whether a message of this device needs `send` instead of the plain way."""
        return device.index in self._sending or device.index in self._held

    def send(self, message: MessageLike, now_us: int) -> None:
        """Send one message with whatever is wrong at its time."""
        device = message.device
        struck = [
            fault
            for fault in self._by_device["sending"].get(device.index, ())
            if self._strikes(fault, device, message.seq, message.at)
        ]
        kinds = {fault.kind: fault for fault in struck}
        if "late_batch" in kinds:
            self._hold(device, _Held(message.seq, message.payload, None))
        elif "reorder" in kinds:
            self._hold(device, _Held(message.seq, message.payload, kinds["reorder"].spec.by + 1))  # type: ignore[attr-defined]
        elif damage := kinds.keys() & {"truncated", "random", "oversize"}:
            fault = kinds[min(damage)]
            device.emit_damaged(message.seq, message.payload, damaged(fault, device, message))
        elif device.emit(message.seq, message.payload, now_us):
            message.block.sent[message.k] = now_us
            if "duplicate" in kinds:
                device.repeat(message.payload)
        self._count_down(device)

    def _strikes(self, fault: PlannedFault, device: Device, seq: int, at_ms: float) -> bool:
        if not fault.from_ms <= at_ms - self._start_ms < fault.until_ms:
            return False
        chance = getattr(fault.spec, "p", 1.0)
        if chance >= 1.0:
            return True
        key = self._keys[device.index : device.index + 1]
        drawn = uniform_of(key, f"fault/{fault.number}/message", np.array([seq], dtype=np.int64))
        return bool(drawn[0] < chance)

    def _hold(self, device: Device, held: _Held) -> None:
        device.outbox.withheld.add(held.seq)
        self._held.setdefault(device.index, []).append(held)

    def _count_down(self, device: Device) -> None:
        waiting = self._held.get(device.index)
        if waiting is None:
            return
        for held in waiting:
            held.left = None if held.left is None else held.left - 1
        self._release(device, [held for held in waiting if held.left == 0])

    def _release(self, device: Device, released: list[_Held]) -> None:
        if not released:
            return
        left = [held for held in self._held.pop(device.index, []) if held not in released]
        if left:
            self._held[device.index] = left
        for held in released:
            device.outbox.withheld.discard(held.seq)
            device.forward(held.seq, held.payload)

    def release_all(self) -> None:
        """Send everything that is held back; for the end of a run."""
        for index in list(self._held):
            self._release(self._devices[index], list(self._held[index]))

    def forget(self, device: Device) -> int:
        """Drop what is held back for a device that restarts; return how much that was."""
        return len(self._held.pop(device.index, ()))

    # Links

    def _acts(self, fault: PlannedFault) -> list[tuple[float, Callable[[], None]]]:
        devices = self._chosen(fault)
        start, spec = float(fault.from_ms), fault.spec
        match fault.kind:
            case "disconnect" | "storm":
                within = float(_of(spec, "reconnect").within)
                times = range(_of(spec, "times", 1))
                every = _of(spec, "every", 0)
                return [(start + n * every, self._cut(fault, devices, within, n)) for n in times]
            case "offline":
                return [
                    (start, lambda: _each(devices, self._network.block)),
                    (float(fault.until_ms), lambda: _each(devices, self._network.unblock)),
                ]
            case "flap" | "delay" | "bandwidth" | "black_hole" | "battery_death":
                return self._lasting_acts(fault, devices)
            case "reboot" | "crash":
                keep = fault.kind == "reboot"
                return [(start, lambda: self._restart(devices, _of(spec, "takes"), keep=keep))]
            case _:
                hold = max(1, _of(spec, "hold"))
                ends = np.arange(start + hold, min(fault.until_ms, start + 1000 * hold), hold).tolist()
                return [
                    (end, lambda: self._release_batches(devices)) for end in (*ends, float(fault.until_ms))
                ]

    def _cut(self, fault: PlannedFault, devices: list[Device], within: float, n: int) -> Callable[[], None]:
        def act() -> None:
            keys = self._keys[[device.index for device in devices]]
            ticks = np.full(len(devices), n, dtype=np.int64)
            waits = uniform_of(keys, f"fault/{fault.number}/reconnect", ticks) * within
            for device, wait in zip(devices, waits.tolist(), strict=True):
                self._network.cut(device, wait)

        return act

    def _lasting_acts(
        self, fault: PlannedFault, devices: list[Device]
    ) -> list[tuple[float, Callable[[], None]]]:
        start, until = float(fault.from_ms), float(fault.until_ms)
        if fault.kind == "flap":
            return self._flaps(fault, devices)
        if fault.kind == "battery_death":
            return [
                (start, lambda: self._die(devices)),
                (until, lambda: self._restart(devices, 0.0, keep=False)),
            ]
        return [
            (start, lambda: self._link(fault, devices, _conditions(fault))),
            (until, lambda: self._link(fault, devices, None)),
        ]

    def _flaps(self, fault: PlannedFault, devices: list[Device]) -> list[tuple[float, Callable[[], None]]]:
        every, down = _of(fault.spec, "every"), _of(fault.spec, "down")
        begins = range(fault.from_ms, min(fault.until_ms, fault.from_ms + MOST_TIMES * every), every)
        acts: list[tuple[float, Callable[[], None]]] = []
        for begin in begins:
            acts.append((float(begin), lambda: _each(devices, self._network.block)))
            acts.append(
                (float(min(begin + down, fault.until_ms)), lambda: _each(devices, self._network.unblock))
            )
        return acts

    def _link(self, fault: PlannedFault, devices: list[Device], conditions: Conditions | None) -> None:
        for device in devices:
            self._network.link(device, fault.number, conditions)

    def _die(self, devices: list[Device]) -> None:
        for device in devices:
            self.forget(device)
            self._network.die(device)

    def _restart(self, devices: list[Device], takes_ms: float, *, keep: bool) -> None:
        for device in devices:
            self.forget(device)
            self._network.restart(device, takes_ms=takes_ms, keep=keep)

    def _release_batches(self, devices: list[Device]) -> None:
        for device in devices:
            self._release(device, [held for held in self._held.get(device.index, ()) if held.left is None])


def _family(kind: str) -> str:
    for family, kinds in (("content", CONTENT_KINDS), ("clock", CLOCK_KINDS), ("sending", SENDING_KINDS)):
        if kind in kinds:
            return family
    return ""


def _of(spec: Fault, name: str, otherwise: Any = None) -> Any:
    """A setting that this kind of fault has, or what stands for it in a kind that lacks it."""
    return getattr(spec, name, otherwise)


def _conditions(fault: PlannedFault) -> Conditions:
    """What a fault makes of a link."""
    return Conditions(
        delay=_of(fault.spec, "by", 0) / 1000.0 if fault.kind == "delay" else 0.0,
        rate=_of(fault.spec, "bytes_per_second"),
        dark=fault.kind == "black_hole",
    )


def _each(devices: Iterable[Device], act: Callable[[Device], None]) -> None:
    for device in devices:
        act(device)


def skew_of(fault: PlannedFault, since_start_ms: float) -> float:
    """How far a faulty clock is ahead, in ms, at a time since the run's start."""
    if fault.kind == "clock_jump":
        return float(_of(fault.spec, "by"))
    return float(_of(fault.spec, "offset")) + float(_of(fault.spec, "drift")) * (
        since_start_ms - fault.from_ms
    )


def damaged(fault: PlannedFault, device: Device, message: MessageLike) -> bytes:
    """Return what goes over the wire in place of the message."""
    if fault.kind == "truncated":
        return message.payload[: max(1, len(message.payload) // 2)]
    noise = hashlib.shake_128(f"{fault.number}/{device.identity.id}/{message.seq}".encode())
    if fault.kind == "random":
        return noise.digest(len(message.payload))
    return message.payload + noise.digest(
        max(1, int(getattr(fault.spec, "size", 70_000)) - len(message.payload))
    )
