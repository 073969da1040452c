"""Random histories of a few devices: what they send and when it arrives, with every disorder the gateway must handle.

events of a device ─▶ messages ─▶ network: late, twice, out of order ─▶ arrivals
"""

from __future__ import annotations

import random
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from tests.proofs.ground.plain_messages import HOUR, MINUTE, SITE, START, status, telemetry

OTHER_SITE = "village"
BEFORE_ALL = 1_000_000_000
"""A device time of 1970."""
BEYOND_SKEW = 10 * MINUTE


MOST_BOOTS = 7
"""Of one device, so that with one more nothing is forgotten; `tests/gateway/fleet/test_forgetting.py` goes beyond.

For the same reason no device starts again under the number of an earlier boot.
"""


@dataclass(frozen=True, slots=True)
class Reading:
    """One telemetry message; `further` are (ms after `ts`, values)."""

    device: str
    site: str
    boot: int
    seq: int
    ts: int | None
    values: Mapping[str, Any]
    floor: int | None = None
    further: tuple[tuple[int, Mapping[str, Any]], ...] = ()

    def delivery(self) -> tuple[str, bytes]:
        further = [list(sample) for sample in self.further] or None
        said = {"boot": self.boot, "seq": self.seq, "ts": self.ts, "floor": self.floor, "m": self.values}
        return telemetry(self.site, self.device, **said, s=further)


@dataclass(frozen=True, slots=True)
class Birth:
    """A birth."""

    device: str
    site: str
    boot: int
    following: int
    ts: int | None
    type: str
    tags: Mapping[str, str]
    floor: int = 0

    def delivery(self) -> tuple[str, bytes]:
        said = {"boot": self.boot, "floor": self.floor, "next": self.following, "ts": self.ts}
        return status(self.site, self.device, "online", type=self.type, tags=self.tags, **said)


@dataclass(frozen=True, slots=True)
class Will:
    """A will."""

    device: str
    site: str

    def delivery(self) -> tuple[str, bytes]:
        return status(self.site, self.device, "offline")


Message = Reading | Birth | Will


@dataclass(frozen=True, slots=True)
class Arrival:
    """A message, and when it reaches the gateway (wall ms)."""

    at: int
    message: Message


