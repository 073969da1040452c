"""Random rules, and random streams of readings and ticks, from a seed."""

from __future__ import annotations

from dataclasses import dataclass
from random import Random
from typing import Any

from tests.gateway.rules.reference.definitions import (
    RANKS,
    Command,
    Definition,
    Level,
    Override,
    Silence,
)
from tests.gateway.rules.reference.device import Birth, Message
from tests.gateway.rules.reference.expressions import CONDITIONS, NUMBERS, Expression

SITES = {"d0": "berlin", "d1": "berlin", "d2": "lyon", "d3": "oslo"}
START = 1_767_225_600_000
STEP = 250
"""Readings are taken at multiples of this, so that each has a pane of its own in the ranges that are drawn."""
MAX_READING_AGE = 60_000
_READINGS = (0, 0, 0, 2, 3)
_TIMES = (0, 0, 5_000, 10_000, 23_000, 60_000, 400_000)


@dataclass(frozen=True)
class Tick:
    wall: int
    listening: int


Item = Message | Tick | Birth


def drawn_rules(random: Random, count: int) -> tuple[Definition, ...]:
    return tuple(_rule(random, number) for number in range(count))


def drawn_lookbacks(random: Random) -> dict[str, int]:
    return random.choice(({}, {}, {"b": 20_000}, {"c": 700_000, "door": 700_000}))


def _rule(random: Random, number: int) -> Definition:
    kind, above = random.random(), random.random() < 0.5
    expression: Expression | None = random.choice(NUMBERS if kind < 0.7 else CONDITIONS)
    levels = _levels(random, above=above) if kind < 0.7 else _conditions(random)
    if levels[0].own is not None or kind > 0.92:
        expression = None
    silence = _silence(random) if kind > 0.92 or random.random() < 0.4 else None
    override = Override(
        "lyon", levels[0].name, random.choice((None, *_TIMES)), random.choice((11_000, 7_000))
    )
    return Definition(
        name=f"R{number}",
        expression=expression,
        above=above,
        levels=() if kind > 0.92 else levels,
        sites=random.choice(((), (), ("berlin", "lyon"), ("oslo",))),
        keep=random.choice(_TIMES),
        silence=silence,
        commands=_commands(random),
        override=override if kind < 0.7 and random.random() < 0.4 else None,
        warmup=random.choice((0, 0, 0, 25_000)),
        repeat=random.choice((None, None, None, 30_000)),
    )


def _conditions(random: Random) -> tuple[Level, ...]:
    """One level of the rule's condition, or several with conditions of their own."""
    names = random.sample(RANKS, random.randint(1, 3))
    is_one = random.random() < 0.5
    return tuple(
        Level(
            name,
            for_ms=random.choice(_TIMES),
            readings=random.choice(_READINGS),
            own=None if is_one else random.choice(CONDITIONS),
            ends=random.choice((None, None, *CONDITIONS)),
        )
        for name in sorted(names[: 1 if is_one else 3], key=RANKS.index)
    )


def _levels(random: Random, *, above: bool) -> tuple[Level, ...]:
    names = sorted(random.sample(RANKS, random.randint(1, 3)), key=RANKS.index)
    sign = 1 if above else -1
    limits = sorted((random.randint(1, 9) for _ in names), key=lambda limit: sign * limit)
    return tuple(
        Level(
            name,
            float(limit),
            random.choice((None, float(limit - sign * random.randint(0, 3)))),
            random.choice(_TIMES),
            random.choice(_READINGS),
        )
        for name, limit in zip(names, limits, strict=True)
    )


def _silence(random: Random) -> Silence:
    state = random.choice(("alerting", "alerting", "no_data", "ok", "keep_last"))
    return Silence(
        random.choice((12_000, 40_000)),
        random.choice(("a", "b", "c", "door", "pump")),
        state,
        random.choice(RANKS),
    )


def _commands(random: Random) -> tuple[Command, ...]:
    if random.random() < 0.5:
        return ()
    return (
        Command("start", ("firing", "escalated"), random.choice((0, 30_000))),
        Command("stop", ("resolved",), random.choice((0, 0, 30_000))),
        Command("tell", random.choice((("no_data",), ("deescalated", "repeat"), ("firing", "no_data"))), 0),
    )


@dataclass
class _Source:
    """A device: its readings in order of seq, some of which are sent later."""

    name: str
    values: dict[str, Any]
    seq: int = 0
    newest: int = 0
    behind: bool = False
    """Whether the last reading was far behind: three in a row are a step of its clock."""


class Stream:
    """Readings and ticks in the order in which they arrive."""

    def __init__(self, random: Random, length: int) -> None:
        self.random = random
        self.wall = START
        self.items: list[Item] = []
        self.kept: list[Message] = []
        self.sources = [
            _Source(name, {"a": 5, "b": 5, "c": 5, "door": "closed", "pump": False}) for name in SITES
        ]
        while len(self.items) < length:
            self._step()

    def _step(self) -> None:
        chance = self.random.random()
        if chance < 0.15:
            self._pass(self.random.choice((1_000, 5_000, 30_000, 30_000, 320_000)))
            self.items.append(Tick(self.wall, self.wall - START))
        elif chance < 0.19:
            source = self.random.choice(self.sources)
            named = tuple(self.random.sample(tuple(source.values), self.random.choice((0, 1, 3))))
            born = Birth(source.name, SITES[source.name], named, source.seq, self.wall, self.wall - START)
            self.items.append(born)
        elif chance < 0.32 and self.items:
            self._again()
        else:
            source = self.random.choice(self.sources)
            for _ in range(self.random.choice((1, 1, 1, 2, 9))):
                self.send(source)

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
        self.items.append(message._replace(wall=self.wall, listening=self.wall - START))

    def send(self, source: _Source) -> None:
        """Let a device take a reading, and send it or keep it back."""
        random = self.random
        if random.random() < 0.7:
            self._pass(random.choice((0, 250, 500, 1_000, 5_000, 10_000)))
        ts = max(source.newest, self.wall)
        if source.newest and random.random() < 0.25:
            # a small step back, the time of the last reading, or one that is late with a fresh seq
            back = random.choice((1, 3, 250, 4_000, 0, 0, 0, 30_000))
            source.behind = back == 30_000 and not source.behind
            ts = source.newest - (back if back < 30_000 or source.behind else 0)
        elif random.random() < 0.06:
            ts = max(source.newest + STEP, self.wall - 90_000)
        message = Message(source.name, SITES[source.name], source.seq, ts, self._values(source), 0, 0)
        source.seq += 1
        if source.newest and random.random() < 0.2:
            self.kept.append(message._replace(ts=ts - ts % STEP))
            return
        source.newest = max(source.newest, ts)
        self._arrive(message)

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
