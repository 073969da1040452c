"""Devices with clocks of every kind; each knows what it sent, and at what true time."""

from __future__ import annotations

import random
import time
from dataclasses import dataclass, field
from typing import Any

import msgpack

from tests.proofs.clock.machines import HOUR, MINUTE, SECOND

COLD, HOT = 1.0, 100.0
BITS = 45
UNIT = 2.0**-15


def now_ms() -> int:
    return time.time_ns() // 1_000_000


@dataclass(frozen=True, slots=True)
class Sent:
    """One message: when it was taken (true ms), its time on the device's clock (None: no clock), its heat and mark."""

    taken: int
    ts: int | None
    heat: float
    metric: str
    bit: int
    delivery: tuple[bytes, bytes]


@dataclass(slots=True)
class Device:
    """A device; `clock` says by how much it is ahead, or that it has none."""

    name: str
    site: str
    kind: str
    clock: int | None
    chance: random.Random
    told_time: bool = True
    """Whether its births carry a time."""
    jitter: int = 0
    """Every fourth reading is older than the one before by so many ms."""
    boot: int = 0
    seq: int = 0
    sent: list[Sent] = field(default_factory=list)
    unsent: list[Sent] = field(default_factory=list)
    _last: int = 0

    def birth(self) -> tuple[bytes, bytes]:
        """Start anew; return the birth."""
        self.boot, self.seq = self.chance.getrandbits(40), 0
        body: dict[str, Any] = {"state": "online", "type": "probe", "boot": self.boot, "floor": 0, "next": 0}
        if self.clock is not None and self.told_time:
            body["ts"] = now_ms() + self.clock
        return f"fleet/v1/{self.site}/{self.name}/status".encode(), msgpack.packb(body)

    def take(self, heat: float) -> Sent:
        """Take a reading; its mark tells it apart from all others of the device."""
        taken = now_ms()
        number = len(self.sent) + len(self.unsent)
        metric, bit = f"mark{number // BITS}", number % BITS
        ts = None if self.clock is None else self._time(taken + self.clock)
        body: dict[str, Any] = {"v": 1, "boot": self.boot, "seq": self.seq}
        if ts is not None:
            body["ts"] = ts
        body["m"] = {"heat": heat, metric: UNIT * (1 << bit)}
        self.seq += 1
        delivery = (f"fleet/v1/{self.site}/{self.name}/telemetry".encode(), msgpack.packb(body))
        return Sent(taken, ts, heat, metric, bit, delivery)

    def _time(self, ts: int) -> int:
        if self.jitter and self.seq % 4 == 3:
            return self._last - self.jitter
        self._last = max(ts, self._last + 1) if ts > self._last - SECOND else ts
        return self._last

    def send(self, heat: float) -> tuple[bytes, bytes]:
        made = self.take(heat)
        self.sent.append(made)
        return made.delivery

    def keep(self, heat: float) -> None:
        """Take a reading while offline."""
        self.unsent.append(self.take(heat))

    def backlog(self) -> list[tuple[bytes, bytes]]:
        """Return what was taken while offline, oldest first."""
        late, self.unsent = self.unsent, []
        self.sent += late
        return [one.delivery for one in late]


def fleet(site: str, chance: random.Random) -> list[Device]:
    """Return a fleet most of whose clocks are right, with one device of every other kind."""
    right = [Device(f"right-{number}", site, "right", 0, chance) for number in range(4)]
    odd = [
        Device("no-clock", site, "no clock", None, chance),
        Device("jitter", site, "jitter", 0, chance, jitter=1),
        Device("behind", site, "behind", -chance.choice((4 * MINUTE, HOUR)), chance, told_time=False),
        Device("ahead", site, "ahead", 3 * MINUTE, chance),
        Device("years-ahead", site, "years ahead", 365 * 24 * HOUR, chance),
        Device("reboots", site, "reboots behind", 0, chance, told_time=chance.random() < 0.5),
        Device("offline", site, "backlog", 0, chance),
        Device("sleeper", site, "falls silent", 0, chance),
    ]
    return right + odd
