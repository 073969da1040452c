"""Replay recorded samples as live devices: at their own pace, a multiple of it, or as fast as possible without loss.

Two limits hold a fast replay back: messages without a PUBACK, because a broker drops what a slow subscriber leaves
queued and still reports success; and, if gateways send receipts, messages without a receipt.
"""

import asyncio
import os
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Final, Literal

from fleet_recordings.reading import RecordedSample, Recording
from fleet_sim.devices.counters import Snapshot
from fleet_sim.devices.device import Device
from fleet_sim.devices.endpoint import reserve_sockets
from fleet_sim.devices.world import DeviceGroup, Identity, World
from fleet_sim.ledger.writing import LedgerWriter, ReadingColumns
from fleet_sim.runtime.deployment import Deployment, RunOptions, RunResult, wall_clock
from fleet_sim.runtime.stopping import Stopping, reach
from fleet_wire.control_messages import MetricInfo
from fleet_wire.telemetry import MAX_STEP, encode_telemetry

__all__ = ["Bundle", "ReplayOptions", "ReplayRun", "bundles", "shifted"]

Stamp = Literal["shift", "now", "recorded"]

UNACKED: Final = 20
"""Messages of a device that may lack a PUBACK: as many as Mosquitto takes at once."""
UNRECEIPTED: Final = 2_000
"""Messages of a device that may lack a receipt, if gateways send receipts."""
BUFFER: Final = 4_000
"""Messages a device keeps."""
POLL_SECONDS: Final = 0.005
CONNECT_RATE: Final = 1000.0
RAMP_SECONDS: Final = 30.0


@dataclass(frozen=True, slots=True)
class ReplayOptions:
    """How a recording is replayed.

    `speed`: recorded seconds per real second; None: as fast as possible without loss. `batch`: the most samples
    in a message. `limit`: the number of samples after which the replay ends.
    """

    speed: float | None = 1.0
    stamp: Stamp = "shift"
    batch: int = 1
    limit: int | None = None


@dataclass(frozen=True, slots=True)
class Bundle:
    """Samples of one device that share a message; `due` is the recorded time of the last one."""

    device: str
    samples: tuple[RecordedSample, ...]

    @property
    def due(self) -> int:
        return self.samples[-1].ts


def shifted(samples: Sequence[RecordedSample], stamp: Stamp, now_ms: int) -> list[RecordedSample]:
    """Return the samples moved so that the last one is now, for the stamp `shift`; else as they are."""
    if stamp != "shift" or not samples:
        return list(samples)
    by = now_ms - samples[-1].ts
    return [sample._replace(ts=sample.ts + by) for sample in samples]


def bundles(samples: Iterable[RecordedSample], batch: int) -> Iterator[Bundle]:
    """Group up to `batch` successive samples of a device; yield each bundle once it is complete.

    A sample with qualities goes alone, because a message has one set of them.
    """
    open_: dict[str, list[RecordedSample]] = {}
    for sample in samples:
        waiting = open_.setdefault(sample.device, [])
        if waiting and (sample.q or sample.ts - waiting[0].ts > MAX_STEP):
            yield Bundle(sample.device, tuple(waiting))
            waiting.clear()
        waiting.append(sample)
        if sample.q or len(waiting) >= batch:
            yield Bundle(sample.device, tuple(waiting))
            waiting.clear()
    for device, waiting in open_.items():
        if waiting:
            yield Bundle(device, tuple(waiting))


