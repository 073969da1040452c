"""From deadlines to messages: samples the devices that are due, numbers and encodes, and sends each on time.

::

    Pacer ─ due rows ─▶ GroupSignals ─ columns ─▶ seq, encode ─▶ Block ─ in time order ─▶ Device.emit
                                            └────────────────────▶ ledger, when all of a block is sent
"""

import math
from array import array
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from operator import attrgetter
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt

from fleet_sim.device import Device
from fleet_sim.ledger import ReadingColumns
from fleet_sim.mishaps import Mishaps
from fleet_sim.pacing import Due, Pacer, SimClock
from fleet_sim.tally import Tally
from fleet_wire.telemetry import encode_telemetry

__all__ = ["Block", "Emission", "GroupFlow", "Message"]

Ints = npt.NDArray[np.int64]

LOOK_AHEAD_MS = 100
"""Devices due within this time are sampled together: a call costs the same for one row as for a thousand."""


class SampleLike(Protocol):
    """What `GroupSignals.sample` returns, as far as it is used here."""

    @property
    def columns(self) -> Mapping[str, list[Any]]: ...

    @property
    def absent(self) -> Mapping[str, npt.NDArray[np.bool_]]: ...

    @property
    def quality(self) -> Mapping[str, list[float]]: ...

    def messages(self) -> list[dict[str, Any]]: ...

    def qualities(self) -> list[dict[str, float] | None]: ...


class SignalsLike(Protocol):
    """What is used of `fleet_sim.signals.GroupSignals`."""

    def sample(self, rows: Ints, ticks: Ints, at_ms: Ints, /) -> SampleLike: ...


class Block:
    """The messages of a group made in one look ahead. `sent[k]` is when it was published, in us; 0: not.

    `done` rows were taken to be sent, in their order, which is that of time.
    """

    __slots__ = ("absent", "boots", "columns", "devices", "done", "quality", "sent", "seqs", "ts")

    def __init__(self, devices: list[Device], ts: list[int], sample: SampleLike) -> None:
        self.devices = devices
        self.boots = [device.outbox.boot for device in devices]
        self.seqs = [device.outbox.number() for device in devices]
        self.ts = ts
        self.columns = sample.columns
        self.absent = dict(sample.absent)
        self.quality = sample.quality
        self.sent = array("q", bytes(8 * len(devices)))
        self.done = 0


@dataclass(slots=True)
class Message:
    """One message ready to be sent at `at` (simulated ms); row `k` of its block."""

    at: int
    device: Device
    seq: int
    payload: bytes
    block: Block
    k: int


@dataclass(slots=True)
class GroupFlow:
    """One group: when its devices are due, what they measure, where the ledger keeps it."""

    devices: Sequence[Device]
    pacer: Pacer
    signals: SignalsLike
    columns: ReadingColumns
    text: Callable[[str], int]

    def make(self, due: Due, mishaps: Mishaps) -> list[Message]:
        """Sample the due devices that are running, number and encode their messages."""
        devices = self.devices
        running = [
            k for k, row in enumerate(due.rows.tolist()) if devices[row].alive and devices[row].started
        ]
        if len(running) < due.rows.size:
            due = Due(*(column[running] for column in due))
        if not running:
            return []
        sample = self.signals.sample(due.rows, due.ticks, due.at)
        chosen = [devices[row] for row in due.rows.tolist()]
        at = due.at.tolist()
        block = Block(chosen, mishaps.stamps(chosen, at), sample)
        contents = mishaps.spoil(block, at, sample.messages())
        qualities = sample.qualities()
        return [
            Message(when, device, seq, encode_telemetry(boot, seq, ts, content, q=quality), block, k)
            for k, (when, device, seq, boot, ts, content, quality) in enumerate(
                zip(at, chosen, block.seqs, block.boots, block.ts, contents, qualities, strict=True)
            )
        ]

    def record(self, block: Block) -> None:
        """Write the readings of a block to the ledger, up to the last whose time had come."""
        columns, done = self.columns, block.done
        columns.device.extend([device.index for device in block.devices[:done]])
        columns.boot.extend(block.boots[:done])
        columns.seq.extend(block.seqs[:done])
        columns.ts.extend(block.ts[:done])
        columns.sent.extend(block.sent[:done])
        columns.flags.extend(bytes(done))
        columns.present.frombytes(self._present(block)[:done].tobytes())
        for name, values in zip(columns.numbers, columns.values, strict=True):
            values.fromlist(block.columns[name][:done])
        for name, codes in zip(columns.texts, columns.states, strict=True):
            codes.extend(map(self.text, block.columns[name][:done]))
        for name, qualities in block.quality.items():
            columns.doubt(name, qualities[:done])

    def _present(self, block: Block) -> Ints:
        every = (*self.columns.numbers, *self.columns.texts)
        bits = np.full(len(block.seqs), (1 << len(every)) - 1, dtype=np.int64)
        for bit, name in enumerate(every):
            if name in block.absent:
                bits[block.absent[name]] &= ~(1 << bit)
        return bits


