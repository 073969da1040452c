"""From deadlines to messages: sample the devices that are due, number and encode the messages, send each on time.

::

    Pacer ─ due rows ─▶ GroupSignals ─ columns ─▶ seq, encode ─▶ Block ─ in time order ─▶ Device.emit
                                            └────────────────────▶ ledger, when all of a block is sent
"""

import math
from array import array
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import repeat
from operator import itemgetter
from typing import Any, NamedTuple, Protocol

import numpy as np
import numpy.typing as npt

from fleet_sim.devices.counters import Counters
from fleet_sim.devices.device import Device
from fleet_sim.devices.encoding import Columns, TelemetryEncoder
from fleet_sim.devices.pacing import Due, Pacer, SimClock
from fleet_sim.ledger.writing import ReadingColumns
from fleet_wire.telemetry import encode_telemetry

__all__ = ["Block", "Emission", "GroupFlow", "Injection", "Message"]

Ints = npt.NDArray[np.int64]

LOOK_AHEAD_MS = 100
"""Devices due within this time are sampled together: a call costs the same for one row as for a thousand."""


class SampleLike(Columns, Protocol):
    """What `GroupSignals.sample` returns, as far as it is used here."""

    @property
    def absent(self) -> Mapping[str, npt.NDArray[np.bool_]]: ...


class SignalsLike(Protocol):
    """What is used of `fleet_sim.signals.GroupSignals`."""

    def sample(self, rows: Ints, ticks: Ints, at_ms: Ints, /) -> SampleLike: ...


class Block:
    """The messages of a group made in one look ahead, in the order of time.

    `sent[k]` is when message `k` was published, in microseconds since 1970; 0: it was not. The first `done` messages
    were due before the run ended.
    """

    __slots__ = ("absent", "at", "boots", "columns", "devices", "done", "quality", "sent", "seqs", "ts")

    def __init__(self, devices: list[Device], at: list[int], ts: list[int], sample: SampleLike) -> None:
        self.devices = devices
        self.boots: list[int] = []
        self.seqs: list[int] = []
        for device in devices:
            outbox = device.outbox
            seq = outbox.planned
            outbox.planned = seq + 1
            self.boots.append(outbox.boot)
            self.seqs.append(seq)
        self.at = at
        self.ts = ts
        self.columns = sample.columns
        self.absent = dict(sample.absent)
        self.quality = sample.quality
        self.sent = array("q", bytes(8 * len(devices)))
        self.done = len(devices)

    def miss(self, metric: str, k: int) -> None:
        """Record that message `k` holds no value of `metric`."""
        mask = self.absent.get(metric)
        mask = np.zeros(len(self.seqs), dtype=np.bool_) if mask is None else mask.copy()
        mask[k] = True
        self.absent[metric] = mask


class Message(NamedTuple):
    """One message ready to be sent at `at` (simulated ms); row `k` of its block."""

    at: int
    device: Device
    seq: int
    boot: int
    payload: bytes
    block: Block
    k: int


class Injection(Protocol):
    """Faults that act on messages while these are made and sent."""

    def stamps(self, devices: Sequence[Device], at: Sequence[int]) -> list[int]:
        """Return the times, ms since 1970, that the clocks of the devices show at the true times `at`."""
        ...

    @property
    def corrupts(self) -> bool:
        """Whether `corrupt` has anything to do."""
        ...

    def corrupt(self, block: Block, contents: list[dict[str, Any]]) -> None:
        """Change the contents of the messages of a block, in place."""
        ...

    def intercepts(self, device: Device) -> bool:
        """Say whether the messages of this device go through `send`."""
        ...

    def send(self, message: Message, now_us: int) -> None:
        """Send one message, or do to it what a fault does."""
        ...


Row = tuple[int, Device, int, int, bytes, Block, int]
"""A `Message` as a plain tuple, which is cheaper: thousands a second are made, and read once."""