@dataclass(slots=True)
class SimulatedDevice:
    """One device from its first start on; `chance` draws its events."""

    chance: random.Random
    device: str
    now: int = START
    site: str = SITE
    boot: int = 0
    seq: int = 0
    clock: int | None = 0
    """Milliseconds the device's clock is ahead; None where it has none."""
    tags: dict[str, str] = field(default_factory=lambda: {"line": "L0"})
    type: str = "probe"
    boots: int = 0
    lost: bool = False
    arrivals: list[Arrival] = field(default_factory=list)
    faults: list[str] = field(default_factory=list)

    def live(self, steps: int) -> list[Arrival]:
        """Play that many events; return the arrivals, not in order."""
        self._restart(born=self.chance.random() < 0.9)
        events = list(_EVENTS)
        weights = [weight for weight, _ in events]
        for _ in range(steps):
            self.now += self.chance.choice((0, 100, 300, 900, 1_500, 4_000))
            ((_, event),) = self.chance.choices(events, weights)
            event(self)
        return self.arrivals

    # --- messages

    def _ts(self) -> int | None:
        return None if self.clock is None else max(0, self.now + self.clock)

    def _values(self) -> dict[str, Any]:
        chance = self.chance
        values: dict[str, Any] = {"heat": round(chance.uniform(-10, 10), chance.choice((1, 15)))}
        if chance.random() < 0.5:
            values["level"] = chance.choice((chance.uniform(-60, 60), chance.randrange(-60, 60), -200))
        if chance.random() < 0.3:
            values["door"] = chance.choice(("open", "closed", True))
        if chance.random() < 0.05:
            values[chance.choice(("heat", "odd"))] = chance.choice((float("nan"), None, [1], float("inf")))
        return values

    def _arrive(self, message: Message, delay: int = 0) -> None:
        self.arrivals.append(Arrival((self.now + delay + 20) // 100 * 100, message))

    def read(self, delay: int = 0) -> None:
        """Take a reading and send it."""
        further: list[tuple[int, dict[str, Any]]] = []
        if self.chance.random() < 0.1:
            further = [(at * self.chance.choice((1, 700)), self._values()) for at in range(3)]
        floor = self.seq if self.lost and self.chance.random() < 0.5 else None
        self.lost = self.lost and floor is None
        made = Reading(
            self.device, self.site, self.boot, self.seq, self._ts(), self._values(), floor, tuple(further)
        )
        self.seq += 1
        self._arrive(made, delay)
        if self.chance.random() < 0.1:
            self._note("duplicate")
            self._arrive(made, delay + self.chance.choice((0, 0, 100, 2_000, 20_000)))

    def _note(self, fault: str) -> None:
        self.faults.append(fault)

    def _send_birth(self) -> None:
        floor = self.seq if self.lost and self.chance.random() < 0.3 else 0
        self.lost = self.lost and not floor
        self._arrive(
            Birth(self.device, self.site, self.boot, self.seq, self._ts(), self.type, dict(self.tags), floor)
        )

    # --- events

    def _restart(self, *, born: bool) -> None:
        if self.boots < MOST_BOOTS:
            self.boot, self.seq, self.lost = self.chance.getrandbits(40), 0, False
            self.boots += 1
        if born:
            self._send_birth()

    def late(self) -> None:
        self._note("late")
        self.read(self.chance.choice((300, 2_000, 8_000, 30_000, 90_000)))

    def offline(self) -> None:
        """Buffer readings while offline, and send them afterwards, the newest or the oldest first."""
        self._note("offline")
        back = self.now + self.chance.choice((5_000, 20_000, 60_000))
        for _ in range(self.chance.randrange(2, 8)):
            self.now += self.chance.choice((200, 1_000, 2_500))
            self.read(max(0, back - self.now) + self.chance.choice((0, 0, 300)))

    def lose(self) -> None:
        """Lose messages, as when a buffer overflows."""
        self._note("lost at the device")
        self.seq += self.chance.randrange(1, 6)
        self.lost = True

    def reboot(self) -> None:
        self._note("reboot")
        if self.chance.random() < 0.4:
            self._turn_clock()
        self._restart(born=self.chance.random() < 0.85)

    def reboot_often(self) -> None:
        for _ in range(self.chance.randrange(3, 10)):
            self.now += 100
            self._restart(born=self.chance.random() < 0.5)
            self.read(self.chance.choice((0, 0, 20_000)))

    def move(self) -> None:
        self._note("move")
        self.site = OTHER_SITE if self.site == SITE else SITE
        if self.chance.random() < 0.7:
            self._send_birth()

    def retag(self) -> None:
        self._note("tags")
        self.tags = {"line": f"L{self.chance.randrange(4)}"}
        self.type = self.chance.choice(("probe", "probe", "freezer"))
        self._send_birth()

    def _turn_clock(self) -> None:
        far = (-6 * HOUR, -10 * MINUTE, -30_000, -3_000, -500, 0, 500, 3_000, 30_000, 4 * MINUTE)
        self.clock = self.chance.choice((*far, 0, 0, None, BEYOND_SKEW, BEFORE_ALL - self.now))

    def turn_clock(self) -> None:
        self._note("clock")
        self._turn_clock()

    def send_will(self) -> None:
        self._arrive(Will(self.device, self.site))


_EVENTS = (
    (70, SimulatedDevice.read),
    (9, SimulatedDevice.late),
    (3, SimulatedDevice.offline),
    (4, SimulatedDevice.lose),
    (3, SimulatedDevice.reboot),
    (0.4, SimulatedDevice.reboot_often),
    (1, SimulatedDevice.move),
    (4, SimulatedDevice.retag),
    (4, SimulatedDevice.turn_clock),
    (1, SimulatedDevice.send_will),
)


@dataclass(frozen=True, slots=True)
class History:
    """Arrivals in order, and the names of the faults in them."""

    arrivals: tuple[Arrival, ...]
    faults: tuple[str, ...]


def history(chance: random.Random, *, most_steps: int = 60) -> History:
    """Return the history of one to three devices, in order of arrival."""
    lives = [SimulatedDevice(chance, f"dev-{number}") for number in range(chance.randrange(1, 4))]
    both = [one for life in lives for one in life.live(chance.randrange(5, most_steps))]
    both.sort(key=lambda one: one.at)
    faults = tuple(fault for life in lives for fault in life.faults)
    return History(tuple(_without_given_up(both)), faults)


def _without_given_up(arrivals: list[Arrival]) -> Iterator[Arrival]:
    """Leave out messages that arrive after their device declared them lost."""
    floors: dict[tuple[str, int], int] = {}
    came: set[tuple[str, int, int]] = set()
    for one in arrivals:
        said = one.message
        if isinstance(said, Reading):
            key = (said.device, said.boot, said.seq)
            if said.seq < floors.get(key[:2], 0) and key not in came:
                continue
            came.add(key)
            _raise(floors, key[:2], said.floor or 0)
        elif isinstance(said, Birth):
            _raise(floors, (said.device, said.boot), min(said.floor, said.following))
        yield one


def _raise(floors: dict[tuple[str, int], int], key: tuple[str, int], floor: int) -> None:
    floors[key] = max(floors.get(key, 0), floor)