class ReplayRun:
    """One replay; `run` does all of it."""

    def __init__(self, recording: Recording, name: str, options: RunOptions, replay: ReplayOptions) -> None:
        self.recording = recording
        self.name = name
        self.options = options
        self.replay = replay
        self.on_second: Callable[[Snapshot], None] = lambda _snapshot: None
        self.warn: Callable[[str], None] = lambda _text: None
        self._deployment: Deployment | None = None
        self._stopping = Stopping()

    def stop(self, reason: str = "stopped", *, hurry: bool = False) -> None:
        """End the replay; see `FleetRun.stop`."""
        self._stopping.ask(reason)
        if hurry and self._deployment is not None:
            self._deployment.settling.hurry()

    async def run(self) -> RunResult:
        """Connect every device of the recording, send its samples, settle.

        Raises:
            CannotReach, ConnectRefused, StoppedEarly, TooManySockets: as for the run of a fleet.
        """
        reserve_sockets(len(self.recording.units))
        boot = self.options.boot if self.options.boot is not None else int(time.time())
        probing = f"fleet-sim-{boot}-{os.getpid()}-probe"
        await reach(self.options.endpoint, probing, self._stopping, self.warn)
        with LedgerWriter(self.options.directory) as ledger:
            deployment = self._deployment = self._prepare(ledger, boot)
            try:
                async with asyncio.TaskGroup() as tasks:
                    services = deployment.serve(tasks)
                    await self._all_connected(deployment)
                    await self._feed(deployment)
                    await deployment.settle()
                    for service in services:
                        service.cancel()
                return await deployment.finish(self._stopping.reason)
            finally:
                deployment.abandon()

    def _prepare(self, ledger: LedgerWriter, boot: int) -> Deployment:
        now_us = wall_clock()
        self._now_us = now_us
        world = World.of(ledger, asyncio.get_running_loop(), now_us, lambda: now_us() // 1000)
        ledger.header({
            "name": self.name, "seed": 0, "boot": boot, "start_ms": now_us() // 1000, "speed": 1.0,
            "started_us": now_us(), "devices": len(self.recording.units), "broker": self.options.endpoint.url,
            "expect": {},
        })  # fmt: skip
        metrics = dict.fromkeys(name for units in self.recording.units.values() for name in units)
        self._columns = ledger.group("recording", list(metrics))
        devices = [self._device(world, name, index, boot) for index, name in enumerate(self.recording.units)]
        ledger.devices(0, 0, [
            {"id": each.identity.id, "site": each.identity.site, "type": each.identity.type,
             "tags": dict(each.identity.tags)} for each in devices
        ])  # fmt: skip
        self._devices = {device.identity.id: device for device in devices}
        deployment = Deployment(self.options, world, boot, rate=self.options.rate or CONNECT_RATE)
        deployment.on_second = self.on_second
        deployment.warn = self.warn
        deployment.deploy(devices)
        return deployment

    def _device(self, world: World, name: str, index: int, boot: int) -> Device:
        units = self.recording.units[name]
        group = DeviceGroup(
            name="recording",
            metrics={metric: MetricInfo(unit=unit) for metric, unit in units.items()},
            commands={},
            apply=_refuse_setting,
            room=BUFFER,
            drop="oldest",
            replay_rate=1e6,
            qos=self.options.qos,
        )
        about = self.recording
        identity = Identity(name, about.sites[name], about.types[name], about.tags.get(name, {}))
        return Device(world, group, identity, index=index, row=index, boot=boot)

    async def _all_connected(self, deployment: Deployment) -> None:
        deadline = time.monotonic() + RAMP_SECONDS
        while (  # noqa: ASYNC110 - there is no event to wait for
            deployment.up + len(deployment.connector.gave_up) < len(self._devices)
            and time.monotonic() < deadline
            and not self._stopping.asked
        ):
            await asyncio.sleep(POLL_SECONDS)

    async def _feed(self, deployment: Deployment) -> None:
        """Send every bundle when it is due and the limits allow it."""
        started = self._now_us()
        samples = self.recording.samples[: self.replay.limit]
        samples = shifted(samples, self.replay.stamp, started // 1000)
        for bundle in bundles(samples, self.replay.batch):
            device = self._devices[bundle.device]
            await self._until_due(started, bundle.due - samples[0].ts)
            while not self._may_send(device, deployment) and not self._stopping.asked:
                deployment.drain()
                await asyncio.sleep(POLL_SECONDS)
            if self._stopping.asked:
                return
            self._send(device, bundle.samples)
            if self.replay.speed is None and device.outbox.next % UNACKED == 0:
                await asyncio.sleep(0)

    async def _until_due(self, started_us: int, recorded_ms: float) -> None:
        if self.replay.speed is None:
            return
        due = started_us + recorded_ms * 1000.0 / self.replay.speed
        while (wait := (due - self._now_us()) / 1e6) > 0 and not self._stopping.asked:  # noqa: ASYNC110
            await asyncio.sleep(min(wait, 0.5))

    def _may_send(self, device: Device, deployment: Deployment) -> bool:
        """Say whether a message of the device can go now; a device that gave up keeps its messages unsent."""
        if device.index in deployment.connector.gave_up:
            return True
        if not device.online or device.unacked >= UNACKED:
            return False
        return deployment.counters.receipts == 0 or device.kept < UNRECEIPTED

    def _send(self, device: Device, samples: Sequence[RecordedSample]) -> None:
        """Send samples as one message, or as several if one would be longer than the wire allows."""
        now_us = self._now_us()
        first = samples[0]
        base = now_us // 1000 if self.replay.stamp == "now" else first.ts
        steps = [0 if self.replay.stamp == "now" else sample.ts - first.ts for sample in samples]
        further = [(step, sample.m) for step, sample in zip(steps[1:], samples[1:], strict=True)]
        outbox = device.outbox
        try:
            payload = encode_telemetry(outbox.boot, outbox.next, base, first.m, q=first.q, s=further or None)
        except ValueError:
            middle = len(samples) // 2
            self._send(device, samples[:middle])
            self._send(device, samples[middle:])
            return
        seq = outbox.number()
        sent = device.emit(seq, payload, now_us)
        device.world.counters.made += 1
        for step, sample in zip(steps, samples, strict=True):
            self._columns.device.append(device.index)
            self._columns.boot.append(device.outbox.boot)
            self._columns.seq.append(seq)
            self._columns.ts.append(base + step)
            self._columns.sent.append(now_us if sent else 0)
            _record_values(self._columns, sample)


def _record_values(columns: ReadingColumns, sample: RecordedSample) -> None:
    columns.flags.append(0)
    present = 0
    for bit, (name, values) in enumerate(zip(columns.numbers, columns.values, strict=True)):
        present |= (name in sample.m) << bit
        values.append(sample.m.get(name, 0.0))
    columns.present.append(present)
    for name, quality in (sample.q or {}).items():
        columns.doubt(name, (quality,))


def _refuse_setting(_device: Device, setting: str, _value: Any) -> None:
    raise ValueError(f"a recording cannot change {setting}")