@dataclass(slots=True)
class GroupFlow:
    """One group: when its devices are due, what they measure, and where the ledger keeps it."""

    devices: Sequence[Device]
    pacer: Pacer
    signals: SignalsLike
    columns: ReadingColumns
    text: Callable[[str], int]
    encoder: TelemetryEncoder = field(default_factory=TelemetryEncoder)

    def make(self, due: Due, injection: Injection) -> tuple[Block, list[Row]] | None:
        """Sample the due devices that are running, and number and encode their messages; None if none is running."""
        devices = self.devices
        rows = due.rows.tolist()
        running = [k for k, row in enumerate(rows) if devices[row].alive]
        if len(running) < len(rows):
            due = Due(*(column[running] for column in due))
            rows = due.rows.tolist()
        if not running:
            return None
        sample = self.signals.sample(due.rows, due.ticks, due.at)
        chosen = [devices[row] for row in rows]
        at = due.at.tolist()
        block = Block(chosen, at, injection.stamps(chosen, at), sample)
        payloads = self._encoded(block, sample, injection)
        made = zip(at, chosen, block.seqs, block.boots, payloads, repeat(block), range(len(at)), strict=False)
        return block, list(made)

    def _encoded(self, block: Block, sample: SampleLike, injection: Injection) -> list[bytes]:
        if not injection.corrupts:
            return self.encoder.encode(block.boots, block.seqs, block.ts, sample)
        contents = sample.messages()
        injection.corrupt(block, contents)
        rows = zip(block.boots, block.seqs, block.ts, contents, sample.qualities(), strict=True)
        return [
            encode_telemetry(boot, seq, ts, content, q=quality) for boot, seq, ts, content, quality in rows
        ]

    def record(self, block: Block) -> None:
        """Write the readings of a block to the ledger, but for those that were not due before the end."""
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
    """Sends the messages of all groups in the order of time, until `end_ms`."""

    def __init__(
        self,
        flows: Sequence[GroupFlow],
        injection: Injection,
        counters: Counters,
        *,
        start_ms: float,
        end_ms: float = math.inf,
    ) -> None:
        self._flows = flows
        self._injection = injection
        self._counters = counters
        self._ready: deque[Row] = deque()
        self._blocks: list[tuple[GroupFlow, Block]] = []
        self._wall = (0.0, 1000.0)
        self.planned_until = start_ms
        self._end_ms = end_ms

    def next_at(self) -> float:
        """Return the simulated time in ms of the next message, or of the next look ahead if no message is ready."""
        return float(self._ready[0][0]) if self._ready else self.planned_until

    def advance(self, now_ms: float, now_us: Callable[[], int], wall: SimClock) -> None:
        """Send all messages due at the simulated time `now_ms`.

        `now_us` is the wall clock. `wall` turns wall time, in seconds, into simulated time: it tells how late a
        message was.
        """
        # Wall time in microseconds at a simulated time of 0 ms, and how much it grows per simulated millisecond.
        per_ms = 1000.0 / wall.speed
        self._wall = (wall.origin_mono * 1e6 - wall.origin_ms * per_ms, per_ms)
        while True:
            self._send_due(now_ms, now_us)
            if self._ready or self.planned_until > now_ms or self.planned_until >= self._end_ms:
                return
            self._plan()

    def _plan(self) -> None:
        self._record_sent()
        horizon = min(self.planned_until + LOOK_AHEAD_MS, self._end_ms)
        made: list[Row] = []
        for flow in self._flows:
            while (due := flow.pacer.take(horizon)).rows.size:
                messages = flow.make(due, self._injection)
                if messages is not None:
                    self._blocks.append((flow, messages[0]))
                    made.extend(messages[1])
        if len(self._blocks) > 1:
            made.sort(key=itemgetter(0))
        self._ready.extend(made)
        self.planned_until = horizon

    def _send_due(self, now_ms: float, now_us: Callable[[], int]) -> None:
        """Send the messages that are due. Every message passes this loop: keep it cheap."""
        ready, intercepts = self._ready, self._injection.intercepts
        before = len(ready)
        while ready and ready[0][0] <= now_ms:
            row = ready.popleft()
            _, device, seq, boot, payload, block, k = row
            outbox = device.outbox
            if not device.alive or boot != outbox.boot:
                continue
            outbox.next = seq + 1
            at_us = now_us()
            if intercepts(device):
                self._injection.send(Message(*row), at_us)
            elif device.emit(seq, payload, at_us):
                block.sent[k] = at_us
        self._counters.made += before - len(ready)

    def _record_sent(self) -> None:
        origin_us, per_ms = self._wall
        for flow, block in self._blocks:
            flow.record(block)
            sent = np.frombuffer(block.sent, dtype=np.int64)[: block.done]
            late = sent - origin_us - np.array(block.at[: block.done]) * per_ms
            self._counters.lag_us.frombytes(late[sent > 0].astype(np.int64).tobytes())
        self._blocks = []

    def finish(self) -> None:
        """Drop the messages that are not due yet, and write the others to the ledger."""
        for _, _, _, _, _, block, k in self._ready:
            block.done = min(block.done, k)
        self._ready.clear()
        self._record_sent()
