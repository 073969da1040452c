"""Lives of devices that ask more of a gateway's memory than it has.

A life is a list of steps. What a device sends is new, a repeat, or something it kept back; each message has its own
device time, and each reading a value that tells it apart from all others of its window (`Marks`).
"""

from __future__ import annotations

import random
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from tests.proofs.ground.plain_messages import HOUR, MINUTE, SECOND, SITE, START, status, telemetry

RETIRE_AFTER = 2 * HOUR
BITS = 45
"""Values of a metric in a window that can be told apart: sums of as many powers of two are exact in a double."""
UNIT = 2.0**-15
"""The smallest value."""


class Reading(NamedTuple):
    """One reading of a message: its value is `UNIT * 2 ** bit`, unique in the window of its time."""

    metric: str
    bit: int

    @property
    def value(self) -> float:
        return UNIT * float(1 << self.bit)


@dataclass(frozen=True, slots=True)
class Message:
    """One telemetry message; two are the same message only if they are the same object.

    Attributes:
        ts: device time in ms, or None if the device has no clock.
    """

    device: str
    boot: int
    seq: int
    ts: int | None
    reading: Reading

    @property
    def identity(self) -> tuple[Any, ...]:
        return (self.device, self.boot, self.seq, self.ts, self.reading)

    def delivery(self) -> tuple[str, bytes]:
        values = {self.reading.metric: self.reading.value}
        return telemetry(SITE, self.device, boot=self.boot, seq=self.seq, ts=self.ts, m=values)


@dataclass(frozen=True, slots=True)
class Birth:
    """A birth; everything from `floor` on is still held, `following` is the next sequence number."""

    device: str
    boot: int
    following: int
    ts: int | None
    floor: int = 0

    def delivery(self) -> tuple[str, bytes]:
        said = {
            "type": "probe",
            "boot": self.boot,
            "floor": self.floor,
            "next": self.following,
            "ts": self.ts,
        }
        return status(SITE, self.device, "online", **said)


class Pause(NamedTuple):
    """Time that passes, in ms, before the next step."""

    length: int


class Trim(NamedTuple):
    """The history lets go of what is older than it keeps."""


class Retire(NamedTuple):
    """The device is silent until the gateway retires it, or an operator drops it."""

    device: str


Step = Message | Birth | Pause | Trim | Retire


class Marks:
    """Gives out readings, so that those of one window of a device can be told apart by the sum of their values."""

    def __init__(self, window: int) -> None:
        self._window = window
        self._given: dict[tuple[str, int | None], int] = {}
        self._times: set[tuple[str, int]] = set()

    def next(self, device: str, ts: int | None) -> Reading:
        place = (device, None if ts is None else ts - ts % self._window)
        number = self._given.get(place, 0)
        self._given[place] = number + 1
        return Reading(f"{'untimed' if ts is None else 'heat'}{number // BITS}", number % BITS)

    def free_time(self, device: str, ts: int) -> int:
        """Return the first time from `ts` on at which the device has said nothing."""
        while (device, ts) in self._times:
            ts += 1
        self._times.add((device, ts))
        return ts


