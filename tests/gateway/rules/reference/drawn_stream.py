"""Random streams of births, readings, ticks, restarts and edits of rules, from a seed."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from random import Random
from typing import Any, NamedTuple

from tests.gateway.rules.reference.definitions import RuleFile
from tests.gateway.rules.reference.device import Birth, Message, Will
from tests.gateway.rules.reference.drawn_rules import edited

SITES = {"d0": "berlin", "d1": "berlin", "d2": "lyon", "d3": "oslo"}
STEP = 250
"""Readings are taken at multiples of this, so that each has a pane of its own in the ranges that are drawn."""
MAX_READING_AGE = 60_000


def _ms(*moment: int) -> int:
    return int(datetime(*moment, tzinfo=UTC).timestamp() * 1000)  # type: ignore[arg-type, misc]


BEGINNINGS = (
    _ms(2026, 1, 1),
    _ms(2026, 3, 8, 6, 45),
    _ms(2026, 3, 29, 0, 45),
    _ms(2026, 10, 25, 0, 45),
    _ms(2026, 11, 1, 5, 45),
    _ms(2026, 7, 17, 21, 50),
)
"""The last ones but one shortly before clocks change in New York or Berlin."""


class Tick(NamedTuple):
    wall: int
    listening: int


class Edit(NamedTuple):
    """The rules from here on."""

    file: RuleFile
    wall: int
    listening: int


Item = Message | Tick | Birth | Will | Edit


@dataclass
class _Source:
    """A device: its readings in order of seq, some of which are sent later."""

    name: str
    values: dict[str, Any]
    boot: int = 1
    seq: int = 0
    newest: int = 0
    behind: int = 0
    """How far its clock is behind, ms."""


class Stream:
    """Births, readings, ticks and edits in the order in which they arrive; the last is a tick."""

    def __init__(
        self, random: Random, length: int, *, start: int = BEGINNINGS[0], file: RuleFile | None = None
    ) -> None:
        self.random = random
        self.start = self.wall = start
        self.file = file
        self.items: list[Item] = []
        self.kept: list[Message] = []
        self.sources = [
            _Source(name, {"a": 5, "b": 5, "c": 5, "door": "closed", "pump": False}) for name in SITES
        ]
        while len(self.items) < length:
            self._step()
        self.tick(1_000)

    @property
    def listening(self) -> int:
        return self.wall - self.start

    def tick(self, passed: int) -> None:
        self._pass(passed)
        self.items.append(Tick(self.wall, self.listening))

    def _step(self) -> None:
        chance, source = self.random.random(), self.random.choice(self.sources)
        if chance < 0.15:
            self.tick(self.random.choice((1_000, 5_000, 30_000, 30_000, 320_000)))
        elif chance < 0.19:
            self._birth(source)
        elif chance < 0.21:
            self.items.append(Will(source.name, SITES[source.name], self.wall, self.listening))
        elif chance < 0.28 and self.file is not None:
            self._pass(1)
            self.file = edited(self.random, self.file, self.wall)
            self.items.append(Edit(self.file, self.wall, self.listening))
        elif chance < 0.38 and self.items:
            self._again()
        else:
            for _ in range(self.random.choice((1, 1, 1, 2, 9))):
                self.send(source)

    def _birth(self, source: _Source) -> None:
        """A birth of this boot or, with the time or not, of the next."""
        random = self.random
        named = tuple(random.sample(tuple(source.values), random.choice((0, 1, 3))))
        if random.random() < 0.3:
            source.boot, source.seq = source.boot + 1, 0
            source.behind = random.choice((source.behind, source.behind, 0, 30_000))
            self.kept = [message for message in self.kept if message.device != source.name]
        ts = random.choice((None, self.wall - source.behind))
        born = Birth(
            source.name, SITES[source.name], source.boot, named, source.seq, ts, self.wall, self.listening
        )
        self.items.append(born)

    def _pass(self, ms: int) -> None:
        self.wall += ms

    def _again(self) -> None:
        """Send something kept back, or something once more."""
        sent = [item for item in self.items if isinstance(item, Message)]
        if self.kept and self.random.random() < 0.7:
            message = self.kept.pop(self.random.randrange(len(self.kept)))
            newest = {source.name: source.newest for source in self.sources}
            if message.ts <= newest[message.device]:  # else a conflict of sequences, which is quarantined
                self._arrive(message)
        elif sent:
            self._arrive(self.random.choice(sent))

    def _arrive(self, message: Message) -> None:
        self.items.append(message._replace(wall=self.wall, listening=self.listening))

    def send(self, source: _Source) -> None:
        """Let a device take a reading, and send it or keep it back."""
        random = self.random
        if random.random() < 0.7:
            self._pass(random.choice((0, 250, 500, 1_000, 5_000, 10_000)))
        if random.random() < 0.02:
            source.behind = random.choice((0, 30_000, 400_000))
        ts = self._time(source)
        message = Message(
            source.name, SITES[source.name], source.boot, source.seq, ts, self._values(source), 0, 0
        )
        source.seq += 1
        if source.newest and random.random() < 0.2:
            self.kept.append(message._replace(ts=ts - ts % STEP))
            return
        source.newest = max(source.newest, ts)
        self._arrive(message)

    def _time(self, source: _Source) -> int:
        """The time of a reading: now, a little before the last, that of the last, or late with a fresh seq."""
        random, now = self.random, self.wall - source.behind
        if now < source.newest - 5_000:
            return now
        ts = max(source.newest, now)
        if source.newest and random.random() < 0.25:
            return source.newest - random.choice((1, 3, 250, 4_000, 0, 0, 0, 30_000))
        return max(source.newest + STEP, now - 90_000) if random.random() < 0.06 else ts

    def _values(self, source: _Source) -> dict[str, Any]:
        random, found = self.random, {}
        for metric in random.sample(tuple(source.values), random.choice((1, 1, 2, 3, 5))):
            if metric == "door":
                source.values[metric] = random.choice(("open", "closed", "closed"))
            elif metric == "pump":
                source.values[metric] = random.random() < 0.5
            else:
                step = random.choice((-2, -1, 0, 0, 1, 2))
                source.values[metric] = min(10, max(0, source.values[metric] + step))
            found[metric] = source.values[metric]
        return found