class Emission:
    """Everything that is due, of all groups, in time order."""

    def __init__(
        self,
        flows: Sequence[GroupFlow],
        mishaps: Mishaps,
        tally: Tally,
        *,
        start_ms: float,
        end_ms: float = math.inf,
    ) -> None:
        self._flows = flows
        self._mishaps = mishaps
        self._tally = tally
        self._ready: deque[Message] = deque()
        self._blocks: dict[int, tuple[GroupFlow, Block]] = {}
        self.planned_until = start_ms
        self._end_ms = end_ms

    def next_at(self) -> float:
        """Return the simulated time in ms of what comes next: a message, or the next look ahead."""
        return float(self._ready[0].at) if self._ready else self.planned_until

    def advance(self, now_ms: float, now_us: Callable[[], int], wall: SimClock) -> None:
        """Send all that is due at the simulated time `now_ms`.

        `now_us` is the wall clock; `wall` turns it (in seconds) into simulated time, for how late a message is.
        """
        while True:
            self._send_due(now_ms, now_us, wall)
            if self._ready or self.planned_until > now_ms or self.planned_until >= self._end_ms:
                return
            self._plan()

    def _plan(self) -> None:
        self._record_sent()
        horizon = min(self.planned_until + LOOK_AHEAD_MS, self._end_ms)
        made: list[Message] = []
        for flow in self._flows:
            while (due := flow.pacer.take(horizon)).rows.size:
                messages = flow.make(due, self._mishaps)
                made.extend(messages)
                if messages:
                    self._blocks[id(messages[0].block)] = (flow, messages[0].block)
        made.sort(key=attrgetter("at"))
        self._ready.extend(made)
        self.planned_until = horizon

    def _send_due(self, now_ms: float, now_us: Callable[[], int], wall: SimClock) -> None:
        ready, mishaps, tally = self._ready, self._mishaps, self._tally
        lags = tally.lag_us
        # The wall time of a simulated one, spelled out: this loop is the price of every message.
        per_ms = 1000.0 / wall.speed
        origin_us = wall.origin_mono * 1e6 - wall.origin_ms * per_ms
        while ready and ready[0].at <= now_ms:
            message = ready.popleft()
            message.block.done = message.k + 1
            tally.made += 1
            device = message.device
            if not device.alive or message.block.boots[message.k] != device.outbox.boot:
                continue
            at_us = now_us()
            if mishaps.meddles(device):
                mishaps.send(message, at_us)
            elif device.emit(message.seq, message.payload, at_us):
                message.block.sent[message.k] = at_us
            lags.append(int(at_us - origin_us - message.at * per_ms))

    def _record_sent(self) -> None:
        for flow, block in self._blocks.values():
            flow.record(block)
        self._blocks = {}

    def finish(self) -> None:
        """Forget what is not due yet and write the rest to the ledger."""
        self._ready.clear()
        self._record_sent()