@dataclass(slots=True)
class Life:
    """One device; `chance` draws what happens to it."""

    chance: random.Random
    marks: Marks
    device: str
    now: int = START
    offset: int = 0
    """Milliseconds its clock is ahead."""
    boot: int = 0
    seq: int = 0
    timed: bool = True
    sent: list[Message] = field(default_factory=list)
    kept_back: list[Message] = field(default_factory=list)
    boots: list[int] = field(default_factory=list)

    # --- what a device does

    def message(self) -> Message:
        """Take a reading; it has the next sequence number of the boot."""
        ts = self.marks.free_time(self.device, self.now + self.offset) if self.timed else None
        made = Message(self.device, self.boot, self.seq, ts, self.marks.next(self.device, ts))
        self.seq += 1
        return made

    def wait(self, length: int) -> Pause:
        self.now += length
        return Pause(length)

    def send(self) -> Iterator[Step]:
        made = self.message()
        self.sent.append(made)
        yield made
        yield self.wait(self.chance.choice((50, 200, 900, 3_000)))

    def start(self, *, boot: int | None = None, born: bool | None = None) -> Iterator[Step]:
        """Start anew, with the number of an earlier boot if one is given."""
        self.boot = self.chance.getrandbits(40) if boot is None else boot
        self.seq = 0
        self.boots.append(self.boot)
        if self.chance.random() < 0.8 if born is None else born:
            yield Birth(self.device, self.boot, 0, self.now + self.offset if self.timed else None)

    # --- events

    def read(self) -> Iterator[Step]:
        for _ in range(self.chance.randrange(1, 6)):
            yield from self.send()

    def keep_back(self) -> Iterator[Step]:
        """Keep messages back that a later one overtakes."""
        for _ in range(self.chance.randrange(1, 4)):
            self.kept_back.append(self.message())
            yield self.wait(self.chance.choice((50, 900)))
        yield from self.send()

    def every_other(self) -> Iterator[Step]:
        """Send every other message of many at once, and the rest afterwards, or never."""
        many = [self.message() for _ in range(self.chance.choice((20, 150, 300)))]
        self.now += 1
        yield from many[::2]
        rest = many[1::2]
        if self.chance.random() < 0.3:
            self.chance.shuffle(rest)
        yield self.wait(self.chance.choice((100, 5_000, 60_000)))
        if self.chance.random() < 0.7:
            yield from rest
            self.sent += many
        else:
            self.sent += many[::2]
            self.kept_back += rest

    def many_boots(self) -> Iterator[Step]:
        """Start so often that the first boots are forgotten; then send some of their messages again."""
        before = len(self.sent)
        for _ in range(self.chance.choice((3, 10, 20, 80))):
            yield from self.start()
            yield from self.read()
            if self.chance.random() < 0.2:
                yield from self.keep_back()
        again = self.sent[before:]
        yield from again if self.chance.random() < 0.3 else self.chance.sample(again, len(again) // 2)

    def repeat(self) -> Iterator[Step]:
        """Send again what has arrived, of any age."""
        yield from self.chance.sample(self.sent, min(len(self.sent), self.chance.choice((1, 10, 60))))

    def catch_up(self) -> Iterator[Step]:
        """Send what was kept back, of any age."""
        self.chance.shuffle(self.kept_back)
        for _ in range(min(len(self.kept_back), self.chance.choice((1, 10, 100)))):
            made = self.kept_back.pop()
            self.sent.append(made)
            yield made

    def fall_silent(self) -> Iterator[Step]:
        """Be silent until the gateway retires the device, and come back with something old or new."""
        yield Retire(self.device)
        self.now += RETIRE_AFTER if self.chance.random() < 0.8 else 0  # or its clock stood meanwhile
        if self.chance.random() < 0.5:
            yield from self.start()
        yield from self.chance.choice((self.repeat, self.catch_up, self.read))()

    def trim(self) -> Iterator[Step]:
        """Let the history lose old windows, and send readings of the time before."""
        yield self.wait(self.chance.choice((10 * MINUTE, 2 * HOUR)))
        yield from self.send()
        yield Trim()
        yield from self.chance.choice((self.repeat, self.catch_up, self.turn_back))()

    def turn_back(self) -> Iterator[Step]:
        """Start with an older clock."""
        self.offset = -self.chance.choice((30 * SECOND, 10 * MINUTE, 3 * HOUR))
        yield from self.start()
        yield from self.read()
        self.offset = 0
        if self.chance.random() < 0.5:
            yield from self.start()

    def erase(self) -> Iterator[Step]:
        """Start with an earlier boot's number and the sequence from 0, as after the flash was erased.

        Without a birth it sends in order, and starts anew soon: what would come out of order looks like a repeat. What
        it said before without a time it does not say again.
        """
        yield self.wait(SECOND)
        born, boot = self.chance.random() < 0.8, self.chance.choice(self.boots)
        self.sent = [one for one in self.sent if one.boot != boot or one.ts is not None]
        yield from self.start(boot=boot, born=born)
        yield from self.read()
        if not born:
            yield from self.start()

    def lose_clock(self) -> Iterator[Step]:
        """Run without a clock for a while."""
        self.timed = False
        yield from self.start()
        yield from self.read()
        yield from self.every_few()
        self.timed = True
        yield from self.start()

    def every_few(self) -> Iterator[Step]:
        """Send few messages, and some of them again."""
        before = len(self.sent)
        yield from self.read()
        again = self.sent[before:]
        yield from self.chance.sample(again, len(again) // 2)


_EVENTS = (
    (20, Life.read),
    (8, Life.keep_back),
    (3, Life.every_other),
    (2, Life.many_boots),
    (8, Life.repeat),
    (6, Life.catch_up),
    (3, Life.fall_silent),
    (4, Life.trim),
    (2, Life.turn_back),
    (2, Life.erase),
    (2, Life.lose_clock),
)


def life(chance: random.Random, device: str, *, window: int, steps: int) -> Iterator[Step]:
    """Yield what one device does, step by step; `window` is the length of base windows in ms."""
    one = Life(chance, Marks(window), device)
    yield from one.start()
    yield from one.read()
    weights = [weight for weight, _ in _EVENTS]
    for _ in range(steps):
        ((_, event),) = chance.choices(_EVENTS, weights)
        yield from event(one)
    yield from one.start()
    yield from one.read()
